//! Reports of real tools, and one test per rule.

#![expect(clippy::unwrap_used, reason = "a test may stop where it fails, in its helpers as well")]

mod archive;
mod buildkite_json;
mod junit_producers;
mod junit_rules;
mod junit_samples;
mod junit_text;
mod native;
mod redaction;
mod robustness;
mod sniffing;

use casebook_formats::{Format, Malformed, Options, parse};
use casebook_model::failure::Failure;
use casebook_model::report::{Report, ReportedResult};

/// Reads a report of a format without options, which must succeed.
fn read(format: Format, text: &str) -> Report {
    parse(format, text.as_bytes(), &Options::default()).unwrap()
}

/// Reads a report of a format, which must be refused.
fn refused(format: Format, text: &str) -> Malformed {
    parse(format, text.as_bytes(), &Options::default()).unwrap_err()
}

/// The problems as sentences.
fn problems(report: &Report) -> Vec<String> {
    report.problems.iter().map(ToString::to_string).collect()
}

/// One line per result: outcome, scope, name, seconds, place, failure, earlier attempts.
fn table(report: &Report) -> Vec<String> {
    report.results.iter().map(line).collect()
}

fn line(result: &ReportedResult) -> String {
    let mut line = format!("{}{}", result.outcome, if result.pending { " (pending)" } else { "" });
    line += &format!(" | {} | {}", result.scope, result.name);
    if result.instance > 0 {
        line += &format!(" #{}", result.instance);
    }
    line += &format!(" | {}", seconds(result.duration_us));
    line += &format!(" | {}", result.location.as_deref().or(result.file.as_deref()).unwrap_or("-"));
    if let Some(failure) = &result.failure {
        line += &format!(" | {}", said(failure));
    }
    for attempt in &result.earlier {
        line += &format!(
            " | before: {} {} {}",
            attempt.outcome,
            seconds(attempt.duration_us),
            said(&attempt.failure)
        );
    }
    line
}

fn seconds(duration_us: Option<i64>) -> String {
    duration_us.map_or("-".to_owned(), |us| format!("{}", us as f64 / 1e6))
}

/// First line of the reason, and the number of lines of each detail.
fn said(failure: &Failure) -> String {
    let reason =
        failure.reason.as_deref().map(|reason| reason.lines().find(|line| !line.is_empty()).unwrap_or(""));
    let lines: Vec<String> = failure
        .details
        .iter()
        .map(|detail| match detail.backtrace.len() {
            0 => detail.expanded.len().to_string(),
            frames => format!("{}+{frames}", detail.expanded.len()),
        })
        .collect();
    format!("{} [{}]", reason.unwrap_or("-"), lines.join(" "))
}
