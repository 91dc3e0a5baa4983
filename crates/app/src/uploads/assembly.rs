//! From a report that was read to the upload that is stored.

use super::reading::{Read, format_code};
use super::{Context, Environment};
use crate::avocado;
use casebook_analysis::frame;
use casebook_analysis::signature::{SIGNATURE_VERSION, Said};
use casebook_formats::redaction::{self, Found};
use casebook_model::branch;
use casebook_model::execution::ExecutionFlags;
use casebook_model::failure::{Failure, cut_middle};
use casebook_model::name::Job;
use casebook_model::public_id::parse_uuid;
use casebook_model::report::{Problem, Report, ReportedResult};
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::suite::Suite;
use casebook_model::tags::Tags;
use casebook_model::test::{Spelling, TestAttributes, external_hash};
use casebook_model::time::{DAY_US, Timestamp};
use casebook_model::variant::{self, Variant};
use casebook_storage::failures;
use casebook_storage::ingest::{NewResult, NewUpload, PackedFailure};
use std::collections::HashMap;

/// Longest address, number and similar short text that is kept.
const LONGEST_NAME: usize = 1000;

/// Longest commit or build message that is kept.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// Longest scope and name that are kept; longer ones lose their middle.
const LONGEST_TEST_NAME: usize = 16 * 1024;

/// Executions of one upload past which earlier attempts are left out.
const MOST_EXECUTIONS: usize = 20_000;

/// The tag with which our plugin says what it did with a test, and its word for a commit that promises a repair.
const MODE_TAG: &str = "casebook.mode";
const ATTEMPT_TO_FIX: &str = "attempt_to_fix";

/// Makes the upload to be stored of a report. Pure.
#[must_use]
pub fn assemble(
    suite: &Suite,
    context: Context,
    read: Read,
    notice: Option<&'static str>,
    now: Timestamp,
) -> NewUpload {
    let Context { protocol, branches, mut environment, format } = context;
    let Read { report: Report { results, mut problems, rejected, truncated: _, job }, digest } = read;
    let protocol = if job.is_some() { Protocol::Avocado } else { protocol };
    if let Some(job) = &job {
        job.id.clone_into(&mut environment.key);
        environment.key_is_build = false;
        let started_at = job.started_at.map(Timestamp::to_rfc3339_micros);
        environment.started_at = started_at.or(environment.started_at.take());
    }
    let at = time_of(&environment, now, &mut problems);
    if let Some(notice) = notice {
        note(&mut problems, None, notice.to_owned());
    }
    if !redact(&mut environment).is_empty() {
        note(&mut problems, None, "a secret in what the upload says of its run was redacted".to_owned());
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
    let upload = NewUpload {
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
        records: Vec::new(),
        repaired,
        rejected: rejected as i64,
        problems,
        notify: true,
    };
    match job {
        Some(job) => avocado::of_report(upload, *job),
        None => upload,
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

/// A failure as it is stored, with what identifies it.
fn pack(failure: &Failure, test: &str) -> PackedFailure {
    let expanded =
        || failure.details.iter().flat_map(|detail| &detail.expanded).find(|line| !line.trim().is_empty());
    let said = failure.reason.as_ref().or_else(expanded).map_or("", String::as_str);
    let (exception, message) = match said.split_once(':') {
        Some((name, rest)) if is_type(name) => (name, rest),
        _ => ("", said),
    };
    let lines = failure.details.iter().flat_map(|detail| detail.expanded.iter().chain(&detail.backtrace));
    let function = frame::innermost(lines.map(String::as_str), test);
    let signature = Said { exception, function, message }.signature();
    failures::pack(failure, (!said.is_empty()).then(|| (signature.0.to_be_bytes(), SIGNATURE_VERSION)))
}

/// Whether the text could be the name of an exception's type.
fn is_type(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte))
}

/// Replaces secrets in what people wrote and CI systems passed on.
fn redact(environment: &mut Environment) -> Found {
    let mut found = Found::default();
    let RunAttributes { branch: _, commit: _, message, url, number: _, provider: _ } =
        &mut environment.attributes;
    for text in [message, url].into_iter().flatten() {
        *text = redaction::redact(text, &mut found).into_owned();
    }
    for (key, value) in &mut environment.tags {
        *value = redaction::redact_value(key, value, &mut found).into_owned();
    }
    found
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
        let mut flags = if result.pending { ExecutionFlags::PENDING } else { ExecutionFlags::default() };
        if tags.get(MODE_TAG) == Some(ATTEMPT_TO_FIX) {
            flags = flags.with(ExecutionFlags::REPAIR);
        }
        let suite_path = (!result.suite_path.is_empty()).then(|| {
            let mut path = result.suite_path.join(" > ");
            path.truncate(path.floor_char_boundary(LONGEST_NAME));
            path
        });
        let attributes = TestAttributes { location: result.location, file: result.file, suite_path };
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
            external_hash: match self.protocol {
                Protocol::Avocado => result.external_id.as_deref().map(avocado::execution_hash),
                _ => result.external_id.as_deref().and_then(parse_uuid).map(external_hash),
            },
            failure: result
                .failure
                .filter(|failure| !failure.is_empty())
                .map(|failure| pack(&failure, &result.name)),
            tags,
            spans: result.spans.map(|spans| failures::deflate(spans.as_bytes())),
            resources: result.resources,
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
                failure: (!earlier.failure.is_empty()).then(|| pack(&earlier.failure, &last.name)),
                spans: None,
                resources: None,
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
