//! What clients are told to do with failing tests.

use crate::RerunPolicy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The policy of a suite, as test plugins read it before a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// Version of this form; clients leave other ones alone.
    pub version: u32,
    /// The suite it is of.
    pub suite: PolicySuite,
    /// Limits for the whole run.
    pub limits: PolicyLimits,
    /// Counts of tests that are not listed.
    pub defaults: RerunPolicy,
    /// What to do with tests the server does not know.
    pub new_tests: NewTests,
    /// How results may be sent.
    pub upload: UploadForm,
    /// Tests that are not treated like all others.
    pub tests: Vec<TestPolicy>,
}

/// The suite of a policy; each member is null if it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicySuite {
    /// The repository, as `owner/name`.
    pub repo: Option<String>,
    /// Name of the check on commits.
    pub check: Option<String>,
    /// Its page.
    pub url: Option<String>,
}

/// Limits for the whole run; a client may lower them, never raise them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyLimits {
    /// Attempts after the first, over all tests.
    pub max_reruns: u32,
    /// Seconds spent in them.
    pub max_seconds: u32,
}

/// What to do with tests the server does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewTests {
    /// Whether they are run several times.
    pub enabled: bool,
    /// Further runs of tests that took at most 5 s, 10 s, 30 s and 5 min.
    pub runs: [u32; 4],
    /// Where to find the known tests: a path below the address of this server, or null.
    pub known: Option<String>,
}

/// How results may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadForm {
    /// Bodies may be packed.
    pub gzip: bool,
}

/// How a test is treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestPolicy {
    /// Class name.
    pub class_name: String,
    /// Name.
    pub name: String,
    /// `rerun`, `quarantine` (it never blocks) or `disabled` (it is not run).
    pub mode: String,
    /// Runs at most, the first included.
    pub max_runs: i64,
    /// Passes that are needed.
    pub min_passes: i64,
    /// The day since when it is under suspicion, as `2026-03-02`.
    pub since: Option<String>,
    /// Why it is muted or skipped.
    pub reason: Option<String>,
    /// Its page.
    pub details_url: String,
}

/// Run counts that a person has set, or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetPolicy {
    /// The counts.
    pub policy: Option<RerunPolicy>,
}

/// What a person says of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// `flaky` or `not_flaky`.
    pub mark: String,
}
