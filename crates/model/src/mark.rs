//! Marks: what is said about a test's health, by people and commits, which the detector obeys.

use crate::closed_set;
use crate::name::Commit;

closed_set! {
    /// What a person says of a test.
    Mark {
        /// It is flaky: an episode opens, or goes on, and is announced.
        Flaky = 1, "flaky";
        /// It is not: the episode ends, and what was observed until then counts no more.
        NotFlaky = 2, "not_flaky";
    }
}

/// Something said of a test, at its place in the order of the fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// By a person.
    Person(Mark),
    /// By a commit that promises to repair the test: enough clean runs of it resolve the episode early.
    Repair(Commit),
}

impl Statement {
    /// The word for promises of commits, beside those of [`Mark`].
    pub const REPAIR: &'static str = "repair";

    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Person(mark) => mark.as_str(),
            Self::Repair(_) => Self::REPAIR,
        }
    }
}
