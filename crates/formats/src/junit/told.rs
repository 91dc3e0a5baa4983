//! What our pytest plugin tells in the properties of a testcase: the outcomes of all attempts, where the file has room for one.

use super::case::{Case, Child};
use super::verdict::{failure, reason};
use crate::gathering::MOST_FAILURES;
use crate::lines;
use casebook_model::execution::Outcome;
use casebook_model::failure::{Failure, LONGEST_TEXT, cut_middle};
use casebook_model::report::{EarlierAttempt, ReportedResult};

/// The properties of a testcase that are ours.
#[derive(Default)]
pub(super) struct Told {
    /// The outcome of each attempt, in order.
    outcomes: Vec<Outcome>,
    /// What attempts said, by their number from 1.
    reasons: Vec<(usize, String)>,
    mode: Option<String>,
    verdict: Option<String>,
}

impl Told {
    /// Takes a property; says nothing of those of others.
    pub(super) fn take(&mut self, name: &str, value: &str) {
        match name.strip_prefix("casebook.") {
            Some("attempts") => self.outcomes = outcomes(value).unwrap_or_default(),
            Some("mode") => self.mode = Some(value.to_owned()),
            Some("verdict") => self.verdict = Some(value.to_owned()),
            Some(other) => {
                let number = other.strip_prefix("attempt.").and_then(|rest| rest.strip_suffix(".failure"));
                let number = number.and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                if let Some(number) = number.filter(|_| self.reasons.len() < MOST_FAILURES) {
                    let mut reason = value.to_owned();
                    cut_middle(&mut reason, LONGEST_TEXT);
                    self.reasons.push((number, reason));
                }
            }
            None => {}
        }
    }

    /// Whether it tells of attempts.
    pub(super) fn has_attempts(&self) -> bool {
        !self.outcomes.is_empty()
    }

    /// Adds what detection and people want to know of how the test was run.
    pub(super) fn add_tags(&mut self, result: &mut ReportedResult) {
        let tags = [("casebook.mode", self.mode.take()), ("casebook.verdict", self.verdict.take())];
        result.tags.extend(tags.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }

    /// Takes outcome and earlier attempts from here; the elements of the testcase give their texts. The file shows one attempt,
    /// whose time is taken for that of the last.
    pub(super) fn judge(&self, case: &Case, result: &mut ReportedResult) {
        let failed = self.outcomes.iter().filter(|outcome| outcome.is_failing()).count();
        let mut earlier: Vec<EarlierAttempt> = Vec::with_capacity(self.outcomes.len());
        let mut failed_before = 0;
        for (index, outcome) in self.outcomes.iter().enumerate() {
            let mut said = Failure::default();
            if outcome.is_failing() {
                failed_before += 1;
                said = self.said(case, index + 1, failed_before, failed_before == failed);
            }
            earlier.push(EarlierAttempt {
                outcome: *outcome,
                duration_us: None,
                started_at: None,
                failure: said,
            });
        }
        let Some(last) = earlier.pop() else { return };
        result.outcome = last.outcome;
        result.failure = if last.outcome == Outcome::Skipped {
            case.children.iter().find_map(|child| lines::failure(reason(child), Vec::new()))
        } else {
            Some(last.failure).filter(|failure| !failure.is_empty())
        };
        result.earlier = earlier;
    }

    /// What attempt `number` said, which was failure number `nth` and perhaps the last one. Its text is in the element for it:
    /// one of those for attempts before, in order, or the plain one, which shows the last failure.
    fn said(&self, case: &Case, number: usize, nth: usize, is_last: bool) -> Failure {
        let before: Vec<&Child> =
            case.children.iter().filter(|child| child.kind.is_flaky() || child.kind.is_rerun()).collect();
        let plain: Vec<&Child> = case.children.iter().filter(|child| child.kind.is_plain()).collect();
        let told = match before.get(nth - 1) {
            Some(child) => failure(&[*child]),
            None if is_last => failure(&plain),
            None => None,
        };
        let known = self.reasons.iter().find(|(of, _)| *of == number).map(|(_, reason)| reason.clone());
        told.or_else(|| lines::failure(known, Vec::new())).unwrap_or_default()
    }
}

/// The outcomes in `failed,passed`; none if there is a word that is no outcome, or there are too many.
fn outcomes(text: &str) -> Option<Vec<Outcome>> {
    let outcomes: Option<Vec<Outcome>> = text
        .split(',')
        .map(|word| match word.trim() {
            "passed" => Some(Outcome::Passed),
            "failed" => Some(Outcome::Failed),
            "skipped" => Some(Outcome::Skipped),
            _ => None,
        })
        .collect();
    outcomes.filter(|outcomes| outcomes.len() <= MOST_FAILURES)
}
