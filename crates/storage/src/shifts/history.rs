//! What one test took in some runs.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::{Value, values};
use casebook_model::branch::BranchClass;
use casebook_model::id::{RunId, SuiteId, TestId};
use casebook_model::resources::Resources;
use casebook_model::time::Timestamp;

pub(crate) const OF_TEST: &str = "/* shifts.of_test */ select run_id, attempt, wall_seconds, user_seconds, system_seconds, cpu_share, memory_mib \
     from execution_resources where suite_id = $1 and test_id = $2 and run_id in \
     (select run_id from run /*+ run_by_time */ where suite_id = $1 order by started_at desc, run_id desc limit $3)";
const RUN_FACTS: &str = "/* shifts.run_facts */ select run_id, started_at, branch_class, commit_sha from run \
     where suite_id = $1 and run_id = any($2)";

/// What one execution took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestResources {
    /// The run.
    pub run: RunId,
    /// Which attempt.
    pub attempt: i64,
    /// As it was reported.
    pub resources: Resources,
}

/// What a test took in the newest `runs` runs of its suite, where it was measured.
///
/// # Errors
/// The database fails.
pub fn of_test(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    runs: i64,
) -> Result<Vec<TestResources>, StorageError> {
    db.query(OF_TEST, values![suite.get(), test.get(), runs], |row| {
        let resources = Resources {
            wall_seconds: row.get(2)?,
            user_seconds: row.get(3)?,
            system_seconds: row.get(4)?,
            cpu_share: row.get(5)?,
            memory_mib: row.get(6)?,
        };
        Ok(TestResources { run: RunId(row.get(0)?), attempt: row.get(1)?, resources })
    })
}

/// When and on what a run ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFacts {
    /// The run.
    pub run: RunId,
    /// When it began.
    pub started_at: Timestamp,
    /// Class of its branch.
    pub class: BranchClass,
    /// Its commit.
    pub commit: Option<String>,
}

/// When and on what some runs ran.
///
/// # Errors
/// The database fails.
pub fn run_facts(db: &mut Db<'_>, suite: SuiteId, runs: &[RunId]) -> Result<Vec<RunFacts>, StorageError> {
    let runs: Vec<i64> = runs.iter().map(|run| run.get()).collect();
    db.query(RUN_FACTS, &[suite.get().into(), Value::Ints(&runs)], |row| {
        let class = row.get(2)?;
        Ok(RunFacts {
            run: RunId(row.get(0)?),
            started_at: Timestamp(row.get(1)?),
            class: member(BranchClass::from_code(class), class, "run.branch_class")?,
            commit: row.get(3)?,
        })
    })
}
