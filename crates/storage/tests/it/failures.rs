//! Failing executions of a run, with texts that are stored once.

use crate::builder::Fixture;
use casebook_model::execution::Outcome::{Error, Failed, Passed, Skipped};
use casebook_model::failure::{Failure, FailureDetail};
use casebook_model::name::Commit;
use casebook_model::tags::Tags;
use casebook_storage::failures;
use casebook_storage::page::Page;
use casebook_testkit::{TestDatabase, both_engines};

both_engines!(failing_executions_are_listed_with_their_texts, equal_texts_are_stored_once);

fn failing_executions_are_listed_with_their_texts(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let told = Failure {
        reason: Some("1 != 2".to_owned()),
        details: vec![FailureDetail {
            expanded: vec!["a".into(), String::new()],
            backtrace: vec!["f:1".into()],
        }],
    };
    let packed = failures::pack(&told, None);
    let upload = fixture.upload("k").commit("c1").with("a", Failed, |result| {
        result.failure = Some(packed.clone());
        result.attributes.location = Some("a.py:3".to_owned());
        result.tags = [("team", "own")].into_iter().collect();
        result.offset_ms = 1500;
    });
    let upload = upload.result("a", Passed).with("b", Error, |result| result.failure = None);
    // A passed result may say something too, and is no failure.
    let upload =
        upload.with("c", Passed, |result| result.failure = Some(packed.clone())).result("d", Skipped);
    let mut upload = upload.build();
    upload.tags = [("team", "all"), ("env", "ci")].into_iter().collect();
    let at = upload.at;
    let run = fixture.run(fixture.record(&[upload])[0].run);

    let listed = fixture.store.read(|db| failures::of_run(db, &run, Page { offset: 0, limit: 10 })).unwrap();
    assert_eq!((listed.total, listed.items.len()), (2, 2));
    let (a, b) = (&listed.items[0], &listed.items[1]);
    assert_eq!((a.outcome, a.failure.clone(), a.location.as_deref()), (Failed, told, Some("a.py:3")));
    assert_eq!((a.at, a.commit.clone(), a.duration_us), (at.plus(1_500_000), Commit::new("c1"), Some(1000)));
    let expected: Tags = [("env", "ci"), ("team", "own")].into_iter().collect();
    assert_eq!(a.tags, expected);
    assert_eq!((b.outcome, b.failure.clone()), (Error, Failure::default()));
    let second = fixture.store.read(|db| failures::of_run(db, &run, Page { offset: 1, limit: 10 })).unwrap();
    assert_eq!((second.total, second.items.len(), second.items[0].id), (2, 1, b.id));
}

fn equal_texts_are_stored_once(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    for n in 0..5 {
        let upload =
            fixture.upload(&format!("k{n}")).result("a", Failed).result("a", Failed).result("b", Failed);
        fixture.record(&[upload.build()]);
    }
    assert_eq!(fixture.number("select count(*) from failure"), 15);
    assert_eq!(fixture.number("select count(*) from failure_text"), 2);
}
