//! The suite's running numbers of everything that uploads bring.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::id::SuiteId;

const LOCK: &str = "/* ingest.lock */ select runs, tests, uploads, variants, catalog_version, runs_kept, past_changes, \
     machines, sessions, sessions_kept, metrics, words from suite_counter \
     where suite_id = $1 for update";
const UNLOCK: &str = "/* ingest.unlock */ update suite_counter set runs = $2, tests = $3, uploads = $4, variants = $5, \
     catalog_version = $6, runs_kept = $7, past_changes = $8, machines = $9, sessions = $10, sessions_kept = $11, metrics = $12, \
     words = $13 \
     where suite_id = $1";

/// The suite's running numbers.
pub(crate) struct Counter {
    pub(crate) runs: i64,
    pub(crate) tests: i64,
    pub(crate) uploads: i64,
    pub(crate) variants: i64,
    pub(crate) catalog_version: i64,
    pub(crate) runs_kept: i64,
    /// Uploads that changed the roll-ups of a day that was over ([`crate::rollups::past_changes`]).
    pub(crate) past_changes: i64,
    pub(crate) machines: i64,
    pub(crate) sessions: i64,
    pub(crate) sessions_kept: i64,
    pub(crate) metrics: i64,
    pub(crate) words: i64,
}

impl Counter {
    /// Keeps everybody else away from the suite's numbers until the transaction ends.
    pub(super) fn lock(db: &mut Db<'_>, suite: SuiteId) -> Result<Self, StorageError> {
        let counter = db.find(LOCK, values![suite.get()], |row| {
            Ok(Self {
                runs: row.get(0)?,
                tests: row.get(1)?,
                uploads: row.get(2)?,
                variants: row.get(3)?,
                catalog_version: row.get(4)?,
                runs_kept: row.get(5)?,
                past_changes: row.get(6)?,
                machines: row.get(7)?,
                sessions: row.get(8)?,
                sessions_kept: row.get(9)?,
                metrics: row.get(10)?,
                words: row.get(11)?,
            })
        })?;
        counter.ok_or(StorageError::NoSuchSuite)
    }

    /// Writes the numbers as they are now.
    pub(super) fn unlock(&self, db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
        let numbers = values![
            suite.get(),
            self.runs,
            self.tests,
            self.uploads,
            self.variants,
            self.catalog_version,
            self.runs_kept,
            self.past_changes,
            self.machines,
            self.sessions,
            self.sessions_kept,
            self.metrics,
            self.words,
        ];
        db.execute(UNLOCK, numbers)?;
        Ok(())
    }
}
