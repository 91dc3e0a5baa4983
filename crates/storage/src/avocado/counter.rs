//! The suite's running numbers of jobs, their tests and their records, and how many jobs there are.

use super::Tally;
use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::id::SuiteId;

const LOCK: &str = "/* avocado_counter.lock */ select jobs, job_tests, job_records, jobs_kept, jobs_passed, jobs_failed \
     from suite_counter where suite_id = $1 for update";
const UNLOCK: &str = "/* avocado_counter.unlock */ update suite_counter set jobs = $2, job_tests = $3, job_records = $4, \
     jobs_kept = $5, jobs_passed = $6, jobs_failed = $7 where suite_id = $1";
const READ: &str = "/* avocado_counter.read */ select jobs_kept, jobs_passed, jobs_failed from suite_counter where suite_id = $1";

/// Numbers given so far; none is given again.
pub(super) struct Counter {
    pub(super) jobs: i64,
    pub(super) tests: i64,
    pub(super) records: i64,
    /// The jobs that are there.
    pub(super) kept: Tally,
}

impl Counter {
    /// Keeps everybody else away from the suite's numbers until the transaction ends.
    pub(super) fn lock(db: &mut Db<'_>, suite: SuiteId) -> Result<Self, StorageError> {
        let counter = db.find(LOCK, values![suite.get()], |row| {
            Ok(Self {
                jobs: row.get(0)?,
                tests: row.get(1)?,
                records: row.get(2)?,
                kept: Tally { all: row.get(3)?, passed: row.get(4)?, failed: row.get(5)? },
            })
        })?;
        counter.ok_or(StorageError::NoSuchSuite)
    }

    pub(super) fn unlock(&self, db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
        let Self { jobs, tests, records, kept: Tally { all, passed, failed } } = *self;
        db.execute(UNLOCK, values![suite.get(), jobs, tests, records, all, passed, failed])?;
        Ok(())
    }
}

/// The jobs that are there.
pub(super) fn kept(db: &mut Db<'_>, suite: SuiteId) -> Result<Tally, StorageError> {
    let tally = db.find(READ, values![suite.get()], |row| {
        Ok(Tally { all: row.get(0)?, passed: row.get(1)?, failed: row.get(2)? })
    })?;
    tally.ok_or(StorageError::NoSuchSuite)
}
