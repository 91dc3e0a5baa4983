//! The real Python collector, unmodified: only the address and the token are ours.

use crate::collectors::{BRANCH, BUILD, COMMIT, JOB, clients, finish, in_build, project};
use crate::setup::{Suite, start, text};
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};
use std::collections::BTreeMap;

both_engines!(pytest_uploads_its_results, pytest_uploads_from_every_worker, pytest_survives_a_wrong_token);

const TESTS: &str = r#"import os
import pytest


def test_passes():
    assert 1 + 1 == 2


def test_fails():
    prices = [1, 2]
    assert sum(prices) == 5, "the sum is wrong"


@pytest.mark.skip(reason="waiting for the currency service")
def test_skipped():
    raise AssertionError


@pytest.fixture
def gateway():
    raise RuntimeError("the gateway is closed")


def test_setup_error(gateway):
    pass


@pytest.mark.parametrize("name", ["pear", "K\u00e4se"])
def test_names(name):
    assert name


@pytest.mark.flaky(reruns=2)
def test_flaky():
    if not os.path.exists("second-attempt"):
        open("second-attempt", "w").close()
        raise AssertionError("lost the race")


class TestCheckout:
    @pytest.mark.execution_tag("feature", "payment")
    def test_pays(self):
        pass

    @pytest.mark.execution_tag("feature", "refund")
    def test_refunds(self):
        raise ValueError("not yet")
"#;

/// Scope, name, line counted from 0, and executions by result of every test.
fn expected() -> BTreeMap<(String, String), (String, Value)> {
    let (module, class) = ("tests/test_shop.py", "tests/test_shop.py::TestCheckout");
    let passed = json!({ "passed": 1, "failed": 0 });
    let failed = json!({ "passed": 0, "failed": 1 });
    let skipped = json!({ "passed": 0, "failed": 0, "skipped": 1 });
    // Every attempt of a test that is run again comes without a result.
    let unknown = json!({ "passed": 0, "failed": 0, "unknown": 2 });
    let tests = [
        (module, "test_passes", 4, &passed),
        (module, "test_fails", 8, &failed),
        (module, "test_skipped", 13, &skipped),
        (module, "test_setup_error", 23, &failed),
        (module, "test_names[pear]", 27, &passed),
        (module, "test_names[K\\xe4se]", 27, &passed),
        (module, "test_flaky", 32, &unknown),
        (class, "test_pays", 40, &passed),
        (class, "test_refunds", 44, &failed),
    ];
    tests
        .into_iter()
        .map(|(scope, name, line, counts)| {
            ((scope.to_owned(), name.to_owned()), (format!("{module}:{line}"), counts.clone()))
        })
        .collect()
}

/// Runs the project and returns what pytest printed.
fn pytest(suite: &Suite<'_>, token: &str, arguments: &[&str]) -> String {
    let folder = project(&[
        ("tests/test_shop.py", TESTS),
        ("pytest.ini", "[pytest]\naddopts = -p no:cacheprovider\n"),
    ]);
    let mut command = in_build(&clients("CASEBOOK_TEST_PYTHON"), folder.path(), token);
    command.env("BUILDKITE_ANALYTICS_API_URL", format!("{}/v1", suite.server.url()));
    command.args(["-m", "pytest"]).args(arguments);
    finish(command, suite.server, 1)
}

fn check(suite: &Suite<'_>) {
    let found: BTreeMap<(String, String), (String, Value)> = suite
        .tests()
        .iter()
        .map(|test| {
            assert_eq!(test["file_name"], "tests/test_shop.py");
            assert!(test["duration_sum"].as_f64().is_some(), "{test:#}");
            let told = (text(test, "location"), test["executions_count_by_result"].clone());
            ((text(test, "scope"), text(test, "name")), told)
        })
        .collect();
    assert_eq!(found, expected());

    let runs = suite.runs();
    assert_eq!(runs.len(), 1, "{runs:#?}");
    let run = &runs[0];
    let told = json!([run["build_id"], run["branch"], run["commit_sha"], run["result"], run["state"]]);
    assert_eq!(told, json!([BUILD, BRANCH, COMMIT, "failed", "finished"]));

    let mut reasons: Vec<(String, String)> = Vec::new();
    for failed in suite.failed(&run["id"]) {
        let tags = &failed["tags"];
        let told = json!([tags["build.job_id"], tags["collector.name"], tags["test.framework.name"]]);
        assert_eq!(told, json!([JOB, "python-buildkite-test-collector", "pytest"]));
        if text(&failed, "test_name").ends_with("test_refunds") {
            assert_eq!(tags["feature"], "refund");
        }
        assert!(!failed["failure_expanded"][0]["expanded"].as_array().unwrap().is_empty(), "{failed:#}");
        reasons.push((
            text(&failed, "test_name"),
            text(&failed, "failure_reason").lines().next().unwrap().to_owned(),
        ));
    }
    reasons.sort();
    let expected = [
        ("tests/test_shop.py test_fails", "AssertionError: the sum is wrong"),
        ("tests/test_shop.py test_setup_error", "RuntimeError: the gateway is closed"),
        ("tests/test_shop.py::TestCheckout test_refunds", "ValueError: not yet"),
    ];
    assert_eq!(reasons, expected.map(|(name, reason)| (name.to_owned(), reason.to_owned())));
}

fn pytest_uploads_its_results(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let printed = pytest(&suite, &suite.upload_token, &[]);
    assert!(!printed.contains("Failed to upload"), "{printed}");
    check(&suite);
}

fn pytest_uploads_from_every_worker(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let _ = pytest(&suite, &suite.upload_token, &["-n", "2"]);
    check(&suite);
}

/// The build must not fail because of us.
fn pytest_survives_a_wrong_token(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let printed = pytest(&suite, "unknown", &[]);
    assert!(printed.contains("401"), "{printed}");
    suite.assert_empty();
}
