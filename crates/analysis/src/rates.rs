//! The failure probability of good code, and how much of a failure speaks for it (detection rules, B.7 step 1).

use crate::codec::{Damaged, Reader, Writer};
use crate::math::{beta_quantile, exp2, power};

/// Prior expected failures and passes: a fit to the rates of 22,098 tests.
const PRIOR: (f64, f64) = (0.005, 1.2);
/// Days in which expected counts lose half of their weight.
const HALF_LIFE_DAYS: f64 = 60.0;

/// Expected failures and passes while the code was good, as of a UTC day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub(crate) day: i64,
    pub(crate) failures: f64,
    pub(crate) passes: f64,
}

impl Rates {
    pub(crate) const fn new(day: i64) -> Self {
        Self { day, failures: 0.0, passes: 0.0 }
    }

    /// Moves to `day` and takes in passes that happened since; returns the factor by which older counts shrank.
    ///
    /// When in between they happened is not known: they count as of the middle.
    pub(crate) fn settle(&mut self, day: i64, passes: u64) -> f64 {
        let days = (day - self.day).max(0) as f64;
        let factor = exp2(-days / HALF_LIFE_DAYS);
        self.failures *= factor;
        self.passes = self.passes * factor + passes as f64 * exp2(-days / (2.0 * HALF_LIFE_DAYS));
        self.day = self.day.max(day);
        factor
    }

    /// Estimate without `contribution` of the failures, so that a block does not argue for itself.
    pub(crate) fn mean_without(&self, contribution: f64) -> f64 {
        let failures = (self.failures - contribution).max(0.0) + PRIOR.0;
        failures / (failures + self.passes + PRIOR.1)
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean_without(0.0)
    }

    pub(crate) fn quantile(&self, share: f64) -> f64 {
        beta_quantile(share, self.failures.max(0.0) + PRIOR.0, self.passes + PRIOR.1)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.signed(self.day);
        out.float(self.failures);
        out.float(self.passes);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self { day: from.signed()?, failures: from.float()?, passes: from.float()? })
    }
}

/// What is known of breaks in one class of branches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Breaks {
    /// Probability that a source breaks the test.
    pub(crate) breaks: f64,
    /// Probability that an attempt fails while it is broken.
    pub(crate) fails: f64,
    /// Probability that a break is repaired by the next source.
    pub(crate) repaired: f64,
}

impl Breaks {
    /// Probability that the failures of an open block happened on good code.
    pub(crate) fn good_while_open(&self, q: f64, attempts: u32) -> f64 {
        let good = (1.0 - self.breaks) * power(q, attempts);
        let broken = self.breaks * power(self.fails, attempts);
        share(good, broken)
    }

    /// The same once a later source passed.
    pub(crate) fn good_once_closed(&self, q: f64, attempts: u32, sources: u32) -> f64 {
        let good = (1.0 - self.breaks) * power(q, attempts) * (1.0 - q);
        let stayed = power(1.0 - self.repaired, sources.saturating_sub(1));
        let broken = self.breaks * power(self.fails, attempts) * self.repaired * stayed;
        share(good, broken)
    }
}

fn share(one: f64, other: f64) -> f64 {
    if one + other > 0.0 { one / (one + other) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_rules() {
        let breaks = Breaks { breaks: 5e-4, fails: 0.97, repaired: 0.2 };
        for (q, expected) in [(0.0001, [0.17, 0.0]), (0.01, [0.95, 0.18]), (0.05, [0.99, 0.84])] {
            for (attempts, expected) in (1..).zip(expected) {
                let w = breaks.good_while_open(q, attempts);
                assert!((w - expected).abs() < 0.006, "{q} {attempts}: {w}");
            }
        }
    }

    #[test]
    fn decay_is_in_whole_days() {
        let mut rates = Rates { day: 0, failures: 1.0, passes: 100.0 };
        rates.settle(60, 0);
        assert_eq!((rates.failures, rates.passes), (0.5, 50.0));
        rates.settle(60, 7);
        assert_eq!(rates.passes, 57.0);
    }
}
