//! The simulator's random numbers: SplitMix64, so that a seed gives the same project everywhere and always.

/// A stream of random numbers.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5ca1_ab1e)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but not including, 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// Tries until success, at least one, `mean` on average.
    pub(super) fn geometric(&mut self, mean: f64) -> usize {
        let q = 1.0 - 1.0 / mean.max(1.0);
        if q <= 0.0 { 1 } else { 1 + (libm::log(1.0 - self.unit()) / libm::log(q)) as usize }
    }

    /// How many failures precede the next success of probability `p`.
    pub(super) fn gap(&mut self, p: f64) -> usize {
        if p >= 1.0 { 0 } else { (libm::log(1.0 - self.unit()) / libm::log1p(-p)) as usize }
    }
}
