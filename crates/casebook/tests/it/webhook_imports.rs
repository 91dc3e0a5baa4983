//! History that is brought later: what was over concerns nobody, what goes on does. Through the application's own door,
//! because it is asked for by a flag of the upload.

use casebook_app::clock::Clock;
use casebook_app::uploads::{Context, Environment, ReportBody, assemble, read};
use casebook_app::webhooks::{NewWebhook, Settings};
use casebook_app::{Anonymous, App, Options, setup};
use casebook_formats::Format;
use casebook_model::name::{Branch, Commit};
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::suite::{Sensitivity, Suite};
use casebook_model::time::{DAY_US, Timestamp};
use casebook_model::webhook::Subscription;
use casebook_storage::ingest::NewUpload;
use casebook_storage::{Store, suites};
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::json;
use std::sync::Arc;

both_engines!(history_is_silent_about_what_was_over);

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

/// A test that failed and passed on one commit, so many days before now.
fn flake(suite: &Suite, name: &str, days_ago: i64, notify: bool, now: Timestamp) -> NewUpload {
    let result = |result: &str| json!({ "scope": "Cart", "name": name, "result": result, "history": {} });
    let body = json!([result("failed"), result("passed")]).to_string().into_bytes();
    let commit = Commit::new(&format!("{days_ago:040x}"));
    let attributes = RunAttributes { branch: Branch::new("main"), commit, ..RunAttributes::default() };
    let started_at = Some(NOW.plus(-days_ago * DAY_US).to_rfc3339_millis());
    let environment =
        Environment { key: format!("{name} {days_ago}"), attributes, started_at, ..Environment::default() };
    let context =
        Context { protocol: Protocol::Buildkite, branches: None, environment, format: Format::Json };
    let read = read(&context, ReportBody::Memory(body.into()), 10).unwrap();
    NewUpload { notify, ..assemble(suite, context, read, None, now) }
}

fn history_is_silent_about_what_was_over(database: &TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&database.url().parse().unwrap()).unwrap();
    let _ = setup::first_start(&store, NOW).unwrap();
    let suite = store.write(|db| {
        let mut suite = suites::find(db, "default", "default")?.unwrap();
        suite.attributes.sensitivity = Sensitivity::Prompt;
        suites::update(db, suite.id, &suite.attributes, NOW)?;
        Ok::<_, casebook_storage::StorageError>(suite)
    });
    let suite = suite.unwrap();
    let clock = Clock::fixed(NOW);
    let webhooks = Settings {
        key_file: Some(folder.path().join("key")),
        allow_private: true,
        ..Settings::new(casebook_aviator::webhook::render)
    };
    let (public_url, anonymous) = ("http://casebook".to_owned(), Anonymous::None);
    let options = Options { public_url, anonymous, clock: clock.clone(), webhooks, keep_days: None };
    let app = App::start(store, options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let id = suite.id;
    let made = runtime.block_on(app.with_webhooks(move |webhooks| {
        let new = NewWebhook {
            url: "http://127.0.0.1:1/".to_owned(),
            events: Subscription::default(),
            secret: None,
        };
        webhooks.create(id, &new)
    }));
    let webhook = made.unwrap().0.id;
    // Nothing is sent here: what would be is due for ever.
    let told = |app: &Arc<App>| {
        let found = app.with_webhooks(move |webhooks| {
            let found = webhooks.deliveries(webhook, None, 100)?;
            let bodies = found.into_iter().map(|delivery| webhooks.show(delivery.suite, delivery.id));
            bodies.collect::<Result<Vec<_>, _>>()
        });
        let mut told: Vec<(String, String)> = Vec::new();
        for shown in runtime.block_on(found).unwrap() {
            let body: serde_json::Value = serde_json::from_slice(&shown.body).unwrap();
            told.push((
                body["action"].as_str().unwrap().to_owned(),
                body["test_case"]["name"].as_str().unwrap().to_owned(),
            ));
        }
        told.sort_unstable();
        told
    };
    let record = |upload: NewUpload| runtime.block_on(app.record(upload)).unwrap();
    let pair = |action: &str, name: &str| (action.to_owned(), name.to_owned());

    for (name, days_ago) in [("long over", 60), ("over twice", 50), ("over twice", 20), ("still open", 5)] {
        let _ = record(flake(&suite, name, days_ago, false, NOW));
    }
    let _ = runtime.block_on(app.let_time_pass()).unwrap();
    assert_eq!(told(&app), []);
    // Results that are sent are told of, however old they are.
    let _ = record(flake(&suite, "sent late", 30, true, NOW));
    let both = [pair("new_flaky_test", "sent late"), pair("resolved_flaky_test", "sent late")];
    assert_eq!(told(&app), both);
    // What was open when it was brought ends for everybody to hear.
    clock.advance(10 * DAY_US);
    let _ = runtime.block_on(app.let_time_pass()).unwrap();
    let all = [both[0].clone(), both[1].clone(), pair("resolved_flaky_test", "still open")];
    assert_eq!(told(&app), all);
    app.close();
}
