//! Executions: the history of one test, and counts over any selection of runs.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::runs;
use crate::value::{Row, values};
use casebook_model::execution::{Execution, ExecutionFlags, Outcome};
use casebook_model::id::{ExecutionId, RunId, SuiteId, TestId, UploadId, VariantId};
use casebook_model::resources::Resources;
use casebook_model::time::Timestamp;
use std::collections::HashMap;

pub(crate) const HISTORY: &str = "/* executions.history */ select run_id, test_id, attempt, upload_id, variant_id, instance, outcome, flags, \
     offset_ms, duration_us, external_hash from execution \
     where suite_id = $1 and test_id = $2 and run_id in \
     (select run_id from run /*+ run_by_time */ where suite_id = $1 order by started_at desc, run_id desc limit $3)";
pub(crate) const OF_RUN: &str = "/* executions.of_run */ select run_id, test_id, attempt, upload_id, variant_id, instance, outcome, flags, \
     offset_ms, duration_us, external_hash from execution where suite_id = $1 and run_id = $2 order by test_id, attempt";

pub(crate) const MEASURED: &str = "/* executions.measured */ select execution.run_id, execution.attempt, execution.outcome, \
     execution.flags, execution.duration_us, execution.offset_ms, upload.at, taken.attempt, taken.wall_seconds, \
     taken.user_seconds, taken.system_seconds, taken.cpu_share, taken.memory_mib \
     from execution \
     join upload on upload.suite_id = execution.suite_id and upload.upload_id = execution.upload_id \
     left join execution_resources taken on taken.suite_id = execution.suite_id and taken.run_id = execution.run_id \
       and taken.test_id = execution.test_id and taken.attempt = execution.attempt \
     where execution.suite_id = $1 and execution.test_id = $2 and execution.run_id in \
     (select run_id from run /*+ run_by_time */ where suite_id = $1 order by started_at desc, run_id desc limit $3)";

/// An execution of a test with what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredExecution {
    /// Run, test and attempt.
    pub id: ExecutionId,
    /// How it ended.
    pub outcome: Outcome,
    /// What else is true of it.
    pub flags: ExecutionFlags,
    /// When it ran.
    pub at: Timestamp,
    /// Wall time.
    pub duration_us: Option<i64>,
    /// What it took, if that was measured.
    pub resources: Option<Resources>,
}

/// The executions of a test in the newest `runs` runs of its suite with what they took: the latest first, attempts of one run in
/// their order.
///
/// # Errors
/// The database fails.
pub fn measured(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    runs: i64,
) -> Result<Vec<MeasuredExecution>, StorageError> {
    let mut found = db.query(MEASURED, values![suite.get(), test.get(), runs], |row| {
        let outcome = row.get(2)?;
        let is_measured = row.get::<Option<i64>>(7)?.is_some();
        let resources = Resources {
            wall_seconds: row.get(8)?,
            user_seconds: row.get(9)?,
            system_seconds: row.get(10)?,
            cpu_share: row.get(11)?,
            memory_mib: row.get(12)?,
        };
        Ok(MeasuredExecution {
            id: ExecutionId { run: RunId(row.get(0)?), test, attempt: row.get(1)? },
            outcome: member(Outcome::from_code(outcome), outcome, "execution.outcome")?,
            flags: ExecutionFlags::from_bits(row.get(3)?),
            at: Timestamp(row.get(6)?).plus(row.get::<i64>(5)? * 1000),
            duration_us: row.get(4)?,
            resources: is_measured.then_some(resources),
        })
    })?;
    let newest = runs::newest(db, suite, runs)?;
    let places: HashMap<RunId, usize> = newest.into_iter().zip(0..).collect();
    found.sort_unstable_by_key(|execution| (places.get(&execution.id.run).copied(), execution.id.attempt));
    Ok(found)
}

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
