//! Machines: where executions ran. pytest-monitor's execution context, Avocado's test environment.

/// A machine as its reporter described it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Machine {
    /// The reporter's key for it.
    pub key: String,
    /// Number of processors.
    pub cpu_count: Option<i64>,
    /// Processor frequency in MHz, kept in full.
    pub cpu_frequency_mhz: Option<f64>,
    /// Processor type.
    pub cpu_type: Option<String>,
    /// Processor vendor.
    pub cpu_vendor: Option<String>,
    /// Memory in MB.
    pub ram_mb: Option<i64>,
    /// Host name.
    pub node: Option<String>,
    /// Machine type, such as `x86_64`.
    pub machine_type: Option<String>,
    /// Architecture, such as `64bit`.
    pub architecture: Option<String>,
    /// Operating system.
    pub system: Option<String>,
    /// Language runtime.
    pub runtime: Option<String>,
}
