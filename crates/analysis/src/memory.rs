//! The detector with everything it needs in memory: for replays, and to show that stored states equal replayed ones.
//!
//! What is kept grows with tests, runs and commits, and with the uploads of 14 days; not with the number of executions.

use crate::Damaged;
use crate::detector::{Due, Step, advance, decide, fold};
use crate::health::Rules;
use crate::lookup::{HORIZON_US, LATE_DAYS, Lookup, MOST_RUNS, Other, Passes};
use crate::suite_state::SuiteState;
use crate::test_state::TestState;
use crate::upload::{CommitKey, Decision, Lane, Upload};
use casebook_model::branch::BranchClass;
use casebook_model::execution::Outcome;
use casebook_model::health::Health;
use casebook_model::id::{RunId, TestId};
use casebook_model::time::Timestamp;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;

/// Largest test number that is taken: numbers are indexes.
pub const MOST_TESTS: i64 = 1 << 27;

/// A change of health, as a replay tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// The test.
    pub test: TestId,
    /// Health before.
    pub from: Health,
    /// Health from then on.
    pub to: Health,
    /// The estimated probability that it fails on good code.
    pub q: f64,
    /// Pieces of evidence that are remembered.
    pub evidence: usize,
}

/// A suite in memory.
pub struct Memory {
    rules: Rules,
    suite: SuiteState,
    data: Data,
    due: BTreeSet<(Timestamp, TestId)>,
}

/// What the fold looks up.
#[derive(Default)]
struct Data {
    tests: Vec<Entry>,
    /// Uploads by commit, oldest first.
    commits: HashMap<CommitKey, Vec<Past>>,
    /// Uploads in order of arrival, to be forgotten.
    arrived: VecDeque<(Timestamp, CommitKey)>,
    positions: HashMap<CommitKey, i64>,
}

#[derive(Default, Clone)]
struct Entry {
    state: Option<Box<TestState>>,
    /// Passes since the state was changed, by class.
    passes: [u64; 3],
    first_day: Option<i64>,
    due_at: Option<Timestamp>,
}

/// The tests that passed in one lane of an upload.
struct Past {
    run: RunId,
    lane: Lane,
    at: Timestamp,
    passed: Set,
}

/// A set of tests in the smaller of two forms.
enum Set {
    Few(Box<[u32]>),
    Many(Box<[u64]>),
}

impl Set {
    /// Of sorted numbers.
    fn of(numbers: Vec<u32>) -> Self {
        let words = numbers.last().map_or(0, |last| *last as usize / 64 + 1);
        if numbers.len() <= 2 * words {
            return Self::Few(numbers.into_boxed_slice());
        }
        let mut bits = vec![0u64; words];
        numbers.iter().for_each(|number| bits[*number as usize / 64] |= 1 << (number % 64));
        Self::Many(bits.into_boxed_slice())
    }

    fn contains(&self, number: u32) -> bool {
        match self {
            Self::Few(numbers) => numbers.binary_search(&number).is_ok(),
            Self::Many(bits) => {
                bits.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
            }
        }
    }
}

impl Memory {
    /// An empty suite.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, suite: SuiteState::default(), data: Data::default(), due: BTreeSet::new() }
    }

    /// Place of a commit on the default branch: the order in which commits arrived there first.
    pub fn position(&mut self, commit: CommitKey) -> i64 {
        let next = self.data.positions.len() as i64 + 1;
        *self.data.positions.entry(commit).or_insert(next)
    }

    /// Lets time pass until the upload, then folds it. Tests are numbered from 0 to [`MOST_TESTS`]; every attempt must be
    /// there.
    pub fn fold(&mut self, upload: &Upload<'_>, mut told: impl FnMut(Change)) -> Step {
        self.pass_time(upload.at, &mut told);
        self.data.count(upload);
        let Ok(step) = fold(&mut self.suite, upload, self.rules, &mut self.data);
        self.data.remember(upload, self.suite.clock());
        self.store(&step, upload.at, &mut told);
        step
    }

    /// Folds a person's decision.
    pub fn decide(
        &mut self,
        test: TestId,
        decision: Decision,
        at: Timestamp,
        mut told: impl FnMut(Change),
    ) -> Step {
        self.pass_time(at, &mut told);
        let entry = self.data.entry(test);
        let passes = entry.passes();
        let state = entry.state.as_deref().cloned();
        let step = decide(&mut self.suite, test, state, passes, decision, at, self.rules);
        self.store(&step, at, &mut told);
        step
    }

    /// What the clock does up to `now`, by time and then by test.
    pub fn pass_time(&mut self, now: Timestamp, mut told: impl FnMut(Change)) -> Vec<(TestId, Due)> {
        let mut done = Vec::new();
        while let Some((at, test)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            let entry = self.data.entry(test);
            let since = entry.passes().total();
            let Some(state) = &entry.state else { break };
            let (due, next) = advance(state, at.plus(-1), at, since, self.rules);
            for due in due {
                if due.before != due.after {
                    told(change(test, state, due.at, due.before, due.after));
                }
                done.push((test, due));
            }
            entry.due_at = next;
            self.due.remove(&(at, test));
            self.due.extend(next.map(|next| (next, test)));
        }
        done
    }

    fn store(&mut self, step: &Step, at: Timestamp, told: &mut impl FnMut(Change)) {
        for changed in &step.tests {
            let entry = self.data.entry(changed.test);
            if let Some(before) = entry.due_at {
                self.due.remove(&(before, changed.test));
            }
            entry.due_at = changed.due_at;
            entry.passes = [0; 3];
            entry.state = Some(Box::new(changed.state.clone()));
            self.due.extend(changed.due_at.map(|due| (due, changed.test)));
            if changed.before != changed.after {
                told(change(changed.test, &changed.state, at, changed.before, changed.after));
            }
        }
    }

    /// The suite's part of the state.
    #[must_use]
    pub fn suite(&self) -> &SuiteState {
        &self.suite
    }

    /// The states there are, by test.
    pub fn states(&self) -> impl Iterator<Item = (TestId, &TestState)> {
        let entries = (0..).zip(&self.data.tests);
        entries.filter_map(|(test, entry)| Some((TestId(test), entry.state.as_deref()?)))
    }

    /// Health of a test at `at`.
    #[must_use]
    pub fn health(&self, test: TestId, at: Timestamp) -> Option<Health> {
        let entry = self.data.tests.get(usize::try_from(test.get()).ok()?)?;
        Some(entry.state.as_ref()?.health(at, entry.passes().total(), self.rules))
    }

    /// Takes every state through the bytes that are stored.
    ///
    /// # Errors
    /// Never, unless the two directions disagree.
    pub fn reload(&mut self) -> Result<(), Damaged> {
        self.suite = SuiteState::from_bytes(&self.suite.to_bytes())?;
        for state in self.data.tests.iter_mut().filter_map(|entry| entry.state.as_mut()) {
            **state = TestState::from_bytes(&state.to_bytes())?;
        }
        Ok(())
    }
}

fn change(test: TestId, state: &TestState, at: Timestamp, from: Health, to: Health) -> Change {
    Change { at, test, from, to, q: state.failure_probability(), evidence: state.evidence_count() }
}

impl Entry {
    fn passes(&self) -> Passes {
        Passes { by_class: self.passes, first_day: self.first_day }
    }
}

const fn index(class: BranchClass) -> usize {
    match class {
        BranchClass::Default => 0,
        BranchClass::MergeQueue => 1,
        BranchClass::PullRequest => 2,
    }
}

impl Data {
    fn entry(&mut self, test: TestId) -> &mut Entry {
        let index = test.get().clamp(0, MOST_TESTS) as usize;
        if index >= self.tests.len() {
            self.tests.resize(index + 1, Entry::default());
        }
        &mut self.tests[index]
    }

    /// Counts the upload as the roll-ups do.
    fn count(&mut self, upload: &Upload<'_>) {
        for attempt in upload.attempts {
            let day = attempt.at.day();
            let entry = self.entry(attempt.test);
            entry.first_day = Some(entry.first_day.map_or(day, |first| first.min(day)));
            let from = entry.state.as_ref().map_or(i64::MIN, |state| state.rates.day - LATE_DAYS);
            if attempt.outcome == Outcome::Passed && day >= from {
                entry.passes[index(upload.branch_class)] += 1;
            }
        }
    }

    /// Keeps which tests passed, and forgets uploads that are too old to be asked for.
    fn remember(&mut self, upload: &Upload<'_>, clock: Timestamp) {
        let mut lanes: Vec<(Lane, Vec<u32>)> = Vec::new();
        for attempt in upload.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Passed) {
            let index = lanes.iter().position(|(lane, _)| *lane == attempt.lane).unwrap_or_else(|| {
                lanes.push((attempt.lane, Vec::new()));
                lanes.len() - 1
            });
            let test = attempt.test.get() as u32;
            if lanes[index].1.last() != Some(&test) {
                lanes[index].1.push(test);
            }
        }
        let past = self.commits.entry(upload.commit).or_default();
        for (lane, passed) in lanes {
            past.push(Past { run: upload.run, lane, at: upload.at, passed: Set::of(passed) });
        }
        self.arrived.push_back((upload.at, upload.commit));
        let oldest = clock.plus(-HORIZON_US);
        while let Some((_, commit)) = self.arrived.pop_front_if(|(at, _)| *at <= oldest) {
            if let Some(past) = self.commits.get_mut(&commit) {
                past.retain(|past| past.at > oldest);
                if past.is_empty() {
                    self.commits.remove(&commit);
                }
            }
        }
    }
}

impl Lookup for Data {
    type Error = Infallible;

    fn states(&mut self, tests: &[TestId]) -> Result<Vec<(TestId, TestState)>, Infallible> {
        let find =
            |test: &TestId| Some((*test, self.tests.get(test.get() as usize)?.state.as_deref()?.clone()));
        Ok(tests.iter().filter_map(find).collect())
    }

    fn passes(&mut self, tests: &[TestId]) -> Result<Vec<(TestId, Passes)>, Infallible> {
        Ok(tests.iter().map(|test| (*test, self.entry(*test).passes())).collect())
    }

    fn others(
        &mut self,
        tests: &[TestId],
        commit: CommitKey,
        since: Timestamp,
    ) -> Result<Vec<(TestId, Other)>, Infallible> {
        let Some(past) = self.commits.get(&commit) else { return Ok(Vec::new()) };
        let recent: Vec<&Past> = past.iter().filter(|past| past.at > since).collect();
        let mut runs: Vec<RunId> = recent.iter().map(|past| past.run).collect();
        runs.sort_unstable_by(|a, b| b.cmp(a));
        runs.dedup();
        runs.truncate(MOST_RUNS);
        let mut found: Vec<(TestId, Other)> = Vec::new();
        for test in tests {
            let start = found.len();
            for past in recent.iter().filter(|past| past.passed.contains(test.get() as u32)) {
                if !runs.contains(&past.run) {
                    continue;
                }
                let known = found[start..].iter_mut().find(|(_, o)| (o.run, o.lane) == (past.run, past.lane));
                match known {
                    Some((_, other)) => {
                        other.passed += 1;
                        other.pass_started_at = other.pass_started_at.max(past.at);
                    }
                    None => found.push((
                        *test,
                        Other { run: past.run, lane: past.lane, passed: 1, pass_started_at: past.at },
                    )),
                }
            }
        }
        Ok(found)
    }
}
