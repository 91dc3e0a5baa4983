//! `casebook retention`: drop old runs.

use crate::Failure;
use crate::database::{self, Database, now};
use casebook_app::retention::{self, DAYS};
use casebook_model::suite::SuiteName;
use casebook_storage::retention::Dropped;
use casebook_storage::suites;
use clap::{Args, Subcommand};
use std::io::{self, Write as _};

#[derive(Args)]
pub(crate) struct RetentionCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Drop runs all of whose results are older than some days, but for pinned ones; counts by day and evidence stay
    Run(Run),
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    database: Database,
    /// Days that runs are kept
    #[arg(long, value_name = "DAYS", env = "CASEBOOK_KEEP_DAYS", value_parser = clap::value_parser!(i64).range(DAYS))]
    keep_days: i64,
    /// The suite [default: every suite]
    #[arg(long, value_name = "ORG/SUITE", env = "CASEBOOK_SUITE", value_parser = SuiteName::parse)]
    suite: Option<SuiteName>,
}

impl RetentionCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Action::Run(run) = self.action;
        let store = run.database.open()?;
        let suites = match &run.suite {
            Some(name) => vec![database::suite(&store, name)?],
            None => store.read(suites::list)?,
        };
        let before = retention::before(run.keep_days, now());
        let mut out = io::stdout().lock();
        for suite in suites {
            let Dropped { runs, executions, metrics } =
                retention::drop_old_runs(&store, &suite, before, || false)?;
            writeln!(
                out,
                "{}\tdropped {runs} runs with {executions} executions and {metrics} metrics",
                suite.name()
            )?;
        }
        Ok(())
    }
}
