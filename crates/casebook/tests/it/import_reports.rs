//! `casebook import` of test reports: their times, their runs, and who is told.

use crate::import::{import, serve};
use crate::webhook_setup::{Place, deliveries, delivery, prompt_suite};
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};
use std::fs;

both_engines!(
    reports_come_in_by_their_time,
    reports_of_one_key_are_one_run,
    webhooks_are_told_of_history_only_when_asked,
);

/// Reports of one test that fails and passes, in a folder.
fn flaky_reports(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, minute, outcome) in [("a.xml", 10, "<failure message=\"x\"/>"), ("b.xml", 20, "")] {
        let case = format!("<testcase classname=\"C\" name=\"{name}\">{outcome}</testcase>");
        let text = format!("<testsuite timestamp=\"2026-01-02T10:{minute}:00Z\">{case}</testsuite>");
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

fn reports_come_in_by_their_time(database: &TestDatabase) {
    let (server, token) = serve(database);
    let folder = tempfile::tempdir().unwrap();
    let report = |time: &str, outcome: &str| {
        format!(
            "<testsuite name=\"s\" timestamp=\"{time}\"><testcase classname=\"C\" name=\"t\">{outcome}</testcase></testsuite>"
        )
    };
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("b.xml", &report("2026-01-02T10:00:00", "<failure message=\"x\"/>"));
    write("a.xml", &report("2026-01-03T10:00:00Z", ""));
    write(
        "cut.xml",
        "<testsuite timestamp=\"2026-01-01T10:00:00\"><testcase classname=\"C\" name=\"t\"/><testcase cl",
    );
    let mut archive = zip::ZipWriter::new(fs::File::create(folder.path().join("more.zip")).unwrap());
    archive.start_file("deep/c.xml", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut archive, report("2025-12-31T10:00:00", "").as_bytes()).unwrap();
    archive.finish().unwrap();
    let (all, zip) = (folder.path().to_str().unwrap(), folder.path().join("more.zip"));
    let told = import(&server, &["--branch", "main", "--commit", "c1", all, zip.to_str().unwrap()]);
    assert!(told.contains("4 reports: 4 results imported, 0 were known"), "{told}");
    let runs = "/v2/analytics/organizations/acme/suites/cart/runs";
    let read = || server.get(runs).token(&token).send().expect(200).json();
    let runs = read();
    let times: Vec<&str> =
        runs.as_array().unwrap().iter().map(|run| run["created_at"].as_str().unwrap()).collect();
    assert_eq!(
        times,
        [
            "2026-01-03T10:00:00.000Z",
            "2026-01-02T10:00:00.000Z",
            "2026-01-01T10:00:00.000Z",
            "2025-12-31T10:00:00.000Z"
        ]
    );
    let told = import(&server, &["--branch", "main", "--commit", "c1", all, zip.to_str().unwrap()]);
    assert!(told.contains("4 reports: 0 results imported, 4 were known"), "{told}");
    assert_eq!(read(), runs);
    let checked = server.succeed(&["check"]);
    assert!(!checked.contains("differ"), "{checked}");
}

fn reports_of_one_key_are_one_run(database: &TestDatabase) {
    let (server, token) = serve(database);
    let folder = flaky_reports("t");
    let path = folder.path().to_str().unwrap();
    let runs = || {
        let path = "/v2/analytics/organizations/acme/suites/cart/runs";
        server.get(path).token(&token).send().expect(200).json().as_array().unwrap().len()
    };
    for expected in ["2 results imported, 0 were known", "0 results imported, 2 were known"] {
        let told = import(&server, &["--run-key", "nightly", "--commit", "c1", path]);
        assert!(told.contains(expected), "{told}");
        assert_eq!(runs(), 1);
    }
    let test = "/api/casebook/v1/suites/acme/cart/tests";
    let test = server.get(test).token(&token).send().expect(200).json()["items"][0]["id"].clone();
    let attempts = format!("/api/casebook/v1/suites/acme/cart/tests/{}/executions", test.as_str().unwrap());
    let attempts = server.get(&attempts).token(&token).send().expect(200).json()["items"].clone();
    let told: Vec<Value> = attempts
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| json!([attempt["run_key"], attempt["attempt"], attempt["outcome"]]))
        .collect();
    assert_eq!(json!(told), json!([["nightly", 1, "failed"], ["nightly", 2, "passed"]]));
    // Without a key each is a run of its own.
    let _ = import(&server, &["--commit", "c1", path]);
    assert_eq!(runs(), 3);
}

fn webhooks_are_told_of_history_only_when_asked(database: &TestDatabase) {
    let place = Place::new(database);
    let server = place.start(0);
    let suite = prompt_suite(&server);
    // What is written down is what counts here; nobody listens.
    let (hook, _) = place.hook(&server, "http://127.0.0.1:1/", &["--event", "new_flaky_test"]);
    let bring = |name: &str, more: &[&str]| {
        let folder = flaky_reports(name);
        let all = ["--branch", "main", "--commit", "c1", "--run-key", name, folder.path().to_str().unwrap()];
        import(&server, &[&all[..], more].concat())
    };
    let _ = bring("quiet", &[]);
    assert_eq!(deliveries(&suite, &hook).len(), 0);
    let refused = server.command(&["import", "--suite", "acme/cart", "--notify", "x.xml"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    let _ = bring("told", &["--notify", "--public-url", "http://casebook.test"]);
    let found = deliveries(&suite, &hook);
    assert_eq!(found.len(), 1);
    let body = delivery(&suite, found[0]["id"].as_str().unwrap())["body"].clone();
    let body: Value = serde_json::from_str(body.as_str().unwrap()).unwrap();
    assert_eq!((&body["action"], &body["test_case"]["name"]), (&json!("new_flaky_test"), &json!("told")));
}
