//! What clients are told while the database is busy storing results. Through the application's own door, because the clock
//! must stand still: what is remembered for a second may otherwise be forgotten at any time.

use casebook_app::access::{Access, Credential, Denied};
use casebook_app::clock::Clock;
use casebook_app::reruns::prompt::Question;
use casebook_app::uploads::{Context, Environment, ReportBody, assemble, read};
use casebook_app::webhooks::Settings;
use casebook_app::{Anonymous, App, Options, secrets, setup};
use casebook_formats::Format;
use casebook_model::id::TestId;
use casebook_model::name::{Branch, Commit};
use casebook_model::policy::RunCounts;
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::suite::{Slug, Suite, SuiteAttributes};
use casebook_model::time::Timestamp;
use casebook_model::token::{Reach, Scope, Token};
use casebook_storage::ingest::NewUpload;
use casebook_storage::{StorageError, Store, policies, suites, tokens};
use casebook_testkit::{Engine, TestDatabase};
use serde_json::json;
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

/// A test that failed and passed on one commit.
fn flake(suite: &Suite, name: &str) -> NewUpload {
    let result = |result: &str| json!({ "scope": "Cart", "name": name, "result": result, "history": {} });
    let body = json!([result("failed"), result("passed")]).to_string().into_bytes();
    let commit = Commit::new(&"a".repeat(40));
    let attributes = RunAttributes { branch: Branch::new("main"), commit, ..RunAttributes::default() };
    let environment = Environment { key: name.to_owned(), attributes, ..Environment::default() };
    let context =
        Context { protocol: Protocol::Buildkite, branches: None, environment, format: Format::Json };
    let read = read(&context, ReportBody::Memory(body.into()), 10).unwrap();
    assemble(suite, context, read, None, NOW)
}

/// A client of a suite.
struct Client {
    app: Arc<App>,
    runtime: Arc<tokio::runtime::Runtime>,
    suite: Suite,
    secret: String,
    token: Token,
}

impl Client {
    /// Names and attempts of the tests it is told of.
    fn ask(&self) -> Result<Vec<(String, i64)>, Denied> {
        let credential = Credential::Token(self.secret.clone());
        let question = Question::new(&credential, &[Some("test"), None]);
        assert!(question.is_some());
        let (app, suite) = (Arc::clone(&self.app), self.suite.clone());
        let find = async move {
            let access: Access = app.authenticate(Some(credential), None).await?;
            assert!(access.reaches(&suite));
            Ok::<_, Denied>(Some(suite))
        };
        let told = self.runtime.block_on(self.app.tell(question, find))?.unwrap();
        let tests = told.list.tests.iter();
        Ok(tests.map(|test| (test.identity.name.clone(), test.counts.max_runs())).collect())
    }
}

#[test]
fn clients_are_told_at_once_while_results_are_being_stored() {
    let Some(database) = TestDatabase::new(Engine::Postgres) else { return };
    let store = Store::open(&database.url().parse().unwrap()).unwrap();
    let _ = setup::first_start(&store, NOW).unwrap();
    let secrets = [secrets::new_token(), secrets::new_token()];
    let made = store.write(|db| {
        let suite = suites::find(db, "default", "default")?.unwrap();
        let slug = Slug::parse("busy").unwrap();
        let busy = suites::insert(db, &suite.organization, &slug, &SuiteAttributes::named("busy"), NOW)?;
        let mut token = |secret: &str| {
            tokens::insert(db, &secrets::token_hash(secret), Reach::Suite(suite.id), Scope::Read, None, NOW)
        };
        let made = (token(&secrets[0])?, token(&secrets[1])?);
        Ok::<_, StorageError>((suite, busy, made))
    });
    let (suite, busy, (kept, revoked)) = made.unwrap();
    let clock = Clock::fixed(NOW);
    let options = Options {
        public_url: "http://casebook".to_owned(),
        anonymous: Anonymous::None,
        clock: clock.clone(),
        webhooks: Settings::new(casebook_aviator::webhook::render),
        keep_days: None,
    };
    let app = App::start(store, options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let runtime = Arc::new(runtime);
    let [kept, revoked] = [(kept, &secrets[0]), (revoked, &secrets[1])].map(|(token, secret)| Client {
        app: Arc::clone(&app),
        runtime: Arc::clone(&runtime),
        suite: suite.clone(),
        secret: secret.clone(),
        token,
    });
    let elsewhere = Store::open(&database.url().parse().unwrap()).unwrap();
    let set_elsewhere = |max_runs| {
        let counts = RunCounts::new(max_runs, 1).unwrap();
        elsewhere.write(|db| policies::set(db, suite.id, Some(TestId(1)), counts, NOW)).unwrap();
    };
    let told = |first: i64| vec![("shaky".to_owned(), first)];

    let _ = runtime.block_on(app.record(flake(&suite, "shaky"))).unwrap();
    let at_first = kept.ask().unwrap();
    assert_eq!((at_first.len(), at_first[0].0.as_str()), (1, "shaky"));
    // While nothing is being stored the database is asked each time.
    set_elsewhere(7);
    assert_eq!((kept.ask().unwrap(), revoked.ask().unwrap()), (told(7), told(7)));

    // An upload that does not get on.
    let mut other = ::postgres::Client::connect(database.url(), ::postgres::NoTls).unwrap();
    let mut lock = other.transaction().unwrap();
    let of_suite = "select 1 from suite_counter where suite_id = $1::bigint for update";
    assert_eq!(lock.query(of_suite, &[&busy.id.get()]).unwrap().len(), 1);
    let upload = runtime.spawn({
        let (app, upload) = (Arc::clone(&app), flake(&busy, "other"));
        async move { app.record(upload).await }
    });
    let mut watch = ::postgres::Client::connect(database.url(), ::postgres::NoTls).unwrap();
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while watch.query_one(waiting, &[]).unwrap().get::<_, i64>(0) == 0 {
        assert!(!upload.is_finished(), "the upload does not wait for the lock");
    }
    // What other processes do is seen a second later at the latest.
    set_elsewhere(6);
    assert!(elsewhere.write(|db| tokens::revoke(db, revoked.token.id, NOW)).unwrap());
    assert_eq!((kept.ask().unwrap(), revoked.ask().unwrap()), (told(7), told(7)));
    // What this server has stored is seen at once.
    let _ = runtime.block_on(app.record(flake(&suite, "new"))).unwrap();
    let names = |told: Vec<(String, i64)>| told.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(revoked.ask().unwrap()), ["shaky", "new"]);
    clock.advance(1_000_001);
    assert!(matches!(revoked.ask(), Err(Denied::Unknown)));
    assert_eq!(kept.ask().unwrap()[0], ("shaky".to_owned(), 6));
    // And so is what was decided here.
    set_elsewhere(5);
    assert_eq!(kept.ask().unwrap()[0], ("shaky".to_owned(), 6));
    runtime.block_on(app.set_policy(suite.id, Some(TestId(1)), RunCounts::new(4, 2).ok())).unwrap();
    assert_eq!(kept.ask().unwrap()[0], ("shaky".to_owned(), 4));

    lock.rollback().unwrap();
    assert!(runtime.block_on(upload).unwrap().is_ok());
    app.close();
}
