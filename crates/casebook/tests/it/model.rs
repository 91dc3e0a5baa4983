//! What must be read back of uploads that were sent: computed from the uploads alone.

use crate::setup::{Suite, text};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One upload as it was sent.
pub(crate) struct Sent {
    pub(crate) run_env: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) results: Vec<Expected>,
    /// In a format whose results have no ids: a second one of the same run and job adds nothing.
    pub(crate) is_report: bool,
}

/// One result of an upload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    pub(crate) id: Option<String>,
    pub(crate) scope: String,
    pub(crate) name: String,
    pub(crate) location: Option<String>,
    pub(crate) file: Option<String>,
    /// One of the five words.
    pub(crate) result: String,
    pub(crate) seconds: Option<f64>,
    pub(crate) failure: Failure,
    pub(crate) tags: BTreeMap<String, String>,
    /// Failed attempts that the report tells inside of this result: seconds and failure.
    pub(crate) earlier: Vec<(Option<f64>, Failure)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Failure {
    pub(crate) reason: Option<String>,
    /// `expanded` and `backtrace` of each.
    pub(crate) details: Vec<(Vec<String>, Vec<String>)>,
}

impl Sent {
    fn env(&self, name: &str) -> Option<&String> {
        self.run_env.get(name).filter(|value| !value.is_empty())
    }

    fn build_id(&self) -> Option<&String> {
        let provider = self.env("CI").or_else(|| self.env("ci"))?;
        self.env("key").filter(|key| provider == "buildkite" && is_uuid(key))
    }

    /// The tags of an execution: the server's own, the upload's, the result's; later ones win.
    fn tags_of(&self, result: &Expected) -> BTreeMap<String, String> {
        let own = [
            ("build.id", self.build_id()),
            ("build.job_id", self.env("job_id")),
            ("collector.name", self.env("collector")),
            ("collector.version", self.env("version")),
            ("language.version", self.env("language_version")),
            ("test.framework.name", self.env("test_runner")),
            ("code.file.path", result.file.as_ref()),
        ];
        let own = own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone())));
        own.chain(self.tags.clone()).chain(result.tags.clone()).collect()
    }
}

pub(crate) fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// Durations are kept in microseconds.
fn microseconds(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

/// What the list of tests must say of one test, with durations in microseconds.
#[derive(Default)]
struct TestModel {
    location: Option<String>,
    file: Option<String>,
    counts: BTreeMap<&'static str, i64>,
    durations: Vec<i64>,
}

impl TestModel {
    fn count(&mut self, result: &str, seconds: Option<f64>) {
        let words = ["passed", "failed", "skipped", "pending", "unknown"];
        let word = words.into_iter().find(|word| *word == result).expect("one of the five words");
        *self.counts.entry(word).or_default() += 1;
        self.durations.extend(seconds.map(microseconds));
    }

    fn to_json(&self, scope: &str, name: &str) -> Value {
        let count = |word: &str| self.counts.get(word).copied().unwrap_or(0);
        let (passed, failed) = (count("passed"), count("failed"));
        let mut counts = json!({ "passed": passed, "failed": failed });
        for word in ["skipped", "pending", "unknown"] {
            if count(word) > 0 {
                counts[word] = json!(count(word));
            }
        }
        let sum = (!self.durations.is_empty()).then(|| self.durations.iter().sum::<i64>());
        json!({
            "scope": scope,
            "name": name,
            "location": self.location,
            "file_name": self.file,
            "labels": [],
            "reliability": (passed + failed > 0).then(|| passed as f64 / (passed + failed) as f64),
            "duration_sum": sum,
            "duration_avg": sum.map(|sum| (sum as f64 / self.durations.len() as f64).round() as i64),
            "duration_min": self.durations.iter().min(),
            "duration_max": self.durations.iter().max(),
            "executions_count": self.counts.values().sum::<i64>(),
            "executions_count_by_result": counts,
        })
    }
}

/// Reads everything of one run's uploads back and compares it with what was sent.
#[track_caller]
pub(crate) fn check(suite: &Suite<'_>, run_id: &Value, uploads: &[Sent]) {
    check_run(suite, run_id, uploads);
    check_tests(suite, uploads);
    check_failed(suite, run_id, uploads);
}

fn results(uploads: &[Sent]) -> impl Iterator<Item = (&Sent, &Expected)> {
    uploads.iter().flat_map(|sent| sent.results.iter().map(move |result| (sent, result)))
}

#[track_caller]
fn check_run(suite: &Suite<'_>, run_id: &Value, uploads: &[Sent]) {
    let first = |name: &str| uploads.iter().find_map(|sent| sent.env(name));
    let failed = results(uploads).any(|(_, result)| result.result == "failed" || !result.earlier.is_empty());
    let passed = results(uploads).any(|(_, result)| result.result == "passed");
    let id = run_id.as_str().expect("an id");
    let mut run = suite.run(run_id);
    let created_at = run.as_object_mut().expect("an object").remove("created_at").expect("a time");
    let shape: String = created_at.as_str().expect("a time").replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    let expected = json!({
        "id": id,
        "branch": first("branch"),
        "commit_sha": first("commit_sha"),
        "state": "finished",
        "result": if failed { "failed" } else if passed { "passed" } else { "pending" },
        "url": format!("{}{}", suite.server.url(), suite.path(&format!("/runs/{id}"))),
        "web_url": web_url(suite, &format!("/runs/{id}")),
        "build_id": uploads.iter().find_map(Sent::build_id),
    });
    assert_eq!(run, expected);
    let runs = suite.runs();
    assert_eq!(runs.iter().map(|run| &run["id"]).collect::<Vec<_>>(), [run_id]);
}

/// The address of a suite's page.
pub(crate) fn web_url(suite: &Suite<'_>, rest: &str) -> String {
    let (organization, slug) = suite.name.split_once('/').expect("a suite's name");
    format!("{}/organizations/{organization}/analytics/suites/{slug}{rest}", suite.server.url())
}

#[track_caller]
fn check_tests(suite: &Suite<'_>, uploads: &[Sent]) {
    let mut models: BTreeMap<(&str, &str), TestModel> = BTreeMap::new();
    for (_, result) in results(uploads) {
        let model = models.entry((&result.scope, &result.name)).or_default();
        for (seconds, _) in &result.earlier {
            model.count("failed", *seconds);
        }
        model.count(&result.result, result.seconds);
        (model.location, model.file) = (result.location.clone(), result.file.clone());
    }
    let expected: Vec<Value> =
        models.iter().map(|((scope, name), model)| model.to_json(scope, name)).collect();
    let found: Vec<Value> = suite.tests().into_iter().map(|test| in_microseconds(suite, test)).collect();
    assert_same(&found, &expected);
}

/// The test with whole microseconds and without its addresses, which are checked.
#[track_caller]
fn in_microseconds(suite: &Suite<'_>, mut test: Value) -> Value {
    let id = text(&test, "id");
    assert!(is_uuid(&id), "{id}");
    assert_eq!(test["url"], format!("{}{}", suite.server.url(), suite.path(&format!("/tests/{id}"))));
    assert_eq!(test["web_url"], web_url(suite, &format!("/tests/{id}")));
    for name in ["duration_sum", "duration_avg", "duration_min", "duration_max"] {
        if let Some(seconds) = test[name].as_f64() {
            test[name] = json!(microseconds(seconds));
        }
    }
    let members: &mut Map<String, Value> = test.as_object_mut().expect("an object");
    members.retain(|name, _| !["id", "url", "web_url"].contains(&name.as_str()));
    test
}

#[track_caller]
fn check_failed(suite: &Suite<'_>, run_id: &Value, uploads: &[Sent]) {
    let mut expected = Vec::new();
    for (sent, result) in results(uploads) {
        let own = (result.result == "failed").then_some((result.seconds, &result.failure));
        let earlier = result.earlier.iter().map(|(seconds, failure)| (*seconds, failure));
        for (seconds, failure) in earlier.chain(own) {
            expected.push(failed_execution(sent, result, seconds, failure));
        }
    }
    let run = run_id.as_str().expect("an id");
    let found = suite.failed(run_id).into_iter().map(|execution| without_addresses(suite, run, execution));
    let mut found: Vec<Value> = found.collect();
    found.sort_by_key(Value::to_string);
    expected.sort_by_key(Value::to_string);
    assert_same(&found, &expected);
}

fn failed_execution(sent: &Sent, result: &Expected, seconds: Option<f64>, failure: &Failure) -> Value {
    let details: Vec<Value> = failure
        .details
        .iter()
        .map(|(expanded, backtrace)| json!({ "expanded": expanded, "backtrace": backtrace }))
        .collect();
    json!({
        "test_name": format!("{} {}", result.scope, result.name).trim(),
        "branch": sent.env("branch"),
        "commit_sha": sent.env("commit_sha"),
        "failure_reason": failure.reason,
        "failure_expanded": details,
        "duration": seconds.map(microseconds),
        "location": result.location,
        "tags": sent.tags_of(result),
    })
}

/// The execution with whole microseconds and without ids and addresses, which are checked.
#[track_caller]
fn without_addresses(suite: &Suite<'_>, run: &str, mut execution: Value) -> Value {
    let (id, test) = (text(&execution, "execution_id"), text(&execution, "test_id"));
    assert!(is_uuid(&id) && is_uuid(&test), "{execution:#}");
    assert_eq!((text(&execution, "run_id"), text(&execution, "run_name")), (run.to_owned(), run.to_owned()));
    let ends_with = |name: &str, end: &str| {
        let address = text(&execution, name);
        assert!(address.starts_with(suite.server.url()) && address.ends_with(end), "{name}: {address}");
    };
    ends_with("run_url", &format!("/runs/{run}"));
    ends_with("test_url", &format!("/tests/{test}"));
    ends_with("test_execution_url", &format!("/tests/{test}?execution_id={id}"));
    if let Some(seconds) = execution["duration"].as_f64() {
        execution["duration"] = json!(microseconds(seconds));
    }
    // Whether it is filled in has a test of its own.
    execution["tags"].as_object_mut().expect("tags").remove("test.selector.primary");
    let hidden = ["execution_id", "run_id", "run_name", "test_id", "created_at", "run_url", "test_url"];
    let members = execution.as_object_mut().expect("an object");
    members.retain(|name, _| !hidden.contains(&name.as_str()) && name != "test_execution_url");
    execution
}

/// Two lists are equal; if not, shows what differs in the first objects that do.
#[track_caller]
fn assert_same(found: &[Value], expected: &[Value]) {
    for (found, expected) in found.iter().zip(expected) {
        if found != expected {
            panic!("in {expected:#}\n{}", differences(found, expected).join("\n"));
        }
    }
    assert_eq!(found.len(), expected.len(), "found {found:#?}\nexpected {expected:#?}");
}

fn differences(found: &Value, expected: &Value) -> Vec<String> {
    let names = [found, expected].into_iter().filter_map(Value::as_object).flat_map(Map::keys);
    let names: std::collections::BTreeSet<&String> = names.collect();
    let different = names.into_iter().filter(|name| found.get(name) != expected.get(name));
    different
        .map(|name| format!("{name}: found {:?}, expected {:?}", found.get(name), expected.get(name)))
        .collect()
}
