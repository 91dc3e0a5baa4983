//! The detector's bench: a seeded project with known causes, our detector beside the rules that others ship.
//!
//! Rates are those of 22,098 real tests, measured by 10,000 reruns of unchanged code (FlakeFlagger, ICSE 2021). Sparse: only
//! failures, and passes that a state waits for, are made; the rest are counters.

mod project;
mod random;
mod report;
mod rivals;

use crate::detector::{Step, advance, fold};
use crate::health::Rules;
use crate::lookup::{Lookup, Other, Passes};
use crate::suite_state::SuiteState;
use crate::test_state::TestState;
use crate::upload::{Attempt, BranchKey, CommitKey, Lane, Upload};
use casebook_model::branch::BranchClass;
use casebook_model::execution::Outcome;
use casebook_model::health::Health;
use casebook_model::id::{RunId, TestId, UploadId};
use casebook_model::time::{DAY_US, Timestamp};
use project::{Cause, Project, SimulatedRun};
use rivals::Rivals;
use std::collections::BTreeSet;
use std::convert::Infallible;

pub use report::{Calibration, Quality, Report};
pub use rivals::RIVALS;

/// One failure rate a line.
const DATA: &str = include_str!("../data/flakeflagger-rates.txt");

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Same seed, same project.
    pub seed: u64,
    /// How long.
    pub days: u32,
    /// Tests, taken at random from the data.
    pub tests: usize,
    /// Runs of the default branch a day.
    pub default_runs: u32,
    /// Runs of pull requests a day.
    pub change_runs: u32,
    /// Whether every failure is tried once more.
    pub retries: bool,
    /// Without retries: share of red default-branch runs that somebody starts again.
    pub rerun_share: f64,
    /// Regressions a day on the default branch.
    pub regressions: f64,
    /// Share of regressions that fail only 95 % of the time.
    pub partial: f64,
    /// Share of pull-request runs that are broken.
    pub broken_changes: f64,
    /// Share of runs hit by an incident.
    pub incidents: f64,
    /// Share of tests an incident hits, from and to.
    pub incident_share: (f64, f64),
    /// The detector's rules.
    pub rules: Rules,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            days: 60,
            tests: usize::MAX,
            default_runs: 20,
            change_runs: 60,
            retries: true,
            rerun_share: 0.1,
            regressions: 3.0,
            partial: 0.15,
            broken_changes: 0.35,
            incidents: 0.0,
            incident_share: (0.1, 0.9),
            rules: Rules::default(),
        }
    }
}

/// The failure rates of the data.
fn rates() -> Vec<f64> {
    DATA.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Runs a simulation.
#[must_use]
pub fn simulate(options: &Options) -> Report {
    let mut project = Project::new(options);
    let mut bench = Bench::new(&project, options);
    let mut rivals = Rivals::new(project.rates.len());
    for day in 0..options.days {
        for run in project.day(day) {
            rivals.fold(&run);
            bench.fold(&run);
        }
    }
    report::report(&project.rates, options, &bench, &rivals)
}

/// Monday, 5 January 2026.
const START_US: i64 = 20_458 * DAY_US;

/// The detector with everything it needs in memory, and what it said.
struct Bench {
    rules: Rules,
    suite: SuiteState,
    memory: Memory,
    /// When each test was announced first, in days.
    flagged: Vec<Option<f64>>,
    /// Tests that are announced now.
    announced: BTreeSet<usize>,
    due: BTreeSet<(Timestamp, usize)>,
    due_of: Vec<Option<Timestamp>>,
    watching: BTreeSet<usize>,
    /// Resolutions of tests that are as flaky as ever.
    false_resolves: u32,
    red: u32,
    still_red: u32,
    regressions: u32,
    delayed: u32,
    calibration: [Calibration; 3],
    flaky: Vec<bool>,
}

/// A run with which a rerun is compared.
struct Previous {
    commit: CommitKey,
    run: RunId,
    at: Timestamp,
    /// Tests that failed at first, and whether they passed on retry.
    failing: Vec<(usize, bool)>,
}

/// Counters and states by test.
struct Memory {
    states: Vec<Option<TestState>>,
    /// Runs by class.
    runs: [u64; 3],
    /// Passes minus runs, by class and test.
    extra: [Vec<i64>; 3],
    /// Passes when the state was stored.
    base: [Vec<u64>; 3],
    /// The latest run and its failing tests, for reruns.
    previous: Option<Previous>,
}

impl Memory {
    fn count(&self, test: usize) -> [u64; 3] {
        std::array::from_fn(|class| {
            let passes = self.runs[class].cast_signed() + self.extra[class][test];
            passes.max(0).cast_unsigned() - self.base[class][test]
        })
    }
}

impl Lookup for Memory {
    type Error = Infallible;

    fn states(&mut self, tests: &[TestId]) -> Result<Vec<(TestId, TestState)>, Infallible> {
        let known = tests.iter().filter_map(|test| Some((*test, self.states[test.get() as usize].clone()?)));
        Ok(known.collect())
    }

    fn passes(&mut self, tests: &[TestId]) -> Result<Vec<(TestId, Passes)>, Infallible> {
        let first_day = Some(Timestamp(START_US).day());
        let passes = |test: &TestId| (*test, Passes { by_class: self.count(test.get() as usize), first_day });
        Ok(tests.iter().map(passes).collect())
    }

    fn others(
        &mut self,
        tests: &[TestId],
        commit: CommitKey,
        _: Timestamp,
    ) -> Result<Vec<(TestId, Other)>, Infallible> {
        let Some(previous) = self.previous.as_ref().filter(|previous| previous.commit == commit) else {
            return Ok(Vec::new());
        };
        let Previous { run, at, failing, .. } = previous;
        let other = |test: &TestId| {
            let found = failing.binary_search_by_key(&(test.get() as usize), |(test, _)| *test);
            let passed = found.map_or(1, |index| u32::from(failing[index].1));
            let lane = Lane::of_job(None);
            (*test, Other { run: *run, lane, passed, pass_started_at: *at })
        };
        Ok(tests.iter().map(other).collect())
    }
}

impl Bench {
    fn new(project: &Project, options: &Options) -> Self {
        let tests = project.rates.len();
        Self {
            rules: options.rules,
            suite: SuiteState::default(),
            memory: Memory {
                states: vec![None; tests],
                runs: [0; 3],
                extra: std::array::from_fn(|_| vec![0; tests]),
                base: std::array::from_fn(|_| vec![0; tests]),
                previous: None,
            },
            flagged: vec![None; tests],
            announced: BTreeSet::new(),
            due: BTreeSet::new(),
            due_of: vec![None; tests],
            watching: BTreeSet::new(),
            false_resolves: 0,
            red: 0,
            still_red: 0,
            regressions: 0,
            delayed: 0,
            calibration: std::array::from_fn(|_| Calibration::default()),
            flaky: project.rates.iter().map(|rate| *rate > 0.0).collect(),
        }
    }

    fn fold(&mut self, run: &SimulatedRun) {
        let at = Timestamp(START_US + (run.day * DAY_US as f64) as i64);
        let class = (run.class.code() - 1) as usize;
        self.memory.runs[class] += 1;
        for (test, failing) in &run.failing {
            self.memory.extra[class][*test] -= i64::from(!failing.passed_too());
        }
        self.pass_time(at);
        let commit = CommitKey(run.commit);
        let mut upload = Upload {
            upload: UploadId(run.number),
            run: RunId(run.number),
            commit,
            branch: Some(BranchKey(run.commit)),
            branch_class: run.class,
            position: run.position,
            at,
            attempts: &[],
            executions: self.flagged.len() as u64,
        };
        let attempts = self.attempts(run, &upload);
        upload.attempts = &attempts;
        let known = self.announced.clone();
        let Ok(step) = fold(&mut self.suite, &upload, self.rules, &mut self.memory);
        self.judge(run, &step, &known);
        self.store(run, step);
        let failing = run.failing.iter().map(|(test, failing)| (*test, failing.passed_too())).collect();
        self.memory.previous = Some(Previous { commit, run: RunId(run.number), at, failing });
    }

    /// Failing tests with their retries, and passes that matter.
    fn attempts(&self, run: &SimulatedRun, upload: &Upload<'_>) -> Vec<Attempt> {
        let lane = Lane::of_job(None);
        let attempt = |test: usize, outcome| Attempt {
            test: TestId(test as i64),
            lane,
            outcome,
            at: upload.at,
            signature: None,
        };
        let mut attempts = Vec::new();
        for (test, failing) in &run.failing {
            attempts.push(attempt(*test, Outcome::Failed));
            if let Some(passed) = failing.retry_passed {
                attempts.push(attempt(*test, if passed { Outcome::Passed } else { Outcome::Failed }));
            }
        }
        let previous = self.memory.previous.iter().filter(|previous| previous.commit == upload.commit);
        let again = previous.flat_map(|previous| previous.failing.iter().map(|(test, _)| *test));
        let default = run.class == BranchClass::Default;
        let waiting: BTreeSet<usize> =
            self.watching.iter().copied().filter(|_| default).chain(again).collect();
        for test in waiting.iter().filter(|test| !run.failing.contains_key(test)) {
            if self.memory.states[*test].as_ref().is_some_and(|state| state.watches(upload)) {
                attempts.push(attempt(*test, Outcome::Passed));
            }
        }
        attempts.sort_by_key(|attempt| attempt.test);
        attempts
    }

    fn store(&mut self, run: &SimulatedRun, step: Step) {
        for change in step.tests {
            let test = change.test.get() as usize;
            for class in 0..3 {
                let passes = self.memory.runs[class].cast_signed() + self.memory.extra[class][test];
                self.memory.base[class][test] = passes.max(0).cast_unsigned();
            }
            if change.episodes.iter().any(|episode| episode.announced_now) {
                self.flagged[test].get_or_insert(run.day);
            }
            if matches!(change.after, Health::Flaky | Health::Dormant)
                || change.after == Health::Broken
                    && change.state.is_announced(self.suite.clock, 0, self.rules)
            {
                self.announced.insert(test);
            } else {
                self.announced.remove(&test);
            }
            if change.state.watches_default_branch() {
                self.watching.insert(test);
            } else {
                self.watching.remove(&test);
            }
            self.set_due(test, change.due_at);
            self.memory.states[test] = Some(change.state);
        }
    }

    fn set_due(&mut self, test: usize, at: Option<Timestamp>) {
        if let Some(before) = self.due_of[test] {
            self.due.remove(&(before, test));
        }
        self.due_of[test] = at;
        self.due.extend(at.map(|at| (at, test)));
    }

    /// What the clock does up to `now`.
    fn pass_time(&mut self, now: Timestamp) {
        while let Some((at, test)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            let since: u64 = self.memory.count(test).iter().sum();
            let Some(state) = &self.memory.states[test] else { return };
            let (due, next) = advance(state, at.plus(-1), at, since, self.rules);
            for due in due {
                if due.after == Health::Resolved && due.ended.is_some() {
                    self.announced.remove(&test);
                    self.false_resolves += u32::from(self.flaky[test]);
                }
            }
            self.set_due(test, next);
        }
    }

    fn judge(&mut self, run: &SimulatedRun, step: &Step, known: &BTreeSet<usize>) {
        let mut is_red = false;
        let mut blocks = false;
        for judged in &step.judged {
            let test = judged.test.get() as usize;
            let Some(failing) = run.failing.get(&test) else { continue };
            let judgement = &judged.judgement;
            let p = [judgement.flake, judgement.regression, judgement.incident];
            let truth = [Cause::Flake, Cause::Regression, Cause::Incident];
            for ((calibration, p), cause) in self.calibration.iter_mut().zip(p).zip(truth) {
                calibration.add(p, failing.cause == cause);
            }
            let excused = known.contains(&test) && !judgement.blocks();
            if !failing.passed_too() {
                is_red = true;
                blocks |= !excused;
            }
            if failing.cause == Cause::Regression {
                self.regressions += 1;
                self.delayed += u32::from(excused);
            }
        }
        self.red += u32::from(is_red);
        self.still_red += u32::from(blocks);
    }
}
