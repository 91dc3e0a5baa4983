//! What tests take of time and memory.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What one attempt of a test took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Measurement {
    /// The run.
    pub run_id: String,
    /// Key of the run: of pytest-monitor's, the session.
    pub run_key: String,
    /// Number of the build, if known.
    pub number: Option<String>,
    /// The commit, if known.
    pub commit_sha: Option<String>,
    /// When the run began.
    pub run_started_at: String,
    /// Which attempt of the test in the run, counted from 1.
    pub attempt: i64,
    /// Wall seconds.
    pub wall_seconds: Option<f64>,
    /// User CPU seconds.
    pub user_seconds: Option<f64>,
    /// System CPU seconds.
    pub system_seconds: Option<f64>,
    /// CPU seconds in a wall second: 1.0 is one core.
    pub cpu_share: Option<f64>,
    /// Memory in MiB, above what the process had before; may be negative.
    pub memory_mib: Option<f64>,
}
