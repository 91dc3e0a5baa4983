//! Sizes that must work, and sizes that must not harm (`buildkite.md` 4.7).

use crate::setup::{Suite, start, text};
use casebook_testkit::{Engine, Reply, TestDatabase, Upload, both_engines};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;

both_engines!(
    heavy_bodies_of_fifty_megabytes_work,
    long_reasons_are_kept,
    the_longest_texts_are_cut_in_the_middle,
    long_names_are_kept,
);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn send_packed(suite: &Suite<'_>, body: Vec<u8>) -> Reply {
    let request = suite.server.post("/v1/uploads").token(&suite.upload_token);
    request.header("Content-Type", "application/json").header("Content-Encoding", "gzip").bytes(body).send()
}

fn failed(name: &str, reason: &str) -> Value {
    json!({ "scope": "Cart", "name": name, "result": "failed", "failure_reason": reason, "history": { "duration": 1 } })
}

/// A text of that many bytes in many different lines.
fn lines(bytes: usize) -> String {
    let numbers = 0..bytes / 10;
    let text: String = numbers.map(|number| format!("line {number}: expected {}\n", number * 7)).collect();
    text[..bytes].to_owned()
}

fn heavy_bodies_of_fifty_megabytes_work(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    // Most of it in spans, the rest in reasons of 2 kB.
    let reason = lines(2_000);
    let span = json!({ "section": "sql", "duration": 0.1, "detail": { "query": "q".repeat(8_000) } });
    let mut result = failed("NAME", &reason);
    result["history"]["children"] = json!([span]);
    let result = result.to_string();
    let results: Vec<String> =
        (0..5_000).map(|number| result.replacen("NAME", &format!("case {number}"), 1)).collect();
    let body =
        format!(r#"{{"format": "json", "run_env": {{"key": "k1"}}, "data": [{}]}}"#, results.join(","));
    assert!(body.len() > 50_000_000, "{}", body.len());
    let request = server.post("/v1/uploads").token(&suite.upload_token);
    let answer = request.header("Content-Type", "application/json").bytes(body).send().expect(202).json();
    assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(5_000), &json!(0)));
    let first = suite.get(&format!("/runs/{}/failed_executions?per_page=1", text(&answer, "run_id")));
    assert_eq!(text(&first[0], "failure_reason"), reason);
}

/// On one engine, because it never gets as far as the database and takes long.
#[test]
fn heavy_gzip_bombs_are_refused() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "cart");
    // 320 MiB of blanks before an upload that would be good, in 3 MB.
    let blanks = gzip(&vec![b' '; 1 << 20]);
    let mut bomb = blanks.repeat(320);
    bomb.extend(gzip(Upload::new("k1").result("Cart", "a", "passed").body().to_string().as_bytes()));
    assert!(bomb.len() < 8 << 20, "{}", bomb.len());
    assert!(!send_packed(&suite, bomb).expect(413).message().is_empty());
    suite.assert_empty();
    assert_eq!(suite.upload(&Upload::new("k1").result("Cart", "a", "passed"))["queued"], 1);
}

fn long_reasons_are_kept(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let reason = lines(20_000);
    let expanded: Vec<&str> = reason.lines().collect();
    let mut result = failed("a", &reason);
    result["failure_expanded"] = json!([{ "expanded": expanded, "backtrace": expanded }]);
    let answer = suite.upload(&Upload::new("k1").push(result.clone()));
    let found = suite.failed(&answer["run_id"]);
    assert_eq!(text(&found[0], "failure_reason"), reason);
    assert_eq!(found[0]["failure_expanded"], result["failure_expanded"]);
}

fn the_longest_texts_are_cut_in_the_middle(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let reason = format!("the beginning{}the end", "ü".repeat(1_000_000));
    let answer = suite.upload(&Upload::new("k1").push(failed("a", &reason)));
    assert_eq!((&answer["queued"], &answer["errors"]), (&json!(1), &json!([])));
    let found = text(&suite.failed(&answer["run_id"])[0], "failure_reason");
    assert!(found.starts_with("the beginning") && found.ends_with("the end"), "{}", &found[..100]);
    // What is missing is said.
    assert!(found.len() >= 20_000 && found.len() < 200_000, "{}", found.len());
    assert!(found.chars().any(|c| !"the beginning ü the end".contains(c)), "nothing says that it was cut");
}

fn long_names_are_kept(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    // Longer than any index of a database takes; only the last character differs.
    let scope = format!("{}ü", "s".repeat(9_000));
    let names = ["a", "b"].map(|last| format!("{}{last}", "n".repeat(9_000)));
    let key = "k".repeat(3_000);
    let branch = "b".repeat(900);
    for _ in 0..2 {
        let upload = names
            .iter()
            .fold(Upload::new(&key).branch(&branch), |upload, name| upload.result(&scope, name, "failed"));
        let answer = suite.upload(&upload);
        assert_eq!(suite.run(&answer["run_id"])["branch"], branch);
    }
    assert_eq!(suite.runs().len(), 1);
    for name in &names {
        assert_eq!(suite.counts(&scope, name), json!({ "passed": 0, "failed": 2 }));
        let found = server.post(&suite.path("/tests/find")).token(&suite.read_token);
        let found = found.json(&json!({ "scope": scope, "name": name })).send().expect(200).json();
        assert_eq!(text(&found, "name"), *name);
    }
}
