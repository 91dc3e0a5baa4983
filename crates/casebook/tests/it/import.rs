//! `casebook import`: history into the database, again and again without doubling.

use crate::setup::{program, sample, token};
use casebook_testkit::{TestDatabase, TestServer, both_engines};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

both_engines!(
    a_file_of_pytest_monitor_comes_in_as_it_would_over_http,
    a_file_that_has_grown_adds_only_what_is_new,
    older_files_have_plain_descriptions,
    damaged_files_leave_nothing,
    an_old_server_is_taken_over_in_its_order,
    a_metric_belongs_to_the_test_that_reports_name,
    upload_sends_a_file_of_pytest_monitor,
    metrics_are_exported_as_tables,
);

/// A server with a suite, its name, and a token that may do everything in it.
pub(crate) fn serve(database: &TestDatabase) -> (TestServer, String) {
    let server = TestServer::start_with(program(), database, &["--monitor-page-size", "4"]);
    let _ = server.succeed(&["suite", "create", "acme/cart"]);
    let token = token(&server, &["--suite", "acme/cart", "--scope", "write"]);
    (server, token)
}

pub(crate) fn import(server: &TestServer, arguments: &[&str]) -> String {
    let all: Vec<&str> = ["import", "--suite", "acme/cart"].iter().chain(arguments).copied().collect();
    server.succeed(&all)
}

/// Every page of a listing.
fn listed(server: &TestServer, token: &str, path: &str, key: &str) -> Vec<Value> {
    let mut items = Vec::new();
    for page in 1.. {
        let reply = server.get(&format!("/api/v1{path}?page={page}")).token(token).send();
        if reply.status == 204 {
            break;
        }
        let body = reply.expect(200).json();
        items.extend(body[key].as_array().unwrap().iter().cloned());
        if body.get("next_url").is_none() {
            break;
        }
    }
    items
}

fn all(server: &TestServer, token: &str) -> Value {
    let mut contexts = listed(server, token, "/contexts/", "contexts");
    for context in &mut contexts {
        context.as_object_mut().unwrap().remove("context_h");
    }
    json!({
        "sessions": listed(server, token, "/sessions/", "sessions"),
        "contexts": contexts,
        "metrics": listed(server, token, "/metrics/", "metrics"),
    })
}

fn expected() -> Value {
    serde_json::from_slice(&sample("pytest-monitor/expected.json")).unwrap()
}

fn recorded(folder: &Path) -> String {
    let path = folder.join(".pymon");
    fs::write(&path, sample("pytest-monitor/recorded.pymon")).unwrap();
    path.display().to_string()
}

fn a_file_of_pytest_monitor_comes_in_as_it_would_over_http(database: &TestDatabase) {
    let (server, token) = serve(database);
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    let told = import(&server, &[&path]);
    assert!(told.contains("2 sessions and 15 metrics imported, 0 were known"), "{told}");
    assert_eq!(all(&server, &token), expected());
    // As a folder, and again: nothing is added.
    let told = import(&server, &[folder.path().to_str().unwrap()]);
    assert!(told.contains("0 sessions and 0 metrics imported, 15 were known"), "{told}");
    assert_eq!(all(&server, &token), expected());
    let checked = server.succeed(&["check"]);
    assert!(checked.contains("acme/cart") && !checked.contains("differ"), "{checked}");
    // Sessions are runs.
    let runs = "/v2/analytics/organizations/acme/suites/cart/runs";
    let runs = server.get(runs).token(&token).send().expect(200).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(2));
    assert!(
        runs.as_array().unwrap().iter().all(|run| run["commit_sha"] == expected()["sessions"][0]["scm_ref"])
    );
    // Contexts are machines.
    let machines = "/api/casebook/v1/suites/acme/cart/machines";
    let machines = server.get(machines).token(&token).send().expect(200).json();
    let (machine, context) = (&machines["items"][0], &expected()["contexts"][0]);
    assert_eq!((&machine["protocol"], &machine["cpu_count"]), (&json!("monitor"), &context["cpu_count"]));
}

fn a_file_that_has_grown_adds_only_what_is_new(database: &TestDatabase) {
    let (server, token) = serve(database);
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    // First the file as it was in the middle of its second session.
    let file = Connection::open(&path).unwrap();
    file.execute_batch(
        "create table kept as select * from TEST_METRICS; delete from TEST_METRICS where rowid > 13",
    )
    .unwrap();
    drop(file);
    let told = import(&server, &[&path]);
    assert!(told.contains("2 sessions and 13 metrics imported"), "{told}");
    let file = Connection::open(&path).unwrap();
    file.execute_batch("insert into TEST_METRICS select * from kept where rowid > 13").unwrap();
    drop(file);
    let told = import(&server, &[&path]);
    assert!(told.contains("0 sessions and 2 metrics imported, 13 were known"), "{told}");
    assert_eq!(all(&server, &token), expected());
    // What was sent over HTTP is not imported once more.
    let file = Connection::open(&path).unwrap();
    file.execute_batch("update TEST_SESSIONS set SCM_ID = 'other' where rowid = 1").unwrap();
    drop(file);
    let output = server.command(&["import", "--suite", "acme/cart", &path]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && told.contains("is there already with other content"),
        "{told}"
    );
    assert_eq!(all(&server, &token), expected());
}

fn older_files_have_plain_descriptions(database: &TestDatabase) {
    let (server, token) = serve(database);
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    let file = Connection::open(&path).unwrap();
    file.execute_batch(
        "update TEST_SESSIONS set RUN_DESCRIPTION = 'before the holidays' where rowid = 1;
         update TEST_SESSIONS set RUN_DESCRIPTION = '' where rowid = 2;
         update TEST_METRICS set COMPONENT = null",
    )
    .unwrap();
    drop(file);
    let _ = import(&server, &[&path]);
    let sessions = listed(&server, &token, "/sessions/", "sessions");
    assert_eq!(sessions[0]["tags"], json!([{ "name": "description", "value": "before the holidays" }]));
    assert_eq!(sessions[1]["tags"], json!([]));
    let metrics = listed(&server, &token, "/components/metrics", "metrics");
    assert_eq!(metrics.len(), 15);
}

fn damaged_files_leave_nothing(database: &TestDatabase) {
    let (server, token) = serve(database);
    let folder = tempfile::tempdir().unwrap();
    let bytes = sample("pytest-monitor/recorded.pymon");
    let refused = |name: &str, bytes: &[u8], sentence: &str| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let output = server.command(&["import", "--suite", "acme/cart", path.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains(sentence), "{name}: {told}");
    };
    refused("cut.pymon", &bytes[..bytes.len() / 2], "damaged");
    let mut garbled = bytes.clone();
    garbled[4096..8192].fill(0x5a);
    refused("garbled.pymon", &garbled, "damaged");
    let other = folder.path().join("other.pymon");
    Connection::open(&other).unwrap().execute_batch("create table t (a)").unwrap();
    refused("other-copy.pymon", &fs::read(&other).unwrap(), "no table TEST_METRICS");
    let old = folder.path().join("old.pymon");
    let tables = "create table TEST_METRICS (RUN_DATE, ENV_H, ITEM); create table EXECUTION_CONTEXTS (ENV_H)";
    Connection::open(&old).unwrap().execute_batch(tables).unwrap();
    refused("old-copy.pymon", &fs::read(&old).unwrap(), "pytest-monitor 1.0");
    refused("nothing.pymon", b"nothing of the kind", "no test report");
    assert_eq!(all(&server, &token), json!({ "sessions": [], "contexts": [], "metrics": [] }));
}

fn an_old_server_is_taken_over_in_its_order(database: &TestDatabase) {
    // A server is its own old server: what it lists for one suite comes into another.
    let (server, token) = serve(database);
    let folder = tempfile::tempdir().unwrap();
    let _ = import(&server, &[&recorded(folder.path())]);
    let metrics = expected()["metrics"].as_array().unwrap().clone();
    // Interleaved sessions.
    for metric in metrics.iter().rev().take(5) {
        let _ = server.post("/api/v1/metrics/").token(&token).json(metric).send().expect(201);
    }
    let before = all(&server, &token);
    let _ = server.succeed(&["suite", "create", "acme/new"]);
    let new = token_of(&server);
    let address = format!("http://any:{token}@{}/api/v1/", server.url().trim_start_matches("http://"));
    for told in [
        "2 sessions and 20 metrics imported, 0 were known",
        "0 sessions and 0 metrics imported, 20 were known",
    ] {
        let output = server.succeed(&["import", "--suite", "acme/new", &address]);
        assert!(output.contains(told) && !output.contains(&token), "{output}");
        assert_eq!(all(&server, &new), before);
    }
    let refused = server.command(&["import", "--suite", "acme/new", server.url()]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && told.contains("/api/v1"), "{told}");
}

fn token_of(server: &TestServer) -> String {
    token(server, &["--suite", "acme/new", "--scope", "read"])
}

fn a_metric_belongs_to_the_test_that_reports_name(database: &TestDatabase) {
    let (server, token) = serve(database);
    let folder = tempfile::tempdir().unwrap();
    let xml = "<testsuite><testcase classname=\"tests.test_shop.TestCart\" name=\"test_add[1-x]\"/>\
        <testcase classname=\"tests.test_shop.A\" name=\"test_two\"/><testcase classname=\"tests.test_shop.B\" name=\"test_two\"/></testsuite>";
    let path = folder.path().join("report.xml");
    fs::write(&path, xml).unwrap();
    let _ = import(&server, &[path.to_str().unwrap()]);
    let tests = || {
        let path = "/v2/analytics/organizations/acme/suites/cart/tests";
        let tests = server.get(path).token(&token).send().expect(200).json();
        let name =
            |test: &Value| format!("{} {}", test["scope"].as_str().unwrap(), test["name"].as_str().unwrap());
        let mut names: Vec<String> = tests.as_array().unwrap().iter().map(name).collect();
        names.sort();
        names
    };
    let before = tests();
    assert_eq!(before.len(), 3);
    let mut metric = expected()["metrics"][0].clone();
    let mut send = |fields: &[(&str, &str)]| {
        for (field, value) in fields {
            metric[*field] = json!(value);
        }
        let _ = server.post("/api/v1/metrics/").token(&token).json(&metric).send().expect(201);
    };
    send(&[("item_fs_loc", "tests/test_shop.py"), ("item", "test_add"), ("item_variant", "test_add[1, x]")]);
    assert_eq!(tests(), before);
    // What it took is with the test.
    let path = "/v2/analytics/organizations/acme/suites/cart/tests";
    let found = server.get(path).token(&token).send().expect(200).json();
    let test =
        found.as_array().unwrap().iter().find(|test| test["name"] == "test_add[1-x]").unwrap()["id"].clone();
    let path = format!("/api/casebook/v1/suites/acme/cart/tests/{}/executions", test.as_str().unwrap());
    let taken = server.get(&path).token(&token).send().expect(200).json()["items"].clone();
    let sent = &expected()["metrics"][0];
    let is_sent = |execution: &&Value| execution["run_key"] == sent["session_h"];
    let (measured, reported): (Vec<&Value>, Vec<&Value>) =
        taken.as_array().unwrap().iter().partition(is_sent);
    let resources = &measured[0]["resources"];
    let told = json!([measured.len(), resources["wall_seconds"], resources["memory_mib"]]);
    assert_eq!(told, json!([1, sent["total_time"], sent["mem_usage"]]));
    // The report's own execution took nothing that anybody measured.
    assert_eq!((reported.len(), &reported[0]["resources"]), (1, &Value::Null));
    // Of two candidates neither is meant, and another module is another module.
    send(&[("item", "test_two"), ("item_variant", "test_two")]);
    assert_eq!(tests().len(), 4);
    send(&[("item_fs_loc", "tests/test_shop2.py"), ("item_variant", "test_add[1, x]")]);
    assert_eq!(tests().len(), 5);
    send(&[("kind", "module"), ("item_path", "tests"), ("item", "test_shop"), ("item_variant", "")]);
    assert_eq!(tests().len(), 6);
    // Measurements count in no rate.
    let path = "/v2/analytics/organizations/acme/suites/cart/tests?period=1day";
    let reply =
        server.get(path).token(&token).header("Buildkite-Version", "2026-08-01").send().expect(200).json();
    let executions: i64 =
        reply.as_array().unwrap().iter().map(|test| test["executions_count"].as_i64().unwrap_or(0)).sum();
    assert_eq!(executions, 3, "{reply:#}");
    let checked = server.succeed(&["check"]);
    assert!(!checked.contains("differ"), "{checked}");
}

fn upload_sends_a_file_of_pytest_monitor(database: &TestDatabase) {
    let (server, read) = serve(database);
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    let upload_token = token(&server, &["--suite", "acme/cart", "--scope", "upload"]);
    let upload = |token: &str, code: i32| {
        let mut command = std::process::Command::new(program());
        command.args(["upload", "--strict", "--server", server.url(), &path]).env("CASEBOOK_TOKEN", token);
        let output = command.current_dir(folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        told
    };
    let told = upload(&upload_token, 0);
    assert!(told.contains("2 sessions and 15 metrics sent, 0 were known"), "{told}");
    assert_eq!(all(&server, &read), expected());
    for token in [&upload_token, &read] {
        let told = upload(token, 0);
        assert!(told.contains("0 sessions and 0 metrics sent, 15 were known"), "{told}");
    }
    assert_eq!(all(&server, &read), expected());
    assert!(upload("cbk_unknown", 1).contains("does not accept the token"));
}

fn metrics_are_exported_as_tables(database: &TestDatabase) {
    let (server, _) = serve(database);
    let folder = tempfile::tempdir().unwrap();
    let _ = import(&server, &[&recorded(folder.path())]);
    let export = |arguments: &[&str]| {
        let all: Vec<&str> =
            ["export", "--suite", "acme/cart", "--metrics"].iter().chain(arguments).copied().collect();
        server.succeed(&all)
    };
    let lines: Vec<Value> = export(&[]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(lines), expected()["metrics"]);
    let table = export(&["--format", "csv", "--item", "test_open"]);
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 5);
    assert!(
        rows[0].starts_with("session_h,context_h,") && rows[0].ends_with(",cpu_usage,mem_usage"),
        "{}",
        rows[0]
    );
    assert!(
        rows[1].contains(",\"test_open[a/b.txt, r]\",") && rows[1].ends_with(",0.9456214631946788,0.3671875"),
        "{}",
        rows[1]
    );
    let session = expected()["sessions"][1]["session_h"].as_str().unwrap().to_owned();
    assert_eq!(export(&["--format", "csv", "--session", &session]).lines().count(), 4);
}
