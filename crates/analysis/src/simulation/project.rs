//! A project that never was: its flaky tests, regressions and incidents, run by run. Passes are not made, only counted.

use super::Options;
use super::random::Random;
use casebook_model::branch::BranchClass;
use std::collections::BTreeMap;

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// The test is flaky.
    Flake,
    /// The code was broken.
    Regression,
    /// The machinery failed.
    Incident,
}

/// A test that failed at first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failing {
    pub(super) cause: Cause,
    /// Whether it passed when tried again; none if it was not.
    pub(super) retry_passed: Option<bool>,
}

impl Failing {
    pub(super) fn passed_too(self) -> bool {
        self.retry_passed == Some(true)
    }
}

/// One run: everything that is not listed passed.
pub(super) struct SimulatedRun {
    pub(super) number: i64,
    /// Days since the beginning.
    pub(super) day: f64,
    pub(super) class: BranchClass,
    /// Equal for runs of one source.
    pub(super) commit: u64,
    pub(super) position: Option<i64>,
    pub(super) failing: BTreeMap<usize, Failing>,
}

struct Break {
    tests: Vec<usize>,
    sources: usize,
    fails: f64,
}

/// Tests with their rates, and what happens to them.
pub(super) struct Project {
    pub(super) rates: Vec<f64>,
    flaky: Vec<usize>,
    random: Random,
    breaks: Vec<Break>,
    options: Options,
    runs: i64,
    commits: u64,
    positions: i64,
}

impl Project {
    pub(super) fn new(options: &Options) -> Self {
        let mut random = Random::new(options.seed);
        let mut rates: Vec<f64> = super::rates();
        if options.tests < rates.len() {
            for index in 0..options.tests {
                let other = index + random.below(rates.len() - index);
                rates.swap(index, other);
            }
            rates.truncate(options.tests);
        }
        let flaky = (0..rates.len()).filter(|test| rates[*test] > 0.0).collect();
        let options = *options;
        Self { rates, flaky, random, breaks: Vec::new(), options, runs: 0, commits: 0, positions: 0 }
    }

    /// The runs of one day, in order of time.
    pub(super) fn day(&mut self, day: u32) -> Vec<SimulatedRun> {
        let (default, change) = (self.options.default_runs, self.options.change_runs);
        let mut classes = vec![BranchClass::PullRequest; (default + change) as usize];
        for index in 0..default {
            classes[(index * (default + change) / default.max(1)) as usize] = BranchClass::Default;
        }
        let mut runs = Vec::new();
        for (index, class) in classes.iter().enumerate() {
            let time = f64::from(day) + index as f64 / classes.len() as f64;
            let run = self.run(time, *class);
            let is_red = !run.failing.is_empty() && *class == BranchClass::Default;
            let again = is_red && !self.options.retries && self.random.chance(self.options.rerun_share);
            let (commit, position) = (run.commit, run.position);
            runs.push(run);
            if again {
                let rerun = self.run_again(time + 0.004, commit, position);
                runs.push(rerun);
            }
        }
        runs
    }

    fn run(&mut self, day: f64, class: BranchClass) -> SimulatedRun {
        self.commits += 1;
        let mut position = None;
        let mut own = None;
        if class == BranchClass::Default {
            self.positions += 1;
            position = Some(self.positions);
            self.next_source();
        } else if self.random.chance(self.options.broken_changes) {
            own = Some(self.new_break(8.0, 1.0));
        }
        self.execute(day, class, self.commits, position, own.as_ref())
    }

    fn run_again(&mut self, day: f64, commit: u64, position: Option<i64>) -> SimulatedRun {
        self.execute(day, BranchClass::Default, commit, position, None)
    }

    /// Breaks end and begin with a new commit of the default branch.
    fn next_source(&mut self) {
        self.breaks.iter_mut().for_each(|broken| broken.sources -= 1);
        self.breaks.retain(|broken| broken.sources > 0);
        let chance = self.options.regressions / f64::from(self.options.default_runs.max(1));
        if self.random.chance(chance) {
            let broken = self.new_break(5.0, 6.0);
            self.breaks.push(broken);
        }
    }

    fn new_break(&mut self, tests: f64, sources: f64) -> Break {
        let count = self.random.geometric(tests);
        let tests = (0..count).map(|_| self.random.below(self.rates.len())).collect();
        let sources = self.random.geometric(sources);
        let partial = self.random.chance(self.options.partial);
        Break { tests, sources, fails: if partial { 0.95 } else { 1.0 } }
    }

    fn execute(
        &mut self,
        day: f64,
        class: BranchClass,
        commit: u64,
        position: Option<i64>,
        own: Option<&Break>,
    ) -> SimulatedRun {
        self.runs += 1;
        let retries = self.options.retries;
        let mut failing = BTreeMap::new();
        let random = &mut self.random;
        let mut fail = |test: usize, p: f64, again: f64, cause: Cause, random: &mut Random| {
            if random.chance(p) {
                let retry_passed = retries.then(|| !random.chance(again));
                let entry = failing.entry(test).or_insert(Failing { cause, retry_passed });
                if cause > entry.cause {
                    let both = entry.retry_passed.zip(retry_passed).map(|(one, other)| one && other);
                    *entry = Failing { cause, retry_passed: both };
                }
            }
        };
        for test in &self.flaky {
            fail(*test, self.rates[*test], self.rates[*test], Cause::Flake, random);
        }
        let on_default = class == BranchClass::Default;
        for broken in self.breaks.iter().filter(|_| on_default).chain(own) {
            for test in &broken.tests {
                fail(*test, broken.fails, broken.fails, Cause::Regression, random);
            }
        }
        if random.chance(self.options.incidents) {
            let share = random.between(self.options.incident_share.0, self.options.incident_share.1);
            let mut test = random.gap(share);
            while test < self.rates.len() {
                fail(test, 1.0, 0.05, Cause::Incident, random);
                test += 1 + random.gap(share);
            }
        }
        SimulatedRun { number: self.runs, day, class, commit, position, failing }
    }
}
