//! pytest-monitor's records: numbers, refusals, lists and pages.

use crate::builder::Fixture;
use casebook_model::measurement::{Metric, Session};
use casebook_model::run::Protocol;
use casebook_storage::Store;
use casebook_storage::ingest::{self, NewUpload, Receipt, Record, Refusal};
use casebook_storage::monitor::{self, NewMetric, NewSession};
use casebook_testkit::{TestDatabase, both_engines};

both_engines!(a_known_session_is_refused_with_all_it_brings, metrics_are_numbered_in_the_order_of_commit);

fn session(key: &str, run_date: &str) -> Record {
    let tags = vec![("pipeline_branch".to_owned(), Some("main".to_owned())), ("empty".to_owned(), None)];
    let session = Session { key: key.to_owned(), run_date: run_date.to_owned(), scm_ref: None, tags };
    Record::Monitor(monitor::Record::Session(Box::new(NewSession::new(session))))
}

fn metric(session: &str, variant: &str, total: f64) -> Record {
    let words = [session, "context", "item", variant, "function", "", "path", "location"].map(str::to_owned);
    let metric = Metric { words, started: "then".to_owned(), values: [total, 0.0, 0.0, 0.0, 0.0] };
    Record::Monitor(monitor::Record::Metric(Box::new(NewMetric::new(metric, None))))
}

fn upload(fixture: &Fixture, session: &str, records: Vec<Record>) -> NewUpload {
    let mut upload = fixture.upload(session).build();
    upload.protocol = Protocol::Monitor;
    upload.records = records;
    upload
}

fn answers(fixture: &Fixture, uploads: &[NewUpload]) -> Vec<Result<Receipt, Refusal>> {
    let Fixture { store, suite, catalogs } = fixture;
    Store::write(store, |db| ingest::record(db, *suite, uploads, catalogs, &mut ())).unwrap()
}

fn a_known_session_is_refused_with_all_it_brings(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let group = [
        upload(&fixture, "s1", vec![session("s1", "2026-01-01T00:00:00"), metric("s1", "v", 1.0)]),
        // Within a group as over two.
        upload(&fixture, "s1", vec![session("s1", "2026-01-01T00:00:00"), metric("s1", "v", 1.0)]),
        upload(&fixture, "s2", vec![session("s2", "2026-01-02T00:00:00")]),
    ];
    let first = answers(&fixture, &group);
    assert_eq!(first[0].as_ref().unwrap().records, [1, 1]);
    assert_eq!(first[1], Err(Refusal::Monitor(monitor::Refusal::Known)));
    assert_eq!(first[2].as_ref().unwrap().records, [2]);
    let again = [
        upload(&fixture, "s1", vec![metric("s1", "w", 2.0)]),
        upload(&fixture, "s1", vec![session("s1", "2026-01-01T00:00:00")]),
        upload(&fixture, "s3", vec![session("s1", "2026-01-03T00:00:00"), metric("s1", "v", 1.0)]),
    ];
    let second = answers(&fixture, &again);
    assert_eq!(second[0].as_ref().unwrap().records, [2]);
    assert_eq!(second[1], Err(Refusal::Monitor(monitor::Refusal::Known)));
    assert_eq!(second[2], Err(Refusal::Monitor(monitor::Refusal::Different)));
    assert_eq!(fixture.number("select count(*) from monitor_session"), 2);
    assert_eq!(fixture.number("select count(*) from monitor_metric"), 2);
    assert_eq!(fixture.number("select count(*) from run"), 2);
    assert_eq!(fixture.number("select count(*) from upload"), 3);
}

fn metrics_are_numbered_in_the_order_of_commit(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let mut numbers = Vec::new();
    for round in 0..3 {
        let records = |key| (0..400).map(|n| metric(key, &format!("v{}", n % 7), f64::from(n))).collect();
        let group = [upload(&fixture, "s1", records("s1")), upload(&fixture, "s2", records("s2"))];
        let answers = answers(&fixture, &group);
        numbers.extend(answers.into_iter().flat_map(|answer| answer.unwrap().records));
        assert_eq!(
            fixture.number("select cast(max(metric_no) as bigint) from monitor_metric"),
            (round + 1) * 800
        );
    }
    assert!(numbers.iter().copied().eq(1..=2400));
    assert_eq!(fixture.number("select size from monitor_list where word_id = 0"), 2400);
}
