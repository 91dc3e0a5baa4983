//! What executions took of time and memory.

use crate::db::Db;
use crate::error::StorageError;
use crate::runs;
use crate::value::Value;
use casebook_model::id::{RunId, SuiteId, TestId};
use casebook_model::resources::Resources;
use casebook_model::time::Timestamp;
use std::cmp::Reverse;
use std::collections::HashMap;

const IN_RUNS: &str = "/* resources.in_runs */ select run_id, attempt, wall_seconds, user_seconds, system_seconds, cpu_share, memory_mib \
     from execution_resources where suite_id = $1 and run_id = any($2) and test_id = $3";
const RUNS_OF: &str = "/* resources.runs_of */ select run_id, key, number, commit_sha, started_at from run \
     where suite_id = $1 and run_id = any($2)";

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
    // The runs are named by number: with a subquery PostgreSQL was seen to read all measurements of the suite.
    let newest: Vec<i64> = runs::newest(db, suite, RUNS)?.into_iter().map(RunId::get).collect();
    let place: HashMap<i64, usize> = newest.iter().copied().zip(0..).collect();
    let mut found =
        db.query(IN_RUNS, &[suite.get().into(), Value::Ints(&newest), test.get().into()], |row| {
            let resources = Resources {
                wall_seconds: row.get(2)?,
                user_seconds: row.get(3)?,
                system_seconds: row.get(4)?,
                cpu_share: row.get(5)?,
                memory_mib: row.get(6)?,
            };
            Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, resources))
        })?;
    found.sort_unstable_by_key(|(run, attempt, _)| (place.get(run).copied(), Reverse(*attempt)));
    found.truncate(usize::try_from(limit).unwrap_or(0));
    let mut wanted: Vec<i64> = found.iter().map(|(run, ..)| *run).collect();
    wanted.dedup();
    let runs = db.query(RUNS_OF, &[suite.get().into(), Value::Ints(&wanted)], |row| {
        let told: (String, Option<String>, Option<String>, i64) =
            (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok((row.get::<i64>(0)?, told))
    })?;
    let runs: HashMap<i64, _> = runs.into_iter().collect();
    let measured = found.into_iter().filter_map(|(run, attempt, resources)| {
        let (run_key, number, commit, started_at) = runs.get(&run)?.clone();
        let started_at = Timestamp(started_at);
        Some(Measured { run: RunId(run), run_key, number, commit, started_at, attempt, resources })
    });
    Ok(measured.collect())
}
