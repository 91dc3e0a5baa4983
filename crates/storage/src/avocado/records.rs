//! Taking records in: jobs, tests, activities and data of a whole group of requests, set by set, under the suite's lock.
//!
//! Everything is decided in memory, in the order of arrival, on what few statements read for the whole group; then it is
//! written table by table. Nothing here depends on the executions that are derived from tests, nor they on this.

use super::Tally;
use super::counter::Counter;
use super::jobs::{self, Job, JobAttributes};
use super::notes::JOB;
use super::tests::{self, Test};
use crate::db::Db;
use crate::error::StorageError;
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::avocado::{JobStatus, Priority, TestStatus};
use casebook_model::id::SuiteId;
use casebook_model::key::Key;
use casebook_model::time::Timestamp;
use std::collections::{HashMap, HashSet};

pub(crate) const BY_TAGS: &str = "/* avocado_records.by_tags */ select test_no, tag, status from avocado_test \
     /*+ job_test_by_tag */ where suite_id = $1 and job_no = $2 and tag_key = any($3::bytea[])";
pub(crate) const BY_NUMBERS: &str = "/* avocado_records.by_numbers */ select test_no, tag, status from avocado_test \
     where suite_id = $1 and job_no = $2 and test_no = any($3)";
const CHANGE_TEST: &str = "/* avocado_records.change_test */ update avocado_test set tag = $4, tag_key = $5, status = $6 \
     where suite_id = $1 and job_no = $2 and test_no = $3";
const JOBS: Insert = Insert {
    into: "avocado_job (suite_id, job_no, job_key, unique_ident, description, status, elapsed_seconds, timeout, priority, \
           created_at, tests, tests_passed, tests_failed)",
    columns: 13,
    conflict: "",
};
const TESTS: Insert = Insert {
    into: "avocado_test (suite_id, job_no, test_no, tag, tag_key, status)",
    columns: 6,
    conflict: "",
};
const ACTIVITIES: Insert = Insert {
    into: "avocado_activity (suite_id, job_no, test_no, at, activity, status, record_no)",
    columns: 7,
    conflict: "on conflict do nothing returning record_no",
};
const DATA: Insert = Insert {
    into: "avocado_datum (suite_id, job_no, test_no, category, name, record_no, value)",
    columns: 7,
    conflict: "on conflict do nothing returning record_no",
};

/// The records of one request.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Id of the job that they belong to.
    pub job: String,
    /// In order.
    pub records: Vec<Record>,
    /// What is there already is left as it is and not refused.
    pub repeatable: bool,
}

impl Batch {
    /// Whether there is nothing in it that makes a run.
    pub(crate) fn is_beside_runs(&self) -> bool {
        !self.records.iter().any(|record| matches!(record, Record::Job(_)))
    }
}

/// One record.
#[derive(Debug, Clone)]
pub enum Record {
    /// The job itself.
    Job(NewJob),
    /// A test of it.
    Test {
        /// Its name in the job.
        tag: String,
        /// How it ended, if that is known.
        status: Option<TestStatus>,
    },
    /// A test gets another tag or status.
    Change {
        /// Its number.
        test: i64,
        /// The new tag, if it is to change.
        tag: Option<String>,
        /// The new status, if it is to change.
        status: Option<TestStatus>,
    },
    /// Something that happened. A test that has no status yet gets the one it tells.
    Activity {
        /// With what.
        of: Of,
        /// What happened.
        activity: String,
        /// When, as told.
        at: Timestamp,
        /// The status it tells.
        status: Option<TestStatus>,
    },
    /// Something to keep with a test.
    Datum {
        /// With what.
        of: Of,
        /// The kind of thing.
        category: String,
        /// Its name.
        name: String,
        /// What it says.
        value: Option<String>,
    },
}

/// A job to be made.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What old clients call it, if it was given; else its id.
    pub unique_ident: Option<String>,
    /// The rest.
    pub attributes: JobAttributes,
    /// When it is or was made.
    pub created_at: Timestamp,
}

/// What a record belongs to.
#[derive(Debug, Clone)]
pub enum Of {
    /// The job itself.
    Job,
    /// Its test with that number.
    Test(i64),
    /// Its test with that tag, which is made if there is none.
    Tag(String),
}

/// Why nothing of a request was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The job is not there.
    #[error("there is no such job")]
    NoJob,
    /// The job has no such test.
    #[error("the job has no such test")]
    NoTest,
    /// There is a job with that id.
    #[error("there is a job with this id: send another id")]
    IdTaken,
    /// There is a job with that `uniqueident`.
    #[error("there is a job with this uniqueident: send another one")]
    IdentTaken,
    /// The job has a test with that tag.
    #[error("the job has a test with this tag: send another tag")]
    TagTaken,
    /// The same is there already.
    #[error("the same is there already")]
    Repeated,
}

/// What became of a request: how many of its records are new.
pub type Answer = Result<i64, Refusal>;

/// Takes the records of `batches` in, and answers for each in order. Runs inside a transaction.
///
/// # Errors
/// The database fails; then nothing is stored.
pub fn take_in(db: &mut Db<'_>, suite: SuiteId, batches: &[&Batch]) -> Result<Vec<Answer>, StorageError> {
    let counter = Counter::lock(db, suite)?;
    let mut taking = Taking {
        suite,
        counter,
        jobs: HashMap::new(),
        taken_idents: HashSet::new(),
        activities: Below::default(),
        data: Below::default(),
    };
    taking.load(db, batches)?;
    let mut answers = Vec::with_capacity(batches.len());
    for (index, batch) in batches.iter().enumerate() {
        answers.push(taking.take(index, batch));
    }
    taking.write(db, batches, &mut answers)?;
    Ok(answers)
}

/// A job that the group concerns, as it stands after the records so far.
struct Touched<'a> {
    no: i64,
    tests: Tally,
    made: Option<(&'a str, &'a NewJob)>,
    recounted: bool,
    by_tag: HashMap<Key, usize>,
    by_number: HashMap<i64, usize>,
    rows: Vec<TestRow>,
}

/// A test that the group concerns.
struct TestRow {
    test: Test,
    made: bool,
    changed: bool,
}

/// The rows of activities or data, and of which batch each is, by record number.
#[derive(Default)]
struct Below<'a> {
    values: Vec<Value<'a>>,
    batch_of: Vec<(i64, usize)>,
}

struct Taking<'a> {
    suite: SuiteId,
    counter: Counter,
    /// By id; none for what is not there.
    jobs: HashMap<&'a str, Option<Touched<'a>>>,
    taken_idents: HashSet<&'a str>,
    activities: Below<'a>,
    data: Below<'a>,
}

impl<'a> Taking<'a> {
    /// Reads what is known of everything that the group names.
    fn load(&mut self, db: &mut Db<'_>, batches: &[&'a Batch]) -> Result<(), StorageError> {
        for batch in batches {
            if !self.jobs.contains_key(batch.job.as_str()) {
                let job = jobs::find_by_id(db, self.suite, &batch.job)?;
                self.jobs.insert(&batch.job, job.as_ref().map(Touched::known));
            }
        }
        let mut named: HashMap<&str, (Vec<Key>, Vec<i64>)> = HashMap::new();
        for batch in batches {
            let (tags, numbers) = named.entry(&batch.job).or_default();
            for record in &batch.records {
                match record {
                    Record::Test { tag, .. } => tags.push(tests::tag_key(tag)),
                    Record::Change { test, tag, .. } => {
                        numbers.push(*test);
                        tags.extend(tag.as_deref().map(tests::tag_key));
                    }
                    Record::Activity { of, .. } | Record::Datum { of, .. } => match of {
                        Of::Job => {}
                        Of::Test(number) => numbers.push(*number),
                        Of::Tag(tag) => tags.push(tests::tag_key(tag)),
                    },
                    Record::Job(_) => {}
                }
            }
        }
        for (job, (tags, numbers)) in named {
            let Some(Some(touched)) = self.jobs.get_mut(job) else { continue };
            touched.load(db, self.suite, tags, numbers)?;
        }
        // Whether a `uniqueident` is taken is asked for one by one: few jobs are made in one moment.
        for batch in batches {
            for record in &batch.records {
                if let Record::Job(NewJob { unique_ident: Some(ident), .. }) = record
                    && jobs::has_ident(db, self.suite, ident)?
                {
                    self.taken_idents.insert(ident);
                }
            }
        }
        Ok(())
    }
}

impl<'a> Taking<'a> {
    /// Decides about one request: all of it or nothing.
    fn take(&mut self, index: usize, batch: &'a Batch) -> Answer {
        let (mut new, mut was_there) = (0, false);
        for record in &batch.records {
            let taken = match record {
                Record::Job(job) => self.make_job(&batch.job, job),
                // What a report tells of a job itself counts once: large ones come in parts.
                Record::Activity { of: Of::Job, .. } if was_there => Ok(0),
                _ => self.below(index, batch, record),
            };
            new += match taken {
                Err(refusal @ (Refusal::IdTaken | Refusal::TagTaken)) if batch.repeatable => {
                    was_there |= refusal == Refusal::IdTaken;
                    0
                }
                taken => taken?,
            };
        }
        Ok(new)
    }

    fn make_job(&mut self, id: &'a str, job: &'a NewJob) -> Answer {
        let place = self.jobs.entry(id).or_default();
        if place.is_some() {
            return Err(Refusal::IdTaken);
        }
        if let Some(ident) = &job.unique_ident
            && !self.taken_idents.insert(ident)
        {
            return Err(Refusal::IdentTaken);
        }
        self.counter.jobs += 1;
        self.counter.kept.add(job.attributes.status.map(JobStatus::standing), 1);
        *place = Some(Touched::made(self.counter.jobs, id, job));
        Ok(1)
    }

    fn below(&mut self, index: usize, batch: &'a Batch, record: &'a Record) -> Answer {
        let Self { suite, counter, jobs, activities, data, .. } = self;
        let job = jobs.get_mut(batch.job.as_str()).and_then(Option::as_mut).ok_or(Refusal::NoJob)?;
        match record {
            Record::Job(_) => Ok(0),
            Record::Test { tag, status } => {
                if job.by_tag.contains_key(&tests::tag_key(tag)) {
                    return Err(Refusal::TagTaken);
                }
                job.make_test(tag, *status, &mut counter.tests);
                Ok(1)
            }
            Record::Change { test, tag, status } => {
                let row = *job.by_number.get(test).ok_or(Refusal::NoTest)?;
                job.change(row, tag.as_deref(), *status)?;
                Ok(0)
            }
            Record::Activity { of, activity, at, status } => {
                let row = job.find_or_make(of, &mut counter.tests)?;
                if let Some(row) = row {
                    job.give_status(row, *status);
                }
                counter.records += 1;
                activities.batch_of.push((counter.records, index));
                activities.values.extend_from_slice(values![
                    suite.get(),
                    job.no,
                    job.number(row),
                    at.as_microseconds(),
                    activity,
                    status.map_or(0, TestStatus::code),
                    counter.records,
                ]);
                Ok(1)
            }
            Record::Datum { of, category, name, value } => {
                let row = job.find_or_make(of, &mut counter.tests)?;
                counter.records += 1;
                data.batch_of.push((counter.records, index));
                data.values.extend_from_slice(values![
                    suite.get(),
                    job.no,
                    job.number(row),
                    category,
                    name,
                    counter.records,
                    value.as_deref(),
                ]);
                Ok(1)
            }
        }
    }

    /// Writes everything; activities and data that were there already are found out only here.
    fn write(self, db: &mut Db<'_>, batches: &[&Batch], answers: &mut [Answer]) -> Result<(), StorageError> {
        let Self { suite, counter, jobs, activities, data, .. } = self;
        let mut touched: Vec<Touched<'_>> = jobs.into_values().flatten().collect();
        touched.sort_unstable_by_key(|job| job.no);
        for job in &touched {
            job.write(db, suite)?;
        }
        let mut rows = Vec::new();
        let mut made: Vec<(i64, &TestRow, Key)> = touched
            .iter()
            .flat_map(|job| job.rows.iter().filter(|row| row.made).map(|row| (job.no, row)))
            .map(|(job, row)| (job, row, tests::tag_key(&row.test.tag)))
            .collect();
        made.sort_unstable_by_key(|(job, row, _)| (*job, row.test.no));
        for (job, TestRow { test: Test { no, tag, status }, .. }, key) in &made {
            rows.extend_from_slice(values![suite.get(), *job, *no, tag, key, status.map(TestStatus::code)]);
        }
        TESTS.rows(db, &rows)?;
        for (insert, below) in [(ACTIVITIES, activities), (DATA, data)] {
            let mut written = HashSet::new();
            insert.rows_returning(db, &below.values, |row| {
                written.insert(row.get::<i64>(0)?);
                Ok(())
            })?;
            for (_, batch) in below.batch_of.iter().filter(|(record, _)| !written.contains(record)) {
                let answer = &mut answers[*batch];
                *answer = if batches[*batch].repeatable {
                    answer.map(|new| new - 1)
                } else {
                    Err(Refusal::Repeated)
                };
            }
        }
        counter.unlock(db, suite)
    }
}

impl<'a> Touched<'a> {
    fn known(job: &Job) -> Self {
        Self::new(job.no, jobs::tally(job), None)
    }

    fn made(no: i64, id: &'a str, job: &'a NewJob) -> Self {
        Self::new(no, Tally::default(), Some((id, job)))
    }

    fn new(no: i64, tests: Tally, made: Option<(&'a str, &'a NewJob)>) -> Self {
        let (by_tag, by_number, rows) = (HashMap::new(), HashMap::new(), Vec::new());
        Self { no, tests, made, recounted: false, by_tag, by_number, rows }
    }

    fn load(
        &mut self,
        db: &mut Db<'_>,
        suite: SuiteId,
        mut tags: Vec<Key>,
        mut numbers: Vec<i64>,
    ) -> Result<(), StorageError> {
        tags.sort_unstable();
        tags.dedup();
        numbers.retain(|number| i32::try_from(*number).is_ok());
        let place = [suite.get().into(), self.no.into()];
        let mut found = Vec::new();
        if !tags.is_empty() {
            found = db.query(BY_TAGS, &[place[0], place[1], Value::Keys(&tags)], tests::read)?;
        }
        if !numbers.is_empty() {
            found.extend(db.query(BY_NUMBERS, &[place[0], place[1], Value::Ints(&numbers)], tests::read)?);
        }
        for test in found {
            if !self.by_number.contains_key(&test.no) {
                self.add(TestRow { test, made: false, changed: false });
            }
        }
        Ok(())
    }

    fn add(&mut self, row: TestRow) -> usize {
        let index = self.rows.len();
        self.by_tag.insert(tests::tag_key(&row.test.tag), index);
        self.by_number.insert(row.test.no, index);
        self.rows.push(row);
        index
    }

    fn make_test(&mut self, tag: &str, status: Option<TestStatus>, numbers: &mut i64) -> usize {
        *numbers += 1;
        self.tests.add(status.map(TestStatus::standing), 1);
        self.recounted = true;
        let test = Test { no: *numbers, tag: tag.to_owned(), status };
        self.add(TestRow { test, made: true, changed: false })
    }

    fn find_or_make(&mut self, of: &Of, numbers: &mut i64) -> Result<Option<usize>, Refusal> {
        match of {
            Of::Job => Ok(None),
            Of::Test(number) => self.by_number.get(number).copied().map(Some).ok_or(Refusal::NoTest),
            Of::Tag(tag) => {
                let known = self.by_tag.get(&tests::tag_key(tag)).copied();
                Ok(Some(known.unwrap_or_else(|| self.make_test(tag, None, numbers))))
            }
        }
    }

    fn number(&self, row: Option<usize>) -> i64 {
        row.map_or(JOB, |row| self.rows[row].test.no)
    }

    /// A test that has no status yet gets this one; one that it has stays.
    fn give_status(&mut self, row: usize, status: Option<TestStatus>) {
        if self.rows[row].test.status.is_none() && status.is_some() {
            self.set_status(row, status);
        }
    }

    fn set_status(&mut self, row: usize, status: Option<TestStatus>) {
        let row = &mut self.rows[row];
        self.tests.add(row.test.status.map(TestStatus::standing), -1);
        self.tests.add(status.map(TestStatus::standing), 1);
        row.test.status = status;
        row.changed = true;
        self.recounted = true;
    }

    fn change(&mut self, row: usize, tag: Option<&str>, status: Option<TestStatus>) -> Result<(), Refusal> {
        if let Some(tag) = tag {
            let key = tests::tag_key(tag);
            if self.by_tag.get(&key).is_some_and(|other| *other != row) {
                return Err(Refusal::TagTaken);
            }
            let test = &mut self.rows[row];
            self.by_tag.remove(&tests::tag_key(&test.test.tag));
            self.by_tag.insert(key, row);
            tag.clone_into(&mut test.test.tag);
            test.changed = true;
        }
        if status.is_some() {
            self.set_status(row, status);
        }
        Ok(())
    }

    /// Writes the job if it is new, its counts, and the tests that were there and have changed.
    fn write(&self, db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
        let Tally { all, passed, failed } = self.tests;
        if let Some((id, NewJob { unique_ident, attributes, created_at })) = self.made {
            let JobAttributes { description, status, elapsed_seconds, timeout, priority } = attributes;
            let row = values![
                suite.get(),
                self.no,
                id,
                unique_ident.as_deref().unwrap_or(id),
                description.as_deref(),
                status.map(JobStatus::code),
                *elapsed_seconds,
                *timeout,
                priority.map(Priority::code),
                created_at.as_microseconds(),
                all,
                passed,
                failed,
            ];
            JOBS.rows(db, row)?;
        } else if self.recounted {
            jobs::count(db, suite, self.no, self.tests)?;
        }
        for TestRow { test: Test { no, tag, status }, .. } in
            self.rows.iter().filter(|row| row.changed && !row.made)
        {
            let key = tests::tag_key(tag);
            let status = status.map(TestStatus::code);
            db.execute(CHANGE_TEST, values![suite.get(), self.no, *no, tag, &key, status])?;
        }
        Ok(())
    }
}
