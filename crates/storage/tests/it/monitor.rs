//! pytest-monitor's records: numbers, refusals, lists and pages.

use crate::builder::Fixture;
use casebook_model::measurement::{Metric, MetricWord, Resource, Session};
use casebook_model::run::Protocol;
use casebook_model::time::Timestamp;
use casebook_storage::Store;
use casebook_storage::counts;
use casebook_storage::ingest::{self, NewUpload, Receipt, Record, Refusal};
use casebook_storage::monitor::metrics::{self, End, Selection};
use casebook_storage::monitor::{self, NewMetric, NewSession, Paged, Wanted};
use casebook_storage::retention::{self, Dropped};
use casebook_testkit::{TestDatabase, both_engines};

both_engines!(
    a_known_session_is_refused_with_all_it_brings,
    metrics_are_numbered_in_the_order_of_commit,
    every_selection_is_that_of_a_full_scan,
);

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

/// Metrics past several chunks and blocks, with many equal values.
fn scattered(number: usize) -> Metric {
    let values = [0.0, -0.0, 1.5, -2.0, 7.0, 1.5, 3.25];
    let value = |salt: usize| values[(number * 31 + salt * 17 + number / 97) % values.len()];
    let words = [
        format!("s{}", number % 5),
        format!("context{}", number % 2),
        format!("item_{}", number % 11),
        format!("item_{}[{}]", number % 11, number % 23),
        if number % 40 == 39 { "module" } else { "function" }.to_owned(),
        if number % 10 < 7 { "dense".to_owned() } else { format!("rare{}", number % 3) },
        "path".to_owned(),
        "location".to_owned(),
    ];
    Metric { words, started: number.to_string(), values: std::array::from_fn(value) }
}

/// Sessions whose metrics are of long ago.
const OLD: [&str; 2] = ["s1", "s4"];

/// Stores metrics, each with an upload of its own, in groups of many sizes, so that chunks and blocks become full in the middle
/// of some.
fn store(fixture: &Fixture, metrics: &[Metric]) {
    let mut rest = metrics;
    for size in (1..).map(|group| group * 37 % 211 + 1) {
        let (group, later) = rest.split_at(size.min(rest.len()));
        let one = |metric: &Metric| {
            let new =
                Record::Monitor(monitor::Record::Metric(Box::new(NewMetric::new(metric.clone(), None))));
            let session = metric.word(MetricWord::Session);
            let mut upload = upload(fixture, session, vec![new]);
            upload.at = Timestamp(if OLD.contains(&session) { 1_000 } else { 2_000 });
            upload
        };
        let _ = answers(fixture, &group.iter().map(one).collect::<Vec<_>>());
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
}

fn every_selection_is_that_of_a_full_scan(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let mut all: Vec<Metric> = (0..1700).map(scattered).collect();
    for number in 0..4 {
        let tags = [("pipeline_branch", number % 2), ("pipeline_build_no", number)];
        let session = Session {
            key: format!("s{number}"),
            run_date: "2026-01-01T00:00:00".to_owned(),
            scm_ref: Some(format!("AB{number}")),
            tags: tags.map(|(name, value)| (name.to_owned(), Some(value.to_string()))).into(),
        };
        let record = Record::Monitor(monitor::Record::Session(Box::new(NewSession::new(session))));
        let mut upload = upload(&fixture, &format!("s{number}"), vec![record]);
        upload.at = Timestamp(1_000);
        let _ = answers(&fixture, &[upload]);
    }
    store(&fixture, &all);
    assert_every_selection(&fixture, &all);

    // Retention leaves gaps in every list, and blocks that are half empty.
    let mut dropped = Dropped::default();
    while let Some(step) =
        fixture.store.write(|db| retention::step(db, fixture.suite, Timestamp(2_000))).unwrap()
    {
        dropped.add(step);
    }
    let is_kept = |metric: &Metric| !OLD.contains(&metric.word(MetricWord::Session));
    let kept: Vec<Metric> = all.iter().filter(|metric| is_kept(metric)).cloned().collect();
    assert_eq!((dropped.runs, dropped.metrics as usize), (2, all.len() - kept.len()));
    assert_eq!(fixture.store.read(|db| counts::miscounts(db, fixture.suite)).unwrap(), []);
    all = kept;
    assert_every_selection(&fixture, &all);

    // What comes later fills them.
    let later: Vec<Metric> = (1700..2600).map(scattered).filter(is_kept).collect();
    store(&fixture, &later);
    all.extend(later);
    assert_every_selection(&fixture, &all);
}

#[track_caller]
fn assert_every_selection(fixture: &Fixture, all: &[Metric]) {
    let session = |metric: &Metric| metric.word(MetricWord::Session)[1..].parse::<i64>().unwrap();
    type Admit<'a> = &'a dyn Fn(&Metric) -> bool;
    let selections: [(Selection, Admit<'_>); 8] = [
        (Selection::All, &|_| true),
        (Selection::Word(MetricWord::Component, "dense".to_owned()), &|metric| metric.words[5] == "dense"),
        (Selection::Word(MetricWord::Variant, "item_3[7]".to_owned()), &|metric| {
            metric.words[3] == "item_3[7]"
        }),
        (Selection::InComponent("dense".to_owned(), MetricWord::Item, "item_3".to_owned()), &|metric| {
            metric.words[5] == "dense" && metric.words[2] == "item_3"
        }),
        (Selection::Like(MetricWord::Variant, "ITEM_1%3]".to_owned()), &|metric| {
            metric.words[3].starts_with("item_1") && metric.words[3].ends_with("3]")
        }),
        // The fifth session did not come.
        (Selection::Scm("ab".to_owned()), &|metric| session(metric) < 4),
        (Selection::Pipeline("1".to_owned()), &|metric| matches!(session(metric), 1 | 3)),
        (Selection::Build("0".to_owned(), "2".to_owned()), &|metric| session(metric) == 2),
    ];
    for (selection, admit) in &selections {
        let expected: Vec<&Metric> = all.iter().filter(|metric| admit(metric)).collect();
        let counted = fixture.store.read(|db| metrics::count(db, fixture.suite, selection)).unwrap();
        assert_eq!(counted, expected.len() as i64, "{selection:?}");
        for page in [1, 2, 7, -1] {
            let wanted = Wanted { page, size: 100 };
            let found = fixture.store.read(|db| metrics::page(db, fixture.suite, selection, wanted)).unwrap();
            let of_all = wanted.of(expected.clone());
            match (found, of_all) {
                (Paged::Page { items, .. }, Paged::Page { items: expected, .. }) => {
                    assert_eq!(items.iter().collect::<Vec<_>>(), expected, "{selection:?} page {page}");
                }
                (found, expected) => assert_eq!(found == Paged::NoSuchPage, expected == Paged::NoSuchPage),
            }
        }
        for (end, most) in
            [(End::Head, 1), (End::Tail, 10), (End::Head, 500), (End::Tail, 500), (End::Head, 0)]
        {
            let resource = Resource::Memory;
            let found =
                fixture.store.read(|db| metrics::extremes(db, fixture.suite, selection, resource, end, most));
            let mut sorted = expected.clone();
            sorted.sort_by(|a, b| {
                let by_value = a.values[4].partial_cmp(&b.values[4]).unwrap();
                if end == End::Head { by_value.reverse() } else { by_value }
            });
            sorted.truncate(most);
            assert_eq!(found.unwrap().iter().collect::<Vec<_>>(), sorted, "{selection:?} {end:?} {most}");
        }
    }
}
