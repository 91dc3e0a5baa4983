//! A server that tells a local receiver of events, on a clock that tests move by starting it again.

use crate::setup::{Suite, program, text, token};
use casebook_testkit::{TestDatabase, TestServer, Upload, WebhookReceiver};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const HOUR: u64 = 60 * 60;
pub(crate) const DAY: u64 = 24 * HOUR;

/// A database and the key file that goes with it.
pub(crate) struct Place<'d> {
    pub(crate) database: &'d TestDatabase,
    folder: TempDir,
}

impl<'d> Place<'d> {
    pub(crate) fn new(database: &'d TestDatabase) -> Self {
        Self { database, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.path().join("test.key")
    }

    /// Starts a server that is so many seconds ahead of the system's clock.
    pub(crate) fn start(&self, seconds_ahead: u64) -> TestServer {
        self.start_with(seconds_ahead, &["--allow-private-webhooks"])
    }

    pub(crate) fn start_with(&self, seconds_ahead: u64, more: &[&str]) -> TestServer {
        let (ahead, key_file) = (seconds_ahead.to_string(), self.key_file());
        let key_file = key_file.to_str().unwrap();
        let arguments = ["--clock-ahead-seconds", &ahead, "--secret-key-file", key_file];
        TestServer::start_with(program(), self.database, &[&arguments, more].concat())
    }

    /// Makes a webhook, and returns its id and its secret.
    pub(crate) fn hook(&self, server: &TestServer, url: &str, more: &[&str]) -> (String, String) {
        let key_file = self.key_file();
        let key_file = key_file.to_str().unwrap();
        let arguments = ["webhook", "create", url, "--suite", "acme/cart", "--secret-key-file", key_file];
        let told = server.succeed(&[&arguments[..], &["--allow-private-webhooks"], more].concat());
        let mut lines = told.lines().map(str::to_owned);
        (lines.next().unwrap(), lines.next().unwrap())
    }
}

/// A suite that one piece of evidence is enough for.
pub(crate) fn prompt_suite(server: &TestServer) -> Suite<'_> {
    let suite = Suite::new(server, "cart");
    let _ = server.succeed(&["suite", "create", &suite.name, "--detection", "prompt"]);
    suite
}

/// Results of a test that fails and passes on one commit.
pub(crate) fn flake(name: &str, number: u64) -> Upload {
    let upload = Upload::new(&format!("{name}-{number}")).branch("main").commit(&commit(number));
    upload.result("Cart", name, "failed").result("Cart", name, "passed")
}

pub(crate) fn commit(number: u64) -> String {
    format!("{number:040x}")
}

fn path(suite: &Suite<'_>, rest: &str) -> String {
    format!("/api/casebook/v1/suites/{}{rest}", suite.name)
}

/// What our own API answers.
#[track_caller]
pub(crate) fn read(suite: &Suite<'_>, rest: &str) -> Value {
    suite.server.get(&path(suite, rest)).token(&suite.read_token).send().expect(200).json()
}

/// Sends something to our own API with a token of scope write.
#[track_caller]
pub(crate) fn write(suite: &Suite<'_>, method: &str, rest: &str, body: &Value, status: u16) -> Value {
    let write = token(suite.server, &["--suite", &suite.name, "--scope", "write"]);
    let request = suite.server.request(method, &path(suite, rest)).token(&write).json(body);
    let reply = request.send().expect(status);
    if reply.body.is_empty() { Value::Null } else { reply.json() }
}

/// The deliveries to a webhook, newest first.
#[track_caller]
pub(crate) fn deliveries(suite: &Suite<'_>, hook: &str) -> Vec<Value> {
    let found = read(suite, &format!("/webhooks/{hook}/deliveries"));
    found["items"].as_array().unwrap().clone()
}

/// A delivery with its attempts.
#[track_caller]
pub(crate) fn delivery(suite: &Suite<'_>, id: &str) -> Value {
    read(suite, &format!("/deliveries/{id}"))
}

/// What does not come about in this time never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until `done` likes the answer, and returns that.
#[track_caller]
pub(crate) fn wait_until(ask: impl Fn() -> Value, done: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if done(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer}");
        std::thread::yield_now();
    }
}

/// Waits until so many attempts of a delivery are recorded, which they are after the receiver has answered.
#[track_caller]
pub(crate) fn wait_for_attempts(suite: &Suite<'_>, id: &str, attempts: u64) -> Value {
    wait_until(|| delivery(suite, id), |found| found["attempts_count"] == attempts)
}

/// Whatever is still to come has come when a later event has: waits for one of a test of its own.
#[track_caller]
pub(crate) fn wait_for_all(suite: &Suite<'_>, receiver: &WebhookReceiver, seen: usize) {
    let _ = suite.upload(&flake("the last", 900));
    let _ = suite.upload(&flake("the last", 901));
    let received = receiver.wait_for(seen + 1);
    let names: Vec<String> =
        received.iter().map(|request| text(&request.json()["test_case"], "name")).collect();
    assert_eq!(names.len(), seen + 1, "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("the last"), "{names:?}");
}

/// What the example events of these tests say of their test.
pub(crate) fn named(name: &str) -> Value {
    json!([name, "Cart"])
}
