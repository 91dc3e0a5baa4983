//! Components, pipelines and builds of pytest-monitor as filters of our own API.

use crate::monitor_setup::{FIRST, Monitor, SECOND, metrics};
use crate::setup::{start, text};
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(tests_of_a_component_pipeline_or_build, executions_of_a_component_pipeline_or_build);

fn read(monitor: &Monitor<'_>, rest: &str) -> Value {
    let path = format!("/api/casebook/v1/suites/acme/cart{rest}");
    monitor.server.get(&path).token(&monitor.token).send().expect(200).json()
}

fn names(monitor: &Monitor<'_>, query: &str) -> Vec<String> {
    let page = read(monitor, &format!("/tests?limit=200&{query}"));
    page["items"].as_array().unwrap().iter().map(|test| text(test, "name")).collect()
}

/// The names of the tests that the recorded metrics with these numbers made, in the order of their first arrival.
fn recorded(numbers: &[usize]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for metric in metrics(numbers) {
        let name = text(&metric, if metric["kind"] == "function" { "item_variant" } else { "item" });
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn tests_of_a_component_pipeline_or_build(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::recorded(&server);
    let report = "<testsuite><testcase classname=\"a.B\" name=\"reported\"/></testsuite>";
    let _ = casebook_testkit::Form::junit("k", report).send(&server, &monitor.token).expect(202);
    assert_eq!(names(&monitor, "").len(), recorded(&(0..15).collect::<Vec<_>>()).len() + 1);
    for (query, numbers) in [
        ("component=math.prime", &[4, 5, 6, 7, 8, 9, 10, 11][..]),
        ("component=", &[0, 1, 2, 3]),
        ("component=lib", &[12, 13, 14]),
        ("component=math", &[]),
        ("component=lib&pipeline=unit-tests", &[]),
        ("pipeline=unit-tests", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("pipeline=unit-tests&build=314", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("pipeline=unit-tests&build=314&component=math.prime", &[4, 5, 6, 7, 8, 9, 10, 11]),
        ("pipeline=unit-tests&build=315", &[]),
        ("pipeline=unit&component=math.prime", &[]),
        ("component=math.prime&health=flaky", &[]),
    ] {
        assert_eq!(names(&monitor, query), recorded(numbers), "{query}");
    }
    let first = read(&monitor, "/tests?component=math.prime&limit=3");
    let rest = read(&monitor, &format!("/tests?component=math.prime&after={}", text(&first, "next")));
    assert_eq!(
        (first["items"].as_array().map(Vec::len), rest["items"].as_array().map(Vec::len)),
        (Some(3), Some(5))
    );
    let refused =
        server.get("/api/casebook/v1/suites/acme/cart/tests?build=314").token(&monitor.token).send();
    assert!(refused.expect(400).text().contains("build needs pipeline"));
}

fn executions_of_a_component_pipeline_or_build(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::recorded(&server);
    // A session that never came itself, of the same test and another component.
    let mut metric = metrics(&[0])[0].clone();
    (metric["session_h"], metric["component"]) = (json!("unknown"), json!("other"));
    let _ = monitor.post("/metrics/", &metric).expect(201);
    let name = text(&metric, "item_variant");
    let page = read(&monitor, "/tests?component=other");
    let test = page["items"].as_array().unwrap().iter().find(|test| test["name"] == name.as_str()).unwrap();
    let test = text(test, "id");
    for (query, sessions) in [
        ("", &["unknown", SECOND, FIRST][..]),
        ("runs=2", &["unknown", SECOND]),
        ("component=other", &["unknown"]),
        ("component=lib", &[SECOND]),
        ("component=", &[FIRST]),
        ("component=math.prime", &[]),
        ("pipeline=unit-tests", &[FIRST]),
        ("pipeline=unit-tests&build=314&component=", &[FIRST]),
        ("pipeline=unit-tests&component=lib", &[]),
        ("pipeline=nothing", &[]),
    ] {
        let found = read(&monitor, &format!("/tests/{test}/executions?{query}"));
        let mut found: Vec<String> =
            found["items"].as_array().unwrap().iter().map(|execution| text(execution, "run_key")).collect();
        let mut expected = sessions.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
    let found = read(&monitor, &format!("/tests/{test}/executions?pipeline=unit-tests"));
    let execution = &found["items"][0];
    let sent = &metrics(&[0])[0];
    assert_eq!(
        json!([execution["number"], execution["from_metric"], execution["resources"]["memory_mib"]]),
        json!(["314", true, sent["mem_usage"]])
    );
}
