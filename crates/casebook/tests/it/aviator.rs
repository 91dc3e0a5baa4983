//! Aviator's addresses: suites of a check, flaky tests made by backfilled history, and questions as its clients ask them.

use crate::setup::{Suite, text, token};
use casebook_testkit::{Form, Reply, TestServer, Upload};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(crate) const CHECK: &str = "ci/circleci: unit-tests";

/// A suite of repository `repo_org/repo_name` and the check [`CHECK`].
pub(crate) fn checked_suite<'s>(server: &'s TestServer, slug: &str) -> Suite<'s> {
    let suite = Suite::new(server, slug);
    let options = ["--repo", "repo_org/repo_name", "--check", CHECK, "--provider", "circleci"];
    let _ = server.succeed(&[&["suite", "create", &suite.name], &options[..]].concat());
    suite
}

/// The server's time, a moment ago.
pub(crate) fn now(suite: &Suite<'_>) -> Timestamp {
    let answer = suite.upload(&Upload::new("first"));
    text(&suite.run(&answer["run_id"]), "created_at").parse().unwrap()
}

/// A test that fails and then passes on one commit of its own, some hours ago: one piece of evidence.
pub(crate) fn flake(now: Timestamp, scope: &str, name: &str, hours_ago: i64) -> Upload {
    let key = format!("{scope} {name} {hours_ago}");
    Upload::new(&key)
        .branch("main")
        .commit(&format!("commit of {key}"))
        .env("started_at", (now - SignedDuration::from_hours(hours_ago)).to_string())
        .result(scope, name, "failed")
        .result(scope, name, "passed")
}

/// Makes a test flaky: evidence from two changes, the later one so many hours ago, the earlier one an hour before.
pub(crate) fn make_flaky(suite: &Suite<'_>, now: Timestamp, scope: &str, name: &str, hours_ago: i64) {
    for hours_ago in [hours_ago + 1, hours_ago] {
        let _ = suite.upload(&flake(now, scope, name, hours_ago));
    }
}

/// Asks for the flaky tests of a check.
pub(crate) fn flaky(server: &TestServer, token: &str, query: &str) -> Reply {
    server.get(&format!("/api/v1/testdeck/flaky?{query}")).token(token).send()
}

pub(crate) const QUESTION: &str =
    "org=repo_org&repo=repo_name&github_check_name=ci%2Fcircleci%3A%20unit-tests";

/// The flaky tests of the suite's check.
#[track_caller]
pub(crate) fn test_cases(suite: &Suite<'_>) -> Vec<Value> {
    let answer = flaky(suite.server, &suite.read_token, QUESTION).expect(200).json();
    answer["test_cases"].as_array().unwrap().clone()
}

/// What pytest-aviator is told to run again.
#[track_caller]
pub(crate) fn rerun_list(suite: &Suite<'_>) -> Vec<Value> {
    let path = "/api/v1/flaky-tests?repo_name=repo_org/repo_name&job_name=ci/circleci:unit-tests";
    let answer = suite.server.get(path).token(&suite.upload_token).send().expect(200).json();
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    answer["flaky_tests"].as_array().unwrap().clone()
}

/// A request as CircleCI's orb sends it; headers given replace those of the same name.
pub(crate) fn send_reports(server: &TestServer, token: &str, headers: &[(&str, &str)], form: &Form) -> Reply {
    let usual = [
        ("Provider-Name", "circleci"),
        ("Job-Name", "unit-tests"),
        ("Build-URL", "https://circleci.com/gh/repo_org/repo_name/7"),
        ("Build-ID", "b7"),
        ("Commit-Sha", "c576a61d26f72ad335660bdaefa4d63306c5752c"),
        ("Repo-Url", "https://github.com/repo_org/repo_name"),
        ("Branch-Name", "main"),
        ("Build-Status", "success"),
    ];
    let mut request = server.post("/api/test-report-uploader").header("x-Aviator-Api-Key", token);
    for (name, value) in usual {
        let given = headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        request = request.header(name, given.map_or(value, |(_, value)| value));
    }
    for (name, value) in headers.iter().filter(|(name, _)| usual.iter().all(|(usual, _)| usual != name)) {
        request = request.header(name, value);
    }
    request.header("Content-Type", &Form::content_type()).bytes(form.body()).send()
}

/// A report of testcases by class name, name and whether they failed.
pub(crate) fn junit(cases: &[(&str, &str, bool)]) -> String {
    let cases: String = cases
        .iter()
        .map(|(class_name, name, failed)| {
            let inside = if *failed { "<failure message=\"2 != 1\">AssertionError</failure>" } else { "" };
            format!("<testcase classname=\"{class_name}\" name=\"{name}\" time=\"0.1\">{inside}</testcase>")
        })
        .collect();
    format!("<testsuites><testsuite name=\"pytest\">{cases}</testsuite></testsuites>")
}

/// An organization's token for uploads, and one for reading.
pub(crate) fn organization_tokens(server: &TestServer, organization: &str) -> [String; 2] {
    let name = format!("{organization}/default");
    let _ = server.succeed(&["suite", "create", &name]);
    ["upload", "read"].map(|scope| token(server, &["--org", organization, "--scope", scope]))
}

/// The two numbers of a listed test.
pub(crate) fn counts(listed: &Value) -> Value {
    json!([listed["max_runs"], listed["min_passes"]])
}
