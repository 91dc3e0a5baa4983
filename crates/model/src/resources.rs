//! Resources: time and memory an attempt took.

use crate::closed_set;

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

closed_set! {
    /// What of an execution is compared over time.
    Measure {
        /// Wall seconds.
        Duration = 1, "duration";
        /// CPU seconds, of user and system.
        Cpu = 2, "cpu";
        /// MiB of memory that are its own.
        Memory = 3, "memory";
    }
}

impl Resources {
    /// CPU seconds of user and system, if both are known.
    #[must_use]
    pub fn cpu_seconds(&self) -> Option<f64> {
        Some(self.user_seconds? + self.system_seconds?)
    }
}
