//! Roll-ups say exactly what the executions say.

use crate::builder::{Fixture, NOON};
use casebook_model::branch::BranchClass;
use casebook_model::execution::{ExecutionFlags, Outcome};
use casebook_model::id::TestId;
use casebook_model::time::DAY_US;
use casebook_storage::executions;
use casebook_storage::rollups::{self, Window};
use casebook_storage::selection::{self, BranchFilter, Selection};
use casebook_testkit::{TestDatabase, both_engines};
use std::sync::atomic::AtomicBool;

both_engines!(roll_ups_equal_a_recount, metrics_are_left_out, history_is_newest_first,);

/// Numbers that look random and are always the same.
fn scrambled(n: i64) -> i64 {
    n.wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
        .rotate_left(17)
        .rem_euclid(1000)
}

fn fill(fixture: &Fixture) {
    for n in 0..40 {
        let class = BranchClass::ALL[(scrambled(n) % 3) as usize];
        let at = NOON.plus(-(n % 10) * DAY_US);
        let mut upload = fixture.upload(&format!("k{}", n / 2)).at(at).branch(class.as_str(), class);
        for test in 0..70 {
            let outcome = Outcome::ALL[(scrambled(n * 100 + test) % 5) as usize];
            upload = upload.with(&format!("t{test}"), outcome, |result| {
                result.duration_us = (test % 3 != 0).then_some(scrambled(n + test) * 1000);
                if outcome == Outcome::Skipped && test % 2 == 0 {
                    result.flags = ExecutionFlags::PENDING;
                }
            });
        }
        fixture.record(&[upload.build()]);
    }
}

fn roll_ups_equal_a_recount(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    fill(&fixture);
    let today = NOON.day();
    for (days, class) in
        [(0, None), (3, Some(BranchClass::Default)), (20, None), (20, Some(BranchClass::MergeQueue))]
    {
        let window = Window { first_day: today - days, last_day: today, branch_class: class };
        let packed = fixture.store.read(|db| rollups::window(db, fixture.suite, window)).unwrap();
        let selection = Selection {
            from: NOON.plus(-days * DAY_US - DAY_US / 2),
            to: NOON.plus(DAY_US / 2 - 1),
            branch: class.map(|class| BranchFilter::Is(class.as_str().to_owned())),
            tags: Vec::new(),
        };
        let counted = fixture
            .store
            .read(|db| selection::count(db, fixture.suite, &selection, &AtomicBool::new(false)))
            .unwrap();
        assert_eq!(packed, counted, "{days} days, {class:?}");
        assert!(!packed.is_empty());

        let (test, expected) = packed[packed.len() / 2];
        let mut merged = casebook_model::rollup::RollupCell::default();
        for (_, _, cell) in
            fixture.store.read(|db| rollups::of_test(db, fixture.suite, test, window)).unwrap()
        {
            merged.merge(&cell);
        }
        assert_eq!(merged, expected);
    }
}

fn metrics_are_left_out(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let upload = fixture.upload("k").result("a", Outcome::Failed);
    let upload = upload.with("a", Outcome::Passed, |result| result.flags = ExecutionFlags::MEASURED);
    fixture.record(&[upload.build()]);
    let window = Window { first_day: NOON.day(), last_day: NOON.day(), branch_class: None };
    let cells = fixture.store.read(|db| rollups::window(db, fixture.suite, window)).unwrap();
    let (_, cell) = cells[0];
    assert_eq!((cell.executions(), cell.passed, cell.failed, cell.measured, cell.timed), (1, 0, 1, 1, 1));
}

fn history_is_newest_first(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    for n in 0..12 {
        let upload = fixture.upload(&format!("k{n}")).result("other", Outcome::Passed);
        let upload = if n % 2 == 0 {
            upload.result("a", Outcome::Failed).result("a", Outcome::Passed)
        } else {
            upload
        };
        fixture.record(&[upload.build()]);
    }
    let history = fixture.store.read(|db| executions::history(db, fixture.suite, TestId(2), 6)).unwrap();
    let places: Vec<_> = history.iter().map(|e| (e.id.run.get(), e.id.attempt)).collect();
    // Run 12 is the newest and has no result of the test; the six newest runs are 7 to 12.
    assert_eq!(places, [(11, 1), (11, 2), (9, 1), (9, 2), (7, 1), (7, 2)]);
}
