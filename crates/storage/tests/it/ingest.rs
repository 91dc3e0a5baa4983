//! Uploads: attempts, repetitions, verdicts, growth, and groups that share a transaction.

use crate::builder::{Fixture, NOON, make_suite, record};
use casebook_model::branch::BranchClass;
use casebook_model::execution::Outcome::{Failed, Passed, Skipped};
use casebook_model::name::Commit;
use casebook_model::run::{RunResult, VerdictCounts};
use casebook_model::time::DAY_US;
use casebook_storage::catalog::Catalogs;
use casebook_testkit::{TestDatabase, both_engines};

both_engines!(
    an_upload_is_stored_and_counted,
    the_same_upload_again_changes_nothing,
    a_known_report_again_changes_nothing,
    a_run_grows_and_its_verdicts_follow,
    variants_are_judged_apart,
    a_group_is_stored_like_one_after_the_other,
    an_id_repeats_only_within_its_test_and_run,
    concurrent_writers_lose_and_double_nothing,
    suites_number_their_own_things,
);

fn an_upload_is_stored_and_counted(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let upload = fixture.upload("k").commit("c1").branch("main", BranchClass::Default);
    let upload = upload.result("b", Failed).result("a", Passed).result("c", Skipped).build();
    let receipt = &fixture.record(&[upload])[0];
    assert_eq!((receipt.run.get(), receipt.upload.get(), receipt.accepted, receipt.duplicate), (1, 1, 3, 0));

    let run = fixture.run(receipt.run);
    assert_eq!((run.outcomes.passed, run.outcomes.failed, run.outcomes.skipped, run.uploads), (1, 1, 1, 1));
    assert_eq!(run.verdicts, VerdictCounts { passed: 1, failed: 1, skipped: 1, ..VerdictCounts::default() });
    assert_eq!((run.attributes.commit.clone(), run.duration_us), (Commit::new("c1"), 3_000));
    assert_eq!(run.result(NOON), RunResult::Failed);
    let executions = fixture.executions(receipt.run);
    let outcomes: Vec<_> = executions.iter().map(|e| (e.id.test.get(), e.id.attempt, e.outcome)).collect();
    assert_eq!(outcomes, [(1, 1, Failed), (2, 1, Passed), (3, 1, Skipped)]);
}

fn the_same_upload_again_changes_nothing(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let upload =
        || fixture.upload("k").result_with_id("a", Passed, 11).result_with_id("b", Failed, 12).build();
    let first = fixture.record(&[upload()]).remove(0);
    let before = (fixture.run(first.run), fixture.executions(first.run));
    let mut again = upload();
    again.received_at = NOON.plus(DAY_US);
    let second = fixture.record(&[again]).remove(0);
    assert_eq!((second.run, second.upload), (first.run, first.upload));
    assert_eq!((second.accepted, second.duplicate), (0, 2));
    assert_eq!((fixture.run(first.run), fixture.executions(first.run)), before);
    assert_eq!(fixture.number("select count(*) from upload"), 1);

    // One new result among old ones is stored, and the upload with it.
    let more = fixture.upload("k").result_with_id("a", Passed, 11).result_with_id("a", Passed, 13).build();
    let third = fixture.record(&[more]).remove(0);
    assert_eq!((third.upload.get(), third.accepted, third.duplicate), (2, 1, 1));
}

fn a_known_report_again_changes_nothing(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let upload = |digest| fixture.upload("k").digest(digest).result("a", Passed).result("a", Failed).build();
    // Within one group, and in a later one.
    let first = fixture.record(&[upload("x"), upload("x")]);
    let later = fixture.record(&[upload("x"), upload("y")]);
    let counts: Vec<_> =
        first.iter().chain(&later).map(|r| (r.upload.get(), r.accepted, r.duplicate)).collect();
    assert_eq!(counts, [(1, 2, 0), (1, 0, 2), (1, 0, 2), (2, 2, 0)]);
    assert_eq!(fixture.executions(first[0].run).len(), 4);
}

fn a_run_grows_and_its_verdicts_follow(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let run = fixture.record(&[fixture.upload("k").result("a", Failed).result("b", Passed).build()])[0].run;
    assert_eq!(fixture.run(run).verdicts, VerdictCounts { passed: 1, failed: 1, ..VerdictCounts::default() });
    let retry = fixture.upload("k").at(NOON.plus(60_000_000)).commit("c9").result("a", Passed).build();
    let receipt = &fixture.record(&[retry])[0];
    assert_eq!((receipt.run, receipt.upload.get()), (run, 2));
    let grown = fixture.run(run);
    assert_eq!(grown.verdicts, VerdictCounts { passed: 1, flaky: 1, ..VerdictCounts::default() });
    assert_eq!(grown.result(NOON), RunResult::Failed);
    assert_eq!((grown.started_at, grown.updated_at), (NOON, NOON.plus(60_000_000)));
    assert_eq!(grown.attributes.commit, Commit::new("c9"));
    let attempts: Vec<_> = fixture.executions(run).iter().map(|e| (e.id.test.get(), e.id.attempt)).collect();
    assert_eq!(attempts, [(1, 1), (1, 2), (2, 1)]);
}

fn variants_are_judged_apart(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let linux = fixture.upload("k").os("linux").result("a", Passed).build();
    let windows = fixture.upload("k").os("windows").result("a", Failed).build();
    let run = fixture.record(&[linux, windows])[0].run;
    // Passing on one system and failing on another is no flake.
    assert_eq!(fixture.run(run).verdicts, VerdictCounts { passed: 1, failed: 1, ..VerdictCounts::default() });
    let executions = fixture.executions(run);
    assert_ne!(executions[0].variant, executions[1].variant);
    let retry = fixture.upload("k").os("windows").result("a", Passed).build();
    fixture.record(&[retry]);
    assert_eq!(fixture.run(run).verdicts, VerdictCounts { passed: 1, flaky: 1, ..VerdictCounts::default() });
}

fn a_group_is_stored_like_one_after_the_other(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let uploads: Vec<_> = (0..30)
        .map(|n| {
            let key = format!("k{}", n % 4);
            let outcome = if n % 7 == 0 { Failed } else { Passed };
            fixture
                .upload(&key)
                .result(&format!("t{}", n % 5), outcome)
                .result_with_id("same", Passed, n % 3)
                .build()
        })
        .collect();
    let together = fixture.record(&uploads);

    let other = make_suite(&fixture.store, "alone");
    let catalogs = Catalogs::default();
    let alone: Vec<_> = uploads
        .iter()
        .map(|upload| {
            let mut upload = upload.clone();
            upload.suite = other;
            record(&fixture.store, other, &[upload], &catalogs).unwrap().remove(0)
        })
        .collect();
    assert_eq!(together, alone);
    for run in (1..=4).map(casebook_model::id::RunId) {
        let read =
            |suite| fixture.store.read(|db| casebook_storage::executions::of_run(db, suite, run)).unwrap();
        assert_eq!(read(fixture.suite), read(other));
        let runs =
            |suite| fixture.store.read(|db| casebook_storage::runs::find(db, suite, run)).unwrap().unwrap();
        assert_eq!(runs(fixture.suite).verdicts, runs(other).verdicts);
        assert_eq!(runs(fixture.suite).outcomes, runs(other).outcomes);
    }
}

fn an_id_repeats_only_within_its_test_and_run(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let one = fixture.upload("k1").result_with_id("a", Passed, 5).result_with_id("b", Passed, 5).build();
    let two = fixture.upload("k2").result_with_id("a", Passed, 5).build();
    let accepted: i64 = fixture.record(&[one, two]).iter().map(|receipt| receipt.accepted).sum();
    assert_eq!(accepted, 3);
    // Within one upload, too.
    let twice = fixture.upload("k3").result_with_id("a", Passed, 6).result_with_id("a", Failed, 6).build();
    let receipt = &fixture.record(&[twice])[0];
    assert_eq!((receipt.accepted, receipt.duplicate), (1, 1));
}

fn concurrent_writers_lose_and_double_nothing(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let fixture = &fixture;
            scope.spawn(move || {
                // Every writer has a catalog of its own, as several servers on one database do.
                let catalogs = Catalogs::default();
                for n in 0..10 {
                    let upload = fixture.upload(&format!("k{n}")).result("shared", Passed);
                    let upload = upload.result(&format!("own{writer}"), Failed).build();
                    record(&fixture.store, fixture.suite, &[upload], &catalogs).unwrap();
                }
            });
        }
    });
    assert_eq!(fixture.number("select count(*) from upload"), 40);
    assert_eq!(fixture.number("select count(*) from run"), 10);
    assert_eq!(fixture.number("select count(*) from test"), 5);
    assert_eq!(fixture.number("select count(*) from execution"), 80);
    assert_eq!(fixture.number("select cast(sum(passed) as bigint) from run"), 40);
    assert_eq!(fixture.number("select cast(max(attempt) as bigint) from execution"), 4);
}

fn suites_number_their_own_things(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let other = make_suite(&fixture.store, "other");
    for suite in [fixture.suite, other] {
        let mut upload = fixture.upload("same key").result("a", Passed).build();
        upload.suite = suite;
        let receipt = record(&fixture.store, suite, &[upload], &fixture.catalogs).unwrap().remove(0);
        assert_eq!((receipt.run.get(), receipt.upload.get(), receipt.accepted), (1, 1, 1));
    }
}
