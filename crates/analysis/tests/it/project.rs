//! A suite in memory, and uploads with defaults so that a test shows only what matters.

use casebook_analysis::detector::Step;
use casebook_analysis::health::Rules;
use casebook_analysis::memory::{Change, Memory};
use casebook_analysis::signature;
use casebook_analysis::test_state::TestState;
use casebook_analysis::upload::{Attempt, BranchKey, CommitKey, Decision, Lane, Upload};
use casebook_model::branch::BranchClass;
use casebook_model::execution::Outcome;
use casebook_model::health::Health;
use casebook_model::id::{RunId, TestId, UploadId};
use casebook_model::time::{DAY_US, Timestamp};

pub(crate) const HOUR: i64 = DAY_US / 24;

/// `hours` after the beginning.
pub(crate) fn hour(hours: i64) -> Timestamp {
    Timestamp(20_000 * DAY_US + hours * HOUR)
}

/// One upload in the making.
#[derive(Clone, Debug)]
pub(crate) struct New {
    pub(crate) run: i64,
    pub(crate) commit: String,
    pub(crate) at: Timestamp,
    pub(crate) class: BranchClass,
    pub(crate) job: Option<&'static str>,
    pub(crate) attempts: Vec<Attempt>,
}

pub(crate) fn on_main(run: i64, commit: impl ToString + Copy, at: Timestamp) -> New {
    let class = BranchClass::Default;
    New { run, commit: commit.to_string(), at, class, job: None, attempts: Vec::new() }
}

pub(crate) fn on_change(run: i64, commit: impl ToString + Copy, at: Timestamp) -> New {
    New { class: BranchClass::PullRequest, ..on_main(run, commit, at) }
}

impl New {
    pub(crate) fn job(mut self, job: &'static str) -> Self {
        self.job = Some(job);
        self
    }

    fn attempt(mut self, test: i64, variant: Option<&str>, outcome: Outcome) -> Self {
        let lane = variant.map_or(Lane::of_job(self.job), |variant| Lane::of_variant(variant.as_bytes()));
        let signature = (outcome == Outcome::Failed).then(|| signature::of_text("boom"));
        self.attempts.push(Attempt { test: TestId(test), lane, outcome, at: self.at, signature });
        self
    }

    pub(crate) fn passed(self, test: i64) -> Self {
        self.attempt(test, None, Outcome::Passed)
    }

    pub(crate) fn failed(self, test: i64) -> Self {
        self.attempt(test, None, Outcome::Failed)
    }

    pub(crate) fn error(self, test: i64) -> Self {
        self.attempt(test, None, Outcome::Error)
    }

    pub(crate) fn on(self, variant: &str, test: i64, outcome: Outcome) -> Self {
        self.attempt(test, Some(variant), outcome)
    }

    pub(crate) fn all(self, tests: std::ops::Range<i64>, outcome: Outcome) -> Self {
        tests.fold(self, |new, test| new.attempt(test, None, outcome))
    }
}

pub(crate) struct Project {
    pub(crate) memory: Memory,
    pub(crate) changes: Vec<Change>,
    uploads: i64,
}

impl Project {
    pub(crate) fn new() -> Self {
        Self::with(Rules::default())
    }

    pub(crate) fn with(rules: Rules) -> Self {
        Self { memory: Memory::new(rules), changes: Vec::new(), uploads: 0 }
    }

    pub(crate) fn fold(&mut self, new: New) -> Step {
        let New { run, commit, at, class, mut attempts, .. } = new;
        attempts.sort_by_key(|attempt| attempt.test);
        self.uploads += 1;
        let key = CommitKey::of(&commit);
        let position = (class == BranchClass::Default).then(|| self.memory.position(key));
        let upload = Upload {
            upload: UploadId(self.uploads),
            run: RunId(run),
            commit: key,
            branch: Some(BranchKey::of(&commit)),
            branch_class: class,
            position,
            at,
            attempts: &attempts,
            executions: attempts.len() as u64,
        };
        let changes = &mut self.changes;
        self.memory.fold(&upload, |change| changes.push(change))
    }

    /// Runs of the default branch, one an hour from `from`, in which the tests pass.
    pub(crate) fn calm(&mut self, from: i64, runs: i64, tests: std::ops::Range<i64>) {
        for index in from..from + runs {
            let _ = self.fold(on_main(index, index, hour(index)).all(tests.clone(), Outcome::Passed));
        }
    }

    pub(crate) fn decide(&mut self, test: i64, decision: Decision, at: Timestamp) -> Step {
        let changes = &mut self.changes;
        self.memory.decide(TestId(test), decision, at, |change| changes.push(change))
    }

    pub(crate) fn wait(&mut self, until: Timestamp) {
        let changes = &mut self.changes;
        let _ = self.memory.pass_time(until, |change| changes.push(change));
    }

    pub(crate) fn state(&self, test: i64) -> Option<&TestState> {
        self.memory.states().find(|(found, _)| found.get() == test).map(|(_, state)| state)
    }

    pub(crate) fn health(&self, test: i64, at: Timestamp) -> Option<Health> {
        self.memory.health(TestId(test), at)
    }

    /// Every state as stored.
    pub(crate) fn bytes(&self) -> Vec<(i64, Vec<u8>)> {
        self.memory.states().map(|(test, state)| (test.get(), state.to_bytes())).collect()
    }
}
