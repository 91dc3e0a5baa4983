//! The tests of jobs.

use super::Term;
use super::counter::Counter;
use super::jobs::{self, Job};
use crate::db::Db;
use crate::error::{StorageError, member};
use crate::page::{Listed, Page, Side};
use crate::value::{Row, values};
use casebook_model::avocado::TestStatus;
use casebook_model::id::SuiteId;
use casebook_model::key::{Key, key_of};
use std::cmp::Ordering;

pub(crate) const ALL: &str = "/* avocado_tests.all */ select test_no, tag, status from avocado_test \
     where suite_id = $1 and job_no = $2 order by test_no";
pub(crate) const PAGE: &str = "/* avocado_tests.page */ select test_no, tag, status from avocado_test \
     where suite_id = $1 and job_no = $2 order by test_no limit $3 offset $4";
pub(crate) const PAGE_FROM_END: &str = "/* avocado_tests.page_from_end */ select test_no, tag, status from avocado_test \
     where suite_id = $1 and job_no = $2 order by test_no desc limit $3 \
     offset (select case when tests > $4 then tests - $4 else 0 end from avocado_job where suite_id = $1 and job_no = $2)";
pub(crate) const FIND: &str = "/* avocado_tests.find */ select test_no, tag, status from avocado_test \
     where suite_id = $1 and job_no = $2 and test_no = $3";
pub(crate) const BY_TAG: &str = "/* avocado_tests.by_tag */ select test_no, tag, status from avocado_test \
     where suite_id = $1 and job_no = $2 and tag_key = $3";
const REMOVE: &[&str] = &[
    "/* avocado_tests.remove_data */ delete from avocado_datum where suite_id = $1 and job_no = $2 and test_no = $3",
    "/* avocado_tests.remove_activities */ delete from avocado_activity where suite_id = $1 and job_no = $2 and test_no = $3",
    "/* avocado_tests.remove */ delete from avocado_test where suite_id = $1 and job_no = $2 and test_no = $3",
];

/// A test of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Its number, over all jobs of the suite.
    pub no: i64,
    /// Its name in the job.
    pub tag: String,
    /// How it ended, if that is known.
    pub status: Option<TestStatus>,
}

/// What tests can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestField {
    /// Its name in the job.
    Tag,
    /// The number of its status.
    Status,
}

/// The key under which a tag is found in its job.
pub(super) fn tag_key(tag: &str) -> Key {
    key_of(&[tag])
}

/// All tests of a job, by number.
pub(super) fn all(db: &mut Db<'_>, suite: SuiteId, job: i64) -> Result<Vec<Test>, StorageError> {
    db.query(ALL, values![suite.get(), job], read)
}

/// A page of a job's tests; without terms by number.
///
/// # Errors
/// The database fails.
pub fn list(
    db: &mut Db<'_>,
    suite: SuiteId,
    job: &Job,
    order: &[Term<TestField>],
    page: Page,
) -> Result<Listed<Test>, StorageError> {
    let total = job.tests();
    if order.is_empty() {
        let items = page.by_nearer_end(total, |limit, side| {
            let (statement, place) = match side {
                Side::Start { offset } => (PAGE, offset),
                Side::End { to } => (PAGE_FROM_END, to),
            };
            db.query(statement, values![suite.get(), job.no, limit, place], read)
        });
        return Ok(Listed { items: items?, total });
    }
    let mut tests = all(db, suite, job.no)?;
    // Stable: equal ones stay in order of arrival.
    tests.sort_by(|a, b| {
        order.iter().fold(Ordering::Equal, |so_far, term| {
            so_far.then_with(|| {
                let ordering = match term.field {
                    TestField::Tag => a.tag.cmp(&b.tag),
                    TestField::Status => a.status.cmp(&b.status),
                };
                if term.descending { ordering.reverse() } else { ordering }
            })
        })
    });
    let (offset, limit) = (page.offset.max(0) as usize, page.limit.max(0) as usize);
    Ok(Listed { items: tests.into_iter().skip(offset).take(limit).collect(), total })
}

/// The test of that number, if it is the job's.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, suite: SuiteId, job: i64, test: i64) -> Result<Option<Test>, StorageError> {
    if i32::try_from(test).is_err() {
        return Ok(None);
    }
    db.find(FIND, values![suite.get(), job, test], read)
}

/// The test with that tag.
///
/// # Errors
/// The database fails.
pub fn find_by_tag(
    db: &mut Db<'_>,
    suite: SuiteId,
    job: i64,
    tag: &str,
) -> Result<Option<Test>, StorageError> {
    db.find(BY_TAG, values![suite.get(), job, &tag_key(tag)], read)
}

/// Removes a test and everything below it; false if it is not there. Its executions stay: they happened. Runs inside a
/// transaction.
///
/// # Errors
/// The database fails.
pub fn remove(db: &mut Db<'_>, suite: SuiteId, job: &str, test: i64) -> Result<bool, StorageError> {
    let counter = Counter::lock(db, suite)?;
    let Some(job) = jobs::find_by_id(db, suite, job)? else { return Ok(false) };
    let Some(test) = find(db, suite, job.no, test)? else { return Ok(false) };
    for statement in REMOVE {
        db.execute(statement, values![suite.get(), job.no, test.no])?;
    }
    let mut tally = jobs::tally(&job);
    tally.add(test.status.map(TestStatus::standing), -1);
    jobs::count(db, suite, job.no, tally)?;
    counter.unlock(db, suite)?;
    Ok(true)
}

pub(super) fn read(row: &Row<'_>) -> Result<Test, StorageError> {
    Ok(Test { no: row.get(0)?, tag: row.get(1)?, status: status(row.get(2)?, "avocado_test.status")? })
}

/// A status as stored; 0 where a key must not be null.
pub(super) fn status(code: Option<i64>, place: &'static str) -> Result<Option<TestStatus>, StorageError> {
    let code = code.filter(|code| *code != 0);
    code.map(|code| member(TestStatus::from_code(code), code, place)).transpose()
}
