//! Executions: the history of one test, and counts over any selection of runs.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::{Row, values};
use crate::{rollups, runs};
use casebook_model::branch;
use casebook_model::execution::{Execution, ExecutionFlags, Outcome};
use casebook_model::id::{ExecutionId, RunId, SuiteId, TestId, UploadId, VariantId};
use casebook_model::rollup::RollupCell;
use casebook_model::time::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};

pub(crate) const HISTORY: &str = "/* executions.history */ select run_id, test_id, attempt, upload_id, variant_id, instance, outcome, flags, \
     offset_ms, duration_us, external_hash from execution \
     where suite_id = $1 and test_id = $2 and run_id in \
     (select run_id from run /*+ run_by_time */ where suite_id = $1 order by started_at desc, run_id desc limit $3)";
pub(crate) const OF_RUN: &str = "/* executions.of_run */ select run_id, test_id, attempt, upload_id, variant_id, instance, outcome, flags, \
     offset_ms, duration_us, external_hash from execution where suite_id = $1 and run_id = $2 order by test_id, attempt";
pub(crate) const UPLOADS_BETWEEN: &str = "/* executions.uploads_between */ select upload_id, run_id, branch, accepted from upload where suite_id = $1 and at >= $2 and at <= $3";
const MIXED: &str = "/* executions.mixed */ select failed.test_id, count(*) from \
       (select distinct failure.test_id, run.commit_sha from failure \
        join run on run.suite_id = failure.suite_id and run.run_id = failure.run_id \
        where failure.suite_id = $1 and failure.outcome in (1, 2) and run.commit_sha is not null) as failed \
     where exists (select 1 from run as other \
        join execution on execution.suite_id = other.suite_id and execution.run_id = other.run_id \
        where other.suite_id = $1 and other.commit_sha = failed.commit_sha and execution.suite_id = $1 \
        and execution.test_id = failed.test_id and execution.outcome = 0) \
     group by failed.test_id order by count(*) desc, failed.test_id limit $2";

/// Executions that one request may have counted: about a second of work.
const MOST_COUNTED: i64 = 3_000_000;

/// Which branches count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchFilter {
    /// Exactly this one.
    Is(String),
    /// Every other one.
    Not(String),
    /// Those that start so.
    StartsWith(String),
}

impl BranchFilter {
    /// Whether `name` counts. Branches are compared without `refs/heads/`.
    #[must_use]
    pub fn admits(&self, name: Option<&str>) -> bool {
        let name = name.map(branch::compared);
        match self {
            Self::Is(wanted) => name == Some(branch::compared(wanted)),
            Self::Not(unwanted) => name != Some(branch::compared(unwanted)),
            Self::StartsWith(start) => name.is_some_and(|name| name.starts_with(branch::compared(start))),
        }
    }
}

/// Which executions to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// From this time on.
    pub from: Timestamp,
    /// Up to this time.
    pub to: Timestamp,
    /// Only on these branches.
    pub branch: Option<BranchFilter>,
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

/// What happened to each test in the selected uploads, counted from the executions themselves.
///
/// # Errors
/// The database fails.
pub fn count(
    db: &mut Db<'_>,
    suite: SuiteId,
    selection: &Selection,
) -> Result<Vec<(TestId, RollupCell)>, StorageError> {
    let mut uploads = HashSet::new();
    let mut runs = Vec::new();
    let mut executions = 0;
    let Selection { from, to, branch } = selection;
    db.each(UPLOADS_BETWEEN, values![suite.get(), from.as_microseconds(), to.as_microseconds()], |row| {
        let on: Option<String> = row.get(2)?;
        if branch.as_ref().is_none_or(|filter| filter.admits(on.as_deref())) {
            uploads.insert(UploadId(row.get(0)?));
            runs.push(row.get::<i64>(1)?);
            executions += row.get::<i64>(3)?;
        }
        Ok(())
    })?;
    if executions > MOST_COUNTED {
        return Err(StorageError::TooMuch { executions, most: MOST_COUNTED });
    }
    runs.sort_unstable();
    runs.dedup();
    let mut cells: BTreeMap<TestId, RollupCell> = BTreeMap::new();
    for run in runs {
        db.each(OF_RUN, values![suite.get(), run], |row| {
            let execution = read(row)?;
            if uploads.contains(&execution.upload) {
                rollups::count(cells.entry(execution.id.test).or_default(), &execution);
            }
            Ok(())
        })?;
    }
    Ok(cells.into_iter().collect())
}

/// Tests that passed and failed on one commit, with the number of such commits, most first.
///
/// # Errors
/// The database fails.
pub fn mixed_on_one_commit(
    db: &mut Db<'_>,
    suite: SuiteId,
    most: i64,
) -> Result<Vec<(TestId, i64)>, StorageError> {
    db.query(MIXED, values![suite.get(), most], |row| Ok((TestId(row.get(0)?), row.get(1)?)))
}

fn read(row: &Row<'_>) -> Result<Execution, StorageError> {
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
