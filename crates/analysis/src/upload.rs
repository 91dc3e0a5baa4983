//! What goes into the fold: uploads as the detector sees them, and decisions of people.

use casebook_model::branch::BranchClass;
use casebook_model::execution::Outcome;
use casebook_model::id::{RunId, TestId, UploadId};
use casebook_model::time::Timestamp;
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

fn hash(kind: u8, text: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write_u8(kind);
    hasher.write(text);
    hasher.finish()
}

/// What stands in for the source code of a run: the hash of its commit, or of the run itself where none is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitKey(pub u64);

impl CommitKey {
    /// The key of a commit.
    #[must_use]
    pub fn of(commit: &str) -> Self {
        Self(hash(1, commit.as_bytes()))
    }

    /// The key of a run without a commit: only its own attempts share its source.
    #[must_use]
    pub fn of_run(run: RunId) -> Self {
        Self(hash(2, &run.get().to_le_bytes()))
    }
}

/// The key of a branch: pushes to one branch other than the default one are one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchKey(pub u64);

impl BranchKey {
    /// The key of a branch.
    #[must_use]
    pub fn of(branch: &str) -> Self {
        Self(hash(3, branch.as_bytes()))
    }
}

/// Where a result ran, as far as results may be compared: the variant, or where that is unknown the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(u64);

impl Lane {
    /// The lane of a known variant; `variant` is its key or any other text that is the same in every process.
    #[must_use]
    pub fn of_variant(variant: &[u8]) -> Self {
        Self(hash(4, variant) | 1)
    }

    /// The lane of results whose variant is unknown. Uploads that name no job share one.
    #[must_use]
    pub fn of_job(job: Option<&str>) -> Self {
        Self(job.map_or(0, |job| hash(5, job.as_bytes()) & !1))
    }

    /// Whether it is a variant, so that other lanes are certainly another environment.
    #[must_use]
    pub const fn is_variant(self) -> bool {
        self.0 & 1 == 1
    }

    /// The lane as stored.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_stored(value: u64) -> Self {
        Self(value)
    }

    /// How a failure here and a pass there may be compared (detection rules, ruling 8).
    #[must_use]
    pub(crate) fn compare(self, other: Self) -> Comparison {
        if self == other {
            Comparison::Same
        } else if self.is_variant() || other.is_variant() {
            Comparison::Different
        } else {
            Comparison::PerhapsSame
        }
    }
}

/// Whether two lanes are one environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Certainly.
    Same,
    /// Different jobs of unknown variant.
    PerhapsSame,
    /// Different variants.
    Different,
}

/// Identifies what a failure said ([`crate::signature`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signature(pub u128);

/// One attempt of one test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt {
    /// The test.
    pub test: TestId,
    /// Where it ran.
    pub lane: Lane,
    /// How it ended. A result without an outcome but with a failure text is brought as failed.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
    /// What it said, if it failed and said something.
    pub signature: Option<Signature>,
}

/// One upload: the unit of the fold.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// Its number, which is the order of the fold.
    pub upload: UploadId,
    /// The run it belongs to.
    pub run: RunId,
    /// The source it ran on ([`CommitKey::of_run`] where no commit is known).
    pub commit: CommitKey,
    /// Its branch, if known.
    pub branch: Option<BranchKey>,
    /// Class of the branch.
    pub branch_class: BranchClass,
    /// Place of the commit on the default branch; only for uploads of that class.
    pub position: Option<i64>,
    /// When its results began.
    pub at: Timestamp,
    /// Attempts sorted by test, in order of arrival within a test. Executions that come from metrics are left out;
    /// attempts of tests that only passed may be left out if the test has no state, or one that does not
    /// [watch](crate::test_state::TestState::watches) this upload. Such a pass changes nothing but the counters.
    pub attempts: &'a [Attempt],
    /// Executions of the upload in `attempts` and left out together.
    pub executions: u64,
}

/// What a person decided about a test, as an input of the fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is flaky: announced at once.
    Flaky,
    /// It is not flaky: the episode ends, and evidence up to now no longer counts.
    NotFlaky,
    /// A commit that is meant to repair it: enough clean runs of that commit resolve it early.
    Repair(CommitKey),
}
