//! How often a failing test is tried again (detection rules, B.8, and `aviator.md` 4.5).

use crate::math::{ln, power};
use crate::test_state::TestState;

/// Probability of calling good code red that is accepted.
pub const FALSE_RED: f64 = 1e-3;
/// Probability of letting broken code pass that is accepted.
pub const SLIP: f64 = 0.05;
/// Most attempts after the first failure.
pub const MOST_RERUNS: u32 = 10;
/// Probability that an attempt on broken code fails.
pub const FAILS_WHEN_BROKEN: f64 = 0.95;

/// After a first failure up to `reruns` further attempts, accepted when `passes` of them pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RerunPolicy {
    /// Further attempts.
    pub reruns: u32,
    /// Of which so many must pass.
    pub passes: u32,
    /// Probability that an execution on good code ends red.
    pub false_red: f64,
    /// Probability that broken code passes once trying again has begun.
    pub slip: f64,
}

/// Probability of at least `k` successes in `n` tries.
fn at_least(k: u32, n: u32, p: f64) -> f64 {
    let mut choose = 1.0;
    let mut below = 0.0;
    for successes in 0..k.min(n + 1) {
        below += choose * power(p, successes) * power(1.0 - p, n - successes);
        choose *= f64::from(n - successes) / f64::from(successes + 1);
    }
    if k > n { 0.0 } else { (1.0 - below).clamp(0.0, 1.0) }
}

/// The smallest policy for failure probability `q` that keeps both errors in their bounds; none means that no number of
/// attempts up to [`MOST_RERUNS`] does, and that the test should be quarantined.
#[must_use]
pub fn rerun_policy(q: f64) -> Option<RerunPolicy> {
    smallest(q, FALSE_RED, SLIP, FAILS_WHEN_BROKEN)
}

fn smallest(q: f64, most_false_red: f64, most_slip: f64, fails: f64) -> Option<RerunPolicy> {
    let policies = (1..=MOST_RERUNS).flat_map(|reruns| (1..=reruns).map(move |passes| (reruns, passes)));
    let mut policies = policies.map(|(reruns, passes)| RerunPolicy {
        reruns,
        passes,
        false_red: q * (1.0 - at_least(passes, reruns, 1.0 - q)),
        slip: at_least(passes, reruns, 1.0 - fails),
    });
    // A slip of exactly the bound is within it, whatever the last bit says.
    policies.find(|policy| policy.false_red <= most_false_red && policy.slip <= most_slip + 1e-12)
}

/// The policy with the most attempts that keeps the slip in its bound, for tests that no number of attempts makes reliable.
#[must_use]
pub fn most_reruns(q: f64) -> RerunPolicy {
    let policies = (1..=MOST_RERUNS).map(|passes| RerunPolicy {
        reruns: MOST_RERUNS,
        passes,
        false_red: q * (1.0 - at_least(passes, MOST_RERUNS, 1.0 - q)),
        slip: at_least(passes, MOST_RERUNS, 1.0 - FAILS_WHEN_BROKEN),
    });
    let fits = |policy: &RerunPolicy| policy.passes == MOST_RERUNS || policy.slip <= SLIP;
    policies.into_iter().find(fits).unwrap_or(RerunPolicy {
        reruns: MOST_RERUNS,
        passes: 1,
        false_red: q,
        slip: 1.0,
    })
}

/// The policy for a test of which `state` is known: for the bound under which its failure probability lies with 80 %.
#[must_use]
pub fn policy_of(state: &TestState) -> Option<RerunPolicy> {
    rerun_policy(state.failure_bound(0.8))
}

/// Aviator's numbers `(max_runs, min_passes)`: its client obeys the last run, so one pass is asked for.
///
/// `q` is the share of failing first attempts on commits where the test also passed.
#[must_use]
pub fn aviator_counts(q: f64) -> (u32, u32) {
    if q <= 0.0 {
        return (2, 1);
    }
    if q >= 1.0 {
        return (5, 1);
    }
    (libm::ceil(ln(0.001) / ln(q)).clamp(2.0, 5.0) as u32, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_rules() {
        let policy = |q: f64| rerun_policy(q).map(|policy| (policy.reruns, policy.passes));
        assert_eq!(policy(0.01), Some((1, 1)));
        // One rerun keeps both bounds here, so it is the smallest.
        assert_eq!(policy(0.02), Some((1, 1)));
        assert_eq!(policy(0.05), Some((3, 2)));
        assert_eq!(policy(0.1), Some((4, 2)));
        assert_eq!(policy(0.2), Some((6, 2)));
        assert_eq!(policy(0.3), Some((10, 3)));
        assert_eq!(policy(0.5), None);
        let at_five = rerun_policy(0.05).unwrap();
        assert!((at_five.false_red - 3.6e-4).abs() < 1e-5 && (at_five.slip - 0.00725).abs() < 1e-5);
    }

    #[test]
    fn aviator_asks_for_one_pass() {
        assert_eq!(aviator_counts(0.25), (5, 1));
        assert_eq!(aviator_counts(0.01), (2, 1));
        assert_eq!(aviator_counts(0.1), (3, 1));
        assert_eq!([aviator_counts(0.0), aviator_counts(1.0)], [(2, 1), (5, 1)]);
    }
}
