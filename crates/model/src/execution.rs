//! Executions: one attempt of one test in one run.

use crate::closed_set;
use crate::id::{ExecutionId, UploadId, VariantId};

closed_set! {
    /// How an attempt ended. Passed is 0 because most do, and SQLite stores a 0 in no space.
    Outcome {
        /// It passed.
        Passed = 0, "passed";
        /// It failed, also in its own setup or teardown.
        Failed = 1, "failed";
        /// It never got to judge: collection error, crashed worker, lost machine. "Failed" on every wire.
        Error = 2, "error";
        /// It was not run, or gave up on purpose.
        Skipped = 3, "skipped";
        /// The report does not say.
        Unknown = 4, "unknown";
    }
}

impl Outcome {
    /// Whether every wire calls it failed.
    #[must_use]
    pub const fn is_failing(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// Facts about an execution that are true or false.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ExecutionFlags(i64);

impl ExecutionFlags {
    /// Reported as `pending` (JavaScript, minitest): counted apart on Buildkite's wire, skipped everywhere else.
    pub const PENDING: Self = Self(1);
    /// Derived from a resource metric, which only passing tests leave: shown, but left out of rates and evidence.
    pub const MEASURED: Self = Self(2);
    /// An earlier attempt told only inside the final one's report (`flakyFailure`, `rerunFailure`).
    pub const EARLIER: Self = Self(4);
    /// Its commit promises to repair the test: the client ran it to show that (attempt to fix).
    pub const REPAIR: Self = Self(8);

    /// The flags as stored.
    #[must_use]
    pub const fn bits(self) -> i64 {
        self.0
    }

    /// The flags stored as `bits`.
    #[must_use]
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and `other`'s.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// An execution as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Run, test and attempt.
    pub id: ExecutionId,
    /// The upload that brought it: its time, branch, commit and job.
    pub upload: UploadId,
    /// The environment.
    pub variant: VariantId,
    /// Which of several different instances of the same name in one attempt, from 0.
    pub instance: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// What else is true of it.
    pub flags: ExecutionFlags,
    /// Milliseconds between the upload's time and its own.
    pub offset_ms: i64,
    /// Wall time.
    pub duration_us: Option<i64>,
    /// Hash of the id its reporter gave it, to recognise a repetition.
    pub external_hash: Option<i64>,
}

/// Seconds as reported, in microseconds; none for what is no duration (negative, not finite).
#[must_use]
pub fn duration_from_seconds(seconds: f64) -> Option<i64> {
    (seconds.is_finite() && (0.0..=1e11).contains(&seconds)).then(|| (seconds * 1e6).round() as i64)
}

/// Microseconds as seconds, for every wire that counts in them.
#[must_use]
pub fn seconds_from_us(microseconds: i64) -> f64 {
    microseconds as f64 / 1e6
}
