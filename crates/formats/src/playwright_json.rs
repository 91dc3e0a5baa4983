//! Playwright's JSON reporter: one result per attempt, named as the collector names it.

use crate::gathering::Gathering;
use crate::json::{self, Object};
use crate::lines::{failure, first_line, without_colours};
use crate::{Malformed, Options, paths};
use casebook_model::execution::{Outcome, duration_from_seconds};
use casebook_model::failure::{Failure, FailureDetail};
use casebook_model::report::{Report, ReportedResult};
use casebook_model::time::Timestamp;

/// Deepest nesting of suites that is read.
const DEEPEST: usize = 64;

pub(crate) fn parse(bytes: &[u8], options: &Options) -> Result<Report, Malformed> {
    let text = json::characters(bytes)?;
    let document = json::document(text)?;
    let report = json::object(document).filter(|report| report.get("suites").is_some_and(json::is_array));
    let report = report.ok_or_else(|| {
        Malformed::WrongShape("a Playwright report is an object with an array `suites`".to_owned())
    })?;
    let mut reading = Reading {
        gathering: Gathering::new(options, json::may_hold_nul(text)),
        root: report.object("config").and_then(|config| config.text("rootDir")),
        options,
        titles: Vec::new(),
    };
    reading.read_suites(&report)?;
    for error in report.objects("errors") {
        let message = without_colours(&error.text("message").unwrap_or_default());
        let line = first_line(&message).unwrap_or("no message");
        reading.gathering.noticed(format!("an error occurred outside of tests: {line}"));
    }
    reading.gathering.finish()
}

struct Reading<'a> {
    gathering: Gathering,
    /// The directory that the report's files are relative to.
    root: Option<String>,
    options: &'a Options,
    /// Titles of the suites around the current one, the file's first.
    titles: Vec<String>,
}

/// What the attempts of one test have in common.
struct Test {
    scope: String,
    title: String,
    id: Option<String>,
    file: Option<String>,
    location: Option<String>,
    tags: Vec<(String, String)>,
    skip_reason: Option<String>,
}

impl Reading<'_> {
    fn read_suites(&mut self, parent: &Object<'_>) -> Result<(), Malformed> {
        if self.titles.len() >= DEEPEST {
            return Err(Malformed::WrongShape(format!("suites are nested deeper than {DEEPEST} levels")));
        }
        for suite in parent.objects("suites") {
            self.titles.push(suite.text("title").unwrap_or_default());
            for spec in suite.objects("specs") {
                for test in spec.objects("tests") {
                    self.read_test(&spec, &test);
                }
            }
            self.read_suites(&suite)?;
            self.titles.pop();
        }
        Ok(())
    }

    fn read_test(&mut self, spec: &Object<'_>, given: &Object<'_>) {
        let title = spec.text("title").unwrap_or_default();
        let file = spec.text("file").filter(|file| !file.is_empty()).map(|file| self.path(&file));
        let place = [spec.number("line"), spec.number("column")].into_iter().flatten();
        let location =
            file.as_ref().map(|file| place.fold(file.clone(), |text, part| format!("{text}:{part}")));
        let skipped = given
            .objects("annotations")
            .into_iter()
            .find(|note| note.text("type").is_some_and(|sort| matches!(sort.as_str(), "skip" | "fixme")));
        let test = Test {
            scope: self.scope(&given.text("projectName").unwrap_or_default(), &title),
            title,
            id: spec.text("id").filter(|id| !id.is_empty()),
            file,
            location,
            tags: tags(spec),
            skip_reason: skipped.and_then(|note| note.text("description")).filter(|text| !text.is_empty()),
        };
        for raw in given.array("results") {
            if self.gathering.next_record() {
                match json::object(raw) {
                    Some(attempt) => read_attempt(&test, &attempt, &mut self.gathering),
                    None => {
                        self.gathering
                            .reject(format!("a result must be an object, found {}", json::kind(raw)));
                    }
                }
            }
        }
    }

    /// The title path: nothing for the root, project, file, the describe blocks that have a title, the title itself.
    fn scope(&self, project: &str, title: &str) -> String {
        let described = self.titles.iter().skip(1).filter(|title| !title.is_empty());
        let file = self.titles.first().map(String::as_str).unwrap_or_default();
        let path = ["", project, file].into_iter().chain(described.map(String::as_str)).chain([title]);
        path.collect::<Vec<_>>().join(" ")
    }

    /// The file as the collector has it: relative to the working directory, not to the root of the tests.
    fn path(&self, file: &str) -> String {
        match (&self.root, self.options.working_directory.as_deref()) {
            (Some(root), Some(directory)) if !directory.is_empty() && !file.starts_with('/') => {
                paths::like_javascript(&paths::join(root, file), self.options)
            }
            _ => paths::like_javascript(file, self.options),
        }
    }
}

fn read_attempt(test: &Test, given: &Object<'_>, gathering: &mut Gathering) {
    if test.title.is_empty() {
        return gathering.reject("`title` must be a non-empty string");
    }
    let outcome = match given.text("status").as_deref() {
        Some("passed") => Outcome::Passed,
        Some("failed" | "timedOut") => Outcome::Failed,
        Some("skipped") => Outcome::Skipped,
        Some("interrupted") => Outcome::Unknown,
        _ => {
            gathering.repaired("`status` is none that is known, so the outcome is unknown");
            Outcome::Unknown
        }
    };
    let mut result = ReportedResult::new(test.scope.clone(), test.title.clone(), outcome);
    result.external_id.clone_from(&test.id);
    result.file.clone_from(&test.file);
    result.location.clone_from(&test.location);
    result.tags.clone_from(&test.tags);
    let duration = given.number("duration").map(|milliseconds| milliseconds / 1000.0);
    result.duration_us = duration.and_then(duration_from_seconds);
    result.started_at = given.text("startTime").and_then(|time| Timestamp::parse_rfc3339(&time).ok());
    result.failure = match outcome {
        Outcome::Skipped => failure(test.skip_reason.clone(), Vec::new()),
        _ => failure_of(given),
    };
    gathering.keep(result);
}

/// Tags `@key:value` are tags, others are not; the report has taken the `@` off.
fn tags(spec: &Object<'_>) -> Vec<(String, String)> {
    let split = |tag: String| {
        tag.trim_start_matches('@').split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    spec.texts("tags").into_iter().filter_map(split).collect()
}

/// One detail per error, with the code around it; the first line is the reason as well.
fn failure_of(attempt: &Object<'_>) -> Option<Failure> {
    // `error` is the first of `errors`, with its code apart, which is the form that the collector sends.
    let first = attempt.object("error");
    let others = attempt.objects("errors").into_iter().skip(usize::from(first.is_some()));
    let errors: Vec<Object<'_>> = first.into_iter().chain(others).collect();
    let details: Vec<FailureDetail> = errors.iter().map(detail).collect();
    let reason = details.first().and_then(|detail| detail.expanded.first().cloned());
    failure(reason, details)
}

fn detail(error: &Object<'_>) -> FailureDetail {
    let text = error.text("stack").or_else(|| error.text("message")).or_else(|| error.text("value"));
    let texts = [text.unwrap_or_default(), error.text("snippet").unwrap_or_default()];
    let lines =
        texts.iter().flat_map(|text| without_colours(text).lines().map(str::to_owned).collect::<Vec<_>>());
    FailureDetail { expanded: lines.collect(), backtrace: Vec::new() }
}
