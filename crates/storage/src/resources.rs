//! Executions of a test with what they took of time and memory.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::runs;
use crate::value::Value;
use casebook_model::execution::{ExecutionFlags, Outcome};
use casebook_model::id::{ExecutionId, RunId, SuiteId, TestId};
use casebook_model::resources::Resources;
use casebook_model::time::Timestamp;
use std::collections::HashMap;

// The runs are looked up once more: without that PostgreSQL was seen to read all executions of the suite.
pub(crate) const MEASURED: &str = "/* resources.measured */ select execution.run_id, execution.attempt, execution.outcome, \
     execution.flags, execution.duration_us, execution.offset_ms, upload.at, taken.attempt, taken.wall_seconds, \
     taken.user_seconds, taken.system_seconds, taken.cpu_share, taken.memory_mib \
     from execution \
     join upload on upload.suite_id = execution.suite_id and upload.upload_id = execution.upload_id \
     left join execution_resources taken on taken.suite_id = execution.suite_id and taken.run_id = execution.run_id \
       and taken.test_id = execution.test_id and taken.attempt = execution.attempt \
     where execution.suite_id = $1 and execution.test_id = $2 and execution.run_id in \
     (select run_id from run where suite_id = $1 and run_id = any($3))";
const RUNS: &str = "/* resources.runs */ select run_id, key, number, commit_sha from run \
     where suite_id = $1 and run_id = any($2) order by started_at desc, run_id desc";

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
    /// Its run.
    pub run: MeasuredRun,
}

/// What names a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredRun {
    /// Its key: of pytest-monitor's, the session.
    pub key: String,
    /// Number of the build.
    pub number: Option<String>,
    /// The commit.
    pub commit: Option<String>,
}

/// The executions of a test in the newest `most` runs of its suite, or of the runs `among`: the latest run first, attempts of one
/// run in their order.
///
/// # Errors
/// The database fails.
pub fn measured(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    among: Option<&[RunId]>,
    most: i64,
) -> Result<Vec<MeasuredExecution>, StorageError> {
    let among: Vec<i64> = match among {
        Some(runs) => runs.iter().map(|run| run.get()).collect(),
        None => runs::newest(db, suite, most)?.into_iter().map(RunId::get).collect(),
    };
    let mut runs: Vec<(RunId, MeasuredRun)> =
        db.query(RUNS, &[suite.get().into(), Value::Ints(&among)], |row| {
            let run = MeasuredRun { key: row.get(1)?, number: row.get(2)?, commit: row.get(3)? };
            Ok((RunId(row.get(0)?), run))
        })?;
    runs.truncate(usize::try_from(most).unwrap_or(0));
    let ids: Vec<i64> = runs.iter().map(|(run, _)| run.get()).collect();
    let places: HashMap<RunId, (usize, MeasuredRun)> =
        runs.into_iter().enumerate().map(|(place, (id, run))| (id, (place, run))).collect();
    let mut found = Vec::new();
    db.each(MEASURED, &[suite.get().into(), test.get().into(), Value::Ints(&ids)], |row| {
        let id = ExecutionId { run: RunId(row.get(0)?), test, attempt: row.get(1)? };
        let Some((place, run)) = places.get(&id.run) else { return Ok(()) };
        let outcome = row.get(2)?;
        let is_measured = row.get::<Option<i64>>(7)?.is_some();
        let resources = Resources {
            wall_seconds: row.get(8)?,
            user_seconds: row.get(9)?,
            system_seconds: row.get(10)?,
            cpu_share: row.get(11)?,
            memory_mib: row.get(12)?,
        };
        let execution = MeasuredExecution {
            id,
            outcome: member(Outcome::from_code(outcome), outcome, "execution.outcome")?,
            flags: ExecutionFlags::from_bits(row.get(3)?),
            at: Timestamp(row.get(6)?).plus(row.get::<i64>(5)? * 1000),
            duration_us: row.get(4)?,
            resources: is_measured.then_some(resources),
            run: run.clone(),
        };
        found.push((*place, execution));
        Ok(())
    })?;
    found.sort_unstable_by_key(|(place, execution)| (*place, execution.id.attempt));
    Ok(found.into_iter().map(|(_, execution)| execution).collect())
}
