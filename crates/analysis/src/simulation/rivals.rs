//! Rules in production elsewhere, as the field ships them, on the same runs.

use super::project::SimulatedRun;
use casebook_model::branch::BranchClass;
use std::collections::VecDeque;

/// Names of the rules, in the order of what [`simulate`](super::simulate) reports.
pub const RIVALS: [&str; 6] = [
    "A any disagreement on one commit",
    "B A, without runs of > 80 % failed",
    "C any failure on the default branch",
    "D >= 5 transitions in 100 runs",
    "E >= 10 % failures in 24 h, n >= 20",
    "F >= 2 mixed sources in 14 d and >= 1 %",
];

#[derive(Default, Clone)]
struct History {
    /// Numbers of default-branch runs that failed, of the last 100.
    default: VecDeque<i64>,
    /// Times of failures in the last day.
    recent: VecDeque<f64>,
    /// Times of mixed sources in 14 days.
    mixed: VecDeque<f64>,
}

/// What each rule flagged, and when.
pub(super) struct Rivals {
    tests: Vec<History>,
    pub(super) flagged: [Vec<Option<f64>>; RIVALS.len()],
    default_runs: i64,
    times: VecDeque<f64>,
    previous: Option<SimulatedRunShort>,
}

/// As much of the run before as a rerun is compared with.
struct SimulatedRunShort {
    commit: u64,
    failing: Vec<usize>,
    share: f64,
}

impl Rivals {
    pub(super) fn new(tests: usize) -> Self {
        Self {
            tests: vec![History::default(); tests],
            flagged: std::array::from_fn(|_| vec![None; tests]),
            default_runs: 0,
            times: VecDeque::new(),
            previous: None,
        }
    }

    fn flag(&mut self, rule: usize, test: usize, day: f64) {
        self.flagged[rule][test].get_or_insert(day);
    }

    pub(super) fn fold(&mut self, run: &SimulatedRun) {
        let day = run.day;
        let on_default = run.class == BranchClass::Default;
        self.default_runs += i64::from(on_default);
        self.times.push_back(day);
        while self.times.front().is_some_and(|time| *time <= day - 14.0) {
            self.times.pop_front();
        }
        let sources = self.times.len() as f64;
        let in_day = self.times.iter().rev().take_while(|time| **time > day - 1.0).count() as f64;
        let share = run.failing.len() as f64 / self.tests.len() as f64;
        for (test, failing) in &run.failing {
            if on_default {
                self.flag(2, *test, day);
                if self.transitions(*test) >= 5 {
                    self.flag(3, *test, day);
                }
            }
            let recent = &mut self.tests[*test].recent;
            recent.push_back(day);
            while recent.front().is_some_and(|time| *time <= day - 1.0) {
                recent.pop_front();
            }
            if in_day >= 20.0 && recent.len() as f64 >= 0.1 * in_day {
                self.flag(4, *test, day);
            }
            if failing.passed_too() {
                self.disagree(*test, day, share <= 0.8, sources);
            }
        }
        self.compare(run, share, sources);
    }

    /// A rerun of the same commit: whatever failed in one of the two only disagrees.
    fn compare(&mut self, run: &SimulatedRun, share: f64, sources: f64) {
        let failing: Vec<usize> = run.failing.keys().copied().collect();
        if let Some(previous) = self.previous.take().filter(|previous| previous.commit == run.commit) {
            let calm = share.max(previous.share) <= 0.8;
            let only = |these: &[usize], those: &[usize]| {
                these.iter().copied().filter(|test| those.binary_search(test).is_err()).collect::<Vec<_>>()
            };
            for test in [only(&failing, &previous.failing), only(&previous.failing, &failing)].concat() {
                self.disagree(test, run.day, calm, sources);
            }
        }
        self.previous = Some(SimulatedRunShort { commit: run.commit, failing, share });
    }

    fn disagree(&mut self, test: usize, day: f64, calm: bool, sources: f64) {
        self.flag(0, test, day);
        if calm {
            self.flag(1, test, day);
        }
        let mixed = &mut self.tests[test].mixed;
        mixed.push_back(day);
        while mixed.front().is_some_and(|time| *time <= day - 14.0) {
            mixed.pop_front();
        }
        if mixed.len() >= 2 && mixed.len() as f64 >= 0.01 * sources {
            self.flag(5, test, day);
        }
    }

    /// Changes between passing and failing in the last 100 runs of the default branch, this failure included.
    fn transitions(&mut self, test: usize) -> usize {
        let now = self.default_runs;
        let failed = &mut self.tests[test].default;
        failed.push_back(now);
        while failed.front().is_some_and(|run| *run <= now - 100) {
            failed.pop_front();
        }
        let mut stretches = 1;
        for (one, next) in failed.iter().zip(failed.iter().skip(1)) {
            stretches += usize::from(next - one > 1);
        }
        2 * stretches - 1
    }
}
