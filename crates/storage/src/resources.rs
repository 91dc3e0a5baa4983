//! What executions took of time and memory.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::id::{RunId, SuiteId, TestId};
use casebook_model::resources::Resources;
use casebook_model::time::Timestamp;

pub(crate) const HISTORY: &str = "/* resources.history */ select r.run_id, n.key, n.number, n.commit_sha, n.started_at, r.attempt, r.wall_seconds, \
     r.user_seconds, r.system_seconds, r.cpu_share, r.memory_mib from execution_resources r \
     join run n on n.suite_id = r.suite_id and n.run_id = r.run_id where r.suite_id = $1 and r.test_id = $2 and r.run_id in \
     (select run_id from run /*+ run_by_time */ where suite_id = $1 order by started_at desc, run_id desc limit $3) \
     order by n.started_at desc, r.run_id desc, r.attempt desc limit $4";

/// Newest runs of a suite in which measurements of a test are looked for.
const RUNS: i64 = 400;

/// What one attempt of a test took.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The run.
    pub run: RunId,
    /// Key of the run: of pytest-monitor's, the session.
    pub run_key: String,
    /// Number of the build.
    pub number: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// When the run began.
    pub started_at: Timestamp,
    /// Which attempt.
    pub attempt: i64,
    /// What it took.
    pub resources: Resources,
}

/// What the newest attempts of a test took, newest first, at most `limit`.
///
/// # Errors
/// The database fails.
pub fn history(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    limit: i64,
) -> Result<Vec<Measured>, StorageError> {
    db.query(HISTORY, values![suite.get(), test.get(), RUNS, limit], |row| {
        Ok(Measured {
            run: RunId(row.get(0)?),
            run_key: row.get(1)?,
            number: row.get(2)?,
            commit: row.get(3)?,
            started_at: Timestamp(row.get(4)?),
            attempt: row.get(5)?,
            resources: Resources {
                wall_seconds: row.get(6)?,
                user_seconds: row.get(7)?,
                system_seconds: row.get(8)?,
                cpu_share: row.get(9)?,
                memory_mib: row.get(10)?,
            },
        })
    })
}
