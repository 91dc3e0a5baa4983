//! Sizes that requests may have.

/// Sizes that requests may have, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One request body as sent.
    pub body: usize,
    /// One body after unpacking.
    pub unpacked: usize,
    /// All bodies in memory at one time; others wait.
    pub in_flight: usize,
    /// A body in memory; what is larger goes through a temporary file.
    pub in_memory: usize,
    /// All bodies in temporary files at one time; more are sent away.
    pub in_files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 << 20,
            unpacked: 256 << 20,
            in_flight: 64 << 20,
            in_memory: 4 << 20,
            in_files: 4 << 30,
        }
    }
}
