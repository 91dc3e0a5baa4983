//! Mute, skip, enable and labels (`buildkite.md` 11, 11.4, 13.5).

use crate::setup::{Suite, start, text};
use casebook_testkit::{TestDatabase, Upload, both_engines};
use serde_json::{Value, json};

both_engines!(
    tests_are_muted_skipped_and_enabled_again,
    labels_are_added_and_removed,
    lists_are_filtered_by_labels_and_state,
    deciding_needs_a_credential_that_may_write,
);

const VERSION: (&str, &str) = ("Buildkite-Version", "2026-08-01");

struct Shop<'s> {
    suite: Suite<'s>,
    server: &'s casebook_testkit::TestServer,
    write_token: String,
    ids: Vec<String>,
}

impl<'s> Shop<'s> {
    /// A suite with the tests a, b and c.
    fn new(server: &'s casebook_testkit::TestServer) -> Self {
        let suite = Suite::new(server, "cart");
        let upload =
            Upload::new("k").result("S", "a", "passed").result("S", "b", "passed").result("S", "c", "passed");
        let _ = suite.upload(&upload);
        let write_token = crate::setup::token(server, &["--suite", "acme/cart", "--scope", "write"]);
        let tests = suite.get("/tests");
        let ids = tests.as_array().unwrap().iter().map(|test| text(test, "id").to_owned()).collect();
        Self { suite, server, write_token, ids }
    }

    fn put(&self, test: usize, what: &str) -> Value {
        let path = self.suite.path(&format!("/tests/{}/{what}", self.ids[test]));
        self.server.request("PUT", &path).token(&self.write_token).send().expect(200).json()
    }

    fn labels(&self, test: usize, operator: &str, labels: &[&str]) -> Value {
        let path = self.suite.path(&format!("/tests/{}/labels", self.ids[test]));
        let request = self.server.request("PATCH", &path).token(&self.write_token);
        let body = json!({ "operator": operator, "labels": labels });
        request.json(&body).send().expect(200).json()["labels"].clone()
    }

    /// Names of the tests that a list holds.
    fn names(&self, path: &str) -> Vec<String> {
        let request = self.server.get(&self.suite.path(path)).token(&self.suite.read_token);
        let list = request.header(VERSION.0, VERSION.1).send().expect(200).json();
        let mut names: Vec<String> =
            list.as_array().unwrap().iter().map(|test| text(test, "name").to_owned()).collect();
        names.sort();
        names
    }
}

fn tests_are_muted_skipped_and_enabled_again(database: &TestDatabase) {
    let server = start(database);
    let shop = Shop::new(&server);
    let muted = shop.put(0, "mute");
    assert_eq!(text(&muted, "name"), "a");
    assert!(muted.get("labels").is_none() && muted.get("reliability").is_none(), "{muted}");
    let _ = shop.put(1, "skip");
    assert_eq!(
        (shop.names("/tests/muted"), shop.names("/tests/skipped")),
        (vec!["a".into()], vec!["b".into()])
    );
    // A test has one state.
    let _ = shop.put(0, "skip");
    assert_eq!(shop.names("/tests/muted"), [""; 0]);
    assert_eq!(shop.names("/tests/skipped?per_page=1"), ["a"]);
    let _ = shop.put(0, "enable");
    let _ = shop.put(1, "enable");
    assert_eq!(shop.names("/tests/skipped"), [""; 0]);
    // The public page shows the list as a PUT, too.
    let put = server.request("PUT", &shop.suite.path("/tests/skipped")).token(&shop.suite.read_token).send();
    assert_eq!(put.expect(200).json(), json!([]));
}

fn labels_are_added_and_removed(database: &TestDatabase) {
    let server = start(database);
    let shop = Shop::new(&server);
    assert_eq!(shop.labels(0, "add", &["slow", "flaky"]), json!(["flaky", "slow"]));
    assert_eq!(shop.labels(0, "add", &["flaky"]), json!(["flaky", "slow"]));
    assert_eq!(shop.labels(0, "remove", &["slow", "never there"]), json!(["flaky"]));
    let path = format!("/tests/{}", shop.ids[0]);
    assert_eq!(shop.suite.get(&path)["labels"], json!(["flaky"]));
    let path = shop.suite.path(&format!("{path}/labels"));
    for body in [
        json!({ "operator": "set", "labels": ["x"] }),
        json!({ "operator": "add", "labels": [] }),
        json!({ "operator": "add", "labels": [" "] }),
        json!({ "operator": "add", "labels": ["x".repeat(256)] }),
        json!({ "operator": "add", "labels": "x" }),
        json!({ "labels": ["x"] }),
    ] {
        let reply = server.request("PATCH", &path).token(&shop.write_token).json(&body).send().expect(422);
        assert!(!reply.message().is_empty());
    }
    assert_eq!(shop.labels(0, "add", &["flaky"]), json!(["flaky"]));
}

fn lists_are_filtered_by_labels_and_state(database: &TestDatabase) {
    let server = start(database);
    let shop = Shop::new(&server);
    let _ = (shop.labels(0, "add", &["flaky", "slow"]), shop.labels(1, "add", &["flaky"]));
    let _ = (shop.put(1, "mute"), shop.put(2, "skip"), shop.put(0, "mute"), shop.put(0, "enable"));
    for (query, expected) in [
        ("label=flaky", &["a", "b"][..]),
        ("labels=flaky", &["a", "b"]),
        ("labels=flaky,slow", &["a"]),
        ("labels=flaky,!slow", &["b"]),
        ("labels=!flaky", &["c"]),
        ("labels=unheard", &[]),
        ("state=enabled", &["a"]),
        ("state=muted", &["b"]),
        ("state=skipped", &["c"]),
        ("state=muted&labels=!flaky", &[]),
    ] {
        assert_eq!(shop.names(&format!("/tests?{query}")), expected, "{query}");
    }
    let plain = shop.suite.get("/tests?label=flaky");
    assert_eq!(plain.as_array().unwrap().len(), 2);
    for wrong in ["label=a&labels=b", "state=quiet"] {
        let request = server.get(&shop.suite.path(&format!("/tests?{wrong}"))).token(&shop.suite.read_token);
        assert!(!request.header(VERSION.0, VERSION.1).send().expect(400).message().is_empty(), "{wrong}");
    }
}

fn deciding_needs_a_credential_that_may_write(database: &TestDatabase) {
    let server = start(database);
    let shop = Shop::new(&server);
    let path = shop.suite.path(&format!("/tests/{}/mute", shop.ids[0]));
    let put = |token: &str| server.request("PUT", &path).token(token).send();
    assert!(!put(&shop.suite.read_token).expect(403).message().is_empty());
    assert!(!put(&shop.suite.upload_token).expect(403).message().is_empty());
    assert!(!server.request("PUT", &path).send().expect(401).message().is_empty());
    let _ = server.succeed(&["suite", "create", "acme/other"]);
    let other = crate::setup::token(&server, &["--suite", "acme/other", "--scope", "admin"]);
    let hidden = put(&other).expect(404).message();
    let missing = shop.suite.path("/tests/nothing/mute").replace("/cart/", "/nowhere/");
    assert_eq!(server.request("PUT", &missing).token(&other).send().expect(404).message(), hidden);
    let unknown = shop.suite.path("/tests/nothing/mute");
    assert_eq!(
        server.request("PUT", &unknown).token(&shop.write_token).send().expect(404).message(),
        "no such test"
    );
    assert_eq!(shop.names("/tests/muted"), [""; 0]);
}
