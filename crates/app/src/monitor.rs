//! pytest-monitor: sessions, machines and metrics, as its protocol and the import bring and read them.
//!
//! A session is a run, a machine where it ran, and a metric a record of its own, from which an execution with resources follows
//! that takes no part in rates and evidence: only passing tests leave a metric.

mod intake;

use crate::App;
use crate::access::Access;
use crate::uploads::NotRecorded;
use casebook_formats::redaction::{self, Found};
use casebook_model::branch;
use casebook_model::execution::{ExecutionFlags, Outcome};
use casebook_model::failure::cut_middle;
use casebook_model::id::SuiteId;
use casebook_model::machine::Machine;
use casebook_model::measurement::{Metric, MetricWord, Session};
use casebook_model::name::Commit;
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::suite::Suite;
use casebook_model::tags::Tags;
use casebook_model::test::{Spelling, TestAttributes};
use casebook_model::time::{DAY_US, Timestamp};
use casebook_model::variant::Variant;
use casebook_storage::ingest::{NewResult, NewUpload, Receipt, Record, Refusal};
use casebook_storage::monitor::{self as stored, NewMetric, NewSession, sessions};
use casebook_storage::{StorageError, machines};

pub use intake::{Intake, Taken};

pub use casebook_storage::monitor::metrics::{End, Selection};
pub use casebook_storage::monitor::sessions::{Level, SessionFilter};
pub use casebook_storage::monitor::{Paged, Wanted};

/// The number under which the format of metrics is stored.
const FORMAT: i64 = 8;

/// Longest name of a test that is kept; the metric itself keeps all of it.
const LONGEST_TEST_NAME: usize = 16 * 1024;

/// What becomes of a session or machine whose identifier is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was new, or says the same as before.
    Stored,
    /// One with its identifier is there, and says something else.
    Different,
}

impl App {
    /// Stores a session unless it is there.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn put_session(
        &self,
        suite: &Suite,
        access: &Access,
        session: Session,
    ) -> Result<Put, NotRecorded> {
        let upload = session_upload(suite, access.branches.as_deref(), session, Vec::new(), self.now());
        match self.record(upload).await {
            Ok(_) | Err(NotRecorded::Refused(Refusal::Monitor(stored::Refusal::Known))) => Ok(Put::Stored),
            Err(NotRecorded::Refused(Refusal::Monitor(stored::Refusal::Different))) => Ok(Put::Different),
            Err(error) => Err(error),
        }
    }

    /// Stores a metric.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn put_metric(
        &self,
        suite: &Suite,
        access: &Access,
        metric: Metric,
    ) -> Result<Receipt, NotRecorded> {
        let key = metric.word(MetricWord::Session).to_owned();
        self.record(metrics_upload(suite, access.branches.as_deref(), &key, vec![metric], self.now())).await
    }

    /// Stores a machine unless it is there. Frequencies are compared as whole numbers, as they are shown.
    ///
    /// # Errors
    /// The database fails, or the suite is gone.
    pub async fn put_machine(&self, suite: SuiteId, machine: Machine) -> Result<Put, StorageError> {
        let new = machine.clone();
        let known = self.write(move |db| machines::put(db, suite, Protocol::Monitor, &new)).await?;
        let shown = |machine: Machine| Machine {
            cpu_frequency_mhz: machine.cpu_frequency_mhz.map(f64::trunc),
            ..machine
        };
        let same = known.is_none_or(|known| shown(known) == shown(machine));
        Ok(if same { Put::Stored } else { Put::Different })
    }

    /// A page of the machines whose identifier begins with `prefix`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn machines(
        &self,
        suite: SuiteId,
        prefix: String,
        wanted: Wanted,
    ) -> Result<Paged<Machine>, StorageError> {
        self.read(move |db| machines::page(db, suite, Protocol::Monitor, &prefix, wanted)).await
    }

    /// How many machines there are.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_machines(&self, suite: SuiteId) -> Result<i64, StorageError> {
        self.read(move |db| machines::count(db, suite, Protocol::Monitor)).await
    }

    /// A page of the sessions that a filter admits.
    ///
    /// # Errors
    /// The database fails.
    pub async fn sessions(
        &self,
        suite: SuiteId,
        filter: SessionFilter,
        wanted: Wanted,
    ) -> Result<Paged<Session>, StorageError> {
        self.read(move |db| sessions::page(db, suite, &filter, wanted)).await
    }

    /// How many sessions there are.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_sessions(&self, suite: SuiteId) -> Result<i64, StorageError> {
        self.read(move |db| sessions::count(db, suite)).await
    }

    /// A page of the selected metrics.
    ///
    /// # Errors
    /// The database fails.
    pub async fn metrics_page(
        &self,
        suite: SuiteId,
        selection: Selection,
        wanted: Wanted,
    ) -> Result<Paged<Metric>, StorageError> {
        self.read(move |db| stored::metrics::page(db, suite, &selection, wanted)).await
    }

    /// How many metrics are selected.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_metrics(&self, suite: SuiteId, selection: Selection) -> Result<i64, StorageError> {
        self.read(move |db| stored::metrics::count(db, suite, &selection)).await
    }

    /// The `most` selected metrics with the largest or smallest values.
    ///
    /// # Errors
    /// The database fails.
    pub async fn extreme_metrics(
        &self,
        suite: SuiteId,
        selection: Selection,
        resource: casebook_model::measurement::Resource,
        end: End,
        most: usize,
    ) -> Result<Vec<Metric>, StorageError> {
        self.read(move |db| stored::metrics::extremes(db, suite, &selection, resource, end, most)).await
    }

    /// Pipelines, builds or sessions of a build, of a component or of all metrics.
    ///
    /// # Errors
    /// The database fails.
    pub async fn pipelines(
        &self,
        suite: SuiteId,
        component: Option<String>,
        level: Level,
    ) -> Result<Vec<String>, StorageError> {
        self.read(move |db| sessions::pipelines(db, suite, component.as_deref(), &level)).await
    }

    /// The components whose name begins with `prefix`; the empty name stands for none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn components(&self, suite: SuiteId, prefix: String) -> Result<Vec<String>, StorageError> {
        self.read(move |db| sessions::components(db, suite, &prefix)).await
    }
}

/// A session with metrics of it as an upload.
#[must_use]
pub fn session_upload(
    suite: &Suite,
    branches: Option<&str>,
    session: Session,
    metrics: Vec<Metric>,
    now: Timestamp,
) -> NewUpload {
    let at = time_of(&session.run_date, now);
    let mut upload = upload(suite, branches, &session.key, at, metrics, now);
    let text = |name: &str| session.tag(name).map(str::to_owned);
    upload.attributes = RunAttributes {
        commit: session.scm_ref.as_deref().and_then(Commit::new),
        number: text("pipeline_build_no"),
        provider: text("__ci__"),
        ..RunAttributes::default()
    };
    upload.tags = shown_tags(&session);
    let record = stored::Record::Session(Box::new(NewSession::new(session)));
    upload.records.insert(0, Record::Monitor(record));
    upload
}

/// Metrics of one session as an upload.
#[must_use]
pub fn metrics_upload(
    suite: &Suite,
    branches: Option<&str>,
    session: &str,
    metrics: Vec<Metric>,
    now: Timestamp,
) -> NewUpload {
    let at = metrics.first().map_or(now, |metric| time_of(&metric.started, now));
    upload(suite, branches, session, at, metrics, now)
}

fn upload(
    suite: &Suite,
    branches: Option<&str>,
    session: &str,
    at: Timestamp,
    metrics: Vec<Metric>,
    now: Timestamp,
) -> NewUpload {
    let mut variants = Vec::new();
    let (mut results, mut records) =
        (Vec::with_capacity(metrics.len()), Vec::with_capacity(metrics.len() + 1));
    for metric in metrics {
        let result = derived(&metric, at, now, &mut variants);
        let spelling = result.as_ref().map(|result| result.spelling_key);
        records.push(Record::Monitor(stored::Record::Metric(Box::new(NewMetric::new(metric, spelling)))));
        results.extend(result);
    }
    NewUpload {
        suite: suite.id,
        protocol: Protocol::Monitor,
        run_key: session.to_owned(),
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
        variants,
        results,
        records,
        repaired: 0,
        rejected: 0,
        problems: Vec::new(),
        notify: true,
    }
}

/// Zones of the world reach so far from UTC, and a little further.
const ZONES_US: i64 = 15 * DAY_US / 24;

/// The time that a session or metric names. pytest-monitor leaves the zone out: a time so near to now that only the zone
/// tells whether it has passed is now, an older one is taken for UTC.
fn time_of(text: &str, now: Timestamp) -> Timestamp {
    let Ok(time) = Timestamp::parse_lenient(text) else { return now };
    let has_zone = Timestamp::parse_rfc3339(text).is_ok();
    let distance = now.as_microseconds().saturating_sub(time.as_microseconds());
    if distance < 0 || (!has_zone && distance < ZONES_US) { now } else { time }
}

/// The execution that follows from a metric; none if it names no test.
fn derived(metric: &Metric, at: Timestamp, now: Timestamp, variants: &mut Vec<Variant>) -> Option<NewResult> {
    let text = |word| {
        let mut text = metric.word(word).to_owned();
        cut_middle(&mut text, LONGEST_TEST_NAME);
        text
    };
    let is_function = metric.word(MetricWord::Kind) == "function";
    let (scope, class_name, name) = if is_function {
        let file = text(MetricWord::Location);
        let class_name = file.strip_suffix(".py").unwrap_or(&file).replace('/', ".");
        (file, class_name, text(MetricWord::Variant))
    } else {
        (text(MetricWord::Path), text(MetricWord::Path), text(MetricWord::Item))
    };
    if name.is_empty() {
        return None;
    }
    let attributes = TestAttributes {
        location: None,
        // A module has no file: that is how it is told from a function when it is new.
        file: is_function.then(|| scope.clone()),
        suite_path: None,
    };
    let spelling = Spelling { protocol: Protocol::Monitor, scope: (&scope).into(), name: (&name).into() };
    let seconds = metric.resources().wall_seconds.filter(|seconds| (0.0..1e9).contains(seconds));
    let distance = time_of(&metric.started, now).as_microseconds() - at.as_microseconds();
    Some(NewResult {
        spelling_key: spelling.key(),
        scope,
        class_name: Some(class_name),
        name,
        attributes_hash: attributes.hash(),
        attributes,
        outcome: Outcome::Passed,
        flags: ExecutionFlags::MEASURED,
        instance: 0,
        offset_ms: if distance.abs() <= DAY_US { distance / 1000 } else { 0 },
        duration_us: seconds.map(|seconds| (seconds * 1e6) as i64),
        external_hash: None,
        variant: variant(metric.word(MetricWord::Context), variants),
        failure: None,
        tags: Tags::default(),
        spans: None,
        resources: Some(metric.resources()),
    })
}

/// The tag of a variant that names a machine by its identifier.
pub(crate) const CONTEXT_TAG: &str = "context";

/// Longest identifier of a machine that tells environments apart; those of pytest-monitor have 32 characters.
const LONGEST_CONTEXT: usize = 200;

/// The place among `variants` of the environment that a machine makes: peaks and times of different machines are never compared.
fn variant(context: &str, variants: &mut Vec<Variant>) -> usize {
    let tags: Tags =
        [(CONTEXT_TAG, context)].into_iter().filter(|(_, key)| key.len() <= LONGEST_CONTEXT).collect();
    let variant = Variant::of(&tags, &Tags::default(), &[CONTEXT_TAG]);
    variants.iter().position(|known| *known == variant).unwrap_or_else(|| {
        variants.push(variant);
        variants.len() - 1
    })
}

/// The tags of a session as those of its executions: those that can be, without secrets.
fn shown_tags(session: &Session) -> Tags {
    let mut found = Found::default();
    let tags = session.tags.iter().filter_map(|(name, value)| {
        let value = redaction::redact_value(name, value.as_ref()?, &mut found).into_owned();
        Some((name.clone(), value))
    });
    Tags::checked(tags.collect(), &Tags::default()).0
}
