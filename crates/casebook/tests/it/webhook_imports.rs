//! History that is brought later: what was over concerns nobody, what goes on does. Through the application's own door,
//! because it is asked for by a flag of the upload.

use casebook_app::clock::Clock;
use casebook_app::uploads::{Context, Environment, ReportBody, assemble, read};
use casebook_app::webhooks::{NewWebhook, Settings};
use casebook_app::{Anonymous, App, Options, setup};
use casebook_formats::Format;
use casebook_model::id::WebhookId;
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

both_engines!(history_is_silent_about_what_was_over, an_end_that_was_told_too_early_is_taken_back);

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

/// A server with one webhook, whose receiver is never there: what would be sent is due for ever.
struct Told {
    app: Arc<App>,
    runtime: tokio::runtime::Runtime,
    clock: Clock,
    suite: Suite,
    webhook: WebhookId,
    _folder: tempfile::TempDir,
}

impl Told {
    fn new(database: &TestDatabase) -> Self {
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
        Self { app, runtime, clock, suite, webhook, _folder: folder }
    }

    /// Events and names of tests, sorted.
    fn all(&self) -> Vec<(String, String)> {
        let webhook = self.webhook;
        let found = self.app.with_webhooks(move |webhooks| {
            let found = webhooks.deliveries(webhook, None, 100)?;
            let bodies = found.into_iter().map(|delivery| webhooks.show(delivery.suite, delivery.id));
            bodies.collect::<Result<Vec<_>, _>>()
        });
        let mut told: Vec<(String, String)> = Vec::new();
        for shown in self.runtime.block_on(found).unwrap() {
            let body: serde_json::Value = serde_json::from_slice(&shown.body).unwrap();
            told.push((
                body["action"].as_str().unwrap().to_owned(),
                body["test_case"]["name"].as_str().unwrap().to_owned(),
            ));
        }
        told.sort_unstable();
        told
    }

    fn record(&self, name: &str, days_ago: i64, notify: bool) {
        let upload = flake(&self.suite, name, days_ago, notify, NOW);
        let _ = self.runtime.block_on(self.app.record(upload)).unwrap();
    }

    fn let_time_pass(&self) {
        let _ = self.runtime.block_on(self.app.let_time_pass()).unwrap();
    }
}

fn pair(action: &str, name: &str) -> (String, String) {
    (action.to_owned(), name.to_owned())
}

fn history_is_silent_about_what_was_over(database: &TestDatabase) {
    let told = Told::new(database);
    for (name, days_ago) in [("long over", 60), ("over twice", 50), ("over twice", 20), ("still open", 5)] {
        told.record(name, days_ago, false);
    }
    told.let_time_pass();
    assert_eq!(told.all(), []);
    // Results that are sent are told of, however old they are.
    told.record("sent late", 30, true);
    let both = [pair("new_flaky_test", "sent late"), pair("resolved_flaky_test", "sent late")];
    assert_eq!(told.all(), both);
    // What was open when it was brought ends for everybody to hear.
    told.clock.advance(10 * DAY_US);
    told.let_time_pass();
    let all = [both[0].clone(), both[1].clone(), pair("resolved_flaky_test", "still open")];
    assert_eq!(told.all(), all);
    told.app.close();
}

/// The clock said that it was over, and then came results that are older than that.
fn an_end_that_was_told_too_early_is_taken_back(database: &TestDatabase) {
    let told = Told::new(database);
    let (new, resolved) = (pair("new_flaky_test", "late"), pair("resolved_flaky_test", "late"));
    told.record("late", 20, true);
    told.let_time_pass();
    assert_eq!(told.all(), [new.clone(), resolved.clone()]);
    told.record("late", 10, true);
    assert_eq!(told.all(), [new.clone(), new.clone(), resolved.clone()]);
    told.record("late", 9, true);
    told.let_time_pass();
    assert_eq!(told.all(), [new.clone(), new.clone(), resolved.clone()]);
    told.clock.advance(5 * DAY_US);
    told.let_time_pass();
    assert_eq!(told.all(), [new.clone(), new, resolved.clone(), resolved]);
    told.app.close();
}
