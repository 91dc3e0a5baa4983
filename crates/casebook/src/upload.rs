//! `casebook upload`: the reports of a CI job, to a server.

mod pymon;

use crate::import::pymon::is_one;
use casebook_formats::Format;
use casebook_model::time::Timestamp;
use casebook_uploader::address::ServerAddress;
use casebook_uploader::ci::{Overrides, RunEnvironment, Surroundings};
use casebook_uploader::client::{Client, Patience, Proxies, Settings, Token};
use casebook_uploader::files::{Found, ReportFile};
use casebook_uploader::git::Git;
use casebook_uploader::upload::{Company, FileSummary, Progress, upload};
use clap::Args;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Send test reports to a server
///
/// Prints the address of their run. Large reports go in parts. Formats are told by content: JUnit XML, Buildkite's JSON, the reports of Jest, Vitest, RSpec, Playwright, Cucumber and
/// Go, and pytest-monitor's files. What is known of the run comes from the variables of the CI system, else from git. Sending the same reports again
/// changes nothing.
///
/// The token comes from the variable CASEBOOK_TOKEN, or from a file named by --token-file. There is no option for the token
/// itself: command lines are visible to others.
///
/// Whatever goes wrong is told, and the exit code is 0, so that a build does not fail for its reports; with --strict it is 1
/// if anything was not stored. It is 2 for wrong usage.
#[derive(Args)]
pub(crate) struct Upload {
    /// Reports: files, folders (every report in them), patterns such as 'build/**/*.xml', or - for standard input
    #[arg(required = true, value_name = "FILES")]
    files: Vec<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    run: Run,
    /// The format of all reports; without it, each shows its own
    #[arg(long, value_name = "FORMAT", env = "CASEBOOK_FORMAT", value_parser = format)]
    format: Option<Format>,
    /// Exit with 1 if anything was not stored
    #[arg(long, env = "CASEBOOK_STRICT")]
    strict: bool,
    /// Show what would be sent, and send nothing
    #[arg(long, env = "CASEBOOK_DRY_RUN")]
    dry_run: bool,
    /// Tell only what goes wrong, and the run's address
    #[arg(long, env = "CASEBOOK_QUIET")]
    quiet: bool,
}

/// How to reach the server.
#[derive(Args)]
struct Connection {
    /// Address of the server; also from CASEBOOK_URL
    #[arg(long, value_name = "URL", env = "CASEBOOK_SERVER", hide_env_values = true)]
    server: Option<String>,
    /// File that holds the token; CASEBOOK_TOKEN, if set, wins
    #[arg(long, value_name = "FILE", env = "CASEBOOK_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// File of certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE", env = "CASEBOOK_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Send the token unencrypted to an address that is not in a private network
    #[arg(long, env = "CASEBOOK_INSECURE")]
    insecure: bool,
    /// Time for one attempt to send one part
    #[arg(long, value_name = "SECONDS", default_value = "60", env = "CASEBOOK_TIMEOUT", value_parser = 1..=86_400)]
    timeout: i64,
    /// Time to go on in all after the server cannot be reached, is busy or fails
    #[arg(long, value_name = "SECONDS", default_value = "120", env = "CASEBOOK_RETRY_FOR", value_parser = 0..=86_400)]
    retry_for: i64,
    /// Wait before the first further attempt
    #[arg(
        long,
        value_name = "MILLISECONDS",
        default_value = "500",
        env = "CASEBOOK_RETRY_DELAY_MS",
        hide = true
    )]
    #[arg(value_parser = 0..=60_000)]
    retry_delay_ms: i64,
}

/// What is said of the run instead of what is found.
#[derive(Args)]
struct Run {
    /// The repository, as OWNER/NAME [default: from CI or git]
    #[arg(long, value_name = "OWNER/NAME", env = "CASEBOOK_REPO")]
    repo: Option<String>,
    /// Name of the check on commits [default: from CI]
    #[arg(long, value_name = "NAME", env = "CASEBOOK_CHECK")]
    check: Option<String>,
    /// The branch [default: from CI or git]
    #[arg(long, value_name = "BRANCH", env = "CASEBOOK_BRANCH")]
    branch: Option<String>,
    /// The commit [default: from CI or git]
    #[arg(long, value_name = "SHA", env = "CASEBOOK_COMMIT")]
    commit: Option<String>,
    /// Key of the run: uploads with one key make one run [default: from CI, else a new one]
    #[arg(long, value_name = "KEY", env = "CASEBOOK_BUILD_ID")]
    build_id: Option<String>,
    /// Address of the build [default: from CI]
    #[arg(long, value_name = "URL", env = "CASEBOOK_BUILD_URL")]
    build_url: Option<String>,
    /// The job within the build [default: from CI]
    #[arg(long, value_name = "ID", env = "CASEBOOK_JOB_ID")]
    job_id: Option<String>,
    /// Message of the commit [default: from CI]
    #[arg(long, value_name = "TEXT", env = "CASEBOOK_MESSAGE")]
    message: Option<String>,
    /// Which of several parallel parts of the job this is [default: from CI]
    #[arg(long, value_name = "NAME", env = "CASEBOOK_SHARD")]
    shard: Option<String>,
    /// A tag of every result, such as os=linux; may be given again, or several with commas between
    #[arg(long, value_name = "KEY=VALUE", env = "CASEBOOK_TAG", value_delimiter = ',', value_parser = tag)]
    tag: Vec<(String, String)>,
    /// When the tests ran, if not now (RFC 3339)
    #[arg(long, value_name = "TIME", env = "CASEBOOK_STARTED_AT", value_parser = time)]
    started_at: Option<String>,
}

pub(crate) fn format(word: &str) -> Result<Format, String> {
    let words: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
    Format::from_word(word).ok_or_else(|| format!("use one of {}", words.join(", ")))
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

fn time(text: &str) -> Result<String, String> {
    match Timestamp::parse_rfc3339(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// How the command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Everything was stored, or not everything, which only `--strict` minds.
    Done = 0,
    /// With `--strict`: a report was not found or readable, broke off, or held records that nobody could use; the server
    /// refused a part or a result, did not accept the token, or could not be reached.
    Incomplete = 1,
    /// The command line, a variable or the configuration file is wrong.
    WrongUsage = 2,
}

/// Why nothing can be sent.
enum Unready {
    /// Somebody has to change the command.
    Usage(String),
    /// The job has no credential or no server, as jobs on other people's pull requests do.
    Unconfigured(String),
}

impl Upload {
    pub(crate) fn run(self) -> ExitCode {
        let exit = match self.send() {
            Ok(true) => Exit::Done,
            Ok(false) => self.incomplete(),
            Err(Unready::Usage(sentence)) => {
                eprintln!("error: {}", plain(&sentence));
                Exit::WrongUsage
            }
            Err(Unready::Unconfigured(sentence)) => {
                eprintln!("nothing was sent: {}", plain(&sentence));
                self.incomplete()
            }
        };
        ExitCode::from(exit as u8)
    }

    fn incomplete(&self) -> Exit {
        if self.strict { Exit::Incomplete } else { Exit::Done }
    }

    /// Finds and sends everything; whether all of it was stored.
    fn send(&self) -> Result<bool, Unready> {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let mut client = match self.dry_run {
            true => None,
            false => Some(self.connection.client(&variables)?),
        };
        let company = self.company(&variables);
        if self.dry_run {
            show_run(&company);
        }
        let found = Found::find(self.files.iter().map(String::as_str), &mut io::stdin().lock());
        for problem in &found.problems {
            eprintln!("{}", plain(problem));
        }
        let speaker = Speaker::new(self.quiet, self.dry_run);
        let (measured, files): (Vec<ReportFile>, Vec<ReportFile>) = found.files.into_iter().partition(is_one);
        let mut all_found = found.problems.is_empty();
        for file in &measured {
            all_found &= speaker.measured(file, client.as_ref().map(|client| pymon::send(client, file)));
        }
        if files.is_empty() && !measured.is_empty() {
            return Ok(all_found);
        }
        let summaries = upload(
            &files,
            &company,
            client.as_mut(),
            &mut |progress| speaker.progress(progress),
            &mut |summary| speaker.file(summary),
        );
        if files.is_empty() {
            eprintln!("nothing was sent: there is no report in what was named");
        } else {
            speaker.sum(&summaries, found.others);
        }
        if let Some(url) = summaries.iter().rev().find_map(|summary| summary.run_url.as_ref()) {
            // Nobody may be reading.
            let _ = writeln!(io::stdout(), "{}", plain(url));
        }
        all_found &= !files.is_empty();
        Ok(all_found && summaries.iter().all(|summary| summary.shortfalls.is_empty()))
    }

    fn company(&self, variables: &BTreeMap<String, String>) -> Company {
        let git = Git::new();
        let surroundings = Surroundings {
            variables: variables.clone(),
            read: &|path| std::fs::read_to_string(path).ok(),
            git: &|arguments| git.ask(arguments),
            unique_key: &casebook_uploader::ci::unique_key,
        };
        let run = RunEnvironment::detect(&surroundings, &self.run.overrides());
        let mut run_env: Vec<(String, String)> =
            run.entries().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut add = |name: &str, value: &str| run_env.push((name.to_owned(), value.to_owned()));
        add("collector", "casebook-upload");
        add("version", env!("CARGO_PKG_VERSION"));
        if let Some(started_at) = &self.run.started_at {
            add("started_at", started_at);
        }
        let folder =
            std::env::current_dir().ok().and_then(|folder| folder.into_os_string().into_string().ok());
        if let Some(folder) = &folder {
            add("cwd", folder);
        }
        Company { run_env, tags: self.run.tag.clone(), format: self.format, working_directory: folder }
    }
}

impl Run {
    fn overrides(&self) -> Overrides {
        Overrides {
            key: self.build_id.clone(),
            job_id: self.job_id.clone(),
            branch: self.branch.clone(),
            commit: self.commit.clone(),
            message: self.message.clone(),
            url: self.build_url.clone(),
            repo: self.repo.clone(),
            check: self.check.clone(),
            shard: self.shard.clone(),
        }
    }
}

impl Connection {
    fn client(&self, variables: &BTreeMap<String, String>) -> Result<Client, Unready> {
        let usage = |error: &dyn std::error::Error| Unready::Usage(error.to_string());
        let names = ["CASEBOOK_SERVER", "CASEBOOK_URL"];
        let other = || variables.get("CASEBOOK_URL").filter(|server| !server.is_empty());
        let server = match self.server.as_ref().or_else(other) {
            Some(server) => ServerAddress::parse(server).map_err(|error| usage(&error))?,
            None if names.iter().any(|name| variables.contains_key(*name)) => {
                return Err(Unready::Unconfigured("CASEBOOK_SERVER is empty".to_owned()));
            }
            None => {
                return Err(Unready::Usage("name the server with --server or CASEBOOK_SERVER".to_owned()));
            }
        };
        let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
        let first_wait = Duration::from_millis(self.retry_delay_ms.unsigned_abs());
        let settings = Settings {
            server,
            token: self.token(variables)?,
            ca_file: self.ca_file.clone(),
            timeout: seconds(self.timeout),
            insecure: self.insecure,
            proxies: Proxies::from_variables(variables),
            patience: Patience::new(seconds(self.retry_for), first_wait),
        };
        Client::new(settings).map_err(|error| usage(&error))
    }

    fn token(&self, variables: &BTreeMap<String, String>) -> Result<Token, Unready> {
        let text = match variables.get("CASEBOOK_TOKEN").filter(|token| !token.trim().is_empty()) {
            Some(token) => token.clone(),
            None => match &self.token_file {
                Some(file) => std::fs::read_to_string(file).map_err(|error| {
                    Unready::Unconfigured(format!(
                        "the token's file {} cannot be read: {error}",
                        file.display()
                    ))
                })?,
                None => {
                    let sentence = "there is no token: put it into CASEBOOK_TOKEN, or name a file that holds it with --token-file";
                    return Err(Unready::Unconfigured(sentence.to_owned()));
                }
            },
        };
        Token::new(&text)
            .ok_or_else(|| Unready::Unconfigured("the token is empty, or is no token".to_owned()))
    }
}

/// Text of files, servers and variables without what would move the cursor.
fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

fn show_run(company: &Company) {
    let tags = company.tags.iter().map(|(key, value)| (format!("tag {key}"), value));
    let entries = company.run_env.iter().map(|(name, value)| (name.clone(), value));
    for (name, value) in entries.chain(tags) {
        println!("{}: {}", plain(&name), plain(value));
    }
}

/// Tells what happens, on standard error; a dry run tells it on standard output.
struct Speaker {
    quiet: bool,
    dry_run: bool,
    /// Whether a line that is written over is useful.
    counts: bool,
}

impl Speaker {
    fn new(quiet: bool, dry_run: bool) -> Self {
        Self { quiet, dry_run, counts: !quiet && !dry_run && io::stderr().is_terminal() }
    }

    fn progress(&self, progress: &Progress<'_>) {
        if self.counts {
            let Progress { file, number, of, results } = progress;
            // Without a terminal there is nobody to count for.
            let _ = write!(io::stderr(), "\r\x1b[K[{number}/{of}] {}: {results} results", plain(file));
        }
    }

    fn say(&self, line: &str) {
        if self.dry_run {
            println!("{line}");
        } else if !self.quiet {
            eprintln!("{line}");
        }
    }

    fn file(&self, summary: &FileSummary) {
        if self.counts {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        let name = plain(&summary.name);
        if let (Some(format), 1..) = (summary.format, summary.parts) {
            let requests = count(summary.parts, "request");
            let what = format!("{name}: {format}, {} in {requests}", count(summary.results, "result"));
            let became = format!(": {} stored, {} skipped", summary.queued, summary.skipped);
            self.say(&format!("{what}{}", if self.dry_run { "" } else { &became }));
        }
        for (_, sentence) in &summary.shortfalls {
            eprintln!("{name}: {}", plain(sentence));
        }
    }

    /// Tells what became of a file of pytest-monitor; whether all of it was stored. A dry run sends nothing.
    fn measured(&self, file: &ReportFile, sent: Option<Result<pymon::Sent, String>>) -> bool {
        let name = plain(file.name());
        match sent {
            None => self.say(&format!("{name}: pytest-monitor")),
            Some(Ok(pymon::Sent { sessions, metrics, known, problems })) => {
                let (sessions, metrics) = (count(sessions, "session"), count(metrics, "metric"));
                self.say(&format!("{name}: {sessions} and {metrics} sent, {known} were known"));
                for problem in &problems {
                    eprintln!("{name}: {}", plain(problem));
                }
                return problems.is_empty();
            }
            Some(Err(sentence)) => {
                eprintln!("{name}: {}", plain(&sentence));
                return false;
            }
        }
        true
    }

    fn sum(&self, summaries: &[FileSummary], others: usize) {
        let files = count(summaries.len(), "file");
        let problems: usize = summaries.iter().map(|summary| summary.shortfalls.len()).sum();
        let (queued, skipped) = summaries
            .iter()
            .fold((0, 0), |(queued, skipped), summary| (queued + summary.queued, skipped + summary.skipped));
        let others = match others {
            0 => String::new(),
            others => format!("; {} in the folders are no reports", count(others, "file")),
        };
        if self.dry_run {
            let results = summaries.iter().map(|summary| summary.results).sum();
            let requests = summaries.iter().map(|summary| summary.parts).sum();
            let (results, requests) = (count(results, "result"), count(requests, "request"));
            return self.say(&format!("would send {files} with {results} in {requests}{others}"));
        }
        let problems = count(problems, "problem");
        self.say(&format!("{files}: {queued} results stored, {skipped} skipped, {problems}{others}"));
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
