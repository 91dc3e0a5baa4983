//! Native reports that are too large for one part, as Buildkite's result objects.

use super::objects::Objects;
use super::{Circumstances, Limits, Unreadable};
use casebook_formats::{Format, Options};
use casebook_model::execution::Outcome;
use casebook_model::failure::Failure;
use casebook_model::report::ReportedResult;
use serde_json::{Map, Value, json};
use std::io::{Cursor, Read};

/// Largest native report that is read, in bytes: such a report is read as a whole.
const LARGEST: usize = 512 << 20;

/// A native report, read as a whole.
pub(super) struct Translated {
    pub(super) objects: Objects<Cursor<Vec<u8>>>,
    /// The server can take the report as it is.
    pub(super) fits: bool,
}

/// Reads a report and writes its results as an array of result objects.
pub(super) fn translate(
    format: Format,
    source: impl Read,
    circumstances: &Circumstances,
    limits: Limits,
) -> Result<Translated, Unreadable> {
    let mut bytes = Vec::new();
    source.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LARGEST {
        let sentence =
            format!("it is larger than {LARGEST} bytes: let the tests write several {format} reports");
        return Err(Unreadable::Malformed(sentence));
    }
    let options = Options {
        most_results: None,
        // What is too much is the server's to say.
        most_text: Some(usize::MAX),
        working_directory: circumstances.working_directory.clone(),
        location_prefix: None,
        allow_truncated: true,
        allow_no_class_name: false,
    };
    let report = casebook_formats::parse(format, &bytes, &options);
    let report = report.map_err(|refusal| Unreadable::Malformed(refusal.to_string()))?;
    let fits = !report.truncated && report.total() <= limits.results && bytes.len() <= limits.bytes;
    let objects: Vec<Value> = report.results.iter().flat_map(objects).collect();
    // Equal results of different reports are told apart by the report's own bytes.
    let mut ids = super::Ids::new(&circumstances.origin);
    let origin = ids.after(&bytes);
    let array = Value::Array(objects).to_string().into_bytes();
    let mut objects = Objects::new(Cursor::new(array), &origin, limits)?;
    for problem in report.problems.iter().filter(|problem| problem.rejected) {
        objects.remarks.leave_out(problem.to_string());
    }
    objects.remarks.left_out = report.rejected;
    if report.truncated {
        objects.remarks.break_off("it breaks off");
    }
    Ok(Translated { objects, fits })
}

/// A result and, before it, its earlier attempts.
fn objects(result: &ReportedResult) -> Vec<Value> {
    let earlier = result.earlier.iter().map(|attempt| {
        Value::Object(object(result, attempt.outcome, attempt.duration_us, Some(&attempt.failure)))
    });
    let last = object(result, result.outcome, result.duration_us, result.failure.as_ref());
    earlier.chain([Value::Object(last)]).collect()
}

fn object(
    result: &ReportedResult,
    outcome: Outcome,
    duration_us: Option<i64>,
    failure: Option<&Failure>,
) -> Map<String, Value> {
    let word = match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed | Outcome::Error => "failed",
        Outcome::Skipped if result.pending => "pending",
        Outcome::Skipped => "skipped",
        Outcome::Unknown => "unknown",
    };
    let mut history = Map::new();
    if let Some(duration) = duration_us {
        history.insert("duration".to_owned(), json!(duration as f64 / 1e6));
    }
    let mut object = Map::new();
    let mut set = |name: &str, value: Value| object.insert(name.to_owned(), value);
    set("scope", json!(result.scope));
    set("name", json!(result.name));
    set("result", json!(word));
    set("history", Value::Object(history));
    if let Some(location) = &result.location {
        set("location", json!(location));
    }
    if let Some(file) = &result.file {
        set("file_name", json!(file));
    }
    if let Some(Failure { reason, details }) = failure {
        set("failure_reason", json!(reason));
        let details = details.iter();
        let details =
            details.map(|detail| json!({"expanded": detail.expanded, "backtrace": detail.backtrace}));
        set("failure_expanded", details.collect());
    }
    if !result.tags.is_empty() {
        let tags = result.tags.iter().map(|(key, value)| (key.clone(), json!(value)));
        set("tags", Value::Object(tags.collect()));
    }
    object
}
