//! Jobs.

use super::counter::{self, Counter};
use super::notes::{self, Note};
use super::tests::{self, Test};
use super::{Summary, Tally, Term};
use crate::db::Db;
use crate::error::{StorageError, member};
use crate::page::{Listed, Page, Side};
use crate::value::{Row, Value, values};
use casebook_model::avocado::{JobStatus, Priority};
use casebook_model::id::SuiteId;
use casebook_model::time::Timestamp;
use std::cmp::Ordering;

pub(crate) const BY_KEY: &str = "/* avocado_jobs.by_key */ select job_no, job_key, unique_ident, description, status, elapsed_seconds, timeout, priority, \
     created_at, tests, tests_passed, tests_failed from avocado_job where suite_id = $1 and job_key = $2";
pub(crate) const BY_IDENT: &str = "/* avocado_jobs.by_ident */ select job_no, job_key, unique_ident, description, status, elapsed_seconds, timeout, \
     priority, created_at, tests, tests_passed, tests_failed from avocado_job /*+ job_by_ident */ \
     where suite_id = $1 and unique_ident = $2 order by job_no limit 1";
pub(crate) const BY_BEGINNING: &str = "/* avocado_jobs.by_beginning */ select job_no, job_key, unique_ident, description, status, elapsed_seconds, timeout, \
     priority, created_at, tests, tests_passed, tests_failed from avocado_job \
     where suite_id = $1 and job_key > $2 and job_key < $3 order by job_key limit 2";
const BY_NUMBER: &str = "/* avocado_jobs.by_number */ select job_no, job_key, unique_ident, description, status, elapsed_seconds, timeout, \
     priority, created_at, tests, tests_passed, tests_failed from avocado_job where suite_id = $1 and job_no = $2";
pub(crate) const BY_NUMBERS: &str = "/* avocado_jobs.by_numbers */ select job_no, job_key, unique_ident, description, status, elapsed_seconds, timeout, \
     priority, created_at, tests, tests_passed, tests_failed from avocado_job where suite_id = $1 and job_no = any($2)";
pub(crate) const OLDEST: &str = "/* avocado_jobs.oldest */ select job_no from avocado_job /*+ job_by_time */ where suite_id = $1 \
     order by created_at, job_no limit $2 offset $3";
pub(crate) const NEWEST: &str = "/* avocado_jobs.newest */ select job_no from avocado_job /*+ job_by_time */ where suite_id = $1 \
     order by created_at desc, job_no limit $2 offset $3";
pub(crate) const OLDEST_FROM_END: &str = "/* avocado_jobs.oldest_from_end */ select job_no from avocado_job /*+ job_by_time */ \
     where suite_id = $1 order by created_at desc, job_no desc limit $2 \
     offset (select case when jobs_kept > $3 then jobs_kept - $3 else 0 end from suite_counter where suite_id = $1)";
pub(crate) const NEWEST_FROM_END: &str = "/* avocado_jobs.newest_from_end */ select job_no from avocado_job /*+ job_by_time */ \
     where suite_id = $1 order by created_at, job_no desc limit $2 \
     offset (select case when jobs_kept > $3 then jobs_kept - $3 else 0 end from suite_counter where suite_id = $1)";
const KEYS: &str = "/* avocado_jobs.keys */ select job_no, created_at, status, elapsed_seconds, description from avocado_job \
     where suite_id = $1 order by job_no";
const UPDATE: &str = "/* avocado_jobs.update */ update avocado_job set description = $3, status = $4, elapsed_seconds = $5, timeout = $6, \
     priority = $7 where suite_id = $1 and job_no = $2";
const COUNT: &str = "/* avocado_jobs.count */ update avocado_job set tests = $3, tests_passed = $4, tests_failed = $5 \
     where suite_id = $1 and job_no = $2";
const REMOVE: &[&str] = &[
    "/* avocado_jobs.remove_data */ delete from avocado_datum where suite_id = $1 and job_no = $2",
    "/* avocado_jobs.remove_activities */ delete from avocado_activity where suite_id = $1 and job_no = $2",
    "/* avocado_jobs.remove_tests */ delete from avocado_test where suite_id = $1 and job_no = $2",
    "/* avocado_jobs.remove */ delete from avocado_job where suite_id = $1 and job_no = $2",
];

/// What of a job can be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct JobAttributes {
    /// What people call it.
    pub description: Option<String>,
    /// How it stands; jobs made the old way may have none.
    pub status: Option<JobStatus>,
    /// How long it took, as told.
    pub elapsed_seconds: f64,
    /// Given by old clients.
    pub timeout: i64,
    /// Given by old clients.
    pub priority: Option<Priority>,
}

/// A job as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its number in the suite.
    pub no: i64,
    /// Its id.
    pub key: String,
    /// What old clients call it; equal to the id unless they said otherwise.
    pub unique_ident: String,
    /// The rest.
    pub attributes: JobAttributes,
    /// When it was made here.
    pub created_at: Timestamp,
    tests: Tally,
}

impl Job {
    /// A job that has just been made.
    #[must_use]
    pub fn fresh(
        key: String,
        unique_ident: String,
        attributes: JobAttributes,
        created_at: Timestamp,
    ) -> Self {
        Self { no: 0, key, unique_ident, attributes, created_at, tests: Tally::default() }
    }

    /// How many tests it has.
    #[must_use]
    pub const fn tests(&self) -> i64 {
        self.tests.all
    }

    /// How its tests stand.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::of(self.tests.all, self.tests.passed, self.tests.failed)
    }
}

/// A job with everything that its body tells.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeJob {
    /// The job.
    pub job: Job,
    /// Its own activities, in order of arrival.
    pub activities: Vec<Note>,
    /// Its tests by number.
    pub tests: Vec<Test>,
}

/// What a key in an address stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// This job.
    One(Box<Job>),
    /// Several ids begin with it.
    Several,
    /// Nothing.
    Nothing,
}

/// What jobs can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobField {
    /// When it was made.
    Time,
    /// The number of its status.
    Status,
    /// How long it took.
    ElapsedTime,
    /// What people call it.
    Description,
}

/// The job with that id, else that `uniqueident`, else the only one whose id begins so, else that running number.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, suite: SuiteId, key: &str) -> Result<Found, StorageError> {
    for statement in [BY_KEY, BY_IDENT] {
        if let Some(job) = db.find(statement, values![suite.get(), key], read)? {
            return Ok(Found::One(Box::new(job)));
        }
    }
    let after = format!("{key}{}", char::MAX);
    let mut found = db.query(BY_BEGINNING, values![suite.get(), key, &after], read)?;
    if let (1, Some(job)) = (found.len(), found.pop()) {
        return Ok(Found::One(Box::new(job)));
    } else if !found.is_empty() {
        return Ok(Found::Several);
    }
    // The public document shows addresses such as /jobs/1/.
    let number = key.parse::<i32>().ok().filter(|_| key.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(number) = number else { return Ok(Found::Nothing) };
    let job = db.find(BY_NUMBER, values![suite.get(), i64::from(number)], read)?;
    Ok(job.map_or(Found::Nothing, |job| Found::One(Box::new(job))))
}

/// The job with exactly that id.
///
/// # Errors
/// The database fails.
pub fn find_by_id(db: &mut Db<'_>, suite: SuiteId, key: &str) -> Result<Option<Job>, StorageError> {
    db.find(BY_KEY, values![suite.get(), key], read)
}

/// Whether a job has that `uniqueident`.
///
/// # Errors
/// The database fails.
pub(super) fn has_ident(db: &mut Db<'_>, suite: SuiteId, ident: &str) -> Result<bool, StorageError> {
    Ok(db.find(BY_IDENT, values![suite.get(), ident], |_| Ok(()))?.is_some())
}

/// A job with its tests and activities.
///
/// # Errors
/// The database fails.
pub fn whole(db: &mut Db<'_>, suite: SuiteId, job: Job) -> Result<WholeJob, StorageError> {
    let activities = notes::of_job(db, suite, job.no)?;
    let tests = tests::all(db, suite, job.no)?;
    Ok(WholeJob { job, activities, tests })
}

/// A page of all jobs; without terms the oldest first.
///
/// # Errors
/// The database fails.
pub fn list(
    db: &mut Db<'_>,
    suite: SuiteId,
    order: &[Term<JobField>],
    page: Page,
) -> Result<Listed<WholeJob>, StorageError> {
    let total = counter::kept(db, suite)?.all;
    let numbers: Vec<i64> = match order {
        [] | [Term { field: JobField::Time, .. }] => {
            let newest_first = order.first().is_some_and(|term| term.descending);
            page.by_nearer_end(total, |limit, side| {
                let (statement, place) = match (newest_first, side) {
                    (false, Side::Start { offset }) => (OLDEST, offset),
                    (false, Side::End { to }) => (OLDEST_FROM_END, to),
                    (true, Side::Start { offset }) => (NEWEST, offset),
                    (true, Side::End { to }) => (NEWEST_FROM_END, to),
                };
                db.query(statement, values![suite.get(), limit, place], |row| row.get(0))
            })?
        }
        terms => {
            let sorted = sorted(db, suite, terms)?;
            let (offset, limit) = (page.offset.max(0) as usize, page.limit.max(0) as usize);
            sorted.into_iter().skip(offset).take(limit).collect()
        }
    };
    let mut jobs = db.query(BY_NUMBERS, &[suite.get().into(), Value::Ints(&numbers)], read)?;
    jobs.sort_by_key(|job| numbers.iter().position(|number| *number == job.no));
    let items = jobs.into_iter().map(|job| whole(db, suite, job)).collect::<Result<_, _>>()?;
    Ok(Listed { items, total })
}

/// What jobs are sorted by.
struct SortKey {
    no: i64,
    created_at: i64,
    status: Option<i64>,
    elapsed_seconds: f64,
    description: Option<String>,
}

/// The numbers of all jobs in an order that no index has. Linear in their number.
fn sorted(db: &mut Db<'_>, suite: SuiteId, terms: &[Term<JobField>]) -> Result<Vec<i64>, StorageError> {
    let mut keys = db.query(KEYS, values![suite.get()], |row| {
        Ok(SortKey {
            no: row.get(0)?,
            created_at: row.get(1)?,
            status: row.get(2)?,
            elapsed_seconds: row.get(3)?,
            description: row.get(4)?,
        })
    })?;
    // Stable: equal ones stay in order of arrival.
    keys.sort_by(|a, b| {
        terms.iter().fold(Ordering::Equal, |so_far, term| {
            so_far.then_with(|| {
                let ordering = match term.field {
                    JobField::Time => a.created_at.cmp(&b.created_at),
                    JobField::Status => a.status.cmp(&b.status),
                    JobField::ElapsedTime => a.elapsed_seconds.total_cmp(&b.elapsed_seconds),
                    JobField::Description => a.description.cmp(&b.description),
                };
                if term.descending { ordering.reverse() } else { ordering }
            })
        })
    });
    Ok(keys.into_iter().map(|key| key.no).collect())
}

/// How all jobs stand.
///
/// # Errors
/// The database fails.
pub fn summary(db: &mut Db<'_>, suite: SuiteId) -> Result<Summary, StorageError> {
    let Tally { all, passed, failed } = counter::kept(db, suite)?;
    Ok(Summary::of(all, passed, failed))
}

/// Gives the job with that id other attributes; none if it has gone. Runs inside a transaction.
///
/// # Errors
/// The database fails, or `change` does.
pub fn change<E: From<StorageError>>(
    db: &mut Db<'_>,
    suite: SuiteId,
    key: &str,
    change: impl FnOnce(&mut JobAttributes) -> Result<(), E>,
) -> Result<Option<WholeJob>, E> {
    let mut counter = Counter::lock(db, suite)?;
    let Some(mut job) = find_by_id(db, suite, key)? else { return Ok(None) };
    counter.kept.add(job.attributes.status.map(JobStatus::standing), -1);
    change(&mut job.attributes)?;
    counter.kept.add(job.attributes.status.map(JobStatus::standing), 1);
    let JobAttributes { description, status, elapsed_seconds, timeout, priority } = &job.attributes;
    let values = values![
        suite.get(),
        job.no,
        description.as_deref(),
        status.map(JobStatus::code),
        *elapsed_seconds,
        *timeout,
        priority.map(Priority::code),
    ];
    db.execute(UPDATE, values).map_err(E::from)?;
    counter.unlock(db, suite)?;
    Ok(Some(whole(db, suite, job)?))
}

/// Removes the job with that id and everything below it; false if it has gone. Its run and executions stay: they happened.
/// Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn remove(db: &mut Db<'_>, suite: SuiteId, key: &str) -> Result<bool, StorageError> {
    let mut counter = Counter::lock(db, suite)?;
    let Some(job) = find_by_id(db, suite, key)? else { return Ok(false) };
    for statement in REMOVE {
        db.execute(statement, values![suite.get(), job.no])?;
    }
    counter.kept.add(job.attributes.status.map(JobStatus::standing), -1);
    counter.unlock(db, suite)?;
    Ok(true)
}

/// Stores how many tests a job has, and how they stand.
pub(super) fn count(db: &mut Db<'_>, suite: SuiteId, job: i64, tests: Tally) -> Result<(), StorageError> {
    let Tally { all, passed, failed } = tests;
    db.execute(COUNT, values![suite.get(), job, all, passed, failed])?;
    Ok(())
}

/// The tests of a job, counted.
pub(super) const fn tally(job: &Job) -> Tally {
    job.tests
}

fn read(row: &Row<'_>) -> Result<Job, StorageError> {
    let (status, priority): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(7)?);
    let status = status.map(|code| member(JobStatus::from_code(code), code, "avocado_job.status"));
    let priority = priority.map(|code| member(Priority::from_code(code), code, "avocado_job.priority"));
    Ok(Job {
        no: row.get(0)?,
        key: row.get(1)?,
        unique_ident: row.get(2)?,
        attributes: JobAttributes {
            description: row.get(3)?,
            status: status.transpose()?,
            elapsed_seconds: row.get(5)?,
            timeout: row.get(6)?,
            priority: priority.transpose()?,
        },
        created_at: Timestamp(row.get(8)?),
        tests: Tally { all: row.get(9)?, passed: row.get(10)?, failed: row.get(11)? },
    })
}
