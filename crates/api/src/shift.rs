//! What tests take, what is usual, and what shifted. Durations and CPU time are in seconds, memory in MiB.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A lasting change of what a test takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shift {
    /// Id of the shift within its suite.
    pub id: String,
    /// Id of the test.
    pub test_id: String,
    /// Class name of the test.
    pub class_name: String,
    /// Name of the test.
    pub name: String,
    /// `duration`, `cpu` or `memory`.
    pub measure: String,
    /// Machines that are alike, as far as is known.
    pub host_class: String,
    /// Time of the results that confirmed it.
    pub at: String,
    /// Median before it.
    pub before: f64,
    /// The median before, moved by the shift.
    pub after: f64,
    /// The shift by Hodges and Lehmann as a share of what was before: .3 is 30 % more.
    pub shift: f64,
    /// Probability that chance makes the like.
    pub p: f64,
    /// Runs compared before it.
    pub runs_before: i64,
    /// Runs compared after it.
    pub runs_after: i64,
    /// At least 20 % of the tests of the host class shifted the same way in the same run: it is the machine's, not the test's.
    pub machine_wide: bool,
    /// The last run that is surely (99 %) before it; absent once the run is no longer kept, as are the others.
    pub last_before: Option<ShiftRun>,
    /// The run that most likely has it first.
    pub most_likely: Option<ShiftRun>,
    /// The first run that surely (99 %) has it.
    pub surely_by: Option<ShiftRun>,
}

/// A run at the edge of a shift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShiftRun {
    /// Id of the run.
    pub run_id: String,
    /// Its commit.
    pub commit_sha: Option<String>,
    /// The commit's place on the default branch, if it has one.
    pub position: Option<i64>,
}

/// What is usual for a test on one host class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceBaseline {
    /// `duration`, `cpu` or `memory`.
    pub measure: String,
    /// Machines that are alike, as far as is known.
    pub host_class: String,
    /// Median.
    pub median: f64,
    /// Median distance from the median.
    pub deviation: f64,
    /// Values since the last shift, or since the first.
    pub runs: u64,
}

/// What one execution took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceValue {
    /// Id of the run.
    pub run_id: String,
    /// Which attempt in its run, from 1.
    pub attempt: i64,
    /// When the run began.
    pub at: String,
    /// `default`, `merge_queue` or `pull_request`.
    pub branch_class: String,
    /// Commit of the run.
    pub commit_sha: Option<String>,
    /// How the execution ended.
    pub outcome: String,
    /// Machines that are alike, as far as is known.
    pub host_class: String,
    /// Wall seconds.
    pub duration: Option<f64>,
    /// CPU seconds of user and system.
    pub cpu: Option<f64>,
    /// MiB as reported.
    pub memory: Option<f64>,
    /// Memory is the peak that the whole process had reached; baselines count what a test added to it.
    pub memory_is_process_peak: bool,
}

/// What a test takes and took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestBaselines {
    /// Id of the test.
    pub test_id: String,
    /// What is usual, by measure and host class.
    pub baselines: Vec<ResourceBaseline>,
    /// What it took in the newest 400 runs of its suite, newest first.
    pub values: Vec<ResourceValue>,
    /// Its newest shifts, newest first, at most 50.
    pub shifts: Vec<Shift>,
}
