//! Health: what the detector says about a test.

use crate::closed_set;

closed_set! {
    /// The detector's state of a test.
    Health {
        /// Not enough history.
        New = 1, "new";
        /// No reason to doubt it.
        Healthy = 2, "healthy";
        /// Some evidence; not announced.
        Suspect = 3, "suspect";
        /// Enough evidence; announced.
        Flaky = 4, "flaky";
        /// Flaky, quiet, but too rarely run to be sure.
        Dormant = 5, "dormant";
        /// Failing steadily on the default branch.
        Broken = 6, "broken";
        /// Was flaky; quiet long enough.
        Resolved = 7, "resolved";
    }
}
