//! Dispositions: what the team has decided about a test, whatever its health.

use crate::closed_set;
use crate::time::Timestamp;

closed_set! {
    /// Whether and how a test may block.
    Disposition {
        /// It runs and blocks. Buildkite: enabled.
        Active = 1, "active";
        /// It runs and never blocks.
        Muted = 2, "muted";
        /// It is not run.
        Skipped = 3, "skipped";
    }
}

/// A decision about one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispositionDecision {
    /// What was decided.
    pub disposition: Disposition,
    /// Who is to mend it.
    pub owner: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub decided_at: Timestamp,
}
