//! Avocado's records, and the executions that follow from them.

use crate::App;
use crate::uploads::NotRecorded;
use casebook_model::avocado::{self, ReportedJob, ReportedTest, TestStatus};
use casebook_model::branch;
use casebook_model::execution::ExecutionFlags;
use casebook_model::key::key_of;
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::suite::Suite;
use casebook_model::tags::Tags;
use casebook_model::test::{Spelling, TestAttributes, external_hash};
use casebook_model::time::{DAY_US, Timestamp};
use casebook_model::variant::{self, Variant};
use casebook_storage::avocado::jobs::JobAttributes;
use casebook_storage::avocado::records::{NewJob, Of};
use casebook_storage::ingest::{NewResult, NewUpload, Receipt, Record};

pub use casebook_storage::Db;
pub use casebook_storage::avocado::{
    Removal, Summary, Table, Term, jobs, notes, records, software, systems, tests,
};
pub use casebook_storage::ingest::Refusal;

/// Number of the format of uploads that are records of this protocol (`docs/schema.md`, upload).
const FORMAT: i64 = 10;

/// How a test ended: what its execution is made of. It is made once; a test whose execution is there gets no other.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Its name in the job.
    pub tag: String,
    /// Its status.
    pub status: TestStatus,
    /// When it ended, as told; now if nobody told.
    pub at: Option<Timestamp>,
    /// How long it took, if that is known.
    pub duration_us: Option<i64>,
}

/// What recognises the execution of a test of a job when it comes again.
pub(crate) fn execution_hash(tag: &str) -> i64 {
    external_hash(u128::from_be_bytes(key_of(&["avocado", tag])))
}

impl App {
    /// Keeps records of one job, and the executions that follow from them.
    ///
    /// # Errors
    /// The records are refused, or cannot be stored; then nothing is stored.
    pub async fn keep(
        &self,
        suite: &Suite,
        branches: Option<&str>,
        batch: records::Batch,
        endings: Vec<Ending>,
    ) -> Result<Receipt, NotRecorded> {
        self.keep_with(suite, branches, batch, endings, true).await
    }

    /// Keeps records of the past; webhooks are told only with `notify`.
    ///
    /// # Errors
    /// Those of [`Self::keep`].
    pub async fn keep_past(
        &self,
        suite: &Suite,
        batch: records::Batch,
        endings: Vec<Ending>,
        notify: bool,
    ) -> Result<Receipt, NotRecorded> {
        self.keep_with(suite, None, batch, endings, notify).await
    }

    async fn keep_with(
        &self,
        suite: &Suite,
        branches: Option<&str>,
        batch: records::Batch,
        endings: Vec<Ending>,
        notify: bool,
    ) -> Result<Receipt, NotRecorded> {
        let now = self.now();
        let moments = endings.iter().map(|ending| ending.at.map_or(now, |at| at.min(now)));
        let at = moments.min().unwrap_or(now);
        self.record(NewUpload {
            suite: suite.id,
            protocol: Protocol::Avocado,
            run_key: batch.job.clone(),
            attributes: RunAttributes::default(),
            branch_class: branch::classify(None, &suite.attributes.default_branch, branches),
            job: None,
            shard: None,
            collector: None,
            format: FORMAT,
            received_at: now,
            at,
            digest: None,
            tags: Tags::default(),
            variants: vec![Variant::of(&Tags::default(), &Tags::default(), variant::DEFAULT_KEYS)],
            results: endings.iter().map(|ending| result(ending, at, now)).collect(),
            records: vec![Record::Avocado(batch)],
            repaired: 0,
            rejected: 0,
            problems: Vec::new(),
            notify,
        })
        .await
    }
}

/// Makes an upload of a job's own report the job's: its run is the job, its results are found again by their tags.
pub(crate) fn of_report(mut upload: NewUpload, job: ReportedJob) -> NewUpload {
    upload.protocol = Protocol::Avocado;
    for result in &mut upload.results {
        result.class_name = Some(result.scope.clone());
    }
    upload.records.push(Record::Avocado(batch(job, upload.received_at)));
    upload
}

/// Everything that a job's report tells, as records.
fn batch(job: ReportedJob, created_at: Timestamp) -> records::Batch {
    let ReportedJob { id, status, elapsed_seconds, started_at, tests } = job;
    let attributes = JobAttributes {
        description: None,
        status: Some(status),
        elapsed_seconds,
        timeout: 0,
        priority: None,
    };
    let mut records = vec![records::Record::Job(NewJob { unique_ident: None, attributes, created_at })];
    let activity = |of: Of, activity: &str, at: Timestamp, status: Option<TestStatus>| {
        records::Record::Activity { of, activity: activity.to_owned(), at, status }
    };
    records.extend(started_at.map(|at| activity(Of::Job, "JOB_START", at, None)));
    for ReportedTest { tag, status, started_at, ended_at, data } in tests {
        let of = || Of::Tag(tag.clone());
        records.push(records::Record::Test { tag: tag.clone(), status });
        records.extend(started_at.map(|at| activity(of(), "STARTED", at, None)));
        records.extend(ended_at.map(|at| activity(of(), "ENDED", at, status)));
        for (category, name, value) in data {
            let (category, name) = (category.to_owned(), name.to_owned());
            records.push(records::Record::Datum { of: of(), category, name, value: Some(value) });
        }
    }
    records::Batch { job: id, records, repeatable: true }
}

fn result(ending: &Ending, upload_at: Timestamp, now: Timestamp) -> NewResult {
    let Ending { tag, status, at, duration_us } = ending;
    let distance = at.map_or(now, |at| at.min(now)).as_microseconds() - upload_at.as_microseconds();
    let identity = avocado::identity(tag);
    let spelling = Spelling {
        protocol: Protocol::Avocado,
        scope: (&identity.class_name).into(),
        name: (&identity.name).into(),
    };
    let attributes = TestAttributes::default();
    NewResult {
        spelling_key: spelling.key(),
        scope: identity.class_name.clone(),
        class_name: Some(identity.class_name),
        name: identity.name,
        attributes_hash: attributes.hash(),
        attributes,
        outcome: status.outcome(),
        flags: ExecutionFlags::default(),
        instance: 0,
        offset_ms: if distance <= DAY_US { distance / 1000 } else { 0 },
        duration_us: *duration_us,
        external_hash: Some(execution_hash(tag)),
        variant: 0,
        failure: None,
        tags: avocado::status_tag(status.as_str()).into_iter().collect(),
        spans: None,
        resources: None,
    }
}
