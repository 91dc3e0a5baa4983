//! Events of `go test -json` or `gotestsum --jsonfile`, one per line: one result per test that ended.

use crate::gathering::Gathering;
use crate::json::{self, Object};
use crate::lines::{failure, lines_of};
use crate::{Malformed, Options};
use casebook_model::execution::{Outcome, duration_from_seconds};
use casebook_model::failure::{Failure, FailureDetail};
use casebook_model::report::{Report, ReportedResult};
use casebook_model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn parse(bytes: &[u8], options: &Options) -> Result<Report, Malformed> {
    let text = json::characters(bytes)?;
    let mut reading = Reading {
        gathering: Gathering::new(options, json::may_hold_nul(text)),
        running: BTreeMap::new(),
        failed: BTreeSet::new(),
    };
    let (mut events, mut strange) = (0, None);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    for (index, line) in lines {
        match event(line) {
            Ok(event) => {
                events += 1;
                reading.take(&event);
            }
            Err(flaw) => {
                let sentence = format!("line {}: {}", index + 1, flaw.sentence);
                // A last line that breaks off was still being written.
                if flaw.breaks_off && text.ends_with(line) && events > 0 {
                    if !options.allow_truncated {
                        return Err(Malformed::NotJson(sentence));
                    }
                    reading.gathering.truncated(format!("the report breaks off in {sentence}"));
                } else {
                    strange.get_or_insert((sentence, 0)).1 += 1;
                }
            }
        }
    }
    match strange {
        Some((first, _)) if events == 0 => return Err(Malformed::NotJson(first)),
        Some((first, count)) => {
            reading.gathering.noticed(format!("lines that are no events: {count}, the first is {first}"));
        }
        None if events == 0 => return Err(Malformed::NotJson("it holds no event".to_owned())),
        None => {}
    }
    reading.finish()
}

/// Why a line is no event.
struct Flaw {
    sentence: String,
    breaks_off: bool,
}

fn event(line: &str) -> Result<Object<'_>, Flaw> {
    let raw = serde_json::from_str(line).map_err(|error: serde_json::Error| Flaw {
        sentence: error.to_string(),
        breaks_off: error.is_eof(),
    })?;
    let event = json::object(raw).filter(|event| event.get("Action").is_some_and(json::is_string));
    event.ok_or_else(|| Flaw {
        sentence: "it is no object with a string `Action`".to_owned(),
        breaks_off: false,
    })
}

/// A package and a test in it.
type Name = (String, String);

struct Reading {
    gathering: Gathering,
    running: BTreeMap<Name, Running>,
    /// Packages in which a test has failed.
    failed: BTreeSet<String>,
}

/// A test that has not ended yet.
#[derive(Default)]
struct Running {
    started_at: Option<Timestamp>,
    output: String,
}

impl Reading {
    fn take(&mut self, event: &Object<'_>) {
        let action = event.text("Action").unwrap_or_default();
        let package = event.text("Package").unwrap_or_default();
        let Some(test) = event.text("Test").filter(|test| !test.is_empty()) else {
            if action == "fail" && !self.failed.contains(&package) {
                self.gathering.noticed(format!("package {package} failed without a test that did"));
            }
            return;
        };
        let name = (package, test);
        let outcome = match action.as_str() {
            "pass" => Outcome::Passed,
            "fail" => Outcome::Failed,
            "skip" => Outcome::Skipped,
            "run" => {
                let time = event.text("Time").and_then(|time| Timestamp::parse_rfc3339(&time).ok());
                self.running.entry(name).or_default().started_at = time;
                return;
            }
            "output" => {
                let output = event.text("Output").unwrap_or_default();
                self.running.entry(name).or_default().output.push_str(&output);
                return;
            }
            // A benchmark ends with this, and is no test.
            "bench" => {
                self.running.remove(&name);
                return;
            }
            _ => return,
        };
        self.end(name, outcome, event.number("Elapsed"));
    }

    fn end(&mut self, name: Name, outcome: Outcome, elapsed: Option<f64>) {
        let Running { started_at, output } = self.running.remove(&name).unwrap_or_default();
        let (package, test) = name;
        if outcome == Outcome::Failed {
            self.failed.insert(package.clone());
        }
        if !self.gathering.next_record() {
            return;
        }
        let mut result = ReportedResult::new(package, test, outcome);
        result.started_at = started_at;
        result.duration_us = elapsed.and_then(duration_from_seconds);
        result.failure = said(outcome, &output);
        self.gathering.keep(result);
    }

    fn finish(mut self) -> Result<Report, Malformed> {
        let started = self.running.iter().filter(|(_, test)| test.started_at.is_some());
        let mut names = started.map(|((package, test), _)| format!("{package} {test}"));
        if let Some(first) = names.next() {
            let count = 1 + names.count();
            self.gathering
                .noticed(format!("tests that started and never ended: {count}, the first is {first}"));
        }
        self.gathering.finish()
    }
}

/// What a test that failed or was skipped has written.
fn said(outcome: Outcome, output: &str) -> Option<Failure> {
    if outcome == Outcome::Passed {
        return None;
    }
    // Lines of the test runner itself do not say why; the one on the end is better than none.
    let lines = || output.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("=== "));
    let ended = |line: &&str| line.starts_with("--- ");
    let reason = lines().find(|line| !ended(line)).or_else(|| lines().find(ended)).map(str::to_owned);
    let expanded = if outcome == Outcome::Failed { lines_of(output) } else { Vec::new() };
    failure(reason, vec![FailureDetail { expanded, backtrace: Vec::new() }])
}
