//! Failures and what is to be thought of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A failing execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Id of the execution.
    pub id: String,
    /// Id of the test.
    pub test_id: String,
    /// Class name of the test.
    pub class_name: String,
    /// Name of the test.
    pub name: String,
    /// Which attempt in its run, from 1.
    pub attempt: i64,
    /// `failed` or `error`.
    pub outcome: String,
    /// When it ran.
    pub at: String,
    /// Where the test was then.
    pub location: Option<String>,
    /// What it said, in short.
    pub message: Option<String>,
    /// Equal for failures that say the same but for numbers, times and the like.
    pub signature: Option<String>,
    /// What is to be thought of it; absent for errors, which say nothing of the test.
    pub judgement: Option<Judgement>,
}

/// The causes of a failure; the three sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Judgement {
    /// Probability that the test fails now and then whatever the code.
    pub flake: f64,
    /// Probability that the code is broken.
    pub regression: f64,
    /// Probability that what the tests run on failed.
    pub incident: f64,
}
