//! `casebook policy`: how often clients run failing tests.

use crate::database::{self, Database, now};
use crate::{Failure, test};
use casebook_model::id::{SuiteId, TestId};
use casebook_model::policy::RunCounts;
use casebook_model::suite::SuiteName;
use casebook_storage::{Store, policies};
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct PolicyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Set how often a failing test is run, instead of what its history says
    Set(Set),
    /// Let the history say it again
    Clear(Clear),
}

#[derive(Args)]
struct Target {
    #[command(flatten)]
    database: Database,
    /// The suite
    #[arg(long, value_name = "ORG/SUITE", env = "CASEBOOK_SUITE", value_parser = SuiteName::parse)]
    suite: SuiteName,
    /// Class name of the test
    #[arg(
        long,
        value_name = "CLASS",
        env = "CASEBOOK_CLASS_NAME",
        default_value = "",
        allow_hyphen_values = true,
        requires = "name"
    )]
    class_name: String,
    /// Name of the test [default: every flaky test of the suite]
    #[arg(long, value_name = "NAME", env = "CASEBOOK_NAME", allow_hyphen_values = true)]
    name: Option<String>,
}

#[derive(Args)]
struct Set {
    #[command(flatten)]
    target: Target,
    /// Runs at most, the first included
    #[arg(long, value_name = "NUMBER", env = "CASEBOOK_MAX_RUNS")]
    max_runs: i64,
    /// Passes that are needed
    #[arg(long, value_name = "NUMBER", env = "CASEBOOK_MIN_PASSES", default_value_t = 1)]
    min_passes: i64,
}

#[derive(Args)]
struct Clear {
    #[command(flatten)]
    target: Target,
}

impl PolicyCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Set(set) => set.run(),
            Action::Clear(clear) => clear.run(),
        }
    }
}

impl Target {
    /// The database, the suite, the test if one is named, and what people call that.
    fn find(&self) -> Result<Found, Failure> {
        let store = self.database.open()?;
        let suite = database::suite(&store, &self.suite)?.id;
        let (test, shown) = match &self.name {
            Some(name) => (
                Some(test::find(&store, suite, &self.class_name, name)?),
                test::shown(&self.class_name, name),
            ),
            None => (None, format!("flaky tests of {}", self.suite)),
        };
        Ok(Found { store, suite, test, shown })
    }
}

struct Found {
    store: Store,
    suite: SuiteId,
    test: Option<TestId>,
    shown: String,
}

impl Set {
    fn run(self) -> Result<(), Failure> {
        let counts = RunCounts::new(self.max_runs, self.min_passes)?;
        let Found { store, suite, test, shown } = self.target.find()?;
        store.write(|db| policies::set(db, suite, test, counts, now()))?;
        let (max_runs, min_passes) = (self.max_runs, self.min_passes);
        println!("set {shown}: at most {max_runs} runs, {min_passes} must pass");
        Ok(())
    }
}

impl Clear {
    fn run(self) -> Result<(), Failure> {
        let Found { store, suite, test, shown } = self.target.find()?;
        if !store.write(|db| policies::clear(db, suite, test))? {
            return Err(format!("nothing is set for {shown}").into());
        }
        println!("cleared {shown}");
        Ok(())
    }
}
