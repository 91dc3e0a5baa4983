//! Tests and what the detector says of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A test and its health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Test {
    /// Its id.
    pub id: String,
    /// Class name: the same for every protocol.
    pub class_name: String,
    /// Name.
    pub name: String,
    /// Where it was last: `file`, `file:line` or `file:line:column`.
    pub location: Option<String>,
    /// The suites of its report that it is in, with ` > ` between them.
    pub suite_path: Option<String>,
    /// Labels by name.
    pub labels: Vec<String>,
    /// `new`, `healthy`, `suspect`, `flaky`, `dormant`, `broken` or `resolved`.
    pub health: String,
    /// Since when; absent for tests that never failed.
    pub health_since: Option<String>,
    /// The estimated probability that it fails on good code; absent for tests that never failed.
    pub failure_probability: Option<f64>,
}

/// All that is known of a test's health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestDetail {
    /// The test.
    #[serde(flatten)]
    pub test: Test,
    /// Why it has this health, in sentences; empty for tests that never failed.
    pub explanation: Vec<String>,
    /// The 90 % interval of the failure probability.
    pub failure_interval: Option<[f64; 2]>,
    /// Passes since the last evidence.
    pub clean: Option<u64>,
    /// Confidence, from those passes, that the test is repaired.
    pub confidence: Option<f64>,
    /// When the episode ends if nothing more happens.
    pub ends_at: Option<String>,
    /// How often to run it when it fails; absent if it should not be run again, or never failed.
    pub rerun_policy: Option<RerunPolicy>,
    /// Evidence that its outcome does not depend on the code, newest first; the last 50.
    pub evidence: Vec<Evidence>,
    /// Its episodes, newest first.
    pub episodes: Vec<Episode>,
    /// Changes of its health, newest first; the last 50.
    pub changes: Vec<HealthChange>,
}

/// How often to run a test when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerunPolicy {
    /// Runs at most, the first included.
    pub max_runs: u32,
    /// Passes after the first failure that are enough.
    pub min_passes: u32,
}

/// An observation that a test's outcome does not depend on the code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// The run whose failure it was; absent if a person said so.
    pub run_id: Option<String>,
    /// `retry`, `cross_run`, `cross_job`, `isolated` or `manual`.
    pub kind: String,
    /// When.
    pub at: String,
    /// The commit, if known.
    pub commit_sha: Option<String>,
    /// Above 0, at most 1.
    pub weight: f64,
}

/// From the first evidence until resolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Episode {
    /// Counts the episodes of the test from 1.
    pub number: i64,
    /// Time of the evidence that opened it.
    pub opened_at: String,
    /// When the test was flagged; absent if it was not.
    pub announced_at: Option<String>,
    /// Time of the latest evidence.
    pub last_evidence_at: String,
    /// When it ended; absent while it goes on.
    pub ended_at: Option<String>,
    /// `resolved`, `dismissed`, `lapsed` or `retracted`.
    pub ended_by: Option<String>,
}

/// A change of health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthChange {
    /// When.
    pub at: String,
    /// Health before.
    pub from: String,
    /// Health from then on.
    pub to: String,
}
