//! The real JavaScript collector under Jest, unmodified: only the address and the token are ours.

use crate::collectors::{BRANCH, BUILD, COMMIT, JOB, clients, finish, in_build, project};
use crate::setup::{Suite, start, text};
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};
use std::path::Path;

both_engines!(jest_uploads_its_results, jest_survives_a_wrong_token);

const TESTS: &str = r#"const assert = require('assert');

describe('Cart', () => {
  test('starts empty', () => {});
  test('sums wrongly', () => { expect(1 + 2).toBe(5); });
  describe('with a voucher', () => {
    test('pays less', () => {});
    test.each(['pear', 'Käse'])('holds %s', () => {});
  });
  test.skip('is skipped', () => {});
  test.todo('is to be done');
});

describe('Checkout', () => {
  let attempt = 0;
  jest.retryTimes(1);
  test('is flaky', () => { attempt += 1; assert(attempt > 1, 'lost the race'); });
});

test('stands alone', () => {});
"#;

const PACKAGE: &str = r#"{
  "name": "cart",
  "private": true,
  "jest": {
    "testLocationInResults": true,
    "testEnvironment": "node",
    "haste": { "enableSymlinks": false },
    "reporters": ["default", ["buildkite-test-collector/jest/reporter", { "tags": { "team": "checkout" } }]]
  }
}
"#;

/// Runs the project and returns what Jest printed.
fn jest(suite: &Suite<'_>, token: &str) -> String {
    let folder = project(&[("cart.test.js", TESTS), ("package.json", PACKAGE)]);
    let modules = folder.path().join("node_modules");
    std::os::unix::fs::symlink(clients("CASEBOOK_TEST_NODE_MODULES"), &modules).unwrap();
    let mut command = in_build(Path::new("node"), folder.path(), token);
    command.env("BUILDKITE_ANALYTICS_BASE_URL", format!("{}/v1/uploads", suite.server.url()));
    command.arg(modules.join("jest/bin/jest.js")).args(["--ci", "--runInBand", "--cacheDirectory=.jest"]);
    finish(command, suite.server, 1)
}

fn jest_uploads_its_results(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let printed = jest(&suite, &suite.upload_token);
    assert!(!printed.contains("Test Engine error"), "{printed}");

    let tests = suite.tests();
    let found: Vec<Value> = tests
        .iter()
        .map(|test| {
            assert_eq!(test["file_name"], "cart.test.js");
            json!([test["scope"], test["name"], test["location"], test["executions_count_by_result"]])
        })
        .collect();
    let passed = json!({ "passed": 1, "failed": 0 });
    let expected = [
        json!(["", "stands alone", "cart.test.js:20", passed]),
        json!(["Cart", "is skipped", "cart.test.js:10", { "passed": 0, "failed": 0, "pending": 1 }]),
        json!(["Cart", "is to be done", "cart.test.js:11", { "passed": 0, "failed": 0, "skipped": 1 }]),
        json!(["Cart", "starts empty", "cart.test.js:4", passed]),
        json!(["Cart", "sums wrongly", "cart.test.js:5", { "passed": 0, "failed": 1 }]),
        json!(["Cart with a voucher", "holds Käse", "cart.test.js:8", passed]),
        json!(["Cart with a voucher", "holds pear", "cart.test.js:8", passed]),
        json!(["Cart with a voucher", "pays less", "cart.test.js:7", passed]),
        // Attempts are folded into the last one.
        json!(["Checkout", "is flaky", "cart.test.js:17", passed]),
    ];
    assert_eq!(found, expected);

    let runs = suite.runs();
    assert_eq!(runs.len(), 1, "{runs:#?}");
    let run = &runs[0];
    let told = json!([run["build_id"], run["branch"], run["commit_sha"], run["result"], run["state"]]);
    assert_eq!(told, json!([BUILD, BRANCH, COMMIT, "failed", "finished"]));
    let failed = suite.failed(&run["id"]);
    let names: Vec<String> = failed.iter().map(|failed| text(failed, "test_name")).collect();
    assert_eq!(names, ["Cart sums wrongly"]);
    assert!(text(&failed[0], "failure_reason").contains("expect(received).toBe(expected)"), "{failed:#?}");
    let tags = &failed[0]["tags"];
    let told =
        json!([tags["team"], tags["build.job_id"], tags["collector.name"], tags["test.framework.name"]]);
    assert_eq!(told, json!(["checkout", JOB, "js-buildkite-test-collector", "jest"]));
    let lines = failed[0]["failure_expanded"][0]["expanded"].as_array().unwrap();
    assert!(lines.contains(&json!("Expected: 5")) && lines.contains(&json!("Received: 3")), "{lines:#?}");
}

/// The build must not fail because of us, and the reporter prints what we say.
fn jest_survives_a_wrong_token(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let printed = jest(&suite, "unknown");
    assert!(printed.contains("401") && printed.contains("\"message\""), "{printed}");
    suite.assert_empty();
}
