//! What the fold costs. Budgets: 1 us for a clean execution, 50 us for a failing one, look-ups in memory included.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use casebook_analysis::health::Rules;
use casebook_analysis::memory::Memory;
use casebook_analysis::signature::Said;
use casebook_analysis::test_state::TestState;
use casebook_analysis::upload::{Attempt, CommitKey, Lane, Upload};
use casebook_model::branch::BranchClass;
use casebook_model::execution::Outcome;
use casebook_model::id::{RunId, TestId, UploadId};
use casebook_model::time::{DAY_US, Timestamp};
use divan::counter::{BytesCount, ItemsCount};

const TESTS: i64 = 5000;

fn main() {
    divan::main();
}

/// A suite whose every tenth test has failed before.
struct Fixture {
    memory: Memory,
    run: i64,
}

impl Fixture {
    fn new() -> Self {
        let mut fixture = Self { memory: Memory::new(Rules::default()), run: 0 };
        for _ in 0..40 {
            fixture.fold(|test, run| (test % 10 == 0 && (test / 10 + run) % 40 == 0).then_some(true));
        }
        fixture
    }

    /// One run of all tests a quarter of an hour later; `fails` says whether a test fails, and passes on retry.
    fn fold(&mut self, fails: impl Fn(i64, i64) -> Option<bool>) {
        self.run += 1;
        let at = Timestamp(20_000 * DAY_US + self.run * DAY_US / 96);
        let lane = Lane::of_variant(b"linux");
        let attempt = |test: i64, outcome| Attempt { test: TestId(test), lane, outcome, at, signature: None };
        let mut attempts = Vec::with_capacity(TESTS as usize + 100);
        for test in 0..TESTS {
            match fails(test, self.run) {
                None => attempts.push(attempt(test, Outcome::Passed)),
                Some(passes) => {
                    let retry = if passes { Outcome::Passed } else { Outcome::Failed };
                    attempts.extend([attempt(test, Outcome::Failed), attempt(test, retry)]);
                }
            }
        }
        let commit = CommitKey(self.run.unsigned_abs());
        let upload = Upload {
            upload: UploadId(self.run),
            run: RunId(self.run),
            commit,
            branch: None,
            branch_class: BranchClass::Default,
            position: Some(self.run),
            at,
            attempts: &attempts,
            executions: attempts.len() as u64,
        };
        let _ = self.memory.fold(&upload, |_| {});
    }
}

/// An upload in which everything passes: items are executions.
#[divan::bench(sample_count = 200)]
fn clean(bencher: divan::Bencher<'_, '_>) {
    let mut fixture = Fixture::new();
    bencher.counter(ItemsCount::new(TESTS as usize)).bench_local(|| fixture.fold(|_, _| None));
}

/// An upload in which half of the tests fail for good: items are failing tests.
#[divan::bench(sample_count = 100)]
fn failing(bencher: divan::Bencher<'_, '_>) {
    let mut fixture = Fixture::new();
    let half = |test: i64, run: i64| ((test + run) % 2 == 0).then_some(false);
    bencher.counter(ItemsCount::new(TESTS as usize / 2)).bench_local(|| fixture.fold(half));
}

/// The same with a retry that passes.
#[divan::bench(sample_count = 100)]
fn failing_then_passing(bencher: divan::Bencher<'_, '_>) {
    let mut fixture = Fixture::new();
    let half = |test: i64, run: i64| ((test + run) % 2 == 0).then_some(true);
    bencher.counter(ItemsCount::new(TESTS as usize / 2)).bench_local(|| fixture.fold(half));
}

/// To bytes and back.
#[divan::bench]
fn stored_state(bencher: divan::Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let state = fixture.memory.states().next().unwrap().1.clone();
    bencher.bench(|| TestState::from_bytes(&divan::black_box(&state).to_bytes()));
}

/// A message of 4 KB.
#[divan::bench]
fn signature(bencher: divan::Bencher<'_, '_>) {
    let message =
        "AssertionError: expected 1532 to equal 48 at 2026-01-02T03:04:05Z in /tmp/a/b 0x7fffabcd\n"
            .repeat(46);
    bencher
        .counter(BytesCount::of_str(&message))
        .bench(|| Said { message: divan::black_box(&message), ..Said::default() }.signature());
}
