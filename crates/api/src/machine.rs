//! Machines.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where executions ran, as a protocol describes it: pytest-monitor's execution context, Avocado's test environment. What it
/// does not tell is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    /// Id of the machine.
    pub id: String,
    /// `monitor` or `avocado`.
    pub protocol: String,
    /// The key by which the protocol names it.
    pub key: String,
    /// Number of processors.
    pub cpu_count: Option<i64>,
    /// Frequency of the processors in MHz.
    pub cpu_frequency_mhz: Option<f64>,
    /// Type of the processors.
    pub cpu_type: Option<String>,
    /// Vendor of the processors.
    pub cpu_vendor: Option<String>,
    /// Memory in MB.
    pub ram_mb: Option<i64>,
    /// Host name.
    pub node: Option<String>,
    /// Machine type, such as `x86_64`.
    pub machine_type: Option<String>,
    /// Architecture, such as `64bit`.
    pub architecture: Option<String>,
    /// Operating system, or Linux distribution with its version.
    pub system: Option<String>,
    /// Version of the language runtime.
    pub runtime: Option<String>,
}
