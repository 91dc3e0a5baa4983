//! From a testcase to a result: what it ended with, and the attempts before.

use super::case::{Case, Child};
use crate::lines::{self, first_line, lines_of};
use casebook_model::execution::Outcome;
use casebook_model::failure::{Failure, FailureDetail};
use casebook_model::report::{EarlierAttempt, ReportedResult};

/// The result of a testcase; `suite_file` is the file if it names none itself.
pub(super) fn conclude(mut case: Case, suite_file: Option<&String>) -> ReportedResult {
    let (scope, name) = (case.scope.take().unwrap_or_default(), case.name.take().unwrap_or_default());
    let mut result = ReportedResult::new(scope, name, Outcome::Passed);
    result.file = case.file.take().or_else(|| suite_file.cloned());
    result.location = result.file.as_deref().map(|file| match case.line.as_deref() {
        Some(line) => [file, ":", line].concat(),
        None => file.to_owned(),
    });
    result.duration_us = case.time.duration_us();
    result.started_at = case.started_at;
    let mut told = std::mem::take(&mut case.told);
    told.add_tags(&mut result);
    if told.has_attempts() {
        told.judge(&case, &mut result);
    } else if case.children.is_empty() {
        result.outcome = stated(&case);
    } else {
        judge(&case, &mut result);
    }
    result
}

/// Takes outcome, failure and earlier attempts from the elements of a testcase that has some.
fn judge(case: &Case, result: &mut ReportedResult) {
    let (scope, name) = (result.scope.clone(), result.name.clone());
    let identity = Identity { scope: &scope, name: &name };
    let flaky = case.children.iter().filter(|child| child.kind.is_flaky());
    result.earlier = flaky.map(|child| identity.earlier(&[child])).collect();
    let plain: Vec<&Child> = case.children.iter().filter(|child| child.kind.is_plain()).collect();
    let reruns: Vec<&Child> = case.children.iter().filter(|child| child.kind.is_rerun()).collect();
    if let Some((last, before)) = reruns.split_last() {
        failed_again(result, identity, &plain, before, last);
    } else if !plain.is_empty() {
        result.outcome = identity.outcome(&plain);
        result.failure = failure(&plain);
    } else if let Some(skipped) = case.children.iter().find(|child| !child.kind.is_flaky()) {
        result.outcome = Outcome::Skipped;
        result.failure = lines::failure(reason(skipped), Vec::new());
    }
}

/// A testcase that failed, was run again, and failed again: the last rerun is the result.
fn failed_again(
    result: &mut ReportedResult,
    identity: Identity<'_>,
    first: &[&Child],
    before: &[&Child],
    last: &Child,
) {
    if !first.is_empty() {
        let mut attempt = identity.earlier(first);
        // A time on the rerun means that the one on the testcase belongs to the first attempt.
        if last.duration_us.is_some() {
            attempt.duration_us = result.duration_us.take();
        }
        if last.started_at.is_some() {
            attempt.started_at = result.started_at.take();
        }
        result.earlier.push(attempt);
    }
    result.earlier.extend(before.iter().map(|child| identity.earlier(&[child])));
    result.outcome = identity.outcome(&[last]);
    result.failure = failure(&[last]);
    result.duration_us = last.duration_us.or(result.duration_us);
    result.started_at = last.started_at.or(result.started_at);
}

/// Whose outcome it is.
#[derive(Clone, Copy)]
struct Identity<'a> {
    scope: &'a str,
    name: &'a str,
}

impl Identity<'_> {
    fn earlier(self, children: &[&Child]) -> EarlierAttempt {
        EarlierAttempt {
            outcome: self.outcome(children),
            duration_us: children.first().and_then(|child| child.duration_us),
            started_at: children.first().and_then(|child| child.started_at),
            failure: failure(children).unwrap_or_default(),
        }
    }

    fn outcome(self, children: &[&Child]) -> Outcome {
        if children.iter().all(|child| self.never_judged(child)) { Outcome::Error } else { Outcome::Failed }
    }

    /// Whether the test never got to judge. An exception in the test, its setup or its teardown is a failure of it;
    /// what remains is what producers report in place of tests: see `docs/formats.md`, "Failed or error".
    fn never_judged(self, child: &Child) -> bool {
        let message = child.message.as_deref().unwrap_or_default();
        let has = |text: &str| message.contains(text) || child.text.contains(text);
        if matches!(self.name, "[build failed]" | "[setup failed]")
            || (self.name == "TestMain" && (has("[build failed]") || has("[setup failed]")))
        {
            return true;
        }
        if !child.kind.is_error() {
            return false;
        }
        if message.contains("crashed while running") {
            return true;
        }
        if message.starts_with("failed on setup") || message.starts_with("failed on teardown") {
            return false;
        }
        self.scope.is_empty()
            || self.name == "initializationError"
            || message.starts_with("collection failure")
            || message.starts_with("exited with error code")
            || child.sort.as_deref() == Some("execution failure")
            || [self.scope, self.name].iter().any(|text| text.contains("Test suite failed to run"))
            || has("Test suite failed to run")
            || has("The forked VM terminated")
    }
}

/// What the attributes say, which counts only where no element does.
fn stated(case: &Case) -> Outcome {
    let says = |words: &[&str]| {
        [&case.status, &case.result].into_iter().flatten().any(|given| {
            let given = given.trim();
            words.iter().any(|word| given.eq_ignore_ascii_case(word))
        })
    };
    if says(&["fail", "failed", "failure", "error", "errored"]) {
        Outcome::Failed
    } else if says(&["notrun", "suppressed", "disabled", "skipped", "skip", "ignored"]) {
        Outcome::Skipped
    } else {
        Outcome::Passed
    }
}

pub(super) fn failure(children: &[&Child]) -> Option<Failure> {
    let reason = children.first().and_then(|child| reason(child));
    let details = children.iter().enumerate().filter_map(|(index, child)| {
        let mut expanded = lines_of(&child.text);
        if expanded.is_empty() && index > 0 {
            expanded = lines_of(child.message.as_deref().unwrap_or_default());
        }
        (!expanded.is_empty()).then_some(FailureDetail { expanded, backtrace: Vec::new() })
    });
    lines::failure(reason, details.collect())
}

/// The message, else the first line of the text.
pub(super) fn reason(child: &Child) -> Option<String> {
    child.message.clone().and_then(lines::not_blank).or_else(|| first_line(&child.text).map(str::to_owned))
}
