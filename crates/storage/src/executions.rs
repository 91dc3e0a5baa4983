//! Executions: the history of one test, and counts over any selection of runs.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::runs;
use crate::value::{Row, values};
use casebook_model::execution::{Execution, ExecutionFlags, Outcome};
use casebook_model::id::{ExecutionId, RunId, SuiteId, TestId, UploadId, VariantId};
use std::collections::HashMap;

pub(crate) const HISTORY: &str = "/* executions.history */ select run_id, test_id, attempt, upload_id, variant_id, instance, outcome, flags, \
     offset_ms, duration_us, external_hash from execution \
     where suite_id = $1 and test_id = $2 and run_id in \
     (select run_id from run /*+ run_by_time */ where suite_id = $1 order by started_at desc, run_id desc limit $3)";
pub(crate) const OF_RUN: &str = "/* executions.of_run */ select run_id, test_id, attempt, upload_id, variant_id, instance, outcome, flags, \
     offset_ms, duration_us, external_hash from execution where suite_id = $1 and run_id = $2 order by test_id, attempt";

/// The executions of a test in the newest `runs` runs of its suite, newest run first.
///
/// # Errors
/// The database fails.
pub fn history(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    runs: i64,
) -> Result<Vec<Execution>, StorageError> {
    let mut found = db.query(HISTORY, values![suite.get(), test.get(), runs], read)?;
    let newest = runs::newest(db, suite, runs)?;
    let places: HashMap<RunId, usize> = newest.into_iter().zip(0..).collect();
    found.sort_unstable_by_key(|execution| (places.get(&execution.id.run).copied(), execution.id.attempt));
    Ok(found)
}

/// Every execution of a run by test and attempt.
///
/// # Errors
/// The database fails.
pub fn of_run(db: &mut Db<'_>, suite: SuiteId, run: RunId) -> Result<Vec<Execution>, StorageError> {
    db.query(OF_RUN, values![suite.get(), run.get()], read)
}

pub(crate) fn read(row: &Row<'_>) -> Result<Execution, StorageError> {
    let outcome = row.get(6)?;
    Ok(Execution {
        id: ExecutionId { run: RunId(row.get(0)?), test: TestId(row.get(1)?), attempt: row.get(2)? },
        upload: UploadId(row.get(3)?),
        variant: VariantId(row.get(4)?),
        instance: row.get(5)?,
        outcome: member(Outcome::from_code(outcome), outcome, "execution.outcome")?,
        flags: ExecutionFlags::from_bits(row.get(7)?),
        offset_ms: row.get(8)?,
        duration_us: row.get(9)?,
        external_hash: row.get(10)?,
    })
}
