//! The real JavaScript collector under Mocha, Playwright and Vitest, unmodified: only the address and the token are ours.

use crate::collectors::{BUILD, clients, finish, in_build, project};
use crate::setup::{Suite, start, text};
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};
use std::path::Path;

both_engines!(mocha_uploads_its_results, playwright_uploads_every_attempt, vitest_uploads_its_results);

/// Runs a project, in which tests fail, with the runner at `program` below `node_modules`.
fn run(suite: &Suite<'_>, files: &[(&str, &str)], program: &str, arguments: &[&str]) {
    let folder = project(files);
    let modules = folder.path().join("node_modules");
    std::os::unix::fs::symlink(clients("CASEBOOK_TEST_NODE_MODULES"), &modules).unwrap();
    let mut command = in_build(Path::new("node"), folder.path(), &suite.upload_token);
    command.env("BUILDKITE_ANALYTICS_BASE_URL", format!("{}/v1/uploads", suite.server.url()));
    command.arg(modules.join(program)).args(arguments);
    let printed = finish(command, suite.server, 1);
    assert!(!printed.contains("Test Engine error"), "{printed}");
}

/// Scope, name, location and counts of every test.
fn found(suite: &Suite<'_>) -> Vec<Value> {
    let tests = suite.tests().into_iter();
    tests
        .map(|test| {
            json!([test["scope"], test["name"], test["location"], test["executions_count_by_result"]])
        })
        .collect()
}

/// The names of what failed in the one run, which has this build's id.
fn failures(suite: &Suite<'_>, team: &str, runner: &str) -> Vec<String> {
    let runs = suite.runs();
    assert_eq!(runs.len(), 1, "{runs:#?}");
    assert_eq!(json!([runs[0]["build_id"], runs[0]["result"]]), json!([BUILD, "failed"]));
    let failed = suite.failed(&runs[0]["id"]);
    for failed in &failed {
        let tags = &failed["tags"];
        assert_eq!(json!([tags["team"], tags["test.framework.name"]]), json!([team, runner]));
    }
    failed.iter().map(|failed| text(failed, "test_name")).collect()
}

const MOCHA: &[(&str, &str)] = &[
    (
        "cart.spec.js",
        r"const assert = require('assert');
describe('Cart', () => {
  it('starts empty', () => {});
  it('sums wrongly', () => { assert.strictEqual(1 + 2, 5); });
  it('is to be done');
});
describe('Checkout', function () {
  this.retries(1);
  let attempt = 0;
  it('is flaky', () => { attempt += 1; assert(attempt > 1, 'lost the race'); });
});
",
    ),
    (
        "reporters.json",
        r#"{
  "reporterEnabled": "dot, buildkite-test-collector/mocha/reporter",
  "buildkiteTestCollectorMochaReporterReporterOptions": {
    "token_name": "BUILDKITE_ANALYTICS_TOKEN", "tags": { "team": "checkout" }
  }
}"#,
    ),
];

fn mocha_uploads_its_results(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let reporters =
        ["--reporter", "mocha-multi-reporters", "--reporter-options", "configFile=reporters.json"];
    run(&suite, MOCHA, "mocha/bin/mocha.js", &[&reporters[..], &["cart.spec.js"]].concat());
    let passed = json!({ "passed": 1, "failed": 0 });
    let expected = [
        // Pending tests come without an id and a start.
        json!(["Cart", "is to be done", "cart.spec.js", { "passed": 0, "failed": 0, "pending": 1 }]),
        json!(["Cart", "starts empty", "cart.spec.js", passed]),
        json!(["Cart", "sums wrongly", "cart.spec.js", { "passed": 0, "failed": 1 }]),
        json!(["Checkout", "is flaky", "cart.spec.js", passed]),
    ];
    assert_eq!(found(&suite), expected);
    assert_eq!(failures(&suite, "checkout", "mocha"), ["Cart sums wrongly"]);
}

const PLAYWRIGHT: &[(&str, &str)] = &[
    (
        "shop.pw.js",
        r"const { test, expect } = require('@playwright/test');
test.describe('Shop', () => {
  test('opens', async () => {});
  test('sums wrongly', async () => { expect(1 + 2).toBe(5); });
  test('is flaky', async ({}, info) => { expect(info.retry).toBe(1); });
  test.skip('is skipped', async () => {});
});
",
    ),
    (
        "playwright.config.js",
        r"module.exports = {
  testMatch: '*.pw.js', retries: 1, workers: 1,
  reporter: [['line'], ['buildkite-test-collector/playwright/reporter', { tags: { team: 'shop' } }]],
};
",
    ),
];

fn playwright_uploads_every_attempt(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "shop");
    run(&suite, PLAYWRIGHT, "@playwright/test/cli.js", &["test"]);
    // All attempts of a test carry one id, which is no UUID: none of them is a repetition.
    let expected = [
        json!(["  shop.pw.js Shop is flaky", "is flaky", "shop.pw.js:5:3", { "passed": 1, "failed": 1 }]),
        json!([
            "  shop.pw.js Shop is skipped",
            "is skipped",
            "shop.pw.js:6:8",
            { "passed": 0, "failed": 0, "skipped": 1 }
        ]),
        json!(["  shop.pw.js Shop opens", "opens", "shop.pw.js:3:3", { "passed": 1, "failed": 0 }]),
        json!(["  shop.pw.js Shop sums wrongly", "sums wrongly", "shop.pw.js:4:3", { "passed": 0, "failed": 2 }]),
    ];
    assert_eq!(found(&suite), expected);
    let mut failed = failures(&suite, "shop", "playwright");
    failed.sort_unstable();
    let wrong = "shop.pw.js Shop sums wrongly sums wrongly";
    assert_eq!(failed, ["shop.pw.js Shop is flaky is flaky", wrong, wrong]);
}

const VITEST: &[(&str, &str)] = &[
    (
        "cart.vi.mjs",
        r"import { describe, it, expect } from 'vitest';
describe('Cart', () => {
  it('starts empty', () => {});
  it('sums wrongly', () => { expect(1 + 2).toBe(5); });
  it.skip('is skipped', () => {});
  it.todo('is to be done');
});
let attempt = 0;
it('is flaky', { retry: 1 }, () => { attempt += 1; expect(attempt).toBe(2); });
",
    ),
    (
        "vitest.config.mjs",
        r"export default { cacheDir: '.vite', test: {
  include: ['*.vi.mjs'], includeTaskLocation: true,
  reporters: ['default', ['buildkite-test-collector/vitest/reporter', { tags: { team: 'cart' } }]],
} };
",
    ),
];

fn vitest_uploads_its_results(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    run(&suite, VITEST, "vitest/vitest.mjs", &["run"]);
    let expected = [
        // It passed in the end, and says so with the reason of the attempt before.
        json!(["", "is flaky", "cart.vi.mjs:9", { "passed": 1, "failed": 0 }]),
        json!(["Cart", "is skipped", "cart.vi.mjs:5", { "passed": 0, "failed": 0, "skipped": 1 }]),
        json!(["Cart", "is to be done", "cart.vi.mjs:6", { "passed": 0, "failed": 0, "pending": 1 }]),
        json!(["Cart", "starts empty", "cart.vi.mjs:3", { "passed": 1, "failed": 0 }]),
        json!(["Cart", "sums wrongly", "cart.vi.mjs:4", { "passed": 0, "failed": 1 }]),
    ];
    assert_eq!(found(&suite), expected);
    assert_eq!(failures(&suite, "cart", "vitest"), ["Cart sums wrongly"]);
}
