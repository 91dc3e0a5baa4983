//! Tests, spellings and attributes, also when several servers write to one suite.

use crate::builder::{Builder, Fixture, record};
use casebook_model::execution::Outcome::Passed;
use casebook_model::run::Protocol;
use casebook_model::test::Spelling;
use casebook_storage::catalog::Catalogs;
use casebook_storage::ingest::NewUpload;
use casebook_storage::page::Page;
use casebook_storage::tests::{self, ShownTest};
use casebook_testkit::{TestDatabase, both_engines};

both_engines!(
    a_test_is_found_by_any_spelling_and_shown_in_the_latest,
    the_latest_result_decides_about_the_place,
    two_servers_agree_about_tests,
    names_of_any_length_and_kind_are_kept,
);

fn all(fixture: &Fixture) -> Vec<ShownTest> {
    let page = Page { offset: 0, limit: 100 };
    fixture.store.read(|db| tests::list(db, fixture.suite, Protocol::Buildkite, page)).unwrap().items
}

/// An upload of one result whose scope stands for a class name.
fn spelled(upload: Builder, scope: &str, class_name: &str, name: &str) -> NewUpload {
    let spelling = Spelling { protocol: Protocol::Buildkite, scope: scope.into(), name: name.into() };
    upload
        .with(name, Passed, |result| {
            result.spelling_key = spelling.key();
            result.scope = scope.to_owned();
            result.class_name = (scope != class_name).then(|| class_name.to_owned());
        })
        .build()
}

fn a_test_is_found_by_any_spelling_and_shown_in_the_latest(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let scopes = ["tests/test_a.py::TestB", "tests.test_a.TestB", "tests/test_a.py::TestB"];
    for (n, scope) in scopes.into_iter().enumerate() {
        fixture.record(&[spelled(fixture.upload(&format!("k{n}")), scope, "tests.test_a.TestB", "test_c")]);
        let shown = all(&fixture);
        assert_eq!(shown.len(), 1);
        assert_eq!((shown[0].scope.as_str(), shown[0].name.as_str()), (scope, "test_c"));
        assert_eq!(shown[0].test.identity.class_name, "tests.test_a.TestB");
    }
    let find = |protocol, scope: &str| {
        let spelling = Spelling { protocol, scope: scope.into(), name: "test_c".into() };
        fixture.store.read(|db| tests::find_by_spelling(db, fixture.suite, &spelling)).unwrap()
    };
    for protocol in [Protocol::Buildkite, Protocol::Aviator] {
        assert!(find(protocol, "tests/test_a.py::TestB").is_some(), "{protocol}");
        assert!(find(protocol, "tests.test_a.TestB").is_some(), "{protocol}");
    }
    assert_eq!(find(Protocol::Buildkite, "tests.test_a"), None);
    assert_eq!(fixture.number("select count(*) from test_spelling"), 2);
}

fn the_latest_result_decides_about_the_place(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    for (n, location) in [Some("a.py:1"), Some("a.py:2"), None].into_iter().enumerate() {
        let upload = fixture.upload(&format!("k{n}")).with("t", Passed, |result| {
            result.attributes.location = location.map(str::to_owned);
        });
        fixture.record(&[upload.build()]);
        assert_eq!(all(&fixture)[0].test.attributes.location.as_deref(), location);
    }
}

fn two_servers_agree_about_tests(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let servers = [Catalogs::default(), Catalogs::default()];
    for n in 0..8 {
        let location = format!("a.py:{}", n / 2 % 2);
        let upload = fixture.upload(&format!("k{n}")).result(&format!("new{}", n / 2), Passed);
        let upload =
            upload.with("moving", Passed, |result| result.attributes.location = Some(location.clone()));
        record(&fixture.store, fixture.suite, &[upload.build()], &servers[n % 2]).unwrap();
        let shown = all(&fixture);
        let moving = shown.iter().find(|shown| shown.name == "moving").unwrap();
        assert_eq!(moving.test.attributes.location.as_ref(), Some(&location), "after upload {n}");
    }
    assert_eq!(all(&fixture).len(), 5);
}

fn names_of_any_length_and_kind_are_kept(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let long = "ü".repeat(10_000);
    let names =
        [long.as_str(), "'; drop table test; --", " leading", "tab\tand\nline", "emoji 🍋", "\u{1b}[31m"];
    let mut upload = fixture.upload("k");
    for name in names {
        upload = upload.result(name, Passed);
    }
    fixture.record(&[upload.build()]);
    let shown: Vec<String> = all(&fixture).into_iter().map(|shown| shown.name).collect();
    assert_eq!(shown, names);
}
