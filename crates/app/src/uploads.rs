//! Taking in results: a report and what is known of its run become one stored upload.

use crate::group_commit;
use crate::{App, on_waiting_thread};
use bytes::Bytes;
use casebook_formats::{Format, Malformed};
use casebook_model::branch;
use casebook_model::execution::ExecutionFlags;
use casebook_model::failure::cut_middle;
use casebook_model::key::{Key, digest, key_of};
use casebook_model::name::{Branch, Commit, Job, Shard};
use casebook_model::public_id::parse_uuid;
use casebook_model::report::{Problem, Report, ReportedResult};
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::suite::Suite;
use casebook_model::tags::Tags;
use casebook_model::test::{Spelling, TestAttributes, external_hash};
use casebook_model::time::{DAY_US, Timestamp};
use casebook_model::variant::{self, Variant};
use casebook_storage::failures;
use casebook_storage::ingest::{NewResult, NewUpload, Receipt};
use std::collections::HashMap;
use std::sync::Arc;

pub use group_commit::NotRecorded;

/// Longest address, number and similar short text that is kept.
const LONGEST_NAME: usize = 1000;

/// Longest commit or build message that is kept.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// Longest scope and name that are kept; longer ones lose their middle.
const LONGEST_TEST_NAME: usize = 16 * 1024;

/// Bodies up to this size are read at once: that takes less time than a hop to another thread.
const SMALL: usize = 16 * 1024;

/// Executions of one upload past which earlier attempts are left out.
const MOST_EXECUTIONS: usize = 20_000;

/// What the sender says about the run and itself.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Key of the run.
    pub key: String,
    /// About the run.
    pub attributes: RunAttributes,
    /// The CI job.
    pub job: Option<Job>,
    /// The shard within the job.
    pub shard: Option<Shard>,
    /// Name of the client.
    pub collector: Option<String>,
    /// Version of the client.
    pub collector_version: Option<String>,
    /// Version of the language runtime.
    pub language_version: Option<String>,
    /// The test framework.
    pub test_runner: Option<String>,
    /// The build is a Buildkite build whose id is the key.
    pub key_is_build: bool,
    /// When the results were made, as sent.
    pub started_at: Option<String>,
    /// Directory that absolute paths of native reports are in.
    pub working_directory: Option<String>,
    /// Text to put before paths of native reports.
    pub location_prefix: Option<String>,
    /// Tags of every execution, as sent.
    pub tags: Vec<(String, String)>,
    /// It names a repository or check, which only the credential decides about.
    pub names_suite: bool,
}

/// Where a report goes, and what is known beside it.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where it goes.
    pub suite: Suite,
    /// Who brought it.
    pub protocol: Protocol,
    /// Branches outside of which results count as a pull request's.
    pub branches: Option<String>,
    /// About the run.
    pub environment: Environment,
    /// How the report is written.
    pub format: Format,
}

/// A report with what is known of its run.
pub struct Submission {
    /// Where it goes, and what is known beside it.
    pub context: Context,
    /// The report.
    pub body: Bytes,
    /// Most results it may have.
    pub most_results: usize,
}

/// What became of a submission.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Run, upload and counts.
    pub receipt: Receipt,
    /// Results that could not be used.
    pub rejected: usize,
    /// What was mended or rejected, and why.
    pub problems: Vec<Problem>,
}

/// A submission was not stored.
#[derive(Debug, thiserror::Error)]
pub enum NotAccepted {
    /// The report cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It could not be stored.
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
}

impl App {
    /// Reads the report and stores its results, all or none.
    ///
    /// # Errors
    /// The report cannot be read, or the results cannot be stored; then nothing is stored.
    pub async fn submit(self: &Arc<Self>, submission: Submission) -> Result<Recorded, NotAccepted> {
        let now = self.now();
        let (upload, rejected) = if submission.body.len() <= SMALL {
            prepare(submission, now)?
        } else {
            let _turn = self.reading.acquire().await;
            on_waiting_thread(move || prepare(submission, now)).await?
        };
        let problems = upload.problems.clone();
        let receipt = self.record(upload).await?;
        let rejected = rejected + usize::try_from(receipt.rejected).unwrap_or(0);
        Ok(Recorded { receipt, rejected, problems })
    }

    /// Stores an upload that is ready.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn record(&self, upload: NewUpload) -> Result<Receipt, NotRecorded> {
        self.group_commit.record(upload).await
    }
}

/// Reads a submission into the upload to be stored, and the number of results that could not be used. Pure.
///
/// # Errors
/// The report cannot be read.
pub fn prepare(submission: Submission, now: Timestamp) -> Result<(NewUpload, usize), Malformed> {
    let Submission { context, body, most_results } = submission;
    let options = casebook_formats::Options {
        most_results: Some(most_results),
        working_directory: context.environment.working_directory.clone(),
        location_prefix: context.environment.location_prefix.clone(),
        allow_truncated: false,
        ..casebook_formats::Options::default()
    };
    let report = casebook_formats::parse(context.format, &body, &options)?;
    let rejected = report.rejected;
    // Results of native reports have no ids by which a repetition could be told.
    let digest = (context.format != Format::Json && !report.results.is_empty())
        .then(|| report_digest(&context, &digest(&body)));
    drop(body);
    Ok((assemble(context, report, digest, now), rejected))
}

/// Makes the upload to be stored of a parsed report. Pure.
#[must_use]
pub fn assemble(context: Context, report: Report, digest: Option<Key>, now: Timestamp) -> NewUpload {
    let Context { suite, protocol, branches, environment, format } = context;
    let Report { results, mut problems, rejected, .. } = report;
    let at = time_of(&environment, now, &mut problems);
    if environment.names_suite {
        let message =
            "run_env[repo] and run_env[check] are not used: the credential's suite takes the results";
        note(&mut problems, None, message.to_owned());
    }
    let core = core_tags(&environment);
    let tags = checked_tags(environment.tags.clone(), &core, None, &mut problems);
    let tags = core.overlaid(&tags);

    let mut builder =
        Builder { protocol, at, received_at: now, upload_tags: &tags, variants: Variants::default() };
    let mut stored = Vec::with_capacity(results.len());
    for result in results {
        builder.add(result, &mut stored, &mut problems);
    }
    let variants = builder.variants.list;
    let branch_class = branch::classify(
        environment.attributes.branch.as_ref(),
        &suite.attributes.default_branch,
        branches.as_deref(),
    );
    let collector = environment.collector.map(|name| match &environment.collector_version {
        Some(version) => format!("{name} {version}"),
        None => name,
    });
    let mut mended: Vec<usize> =
        problems.iter().filter(|problem| !problem.rejected).filter_map(|problem| problem.record).collect();
    mended.sort_unstable();
    mended.dedup();
    let repaired = mended.len() as i64;
    NewUpload {
        suite: suite.id,
        protocol,
        run_key: environment.key,
        attributes: limited(environment.attributes),
        branch_class,
        job: environment.job,
        shard: environment.shard,
        collector: collector.map(short),
        format: format_code(format),
        received_at: now,
        at,
        digest,
        tags,
        variants,
        results: stored,
        repaired,
        rejected: rejected as i64,
        problems,
    }
}

/// The digest of a report whose results have no ids: equal bytes from the same job, shard and environment are one report.
fn report_digest(context: &Context, body: &Key) -> Key {
    let Context { environment, format, .. } = context;
    let attributes = &environment.attributes;
    let mut parts = vec![
        format.as_str(),
        environment.job.as_ref().map_or("", Job::as_str),
        environment.shard.as_ref().map_or("", Shard::as_str),
        attributes.branch.as_ref().map_or("", Branch::as_str),
        attributes.commit.as_ref().map_or("", Commit::as_str),
    ];
    for (key, value) in &environment.tags {
        parts.extend([key.as_str(), value.as_str()]);
    }
    let body: String = body.iter().map(|byte| char::from(*byte)).collect();
    parts.push(&body);
    key_of(&parts)
}

/// The number under which a format is stored.
fn format_code(format: Format) -> i64 {
    match format {
        Format::Json => 1,
        Format::Junit => 2,
        Format::JestJson => 3,
        Format::RspecJson => 4,
        Format::PlaywrightJson => 5,
        Format::CucumberJson => 6,
        Format::GoJsonl => 7,
    }
}

/// The reported time if it is one and not in the future, else the time of receipt.
fn time_of(environment: &Environment, now: Timestamp, problems: &mut Vec<Problem>) -> Timestamp {
    let Some(text) = &environment.started_at else { return now };
    let message = match Timestamp::parse_rfc3339(text) {
        Ok(at) if at <= now => return at,
        Ok(_) => "run_env[started_at] is in the future: the time of receipt is used".to_owned(),
        Err(error) => format!("run_env[started_at] is left out: {error}"),
    };
    note(problems, None, message);
    now
}

/// Problems of one upload that are told; counts tell the rest.
const MOST_PROBLEMS: usize = 4_000;

/// Notes that something was mended.
fn note(problems: &mut Vec<Problem>, record: Option<usize>, message: String) {
    if problems.len() < MOST_PROBLEMS {
        problems.push(Problem { record, rejected: false, message });
    }
}

fn checked_tags(
    tags: Vec<(String, String)>,
    beside: &Tags,
    record: Option<usize>,
    problems: &mut Vec<Problem>,
) -> Tags {
    if tags.is_empty() {
        return Tags::default();
    }
    let (tags, dropped) = Tags::checked(tags, beside);
    for problem in dropped {
        note(problems, record, format!("a tag was dropped: {problem}"));
    }
    tags
}

/// Tags that the server fills in where it knows the value (`buildkite.md` 4.6).
fn core_tags(environment: &Environment) -> Tags {
    let key = environment.key_is_build.then_some(environment.key.as_str());
    [
        ("build.id", key),
        ("build.job_id", environment.job.as_ref().map(Job::as_str)),
        ("collector.name", environment.collector.as_deref()),
        ("collector.version", environment.collector_version.as_deref()),
        ("language.version", environment.language_version.as_deref()),
        ("test.framework.name", environment.test_runner.as_deref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}

fn limited(mut attributes: RunAttributes) -> RunAttributes {
    let RunAttributes { branch: _, commit: _, message, url, number, provider } = &mut attributes;
    for text in [url, number, provider].into_iter().flatten() {
        text.truncate(text.floor_char_boundary(LONGEST_NAME));
    }
    if let Some(message) = message {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    }
    attributes
}

fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST_NAME));
    text
}

/// The different environments of one upload; most uploads have one.
#[derive(Default)]
struct Variants {
    list: Vec<Variant>,
    index: HashMap<Variant, usize>,
    /// The variant of results without tags of their own.
    plain: Option<usize>,
}

impl Variants {
    fn of(&mut self, upload: &Tags, own: &Tags) -> usize {
        if own.is_empty()
            && let Some(plain) = self.plain
        {
            return plain;
        }
        let variant = Variant::of(upload, own, variant::DEFAULT_KEYS);
        let index = *self.index.entry(variant).or_insert_with_key(|variant| {
            self.list.push(variant.clone());
            self.list.len() - 1
        });
        if own.is_empty() {
            self.plain = Some(index);
        }
        index
    }
}

/// Turns reported results into stored ones.
struct Builder<'a> {
    protocol: Protocol,
    at: Timestamp,
    received_at: Timestamp,
    upload_tags: &'a Tags,
    variants: Variants,
}

impl Builder<'_> {
    fn add(&mut self, mut result: ReportedResult, stored: &mut Vec<NewResult>, problems: &mut Vec<Problem>) {
        for text in [&mut result.scope, &mut result.name]
            .into_iter()
            .chain(&mut result.location)
            .chain(&mut result.file)
        {
            if cut_middle(text, LONGEST_TEST_NAME) {
                note(problems, Some(result.record), "a name or place was too long and was cut".to_owned());
            }
        }
        let stored_before = stored.len();
        let spelling =
            Spelling { protocol: self.protocol, scope: (&result.scope).into(), name: (&result.name).into() };
        let tags = checked_tags(result.tags, self.upload_tags, Some(result.record), problems);
        let flags = if result.pending { ExecutionFlags::PENDING } else { ExecutionFlags::default() };
        let attributes = TestAttributes { location: result.location, file: result.file };
        let last = NewResult {
            spelling_key: spelling.key(),
            variant: self.variants.of(self.upload_tags, &tags),
            class_name: None,
            attributes_hash: attributes.hash(),
            attributes,
            outcome: result.outcome,
            flags,
            instance: i64::from(result.instance),
            offset_ms: self.offset(result.started_at),
            duration_us: result.duration_us,
            external_hash: result.external_id.as_deref().and_then(parse_uuid).map(external_hash),
            failure: result.failure.filter(|failure| !failure.is_empty()).as_ref().map(failures::pack),
            tags,
            spans: result.spans.map(|spans| failures::deflate(spans.as_bytes())),
            scope: result.scope,
            name: result.name,
        };
        if stored.len() > MOST_EXECUTIONS && !result.earlier.is_empty() {
            note(
                problems,
                Some(result.record),
                "earlier attempts were left out: the upload has too many".to_owned(),
            );
        }
        for earlier in result.earlier.into_iter().filter(|_| stored_before <= MOST_EXECUTIONS) {
            stored.push(NewResult {
                outcome: earlier.outcome,
                flags: ExecutionFlags::EARLIER,
                offset_ms: self.offset(earlier.started_at),
                duration_us: earlier.duration_us,
                external_hash: None,
                failure: (!earlier.failure.is_empty()).then(|| failures::pack(&earlier.failure)),
                spans: None,
                ..last.clone()
            });
        }
        stored.push(last);
    }

    /// Distance to the upload's time. A report's own clock is believed for a day: reports are sent again, and clocks differ.
    fn offset(&self, started_at: Option<Timestamp>) -> i64 {
        let Some(started_at) = started_at.filter(|started_at| *started_at <= self.received_at) else {
            return 0;
        };
        let distance = started_at.as_microseconds() - self.at.as_microseconds();
        if distance.abs() <= DAY_US { distance / 1000 } else { 0 }
    }
}
