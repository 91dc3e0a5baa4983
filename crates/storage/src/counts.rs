//! Whether the counts that are stored are those of what is there.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::id::SuiteId;

/// What is counted, and a statement that gives the stored count and the true one.
const COUNTS: &[(&str, &str)] = &[
    (
        "runs",
        "/* counts.runs */ select runs_kept, (select count(*) from run where suite_id = $1) \
         from suite_counter where suite_id = $1",
    ),
    (
        "executions",
        "/* counts.executions */ select cast(coalesce(sum(passed + failed + error + skipped + unknown), 0) as bigint), \
         (select count(*) from execution where suite_id = $1) from run where suite_id = $1",
    ),
    (
        "tests",
        "/* counts.tests */ select tests, (select count(*) from test where suite_id = $1) \
         from suite_counter where suite_id = $1",
    ),
    (
        "texts of failures",
        "/* counts.failure_texts */ select (select count(*) from failure_text where suite_id = $1), \
         (select count(distinct text_key) from failure where suite_id = $1) from suite_counter where suite_id = $1",
    ),
    (
        "sessions",
        "/* counts.sessions */ select sessions_kept, (select count(*) from monitor_session where suite_id = $1) \
         from suite_counter where suite_id = $1",
    ),
    (
        "metrics",
        "/* counts.metrics */ select cast(coalesce(sum(size), 0) as bigint), \
         (select count(*) from monitor_metric where suite_id = $1) from monitor_list where suite_id = $1 and word_id = 0",
    ),
    (
        "jobs",
        "/* counts.jobs */ select jobs_kept, (select count(*) from avocado_job where suite_id = $1) \
         from suite_counter where suite_id = $1",
    ),
    (
        "tests of jobs",
        "/* counts.job_tests */ select cast(coalesce(sum(tests), 0) as bigint), \
         (select count(*) from avocado_test where suite_id = $1) from avocado_job where suite_id = $1",
    ),
];

/// A count that is not what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miscount {
    /// What is counted.
    pub what: &'static str,
    /// As it is stored.
    pub stored: i64,
    /// As it is.
    pub found: i64,
}

/// Counts everything of a suite whose count is stored, and returns what differs. Linear in what is stored; an upload that
/// comes in between two statements may make a difference that is none.
///
/// # Errors
/// The database fails, or there is no such suite.
pub fn miscounts(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<Miscount>, StorageError> {
    let mut found = Vec::new();
    for (what, statement) in COUNTS {
        let counts = db.find(statement, values![suite.get()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (stored, counted) = counts.ok_or(StorageError::NoSuchSuite)?;
        if stored != counted {
            found.push(Miscount { what, stored, found: counted });
        }
    }
    Ok(found)
}
