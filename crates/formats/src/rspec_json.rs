//! RSpec's JSON formatter: one result per example, named as the collector names it.

use crate::gathering::Gathering;
use crate::json::{self, Object};
use crate::lines::{self, first_line, lines_of, without_colours};
use crate::{Malformed, Options, instances, paths};
use casebook_model::execution::{Outcome, duration_from_seconds};
use casebook_model::failure::{Failure, FailureDetail};
use casebook_model::report::{Report, ReportedResult};

pub(crate) fn parse(bytes: &[u8], options: &Options) -> Result<Report, Malformed> {
    let text = json::characters(bytes)?;
    let document = json::document(text)?;
    let report = json::object(document).filter(|report| report.get("examples").is_some_and(json::is_array));
    let report = report.ok_or_else(|| {
        Malformed::WrongShape("an RSpec report is an object with an array `examples`".to_owned())
    })?;
    let mut gathering = Gathering::new(options, json::may_hold_nul(text));
    for raw in report.array("examples") {
        if gathering.next_record() {
            match json::object(raw) {
                Some(example) => read_example(&example, options, &mut gathering),
                None => gathering.reject(format!("an example must be an object, found {}", json::kind(raw))),
            }
        }
    }
    let summary = report.object("summary");
    let outside = summary.and_then(|summary| summary.number("errors_outside_of_examples_count"));
    if let Some(count) = outside.filter(|count| *count > 0.0) {
        gathering.noticed(format!("errors outside of examples: {count}"));
    }
    instances::number(gathering.results());
    gathering.finish()
}

fn read_example(given: &Object<'_>, options: &Options, gathering: &mut Gathering) {
    let Some(description) = given.text("description").filter(|text| !text.is_empty()) else {
        return gathering.reject("`description` must be a non-empty string");
    };
    let full = given.text("full_description").unwrap_or_default();
    let outcome = match given.text("status").as_deref() {
        Some("passed") => Outcome::Passed,
        Some("failed") => Outcome::Failed,
        Some("pending") => Outcome::Skipped,
        _ => {
            gathering.repaired("`status` is none that is known, so the outcome is unknown");
            Outcome::Unknown
        }
    };
    let mut result = ReportedResult::new(group(&full, &description), description, outcome);
    let written_in = given.text("file_path").filter(|path| !path.is_empty());
    let line = given.number("line_number");
    result.location = written_in.as_deref().map(|path| {
        let path = paths::like_ruby(path, options);
        line.map_or(path.clone(), |line| format!("{path}:{line}"))
    });
    // A shared example is written in one file and run from another, which only its id names.
    let id = given.text("id").unwrap_or_default();
    let run_from = id.split_once('[').map(|(path, _)| path.to_owned()).filter(|path| !path.is_empty());
    result.file = run_from.or(written_in).map(|path| paths::like_ruby(&path, options));
    result.duration_us = given.number("run_time").and_then(duration_from_seconds);
    result.failure = match given.object("exception") {
        Some(exception) => failure_of(&exception),
        None => lines::failure(given.text("pending_message").and_then(lines::not_blank), Vec::new()),
    };
    gathering.keep(result);
}

/// The description of the group: the full one without the example's own and the blank between them.
fn group(full: &str, description: &str) -> String {
    let group = full.strip_suffix(description).unwrap_or(full);
    group.strip_suffix(' ').unwrap_or(group).to_owned()
}

fn failure_of(exception: &Object<'_>) -> Option<Failure> {
    let message = without_colours(&exception.text("message").unwrap_or_default());
    let reason = first_line(&message).map(str::to_owned).or_else(|| exception.text("class"));
    let detail = FailureDetail { expanded: lines_of(&message), backtrace: exception.texts("backtrace") };
    lines::failure(reason, vec![detail])
}
