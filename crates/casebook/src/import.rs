//! `casebook import`: history into the database directly. One file for each kind of source.

mod avocado_server;
mod monitor_server;
pub(crate) mod pymon;
mod reports;

use crate::Failure;
use crate::database::{self, Database};
use crate::serve::runtime;
use crate::webhook;
use casebook_app::clock::Clock;
use casebook_app::monitor::{Intake, Taken};
use casebook_app::{Anonymous, App, Options};
use casebook_formats::Format;
use casebook_model::suite::{Suite, SuiteName};
use casebook_uploader::files::{Found, ReportFile};
use clap::Args;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Bring history into the database, also while a server runs on it
///
/// Takes pytest-monitor's files (.pymon), an old monitor-server or Avocado Server by its address, and test reports in every
/// format that upload knows: files, ZIP archives, folders and patterns. Reports are sorted by time: their own, else that of the file. Each is a
/// run of its own unless --run-key joins them.
///
/// Importing the same again adds nothing; of a file that has grown only what is new is taken. Webhooks are told nothing
/// unless --notify says so. The exit code is 1 if anything could not be imported.
#[derive(Args)]
pub(crate) struct Import {
    /// Files, folders, patterns such as 'history/**/*.xml', or the address of a monitor-server (http://HOST/api/v1) or of an
    /// Avocado Server (http://HOST:9405)
    #[arg(required = true, value_name = "PATH|URL")]
    sources: Vec<String>,
    #[command(flatten)]
    database: Database,
    /// The suite
    #[arg(long, value_name = "ORG/SUITE", value_parser = SuiteName::parse, env = "CASEBOOK_SUITE")]
    suite: SuiteName,
    /// The branch of the reports
    #[arg(long, value_name = "BRANCH", env = "CASEBOOK_BRANCH")]
    branch: Option<String>,
    /// The commit of the reports
    #[arg(long, value_name = "SHA", env = "CASEBOOK_COMMIT")]
    commit: Option<String>,
    /// Key of the run that all reports belong to [default: each is a run of its own]
    #[arg(long, value_name = "KEY", env = "CASEBOOK_RUN_KEY")]
    run_key: Option<String>,
    /// The job of the reports
    #[arg(long, value_name = "ID", env = "CASEBOOK_JOB_ID")]
    job_id: Option<String>,
    /// The format of all reports; without it, each shows its own
    #[arg(long, value_name = "FORMAT", env = "CASEBOOK_FORMAT", value_parser = crate::upload::format)]
    format: Option<Format>,
    /// Tell webhooks what follows from the reports
    #[arg(long, requires = "public_url", env = "CASEBOOK_NOTIFY")]
    notify: bool,
    /// Where people and programs reach the server, for what webhooks are told
    #[arg(long, value_name = "URL", env = "CASEBOOK_PUBLIC_URL", value_parser = crate::serve::public_url)]
    public_url: Option<String>,
    /// Tell only what goes wrong
    #[arg(long, env = "CASEBOOK_QUIET")]
    quiet: bool,
}

/// Something could not be imported; what it was has been told.
#[derive(Debug, thiserror::Error)]
#[error("{0} of the sources could not be imported: see above")]
struct Incomplete(usize);

/// What every kind of source needs.
struct Importing {
    app: Arc<App>,
    suite: Suite,
    runtime: Runtime,
    quiet: bool,
    failures: usize,
}

impl Import {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let store = self.database.open()?;
        let suite = database::suite(&store, &self.suite)?;
        let runtime = runtime()?;
        let options = Options {
            public_url: self.public_url.clone().unwrap_or_default(),
            anonymous: Anonymous::None,
            clock: Clock::System,
            webhooks: webhook::settings(),
            keep_days: None,
        };
        let app = App::start(store, options)?;
        let mut importing = Importing { app, suite, runtime, quiet: self.quiet, failures: 0 };
        let (urls, paths): (Vec<&String>, Vec<&String>) = self
            .sources
            .iter()
            .partition(|source| source.starts_with("http://") || source.starts_with("https://"));
        for url in urls {
            if avocado_server::is_one(url) {
                let name = avocado_server::shown(url);
                match avocado_server::take(&mut importing, url, self.notify) {
                    Ok(taken) => importing.say(&format!("{name}: {taken}")),
                    Err(error) => importing.fail(&name, &crate::sentence(&*error)),
                }
                continue;
            }
            let result = monitor_server::take(&mut importing, url);
            importing.tell(&monitor_server::shown(url), result);
        }
        let found = Found::find(paths.iter().map(|path| path.as_str()), &mut io::stdin().lock());
        for problem in &found.problems {
            importing.fail("", problem);
        }
        let (files, reports): (Vec<ReportFile>, Vec<ReportFile>) =
            found.files.into_iter().partition(pymon::is_one);
        for file in &files {
            let result = pymon::take(&mut importing, file);
            importing.tell(file.name(), result);
        }
        if !reports.is_empty() {
            reports::take(&mut importing, &self, &reports)?;
        }
        importing.finish()
    }
}

impl Importing {
    fn intake(&self) -> Intake {
        Intake::new(Arc::clone(&self.app), self.suite.clone())
    }

    /// A line that is written over, for whoever watches.
    fn progress(&self, line: &str) {
        if !self.quiet && io::stderr().is_terminal() {
            // Without a terminal there is nobody to count for.
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
        }
    }

    fn say(&self, line: &str) {
        self.progress("");
        if !self.quiet {
            println!("{line}");
        }
    }

    fn fail(&mut self, name: &str, sentence: &str) {
        self.progress("");
        self.failures += 1;
        let between = if name.is_empty() { "" } else { ": " };
        eprintln!("{name}{between}{}", sentence.replace(|c: char| c.is_control(), " "));
    }

    /// What became of a source with measurements.
    fn tell(&mut self, name: &str, result: Result<Taken, Failure>) {
        match result {
            Ok(Taken { sessions, metrics, known, different }) => {
                self.say(&format!(
                    "{name}: {sessions} sessions and {metrics} metrics imported, {known} were known"
                ));
                for identifier in different {
                    self.fail(
                        name,
                        &format!("{identifier} is there already with other content, and was left out"),
                    );
                }
            }
            Err(error) => self.fail(name, &crate::sentence(&*error)),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        let Self { app, runtime, failures, .. } = self;
        app.close();
        // The database's connections end after the runtime, on this thread: they may not be closed from inside of it.
        drop(runtime);
        drop(app);
        if failures > 0 { Err(Incomplete(failures).into()) } else { Ok(()) }
    }
}
