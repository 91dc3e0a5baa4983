//! Uploads.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One accepted request with results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// The run it belongs to.
    pub run_id: String,
    /// The protocol that brought it: `buildkite`, `aviator`, `monitor` or `avocado`.
    pub protocol: String,
    /// How the report was written, such as `junit`.
    pub format: String,
    /// When it arrived.
    pub received_at: String,
    /// When its results were made.
    pub results_at: String,
    /// The branch, as sent.
    pub branch: Option<String>,
    /// The commit.
    pub commit_sha: Option<String>,
    /// The CI job.
    pub job: Option<String>,
    /// The shard within the job.
    pub shard: Option<String>,
    /// Name and version of the client.
    pub collector: Option<String>,
    /// Tags of every execution in it.
    pub tags: BTreeMap<String, String>,
    /// What became of its results.
    pub counts: UploadCounts,
    /// What was mended or rejected and why, one sentence each; the first 200.
    pub problems: Vec<String>,
    /// Its page.
    pub web_url: String,
}

/// Results of an upload by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadCounts {
    /// Stored.
    pub accepted: i64,
    /// Mended and stored; these are among the accepted.
    pub repaired: i64,
    /// Not usable.
    pub rejected: i64,
    /// There already.
    pub duplicate: i64,
}
