//! `casebook run`: look after single runs.

use crate::Failure;
use crate::database::{self, Database};
use casebook_model::id::RunId;
use casebook_model::key::Key;
use casebook_model::run::Protocol;
use casebook_model::suite::SuiteName;
use casebook_storage::{Db, StorageError, retention, runs};
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct RunCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Keep a run whatever its age
    Pin(Target),
    /// Let retention drop a run again
    Unpin(Target),
}

#[derive(Args)]
struct Target {
    #[command(flatten)]
    database: Database,
    /// The suite
    #[arg(long, value_name = "ORG/SUITE", env = "CASEBOOK_SUITE", value_parser = SuiteName::parse)]
    suite: SuiteName,
    /// Key of the run: the id of its build, session or job
    #[arg(value_name = "KEY")]
    key: String,
}

impl RunCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Pin(target) => target.pin(true),
            Action::Unpin(target) => target.pin(false),
        }
    }
}

impl Target {
    fn pin(self, pinned: bool) -> Result<(), Failure> {
        let store = self.database.open()?;
        let suite = database::suite(&store, &self.suite)?;
        let keys: Vec<Key> = Protocol::ALL.iter().map(|protocol| protocol.run_key(&self.key)).collect();
        let found = store.write(|db: &mut Db<'_>| {
            let found: Vec<RunId> =
                runs::find_by_keys(db, suite.id, &keys)?.into_iter().map(|(_, run)| run.id).collect();
            for run in &found {
                retention::pin(db, suite.id, *run, pinned)?;
            }
            Ok::<_, StorageError>(found.len())
        })?;
        if found == 0 {
            return Err(format!(
                "suite {} has no run {}: give the key that its client sent, such as the id of the build",
                self.suite, self.key
            )
            .into());
        }
        println!("{} run {}", if pinned { "pinned" } else { "unpinned" }, self.key);
        Ok(())
    }
}
