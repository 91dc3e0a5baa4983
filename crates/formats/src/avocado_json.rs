//! Avocado's `results.json`: one job, its tests in the order in which they ended. Today's shape, and that of releases up to 69.

use crate::gathering::Gathering;
use crate::json::{self, Object};
use crate::lines::{failure, first_line};
use crate::redaction::{self, Found};
use crate::{Malformed, Options};
use casebook_model::avocado::{JobStatus, ReportedJob, ReportedTest, TestStatus, identity, status_tag};
use casebook_model::execution::{Outcome, duration_from_seconds};
use casebook_model::failure::{Failure, FailureDetail, LONGEST_TEXT, cut_middle};
use casebook_model::report::{Report, ReportedResult};
use casebook_model::time::Timestamp;

/// Longest id of a job and tag of a test, in characters: what Avocado Server keeps.
const LONGEST_ID: usize = 40;
const LONGEST_TAG: usize = 255;

/// What runners write where they know nothing.
const UNKNOWN: &str = "<unknown>";

/// Time zones differ from UTC by multiples of this, in microseconds.
const QUARTER_HOUR: i64 = 15 * 60 * 1_000_000;

pub(crate) fn parse(bytes: &[u8], options: &Options) -> Result<Report, Malformed> {
    let text = json::characters(bytes)?;
    let document = json::document(text)?;
    let job = json::object(document).filter(|job| job.get("tests").is_some_and(json::is_array));
    let job = job.ok_or_else(|| {
        Malformed::WrongShape("Avocado's results are an object with an array `tests`".to_owned())
    })?;
    let id = job.text("job_id").filter(|id| !id.trim().is_empty() && !id.contains('\0'));
    let id = id.filter(|id| id.chars().count() <= LONGEST_ID).ok_or_else(|| {
        Malformed::WrongShape(format!("`job_id` must be a text of 1 to {LONGEST_ID} characters"))
    })?;
    let mut gathering = Gathering::new(options, json::may_hold_nul(text));
    let mut tests = Vec::new();
    for raw in job.array("tests") {
        if gathering.next_record() {
            match json::object(raw) {
                Some(test) => tests.extend(read_test(&test, &mut gathering)),
                None => gathering.reject(format!("a test must be an object, found {}", json::kind(raw))),
            }
        }
    }
    let mut report = gathering.finish()?;
    let elapsed = job.number("time").filter(|seconds| seconds.is_finite());
    let told = tests.iter().filter_map(|test| test.started_at).min();
    report.job = Some(Box::new(ReportedJob {
        id,
        status: status_of(&job),
        elapsed_seconds: elapsed.unwrap_or(0.0),
        started_at: told.map(|first| started_at(job.text("start").as_deref(), first)),
        tests,
    }));
    Ok(report)
}

/// How a job stands, by its counts.
fn status_of(job: &Object<'_>) -> JobStatus {
    let count = |name: &str| job.number(name).unwrap_or(0.0);
    if count("failures") > 0.0 {
        JobStatus::Fail
    } else if count("errors") > 0.0 || count("interrupt") > 0.0 {
        JobStatus::Error
    } else if count("warn") > 0.0 {
        JobStatus::Warn
    } else if count("total") == count("skip") + count("cancel") {
        JobStatus::TestNa
    } else {
        JobStatus::Pass
    }
}

/// When the job began. Its own time names no zone, but the first test, of which the zone is known, began soon after it; without
/// a time of its own the job began with that test.
fn started_at(start: Option<&str>, first: Timestamp) -> Timestamp {
    let Some(local) = start.and_then(|start| Timestamp::parse_lenient(start).ok()) else { return first };
    let distance = first.as_microseconds() - local.as_microseconds();
    let zone = distance.div_euclid(QUARTER_HOUR) * QUARTER_HOUR;
    local.plus(zone)
}

/// Keeps a test as a result, and returns it as the job's.
fn read_test(given: &Object<'_>, gathering: &mut Gathering) -> Option<ReportedTest> {
    let Some(id) = given.text("id").filter(|id| !id.trim().is_empty()) else {
        gathering.reject("`id` must be a non-empty string");
        return None;
    };
    let mut tag: String = id.replace('\0', "\u{FFFD}");
    if let Some((end, _)) = tag.char_indices().nth(LONGEST_TAG) {
        tag.truncate(end);
        gathering.repaired(format!("`id` was cut to {LONGEST_TAG} characters"));
    }
    let word = given.text("status").unwrap_or_default();
    let status = TestStatus::from_any_word(&word);
    if status.is_none() {
        gathering.repaired("`status` is none that is known, so the outcome is unknown");
    }
    let seconds = |names: [&str; 2]| {
        let mut known = names.into_iter().filter_map(|name| given.number(name));
        known.find(|seconds| seconds.is_finite() && *seconds >= 0.0)
    };
    let moment = |names| seconds(names).filter(|at| *at > 0.0).and_then(duration_from_seconds).map(Timestamp);
    let reason = given.text("fail_reason").filter(|reason| !reason.trim().is_empty() && reason != UNKNOWN);

    let identity = identity(&tag);
    let outcome = status.map_or(Outcome::Unknown, TestStatus::outcome);
    let mut result = ReportedResult::new(identity.class_name, identity.name, outcome);
    result.external_id = Some(tag.clone());
    let duration = seconds(["time_elapsed", "time"]);
    result.duration_us = duration.and_then(duration_from_seconds);
    result.started_at = moment(["actual_time_start", "start"]);
    result.failure = reason.as_deref().filter(|_| outcome.is_failing()).and_then(failure_of);
    let odd = status_tag(&word).filter(|_| status.is_some());
    result.tags = odd.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let started_at = result.started_at;
    let is_kept = gathering.keep(result);

    let mut data = Vec::new();
    let mut tell = |category, name, value: Option<String>| {
        let value = value.filter(|value| !value.is_empty() && value != UNKNOWN);
        data.extend(value.map(|value| (category, name, kept(&value))));
    };
    tell("result", "status", Some(word));
    tell("result", "fail_reason", reason);
    tell("result", "whiteboard", given.text("whiteboard"));
    tell("result", "tags", given.get("tags").map(|tags| tags.get().to_owned()).filter(|tags| tags != "{}"));
    tell("result", "time_elapsed", duration.map(|duration| duration.to_string()));
    tell("result", "logdir", given.text("logdir"));
    tell("log_file_path", "debug.log", given.text("logfile"));
    let ended_at = moment(["actual_time_end", "end"]);
    is_kept.then_some(ReportedTest { tag, status, started_at, ended_at, data })
}

/// The first line is the reason, the whole text the detail.
fn failure_of(text: &str) -> Option<Failure> {
    let reason = first_line(text).map(str::to_owned);
    let expanded: Vec<String> = text.lines().map(str::to_owned).collect();
    let details =
        if expanded.len() > 1 { vec![FailureDetail { expanded, backtrace: Vec::new() }] } else { Vec::new() };
    failure(reason, details)
}

/// A text as it can be stored, without secrets.
fn kept(value: &str) -> String {
    let mut value = redaction::redact(&value.replace('\0', "\u{FFFD}"), &mut Found::default()).into_owned();
    cut_middle(&mut value, LONGEST_TEXT);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_test_tells_the_zone() {
        let first = Timestamp::parse_rfc3339("2026-11-20T11:33:01.5Z").unwrap();
        let begun = |start: &str| started_at(Some(start), first).to_rfc3339_millis();
        assert_eq!(begun("2026-11-20 11:32:59.500000"), "2026-11-20T11:32:59.500Z");
        assert_eq!(begun("2026-11-20 12:32:59.5"), "2026-11-20T11:32:59.500Z");
        assert_eq!(begun("2026-11-20 05:32:59.5"), "2026-11-20T11:32:59.500Z");
        assert_eq!(begun("2026-11-20 17:02:59.5"), "2026-11-20T11:32:59.500Z");
        assert_eq!(begun("long ago"), "2026-11-20T11:33:01.500Z");
        assert_eq!(started_at(None, first), first);
    }

    #[test]
    fn counts_tell_how_a_job_stands() {
        for (counts, status) in [
            (r#""total": 2, "pass": 2"#, JobStatus::Pass),
            (r#""total": 2, "failures": 1, "errors": 1"#, JobStatus::Fail),
            (r#""total": 2, "errors": 1"#, JobStatus::Error),
            (r#""total": 2, "interrupt": 1, "warn": 1"#, JobStatus::Error),
            (r#""total": 2, "warn": 1"#, JobStatus::Warn),
            (r#""total": 2, "skip": 1, "cancel": 1"#, JobStatus::TestNa),
        ] {
            let text = format!(r#"{{"job_id": "j", {counts}, "tests": []}}"#);
            let report = parse(text.as_bytes(), &Options::default()).unwrap();
            assert_eq!(report.job.unwrap().status, status, "{counts}");
        }
    }
}
