//! Runs: one execution of a suite, found by (suite, protocol, key), which may grow by several uploads.

use crate::branch::BranchClass;
use crate::closed_set;
use crate::execution::Outcome;
use crate::id::{RunId, SuiteId};
use crate::key::{Key, key_of};
use crate::name::{Branch, Commit};
use crate::time::{DAY_US, Timestamp};

closed_set! {
    /// The protocol through which something came. Keys of runs and spellings of tests belong to one.
    Protocol {
        /// Buildkite Test Analytics, and our own uploads, which use its form.
        Buildkite = 1, "buildkite";
        /// Aviator FlakyBot.
        Aviator = 2, "aviator";
        /// pytest-monitor's monitor-server.
        Monitor = 3, "monitor";
        /// Avocado Server.
        Avocado = 4, "avocado";
    }
}

impl Protocol {
    /// The key under which a run of this protocol is found in its suite.
    #[must_use]
    pub fn run_key(self, key: &str) -> Key {
        key_of(&[self.as_str(), key])
    }
}

closed_set! {
    /// What a run says so far.
    RunResult {
        /// No passed or failed execution yet.
        Pending = 1, "pending";
        /// At least one passed, none failed.
        Passed = 2, "passed";
        /// At least one execution failed, whatever a retry said later.
        Failed = 3, "failed";
        /// Still pending, and nothing arrived for 24 hours.
        Stale = 4, "stale";
    }
}

/// How long a pending run waits before it is stale (`buildkite.md` 4.5).
pub const STALE_AFTER_US: i64 = DAY_US;

/// What the first upload that knows it says about a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunAttributes {
    /// The branch as sent.
    pub branch: Option<Branch>,
    /// The commit.
    pub commit: Option<Commit>,
    /// Commit or build message.
    pub message: Option<String>,
    /// Address of the build.
    pub url: Option<String>,
    /// Number of the build, as text.
    pub number: Option<String>,
    /// The CI provider's word.
    pub provider: Option<String>,
}

impl RunAttributes {
    /// Takes from `later` what is not known yet (`buildkite.md` 4.5).
    pub fn fill_from(&mut self, later: &Self) {
        fn fill<T: Clone>(mine: &mut Option<T>, theirs: &Option<T>) {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
        fill(&mut self.branch, &later.branch);
        fill(&mut self.commit, &later.commit);
        fill(&mut self.message, &later.message);
        fill(&mut self.url, &later.url);
        fill(&mut self.number, &later.number);
        fill(&mut self.provider, &later.provider);
    }
}

/// Counts of executions by outcome; errors count as failed on every wire, but are kept apart here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// Passed.
    pub passed: i64,
    /// Failed.
    pub failed: i64,
    /// Error: collection, crash, lost worker.
    pub error: i64,
    /// Skipped.
    pub skipped: i64,
    /// No outcome reported.
    pub unknown: i64,
}

impl OutcomeCounts {
    /// Counts one more execution.
    pub fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Failed => &mut self.failed,
            Outcome::Error => &mut self.error,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Unknown => &mut self.unknown,
        } += 1;
    }

    /// All executions.
    #[must_use]
    pub const fn total(&self) -> i64 {
        self.passed + self.failed + self.error + self.skipped + self.unknown
    }

    /// Executions that every wire calls failed.
    #[must_use]
    pub const fn failing(&self) -> i64 {
        self.failed + self.error
    }
}

/// Counts of tests (per variant) by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// Passed.
    pub passed: i64,
    /// Failed in every attempt.
    pub failed: i64,
    /// Both.
    pub flaky: i64,
    /// Skipped.
    pub skipped: i64,
    /// Neither.
    pub unknown: i64,
}

/// A run as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The suite.
    pub suite: SuiteId,
    /// Its number in the suite.
    pub id: RunId,
    /// The protocol whose key names it.
    pub protocol: Protocol,
    /// The key.
    pub key: String,
    /// What its uploads said about it.
    pub attributes: RunAttributes,
    /// Class of its branch at first arrival.
    pub branch_class: BranchClass,
    /// Time of its first results: as reported if in the past, else receipt.
    pub started_at: Timestamp,
    /// When its latest upload arrived.
    pub updated_at: Timestamp,
    /// Number of accepted uploads.
    pub uploads: i64,
    /// Executions by outcome.
    pub outcomes: OutcomeCounts,
    /// Tests and variants by verdict.
    pub verdicts: VerdictCounts,
    /// Sum of the durations of its executions.
    pub duration_us: i64,
}

impl Run {
    /// The result as of `now`.
    #[must_use]
    pub fn result(&self, now: Timestamp) -> RunResult {
        if self.outcomes.failing() > 0 {
            RunResult::Failed
        } else if self.outcomes.passed > 0 {
            RunResult::Passed
        } else if now.as_microseconds() - self.updated_at.as_microseconds() >= STALE_AFTER_US {
            RunResult::Stale
        } else {
            RunResult::Pending
        }
    }
}
