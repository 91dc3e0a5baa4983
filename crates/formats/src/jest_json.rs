//! Jest's `--json`, also Vitest's JSON reporter: one result per assertion result, named as the collector names it.

use crate::gathering::{Gathering, MOST_FAILURES};
use crate::json::{self, Object};
use crate::lines::{failure, first_line, without_colours};
use crate::{Malformed, Options, instances, paths};
use casebook_model::execution::{Outcome, duration_from_seconds};
use casebook_model::failure::{Failure, FailureDetail};
use casebook_model::report::{EarlierAttempt, Report, ReportedResult};
use casebook_model::time::Timestamp;

pub(crate) fn parse(bytes: &[u8], options: &Options) -> Result<Report, Malformed> {
    let text = json::characters(bytes)?;
    let document = json::document(text)?;
    let report =
        json::object(document).filter(|report| report.get("testResults").is_some_and(json::is_array));
    let report = report.ok_or_else(|| {
        Malformed::WrongShape("a Jest report is an object with an array `testResults`".to_owned())
    })?;
    let mut gathering = Gathering::new(options, json::may_hold_nul(text));
    for file in report.objects("testResults") {
        read_file(&file, options, &mut gathering);
    }
    instances::number(gathering.results());
    gathering.finish()
}

fn read_file(file: &Object<'_>, options: &Options, gathering: &mut Gathering) {
    let path = file.text("name").filter(|name| !name.is_empty());
    let path = path.map(|path| paths::like_javascript(&path, options));
    let results = file.array("assertionResults");
    if results.is_empty() && file.text("status").as_deref() == Some("failed") {
        let message = without_colours(&file.text("message").unwrap_or_default());
        let line = first_line(&message).unwrap_or("no message").to_owned();
        gathering.noticed(format!("{} failed to run: {line}", path.as_deref().unwrap_or("a test file")));
    }
    for raw in results {
        if gathering.next_record() {
            match json::object(raw) {
                Some(result) => read_result(&result, path.as_deref(), gathering),
                None => gathering.reject(format!("a result must be an object, found {}", json::kind(raw))),
            }
        }
    }
}

fn read_result(given: &Object<'_>, path: Option<&str>, gathering: &mut Gathering) {
    let Some(title) = given.text("title").filter(|title| !title.is_empty()) else {
        return gathering.reject("`title` must be a non-empty string");
    };
    let status = given.text("status").unwrap_or_default();
    let outcome = match status.as_str() {
        "passed" => Outcome::Passed,
        "failed" => Outcome::Failed,
        "pending" | "todo" | "skipped" | "disabled" => Outcome::Skipped,
        _ => {
            gathering.repaired("`status` is none that is known, so the outcome is unknown");
            Outcome::Unknown
        }
    };
    let mut result = ReportedResult::new(given.texts("ancestorTitles").join(" "), title, outcome);
    result.pending = status == "pending";
    result.file = path.map(str::to_owned);
    let line = given.object("location").and_then(|location| location.number("line"));
    result.location = path.zip(line).map(|(path, line)| format!("{path}:{line}"));
    let seconds = |milliseconds: f64| milliseconds / 1000.0;
    result.duration_us = given.number("duration").map(seconds).and_then(duration_from_seconds);
    let started = given.number("startAt").map(seconds).and_then(duration_from_seconds);
    result.started_at = started.map(Timestamp);
    result.failure = failure_of(&given.texts("failureMessages"));
    result.earlier = earlier_attempts(given);
    gathering.keep(result);
}

/// The first line of the first message is the reason; the rest of it and the other messages are the details.
fn failure_of(messages: &[String]) -> Option<Failure> {
    let plain: Vec<String> = messages.iter().map(|message| without_colours(message)).collect();
    let (reason, rest) = match plain.first() {
        Some(first) => first.split_once('\n').unwrap_or((first, "")),
        None => return None,
    };
    let texts = std::iter::once(rest).chain(plain.iter().skip(1).map(String::as_str));
    let details = texts.map(|text| FailureDetail {
        expanded: text.lines().map(str::to_owned).collect(),
        backtrace: Vec::new(),
    });
    failure(Some(reason.to_owned()), details.collect())
}

/// Jest runs a test again after a failure only, so each invocation before the last one failed.
fn earlier_attempts(given: &Object<'_>) -> Vec<EarlierAttempt> {
    let invocations = given.number("invocations").filter(|count| *count >= 1.0).unwrap_or(1.0);
    let messages = given.texts("retryReasons");
    let attempt = |index: usize| EarlierAttempt {
        outcome: Outcome::Failed,
        duration_us: None,
        started_at: None,
        failure: messages
            .get(index)
            .and_then(|message| failure_of(std::slice::from_ref(message)))
            .unwrap_or_default(),
    };
    (0..(invocations as usize - 1).min(MOST_FAILURES)).map(attempt).collect()
}
