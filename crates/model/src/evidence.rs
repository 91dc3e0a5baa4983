//! Evidence that a test's outcome does not depend on the code, and the episodes it opens.

use crate::closed_set;
use crate::id::{RunId, TestId};
use crate::name::Commit;
use crate::time::Timestamp;

closed_set! {
    /// What was observed.
    EvidenceKind {
        /// Failed and passed inside one run and variant.
        Retry = 1, "retry";
        /// Failed and passed for one commit in different runs.
        CrossRun = 2, "cross_run";
        /// Failed and passed for one commit in different jobs whose variants are not known.
        CrossJob = 3, "cross_job";
        /// A lone failure on the default branch between clean runs.
        Isolated = 4, "isolated";
        /// A person said so.
        Manual = 5, "manual";
    }
}

/// One observation (test, commit, run). What Aviator's contract calls an occurrence.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The test.
    pub test: TestId,
    /// The run in which it was seen.
    pub run: RunId,
    /// The commit, if known.
    pub commit: Option<Commit>,
    /// What was observed.
    pub kind: EvidenceKind,
    /// Above 0, at most 1.
    pub weight: f64,
    /// When the result that completed it was made.
    pub at: Timestamp,
}

closed_set! {
    /// How an episode ended.
    EpisodeEnd {
        /// Long enough without evidence.
        Resolved = 1, "resolved";
        /// A person said it is not flaky.
        Dismissed = 2, "dismissed";
        /// It was never announced, and nothing more came.
        Lapsed = 3, "lapsed";
        /// It was announced, and then its evidence turned out to be an incident's.
        Retracted = 4, "retracted";
    }
}

/// From the first evidence until resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// The test.
    pub test: TestId,
    /// Counts the episodes of the test from 1.
    pub number: i64,
    /// Time of the evidence that opened it.
    pub opened_at: Timestamp,
    /// When the test was flagged, if it was.
    pub announced_at: Option<Timestamp>,
    /// Time of the latest evidence.
    pub last_evidence_at: Timestamp,
    /// When and how it ended, if it has.
    pub ended: Option<(Timestamp, EpisodeEnd)>,
}
