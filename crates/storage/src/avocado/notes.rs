//! What is kept with jobs and tests: activities and data, in order of arrival.

use super::tests::status;
use crate::db::Db;
use crate::error::StorageError;
use crate::page::{Listed, Page};
use crate::value::{Row, values};
use casebook_model::avocado::TestStatus;
use casebook_model::id::SuiteId;
use casebook_model::time::Timestamp;

pub(crate) const ACTIVITIES: &str = "/* avocado_notes.activities */ select activity, at, status from avocado_activity \
     where suite_id = $1 and job_no = $2 and test_no = $3 order by record_no limit $4 offset $5";
const COUNT_ACTIVITIES: &str = "/* avocado_notes.count_activities */ select count(*) from avocado_activity \
     where suite_id = $1 and job_no = $2 and test_no = $3";
pub(crate) const DATA: &str = "/* avocado_notes.data */ select category, name, value from avocado_datum \
     where suite_id = $1 and job_no = $2 and test_no = $3 order by record_no limit $4 offset $5";
const COUNT_DATA: &str = "/* avocado_notes.count_data */ select count(*) from avocado_datum \
     where suite_id = $1 and job_no = $2 and test_no = $3";

/// The number that stands for the job itself where its tests have theirs.
pub(super) const JOB: i64 = 0;

/// An activity of a job or test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What happened.
    pub activity: String,
    /// When, as told.
    pub at: Timestamp,
    /// The status it tells; activities of jobs tell none.
    pub status: Option<TestStatus>,
}

/// Something kept under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datum {
    /// The kind of thing.
    pub category: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: Option<String>,
}

/// All activities of the job itself.
pub(super) fn of_job(db: &mut Db<'_>, suite: SuiteId, job: i64) -> Result<Vec<Note>, StorageError> {
    db.query(ACTIVITIES, values![suite.get(), job, JOB, i64::MAX, 0_i64], read)
}

/// A page of the activities of a test, or of the job itself if none is given. Linear in their number.
///
/// # Errors
/// The database fails.
pub fn activities(
    db: &mut Db<'_>,
    suite: SuiteId,
    job: i64,
    test: Option<i64>,
    page: Page,
) -> Result<Listed<Note>, StorageError> {
    let test = test.unwrap_or(JOB);
    let total = db.get(COUNT_ACTIVITIES, values![suite.get(), job, test], |row| row.get(0))?;
    let items = db.query(ACTIVITIES, values![suite.get(), job, test, page.limit, page.offset], read)?;
    Ok(Listed { items, total })
}

/// A page of the data of a test. Linear in their number.
///
/// # Errors
/// The database fails.
pub fn data(
    db: &mut Db<'_>,
    suite: SuiteId,
    job: i64,
    test: i64,
    page: Page,
) -> Result<Listed<Datum>, StorageError> {
    let total = db.get(COUNT_DATA, values![suite.get(), job, test], |row| row.get(0))?;
    let items = db.query(DATA, values![suite.get(), job, test, page.limit, page.offset], |row| {
        Ok(Datum { category: row.get(0)?, name: row.get(1)?, value: row.get(2)? })
    })?;
    Ok(Listed { items, total })
}

fn read(row: &Row<'_>) -> Result<Note, StorageError> {
    let status = status(row.get(2)?, "avocado_activity.status")?;
    Ok(Note { activity: row.get(0)?, at: Timestamp(row.get(1)?), status })
}
