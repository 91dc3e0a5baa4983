//! Executions and what they took.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One attempt of a test in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Execution {
    /// Id of the execution.
    pub id: String,
    /// Id of the run.
    pub run_id: String,
    /// Key of the run: of pytest-monitor's, the session.
    pub run_key: String,
    /// Number of the run's build, if known.
    pub number: Option<String>,
    /// Commit of the run, if known.
    pub commit_sha: Option<String>,
    /// Which attempt in its run, from 1.
    pub attempt: i64,
    /// `passed`, `failed`, `error`, `skipped` or `unknown`.
    pub outcome: String,
    /// Whether it comes from a resource metric, which only passing tests leave: it takes no part in rates.
    pub from_metric: bool,
    /// When it ran.
    pub at: String,
    /// Seconds it took, as its report says.
    pub duration: Option<f64>,
    /// What it took; absent if nobody measured that.
    pub resources: Option<Resources>,
}

/// Time and memory an attempt took, as far as it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Resources {
    /// Wall seconds.
    pub wall_seconds: Option<f64>,
    /// Seconds of processors in the test's own code.
    pub user_seconds: Option<f64>,
    /// Seconds of processors in the system.
    pub system_seconds: Option<f64>,
    /// Both over wall seconds; 1 is one processor.
    pub cpu_share: Option<f64>,
    /// Peak memory in MiB; of pytest-monitor's metrics, what the process had reached above its beginning.
    pub memory_mib: Option<f64>,
}
