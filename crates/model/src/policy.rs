//! Run counts: how often a client runs a failing test.

/// Most runs that a person may ask for.
pub const MOST_RUNS: i64 = 100;

/// How often a test is run when it fails, and how often it must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunCounts {
    max_runs: i64,
    min_passes: i64,
}

/// The two numbers do not fit.
#[derive(Debug, thiserror::Error)]
#[error("max_runs must be a whole number from 1 to {MOST_RUNS}, and min_passes one from 1 to max_runs")]
pub struct InvalidRunCounts;

impl RunCounts {
    /// One run, which must pass.
    pub const ONCE: Self = Self { max_runs: 1, min_passes: 1 };

    /// Checks the counts.
    ///
    /// # Errors
    /// Not `1 <= min_passes <= max_runs <= MOST_RUNS`.
    pub fn new(max_runs: i64, min_passes: i64) -> Result<Self, InvalidRunCounts> {
        let fits = (1..=MOST_RUNS).contains(&max_runs) && (1..=max_runs).contains(&min_passes);
        if fits { Ok(Self { max_runs, min_passes }) } else { Err(InvalidRunCounts) }
    }

    /// Runs at most, the first included.
    #[must_use]
    pub const fn max_runs(self) -> i64 {
        self.max_runs
    }

    /// Passes that are needed.
    #[must_use]
    pub const fn min_passes(self) -> i64 {
        self.min_passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_cannot_pass_more_often_than_it_runs() {
        for (max_runs, min_passes) in [(1, 1), (5, 1), (5, 5), (100, 100)] {
            assert!(RunCounts::new(max_runs, min_passes).is_ok(), "{max_runs}/{min_passes}");
        }
        for (max_runs, min_passes) in [(0, 0), (1, 0), (1, 2), (101, 1), (-1, -1)] {
            assert!(RunCounts::new(max_runs, min_passes).is_err(), "{max_runs}/{min_passes}");
        }
    }
}
