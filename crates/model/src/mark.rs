//! Marks: what a person says about a test's health, which the detector obeys.

use crate::closed_set;

closed_set! {
    /// What a person says of a test.
    Mark {
        /// It is flaky: an episode opens, or goes on, and is announced.
        Flaky = 1, "flaky";
        /// It is not: the episode ends, and what was observed until then counts no more.
        NotFlaky = 2, "not_flaky";
    }
}
