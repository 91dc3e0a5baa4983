//! Verdicts: the outcome of a test in a run and variant over all its attempts.

use crate::closed_set;
use crate::execution::Outcome;
use crate::run::VerdictCounts;

closed_set! {
    /// What all attempts of a test in one run and variant say together.
    Verdict {
        /// At least one passed, none failed.
        Passed = 0, "passed";
        /// At least one failed, none passed.
        Failed = 1, "failed";
        /// At least one passed and at least one failed.
        Flaky = 2, "flaky";
        /// Only skips, or skips and unknowns.
        Skipped = 3, "skipped";
        /// Nothing but unknown.
        Unknown = 4, "unknown";
    }
}

/// Attempts seen so far, as much of them as the verdict needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    passed: bool,
    failed: bool,
    skipped: bool,
    any: bool,
}

impl Attempts {
    /// Takes one more attempt in. The order of attempts does not matter.
    pub fn add(&mut self, outcome: Outcome) {
        self.any = true;
        match outcome {
            Outcome::Passed => self.passed = true,
            Outcome::Failed | Outcome::Error => self.failed = true,
            Outcome::Skipped => self.skipped = true,
            Outcome::Unknown => {}
        }
    }

    /// The verdict; none before the first attempt.
    #[must_use]
    pub const fn verdict(self) -> Option<Verdict> {
        Some(match self {
            Self { any: false, .. } => return None,
            Self { passed: true, failed: true, .. } => Verdict::Flaky,
            Self { passed: true, .. } => Verdict::Passed,
            Self { failed: true, .. } => Verdict::Failed,
            Self { skipped: true, .. } => Verdict::Skipped,
            _ => Verdict::Unknown,
        })
    }
}

impl VerdictCounts {
    /// Adds `by` to the count of `verdict`.
    pub fn add(&mut self, verdict: Verdict, by: i64) {
        *match verdict {
            Verdict::Passed => &mut self.passed,
            Verdict::Failed => &mut self.failed,
            Verdict::Flaky => &mut self.flaky,
            Verdict::Skipped => &mut self.skipped,
            Verdict::Unknown => &mut self.unknown,
        } += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(outcomes: &[Outcome]) -> Option<Verdict> {
        let mut attempts = Attempts::default();
        outcomes.iter().for_each(|outcome| attempts.add(*outcome));
        attempts.verdict()
    }

    #[test]
    fn table() {
        use Outcome::{Error, Failed, Passed, Skipped, Unknown};
        assert_eq!(verdict(&[]), None);
        assert_eq!(verdict(&[Passed, Passed]), Some(Verdict::Passed));
        assert_eq!(verdict(&[Failed, Passed]), Some(Verdict::Flaky));
        assert_eq!(verdict(&[Error, Skipped]), Some(Verdict::Failed));
        assert_eq!(verdict(&[Skipped, Unknown]), Some(Verdict::Skipped));
        assert_eq!(verdict(&[Unknown]), Some(Verdict::Unknown));
    }

    proptest! {
        #[test]
        fn order_does_not_matter(mut codes in proptest::collection::vec(0i64..5, 1..8)) {
            let outcomes = |codes: &[i64]| codes.iter().filter_map(|c| Outcome::from_code(*c)).collect::<Vec<_>>();
            let forward = verdict(&outcomes(&codes));
            codes.reverse();
            prop_assert_eq!(forward, verdict(&outcomes(&codes)));
        }
    }
}
