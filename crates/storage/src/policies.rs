//! Run counts that people have set, and the number that tells when anything changed that clients are told about reruns.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::{Row, values};
use casebook_model::id::{SuiteId, TestId};
use casebook_model::policy::RunCounts;
use casebook_model::time::Timestamp;

const VERSIONS: &str =
    "/* policies.versions */ select policy_version, episode_version from suite_counter where suite_id = $1";
const NEXT_EPISODE_VERSION: &str = "/* policies.next_episode_version */ update suite_counter set episode_version = episode_version + 1 \
     where suite_id = $1 returning episode_version";
const CHANGED: &str =
    "/* policies.changed */ update suite_counter set policy_version = policy_version + 1 where suite_id = $1";
const OF_TESTS: &str =
    "/* policies.of_tests */ select max_runs, min_passes, test_id from test_policy where suite_id = $1";
const OF_SUITE: &str =
    "/* policies.of_suite */ select max_runs, min_passes from suite_policy where suite_id = $1";
const SET_OF_TEST: &str = "/* policies.set_of_test */ insert into test_policy (suite_id, test_id, max_runs, min_passes, decided_at) \
     values ($1, $2, $3, $4, $5) on conflict (suite_id, test_id) do update set max_runs = excluded.max_runs, \
     min_passes = excluded.min_passes, decided_at = excluded.decided_at";
const SET_OF_SUITE: &str = "/* policies.set_of_suite */ insert into suite_policy (suite_id, max_runs, min_passes, decided_at) \
     values ($1, $2, $3, $4) on conflict (suite_id) do update set max_runs = excluded.max_runs, \
     min_passes = excluded.min_passes, decided_at = excluded.decided_at";
const CLEAR_OF_TEST: &str =
    "/* policies.clear_of_test */ delete from test_policy where suite_id = $1 and test_id = $2";
const CLEAR_OF_SUITE: &str = "/* policies.clear_of_suite */ delete from suite_policy where suite_id = $1";

/// Numbers that go up with everything that may change what clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// With run counts and dispositions.
    pub decisions: i64,
    /// With episodes that open, are announced or end.
    pub episodes: i64,
}

/// The versions of a suite; none without such a suite.
///
/// # Errors
/// The database fails.
pub fn versions(db: &mut Db<'_>, suite: SuiteId) -> Result<Option<Versions>, StorageError> {
    db.find(VERSIONS, values![suite.get()], |row| {
        Ok(Versions { decisions: row.get(0)?, episodes: row.get(1)? })
    })
}

/// The version for changes of episodes that clients are told of.
///
/// # Errors
/// The database fails, or there is no such suite.
pub fn next_episode_version(db: &mut Db<'_>, suite: SuiteId) -> Result<i64, StorageError> {
    db.get(NEXT_EPISODE_VERSION, values![suite.get()], |row| row.get(0))
}

/// Notes that a decision about run counts or dispositions was made.
///
/// # Errors
/// The database fails.
pub fn changed(db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
    db.execute(CHANGED, values![suite.get()])?;
    Ok(())
}

/// The tests with run counts of their own.
///
/// # Errors
/// The database fails.
pub fn of_tests(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<(TestId, RunCounts)>, StorageError> {
    db.query(OF_TESTS, values![suite.get()], |row| Ok((TestId(row.get(2)?), counts(row, "test_policy")?)))
}

/// The run counts of the suite's flaky tests, if somebody has set them.
///
/// # Errors
/// The database fails.
pub fn of_suite(db: &mut Db<'_>, suite: SuiteId) -> Result<Option<RunCounts>, StorageError> {
    db.find(OF_SUITE, values![suite.get()], |row| counts(row, "suite_policy"))
}

/// Sets the run counts of a test, or without one of the flaky tests of the suite.
///
/// # Errors
/// The database fails.
pub fn set(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: Option<TestId>,
    counts: RunCounts,
    now: Timestamp,
) -> Result<(), StorageError> {
    let (max_runs, min_passes, now) = (counts.max_runs(), counts.min_passes(), now.as_microseconds());
    match test {
        Some(test) => db.execute(SET_OF_TEST, values![suite.get(), test.get(), max_runs, min_passes, now])?,
        None => db.execute(SET_OF_SUITE, values![suite.get(), max_runs, min_passes, now])?,
    };
    changed(db, suite)
}

/// Takes the run counts of a test, or without one of the suite, back; false if there are none.
///
/// # Errors
/// The database fails.
pub fn clear(db: &mut Db<'_>, suite: SuiteId, test: Option<TestId>) -> Result<bool, StorageError> {
    let cleared = match test {
        Some(test) => db.execute(CLEAR_OF_TEST, values![suite.get(), test.get()])?,
        None => db.execute(CLEAR_OF_SUITE, values![suite.get()])?,
    };
    changed(db, suite)?;
    Ok(cleared > 0)
}

fn counts(row: &Row<'_>, place: &'static str) -> Result<RunCounts, StorageError> {
    let (max_runs, min_passes): (i64, i64) = (row.get(0)?, row.get(1)?);
    let found = RunCounts::new(max_runs, min_passes);
    found.map_err(|_| StorageError::Damaged { place, found: format!("{max_runs} and {min_passes}") })
}
