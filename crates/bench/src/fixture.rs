//! Uploads of a suite whose tests nearly always pass.

use casebook_app::uploads::{Context, Environment};
use casebook_formats::Format;
use casebook_model::execution::Outcome;
use casebook_model::failure::{Failure, FailureDetail};
use casebook_model::name::{Branch, Commit};
use casebook_model::report::{Report, ReportedResult};
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::time::{DAY_US, Timestamp};
use serde_json::{Value, json};

/// Results in an upload: all tests of the suite, or those of one shard.
pub(crate) const TESTS: usize = 5_000;

/// How many uploads there will be, and how many of them make one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) uploads: usize,
    pub(crate) shards: usize,
}

impl Shape {
    fn run(self, upload: usize) -> usize {
        upload / self.shards
    }

    /// The tests of an upload.
    fn tests(self, upload: usize) -> std::ops::Range<usize> {
        let first = upload % self.shards * TESTS;
        first..first + TESTS
    }

    /// Runs are spread over the days before now.
    fn at(self, upload: usize, now: Timestamp) -> Timestamp {
        let later = self.run(self.uploads.saturating_sub(1)) - self.run(upload);
        now.plus(-(later as i64) * DAY_US / RUNS_A_DAY)
    }

    /// Every fourth run is a pull request's.
    fn branch(self, upload: usize) -> String {
        let run = self.run(upload);
        if run % 4 == 3 { format!("feature-{}", run % 7) } else { "main".to_owned() }
    }
}

/// Runs on each day, as the budget for space names it.
const RUNS_A_DAY: i64 = 40;

fn uuid(upload: usize, test: usize) -> String {
    format!("{upload:08x}-0000-4000-8000-{test:012x}")
}

fn scope(test: usize) -> String {
    format!("tests/area_{}/test_module_{}.py::TestClass{}", test / 500, test / 50, test / 10)
}

fn fails(upload: usize, test: usize) -> bool {
    // About one result in a thousand.
    (upload.wrapping_mul(2_654_435_761) ^ test.wrapping_mul(40_503)).is_multiple_of(1009)
}

fn seconds(upload: usize, test: usize) -> f64 {
    0.004 + (test % 97) as f64 * 0.003 + (upload % 13) as f64 * 0.0007
}

/// The run of an upload: 40 a day, the newest now.
pub(crate) fn context(upload: usize, shape: Shape, now: Timestamp) -> Context {
    let (at, run) = (shape.at(upload, now), shape.run(upload));
    Context {
        protocol: Protocol::Buildkite,
        branches: None,
        environment: Environment {
            key: format!("run-{run}"),
            attributes: RunAttributes {
                branch: Branch::new(&shape.branch(upload)),
                commit: Commit::new(&format!("{run:040x}")),
                ..RunAttributes::default()
            },
            started_at: Some(at.to_rfc3339_millis()),
            ..Environment::default()
        },
        format: Format::Json,
    }
}

/// The parsed results of an upload.
pub(crate) fn report(upload: usize, shape: Shape) -> Report {
    let results = shape.tests(upload).map(|test| {
        let outcome = if fails(upload, test) { Outcome::Failed } else { Outcome::Passed };
        let mut result =
            ReportedResult::new(scope(test), format!("test_case_{test}[param-{}]", test % 7), outcome);
        result.external_id = Some(uuid(upload, test));
        result.location =
            Some(format!("tests/area_{}/test_module_{}.py:{}", test / 500, test / 50, test % 400));
        result.file = Some(format!("tests/area_{}/test_module_{}.py", test / 500, test / 50));
        result.duration_us = Some((seconds(upload, test) * 1e6) as i64);
        if outcome == Outcome::Failed {
            let expanded = vec![format!("assert {test} == {upload}")];
            let backtrace = vec![format!("module_{}.py:{}: in test", test / 50, test % 400)];
            let details = vec![FailureDetail { expanded, backtrace }];
            result.failure = Some(Failure { reason: Some("AssertionError".to_owned()), details });
        }
        result
    });
    Report { results: results.collect(), ..Report::default() }
}

/// The same upload as the body of `POST /v1/uploads`.
pub(crate) fn body(upload: usize, shape: Shape, now: Timestamp) -> Vec<u8> {
    let data: Vec<Value> = shape.tests(upload).map(|test| result(upload, test)).collect();
    let run = shape.run(upload);
    let run_env = json!({
        "CI": "buildkite", "key": format!("run-{run}"), "branch": shape.branch(upload),
        "commit_sha": format!("{run:040x}"), "started_at": shape.at(upload, now).to_rfc3339_millis(),
    });
    json!({ "format": "json", "run_env": run_env, "data": data }).to_string().into_bytes()
}

/// A body of about 50 MB, most of it failure texts and spans.
pub(crate) fn large_body(number: usize) -> Vec<u8> {
    let line = "a line of a log that says nothing of use, again and again\n";
    let (reason, query) = (line.repeat(70), "select something from somewhere ".repeat(180));
    let data: Vec<Value> = (0..TESTS)
        .map(|test| {
            let mut result = result(number, test);
            result["id"] = uuid(9_000_000 + number, test).into();
            result["result"] = "failed".into();
            result["failure_reason"] = format!("{test} {reason}").into();
            result["history"]["children"] =
                json!([{ "section": "sql", "duration": 0.1, "detail": { "query": query } }]);
            result
        })
        .collect();
    let run_env = json!({ "key": format!("large-{number}"), "branch": "main" });
    json!({ "format": "json", "run_env": run_env, "data": data }).to_string().into_bytes()
}

/// An upload of one result.
pub(crate) fn single(connection: usize, number: usize) -> Vec<u8> {
    let test = (connection * 79 + number) % TESTS;
    let mut result = result(number, test);
    result["id"] = uuid(connection * 1_000_000 + number, test).into();
    let run_env = json!({ "key": format!("single-{connection}"), "branch": "main", "commit_sha": "c0ffee" });
    json!({ "format": "json", "run_env": run_env, "data": [result] }).to_string().into_bytes()
}

fn result(upload: usize, test: usize) -> Value {
    let seconds = seconds(upload, test);
    let mut result = json!({
        "id": uuid(upload, test),
        "scope": scope(test),
        "name": format!("test_case_{test}[param-{}]", test % 7),
        "location": format!("tests/area_{}/test_module_{}.py:{}", test / 500, test / 50, test % 400),
        "file_name": format!("tests/area_{}/test_module_{}.py", test / 500, test / 50),
        "result": if fails(upload, test) { "failed" } else { "passed" },
        "history": { "start_at": 1.5, "end_at": 1.5 + seconds, "duration": seconds },
    });
    if fails(upload, test) {
        result["failure_reason"] = "AssertionError".into();
        result["failure_expanded"] = json!([{
            "expanded": [format!("assert {test} == {upload}")],
            "backtrace": [format!("module_{}.py:{}: in test", test / 50, test % 400)],
        }]);
    }
    result
}
