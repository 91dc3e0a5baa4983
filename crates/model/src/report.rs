//! What a report says: results in order, and problems. Every format is read into this one shape.

use crate::avocado::ReportedJob;
use crate::execution::Outcome;
use crate::failure::Failure;
use crate::resources::Resources;
use crate::time::Timestamp;

/// Everything read from one report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The usable results, in the order of the report.
    pub results: Vec<ReportedResult>,
    /// What was repaired or rejected, in the order of the report.
    pub problems: Vec<Problem>,
    /// Results that could not be used; each has a problem that says why.
    pub rejected: usize,
    /// The report broke off; what had closed before was kept.
    pub truncated: bool,
    /// The job, in a report of Avocado's.
    pub job: Option<Box<ReportedJob>>,
}

impl Report {
    /// Results in the report, usable or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.results.len() + self.rejected
    }
}

/// One result as reported.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedResult {
    /// Its number in the report, from 1, rejected ones counted.
    pub record: usize,
    /// The id its reporter gave it, if any; see [`crate::public_id::parse_uuid`] for which ids can be repetitions.
    pub external_id: Option<String>,
    /// The group, byte by byte; empty when there is none.
    pub scope: String,
    /// The name, byte by byte; never empty.
    pub name: String,
    /// `file`, `file:line` or `file:line:column`, as sent.
    pub location: Option<String>,
    /// The file, as sent.
    pub file: Option<String>,
    /// The suites that it stands in, outermost first, without names that change with each run. An attribute, never identity.
    pub suite_path: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Reported as `pending`, which Buildkite's wire counts apart; the outcome is then skipped.
    pub pending: bool,
    /// Which of several different instances of the same name in one attempt, from 0.
    pub instance: u16,
    /// Wall time.
    pub duration_us: Option<i64>,
    /// When it started, if the report says so with a zone.
    pub started_at: Option<Timestamp>,
    /// What it said about its failure.
    pub failure: Option<Failure>,
    /// Earlier attempts told inside this result, in order (`flakyFailure`, `rerunFailure`).
    pub earlier: Vec<EarlierAttempt>,
    /// Spans as a JSON array in the report's own text, if there are any.
    pub spans: Option<String>,
    /// Tags as sent, unchecked, in order.
    pub tags: Vec<(String, String)>,
    /// What it took, if its reporter measured that.
    pub resources: Option<Resources>,
}

impl ReportedResult {
    /// A result with nothing but its identity and outcome.
    #[must_use]
    pub fn new(scope: impl Into<String>, name: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            record: 0,
            external_id: None,
            scope: scope.into(),
            name: name.into(),
            location: None,
            file: None,
            suite_path: Vec::new(),
            outcome,
            pending: false,
            instance: 0,
            duration_us: None,
            started_at: None,
            failure: None,
            earlier: Vec::new(),
            spans: None,
            tags: Vec::new(),
            resources: None,
        }
    }
}

/// An attempt before the reported one. It failed, else there would have been no other; unless the test had to pass several times.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierAttempt {
    /// How it ended.
    pub outcome: Outcome,
    /// Wall time.
    pub duration_us: Option<i64>,
    /// When it started, if known.
    pub started_at: Option<Timestamp>,
    /// What it said.
    pub failure: Failure,
}

/// One thing that was not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The record, counted from 1 in the report; none when it concerns the report as a whole.
    pub record: Option<usize>,
    /// Whether the record was rejected; else it was repaired and kept.
    pub rejected: bool,
    /// One sentence.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.record {
            Some(record) => write!(f, "result {record}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
