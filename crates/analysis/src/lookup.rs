//! What the fold asks of whoever keeps the data; each question once an upload, for a set of tests. Only when a run turns out
//! to be an incident, states and passes of the few tests it misled before are asked for too.

use crate::test_state::TestState;
use crate::upload::{CommitKey, Lane};
use casebook_model::branch::BranchClass;
use casebook_model::id::{RunId, TestId};
use casebook_model::time::{DAY_US, Timestamp};

/// Results further before the day of a test's last touch than this never count as passes.
pub const LATE_DAYS: i64 = 30;

/// Runs of one commit that are consulted, newest first.
pub const MOST_RUNS: usize = 16;

/// Uploads that began earlier before the suite's clock than this are not consulted, so that memory stays bounded.
pub const HORIZON_US: i64 = 14 * DAY_US;

/// Passes of a test on branches of each class since its state was last changed, those of this upload included: by the
/// roll-ups, so day by day of the results' own times, from [`LATE_DAYS`] before the day of that change on; all of them
/// for a test without a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passes {
    /// By class, in the order of [`BranchClass::ALL`].
    pub by_class: [u64; 3],
    /// First UTC day with any result of the test; asked for only if the test has no state.
    pub first_day: Option<i64>,
}

impl Passes {
    pub(crate) fn total(&self) -> u64 {
        self.by_class.iter().sum()
    }
}

/// How an implementation over daily counts answers [`Lookup::passes`]: what it keeps beside each stored state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassBase {
    /// Counts of earlier days are left out; none leaves out nothing.
    pub from_day: Option<i64>,
    /// The sums over those days when the state was stored.
    pub sums: [u64; 3],
}

impl PassBase {
    /// The base to keep with a state that was changed when the suite's clock showed `clock`. `cells` are the passes of
    /// the test by day and class, the upload's own included.
    #[must_use]
    pub fn at(clock: Timestamp, cells: impl IntoIterator<Item = (i64, BranchClass, u64)>) -> Self {
        let from_day = Some(clock.day() - LATE_DAYS);
        let sums = Self { from_day, sums: [0; 3] }.since(cells);
        Self { from_day, sums }
    }

    /// The passes since this base was kept.
    #[must_use]
    pub fn since(&self, cells: impl IntoIterator<Item = (i64, BranchClass, u64)>) -> [u64; 3] {
        let mut sums = [0u64; 3];
        for (day, class, passes) in cells {
            if self.from_day.is_none_or(|from| day >= from) {
                sums[(class.code() - 1) as usize] += passes;
            }
        }
        for (sum, before) in sums.iter_mut().zip(self.sums) {
            *sum = sum.saturating_sub(before);
        }
        sums
    }
}

/// Passed attempts of one test on one commit outside the upload: one entry for each run and lane that has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// The run; the upload's own run included.
    pub run: RunId,
    /// The lane.
    pub lane: Lane,
    /// Attempts that passed.
    pub passed: u32,
    /// Latest start of an upload in which it passed.
    pub pass_started_at: Timestamp,
}

/// Reads what the fold needs. Answers are in any order; a test with nothing to tell may be left out.
pub trait Lookup {
    /// Why reading can fail.
    type Error;

    /// The stored states of those of `tests` that have one. `tests` is sorted.
    ///
    /// # Errors
    /// Reading fails.
    fn states(&mut self, tests: &[TestId]) -> Result<Vec<(TestId, TestState)>, Self::Error>;

    /// The passes of `tests`.
    ///
    /// # Errors
    /// Reading fails.
    fn passes(&mut self, tests: &[TestId]) -> Result<Vec<(TestId, Passes)>, Self::Error>;

    /// Passed attempts of `tests` on `commit`, brought by earlier uploads that began after `since` to the newest
    /// [`MOST_RUNS`] runs of that commit, the upload's own run included. A newer run is one that arrived later first.
    ///
    /// # Errors
    /// Reading fails.
    fn others(
        &mut self,
        tests: &[TestId],
        commit: CommitKey,
        since: Timestamp,
    ) -> Result<Vec<(TestId, Other)>, Self::Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_since_a_change_leave_out_days_long_before_it() {
        use BranchClass::{Default, PullRequest};
        let clock = Timestamp(100 * DAY_US);
        let before = [(60, Default, 5), (80, Default, 7), (100, PullRequest, 2)];
        let base = PassBase::at(clock, before);
        assert_eq!(base, PassBase { from_day: Some(70), sums: [7, 0, 2] });
        // Late passes of day 60 never count; those of day 80 do, and so do later days.
        let after = [(60, Default, 9), (80, Default, 8), (100, PullRequest, 6), (120, Default, 3)];
        assert_eq!(base.since(after), [4, 0, 4]);
        assert_eq!(PassBase::default().since(before), [12, 0, 2]);
    }
}
