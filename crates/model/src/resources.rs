//! Resources: time and memory an attempt took.

/// What an attempt took, as far as it was measured. Doubles are kept bit for bit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Resources {
    /// Wall seconds.
    pub wall_seconds: Option<f64>,
    /// User CPU seconds.
    pub user_seconds: Option<f64>,
    /// System CPU seconds.
    pub system_seconds: Option<f64>,
    /// CPU share: (user + system) / wall; 1.0 is one core.
    pub cpu_share: Option<f64>,
    /// Peak memory in MiB.
    pub memory_mib: Option<f64>,
}
