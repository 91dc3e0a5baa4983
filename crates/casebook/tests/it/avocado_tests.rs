//! Tests of jobs, what is kept with them, and what history makes of them (contract of Avocado's API, sections 5 and 6).

use crate::avocado::{Avocado, assert_refused, not_found};
use crate::setup::token;
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(
    tests_are_added_read_changed_and_deleted,
    tests_are_listed_in_any_order,
    tests_are_listed_in_pages,
    activities_of_tests_do_not_change_them,
    data_come_back_in_base64,
    the_action_names_a_test_by_number,
    the_action_names_a_test_by_tag,
    tests_are_executions,
    a_flaky_test_is_found,
    a_status_that_is_known_late_makes_the_execution,
    many_clients_at_once_lose_nothing,
);

const ADDED: &str = "test activity added";

fn tests_are_added_read_changed_and_deleted(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    avocado.job("j2");
    let first = avocado.test("j1", "failtest", "FAIL");
    let second = avocado.test("j2", "failtest", "PASS");
    assert_eq!((first, second), (1, 2));
    let row = json!({ "id": 1, "job": "j1", "tag": "failtest", "status": "FAIL" });
    assert_eq!(avocado.rows("/jobs/j1/tests/"), std::slice::from_ref(&row));
    assert_eq!(avocado.json("/jobs/j1/")["tests"], json!([row]));
    assert_eq!(avocado.json("/jobs/j1/tests/1/"), row);
    for path in [
        "/jobs/j1/tests/2/",
        "/jobs/j2/tests/1/",
        "/jobs/j1/tests/x/",
        "/jobs/j1/tests/0/",
        "/jobs/nothing/tests/1/",
    ] {
        assert_refused(&avocado.get(path), 404, &not_found());
        assert_refused(&avocado.get(&format!("{path}activities/")), 404, &not_found());
        assert_refused(&avocado.get(&format!("{path}data/")), 404, &not_found());
        assert_refused(&avocado.delete(path), 404, &not_found());
    }
    let path = "/jobs/j1/tests/";
    let refusal = json!({ "non_field_errors": ["The fields job, tag must make a unique set."] });
    assert_refused(
        &avocado.post(path, &json!({ "tag": "failtest", "status": "PASS", "id": 9, "job": "j2" })),
        400,
        &refusal,
    );
    for (body, status, refusal) in [
        (json!({ "status": "PASS" }), 400, json!({ "tag": ["This field is required."] })),
        (json!({ "tag": "x" }), 400, json!({ "status": ["This field is required."] })),
        (json!({ "tag": "x", "status": "PASSED" }), 404, not_found()),
        (json!({ "tag": "x", "status": null }), 404, not_found()),
        (
            json!({ "tag": "x".repeat(256), "status": "PASS" }),
            400,
            json!({ "tag": ["Ensure this field has no more than 255 characters."] }),
        ),
    ] {
        assert_refused(&avocado.post(path, &body), status, &refusal);
    }
    assert_refused(&avocado.post("/jobs/nothing/tests/", &json!({})), 404, &not_found());
    assert_eq!(avocado.json(path)["count"], 1);

    let body = json!({ "job": "j1", "tag": "renamed", "status": "PASS" });
    let changed = json!({ "id": 1, "job": "j1", "tag": "renamed", "status": "PASS" });
    assert_eq!(avocado.put("/jobs/j1/tests/1/", &body).expect(200).json(), changed);
    assert_eq!(avocado.json("/jobs/j1/tests/1/"), changed);
    let refusal = json!({
        "job": ["Invalid pk 'nothing' - object does not exist."],
        "tag": ["This field is required."],
        "status": ["Object with name=x does not exist."],
    });
    assert_refused(
        &avocado.put("/jobs/j1/tests/1/", &json!({ "job": "nothing", "status": "x" })),
        400,
        &refusal,
    );
    let refusal = json!({ "job": ["A test cannot be moved to another job."] });
    assert_refused(&avocado.patch("/jobs/j1/tests/1/", &json!({ "job": "j2" })), 400, &refusal);
    // The old tag is free again.
    avocado.test("j1", "failtest", "FAIL");
    let refusal = json!({ "non_field_errors": ["The fields job, tag must make a unique set."] });
    assert_refused(&avocado.patch("/jobs/j1/tests/1/", &json!({ "tag": "failtest" })), 400, &refusal);
    assert!(avocado.delete("/jobs/j1/tests/1/").expect(204).body.is_empty());
    assert_refused(&avocado.get("/jobs/j1/tests/1/"), 404, &not_found());
    assert_eq!(avocado.json(path)["count"], 1);
}

fn tests_are_listed_in_any_order(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    for (tag, status) in [("b", "WARN"), ("a", "PASS"), ("B", "FAIL"), ("c", "PASS")] {
        avocado.test("j1", tag, status);
    }
    let activity = json!({ "test_tag": "d", "activity": "STARTED", "time": "2013-05-02 00:00" });
    let _ = avocado.post("/jobs/j1/test_activity/", &activity).expect(200);
    for (ordering, expected) in [
        ("", "baBcd"),
        ("tag", "Babcd"),
        ("-tag", "dcbaB"),
        ("status", "dacBb"),
        ("-status", "bBacd"),
        ("status,-tag", "dcaBb"),
        ("id", "baBcd"),
        ("-time", "baBcd"),
    ] {
        let rows = avocado.rows(&format!("/jobs/j1/tests/?ordering={ordering}"));
        let tags: String = rows.iter().map(|row| row["tag"].as_str().unwrap()).collect();
        assert_eq!(tags, expected, "{ordering}");
    }
}

fn tests_are_listed_in_pages(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    for count in 1..=31 {
        avocado.test("j1", &format!("t{count}"), "PASS");
        let tags: Vec<Value> = avocado.rows("/jobs/j1/tests/").iter().map(|row| row["tag"].clone()).collect();
        let expected: Vec<Value> = (1..=count).map(|number| json!(format!("t{number}"))).collect();
        assert_eq!(tags, expected);
    }
}

fn activities_of_tests_do_not_change_them(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    let test = avocado.test("j1", "a", "PASS");
    let other = avocado.test("j1", "b", "PASS");
    let path = format!("/jobs/j1/tests/{test}/activities/");
    let given = json!({ "activity": "ENDED", "time": "2013-05-02 00:00:01", "status": "FAIL" });
    assert_eq!(avocado.post(&path, &given).expect(200).json(), json!({ "status": ADDED }));
    let _ = avocado.form(&path, &[("activity", "STARTED"), ("time", "2013-05-02 00:00")]).expect(200);
    assert_eq!(
        avocado.rows(&path),
        [
            json!({ "test": test, "activity": "ENDED", "time": "2013-05-02T05:00:01Z", "status": "FAIL" }),
            json!({ "test": test, "activity": "STARTED", "time": "2013-05-02T05:00:00Z", "status": null }),
        ]
    );
    assert_eq!(avocado.json(&format!("/jobs/j1/tests/{test}/"))["status"], "PASS");
    assert_eq!(avocado.json("/jobs/j1/tests/summary/")["passed"], 2);
    assert_eq!(avocado.json(&format!("/jobs/j1/tests/{other}/activities/"))["count"], 0);
    assert_eq!(avocado.json("/jobs/j1/activities/")["count"], 0);
    let refusal =
        json!({ "non_field_errors": ["The fields test, activity, time, status must make a unique set."] });
    assert_refused(&avocado.post(&path, &given), 400, &refusal);
    let bad = json!({ "activity": "x", "time": "2013-05-02 00:00", "status": "GOOD" });
    assert_refused(&avocado.post(&path, &bad), 404, &not_found());
    let refusal = json!({ "activity": ["This field is required."], "time": ["This field is required."] });
    assert_refused(&avocado.post(&path, &json!({})), 400, &refusal);
    assert_eq!(avocado.json(&path)["count"], 2);
}

fn data_come_back_in_base64(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    let test = avocado.test("j1", "a", "PASS");
    let path = format!("/jobs/j1/tests/{test}/data/");
    for body in [
        json!({ "category": "log_file_path", "key": "debug.log", "value": "/home/bob/debug.log" }),
        json!({ "key": "empty", "value": "" }),
        json!({ "key": "null", "value": null }),
        json!({ "key": "k\u{e4}se", "value": "\u{1f9c0}" }),
    ] {
        assert_eq!(avocado.post(&path, &body).expect(200).json(), json!({ "status": "test data added" }));
    }
    let row = |category: &str, key: &str, value: Value| json!({ "test": test, "category": category, "key": key, "value": value });
    assert_eq!(
        avocado.rows(&path),
        [
            row("log_file_path", "debug.log", json!("L2hvbWUvYm9iL2RlYnVnLmxvZw==")),
            row("default", "empty", json!("")),
            row("default", "null", Value::Null),
            row("default", "k\u{e4}se", json!("8J+ngA==")),
        ]
    );
    let refusal = json!({ "non_field_errors": ["The fields test, category, key must make a unique set."] });
    assert_refused(&avocado.post(&path, &json!({ "key": "empty", "value": "x" })), 400, &refusal);
    for (body, refusal) in [
        (json!({}), json!({ "key": ["This field is required."], "value": ["This field is required."] })),
        (json!({ "key": "x", "value": 5 }), json!({ "value": ["Not a valid string."] })),
        (json!({ "key": "x", "value": {} }), json!({ "value": ["Not a valid string."] })),
        (json!({ "key": "", "value": "" }), json!({ "key": ["This field may not be blank."] })),
    ] {
        assert_refused(&avocado.post(&path, &body), 400, &refusal);
    }
    assert_eq!(avocado.json(&path)["count"], 4);
}

fn the_action_names_a_test_by_number(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    avocado.job("j2");
    let test = avocado.test("j1", "a", "PASS");
    let action = "/jobs/j1/test_activity/";
    let body = json!({ "test": test, "activity": "x", "time": "2013-05-02 00:00", "status": "FAIL" });
    assert_eq!(avocado.post(action, &body).expect(200).json(), json!({ "status": ADDED }));
    let test_text = test.to_string();
    let fields = [("test", test_text.as_str()), ("activity", "y"), ("time", "2013-05-02 00:00")];
    let _ = avocado.form(action, &fields).expect(200);
    assert_eq!(avocado.rows(&format!("/jobs/j1/tests/{test}/activities/")).len(), 2);
    assert_eq!(avocado.json(&format!("/jobs/j1/tests/{test}/"))["status"], "PASS");
    let refusal = json!({ "test": [format!("Invalid pk '{test}' - object does not exist.")] });
    assert_refused(&avocado.post("/jobs/j2/test_activity/", &body), 400, &refusal);
    let body = json!({ "test": "x", "activity": "x".repeat(21), "time": "x", "status": "x" });
    let reply = avocado.post(action, &body).expect(400).json();
    assert_eq!(reply["test"], json!(["Invalid pk 'x' - object does not exist."]));
    assert_eq!(reply["activity"], json!(["Ensure this field has no more than 20 characters."]));
    assert_eq!(reply["status"], json!(["Object with name=x does not exist."]));
    assert!(reply["time"][0].as_str().unwrap().starts_with("Datetime has wrong format."));
}

fn the_action_names_a_test_by_tag(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    let action = "/jobs/j1/test_activity/";
    let tag = "1-a.py:A.test";
    let started =
        [("test_tag", tag), ("activity", "STARTED"), ("time", "2013-05-02T00:00:01"), ("job", "j1")];
    let ended =
        [("test_tag", tag), ("activity", "ENDED"), ("time", "2013-05-02T00:00:02.5"), ("status", "CANCEL")];
    // A row that is sent again is answered alike and not stored again.
    for _ in 0..2 {
        assert_eq!(avocado.form(action, &started).expect(200).json(), json!({ "status": ADDED }));
    }
    let rows = avocado.rows("/jobs/j1/tests/");
    assert_eq!((rows.len(), &rows[0]["status"]), (1, &Value::Null));
    for _ in 0..2 {
        let _ = avocado.form(action, &ended).expect(200);
    }
    let rows = avocado.rows("/jobs/j1/tests/");
    assert_eq!((rows.len(), &rows[0]["status"]), (1, &json!("TEST_NA")));
    let activities = avocado.rows(&format!("/jobs/j1/tests/{}/activities/", rows[0]["id"]));
    let told: Vec<_> = activities.iter().map(|row| (&row["activity"], &row["status"])).collect();
    assert_eq!(told, [(&json!("STARTED"), &Value::Null), (&json!("ENDED"), &json!("TEST_NA"))]);
    // What is there stays; what is unknown is none; what is too long is cut.
    let again =
        [("test_tag", tag), ("activity", "ENDED"), ("time", "2013-05-02T00:00:03"), ("status", "FAIL")];
    let _ = avocado.form(action, &again).expect(200);
    assert_eq!(avocado.rows("/jobs/j1/tests/")[0]["status"], "TEST_NA");
    let long = "2-".to_owned() + &"x".repeat(300);
    let odd = [
        ("test_tag", long.as_str()),
        ("activity", "ENDED"),
        ("time", "2013-05-02T00:00:03"),
        ("status", "ODD"),
    ];
    let _ = avocado.form(action, &odd).expect(200);
    let rows = avocado.rows("/jobs/j1/tests/");
    assert_eq!(rows[1]["tag"].as_str().unwrap().len(), 255);
    assert_eq!(rows[1]["status"], Value::Null);
}

/// What our own API says.
fn read(avocado: &Avocado, rest: &str) -> Value {
    let reader = token(&avocado.server, &["--suite", "acme/virt", "--scope", "read"]);
    let path = format!("/api/casebook/v1/suites/acme/virt{rest}");
    avocado.server.get(&path).token(&reader).send().expect(200).json()
}

/// The tests as Buildkite's protocol sees them, with their executions by result.
fn history(avocado: &Avocado) -> Vec<(String, String, Value)> {
    let reader = token(&avocado.server, &["--suite", "acme/virt", "--scope", "read"]);
    let path = "/v2/analytics/organizations/acme/suites/virt/tests?period=1day";
    let request = avocado.server.get(path).token(&reader).header("Buildkite-Version", "2026-08-01");
    let tests = request.send().expect(200).json();
    let text = |test: &Value, name: &str| test[name].as_str().unwrap().to_owned();
    let rows = tests.as_array().unwrap().iter();
    rows.map(|test| (text(test, "scope"), text(test, "name"), test["executions_count_by_result"].clone()))
        .collect()
}

#[track_caller]
fn assert_agrees(avocado: &Avocado) {
    let told = avocado.server.succeed(&["check"]);
    let line = told.lines().find(|line| line.starts_with("acme/virt")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.ends_with("agree"), "{told}");
}

fn tests_are_executions(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    for (tag, status) in [
        ("1-a.py:A.passes", "PASS"),
        ("2-a.py:A.warns", "WARN"),
        ("3-a.py:A.fails", "FAIL"),
        ("4-a.py:A.breaks", "ERROR"),
        ("5-./run.sh", "TEST_NA"),
    ] {
        avocado.test("j1", tag, status);
    }
    let once = |result: &str| {
        let mut counts = json!({ "passed": 0, "failed": 0 });
        counts[result] = json!(1);
        counts
    };
    let expected = [
        ("a.py:A", "passes", once("passed")),
        ("a.py:A", "warns", once("passed")),
        ("a.py:A", "fails", once("failed")),
        ("a.py:A", "breaks", once("failed")),
        ("", "./run.sh", once("skipped")),
    ];
    let mut found = history(&avocado);
    found.sort_by_key(|(_, name, _)| expected.iter().position(|(_, other, _)| name == other));
    let expected = expected.map(|(scope, name, counts)| (scope.to_owned(), name.to_owned(), counts));
    assert_eq!(found, expected);
    // Refused ones left nothing behind.
    let repeated = json!({ "tag": "1-a.py:A.passes", "status": "FAIL" });
    let _ = avocado.post("/jobs/j1/tests/", &repeated).expect(400);
    assert_eq!(history(&avocado).len(), 5);
    assert_agrees(&avocado);
}

fn a_flaky_test_is_found(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    // In each job the test failed and passed when it was run again under another number.
    for job in 0..6 {
        let id = format!("job-{job}");
        avocado.job(&id);
        avocado.test(&id, "1-net.py:Net.ping", "FAIL");
        avocado.test(&id, "2-net.py:Net.ping", "PASS");
        avocado.test(&id, "3-net.py:Net.steady", "PASS");
    }
    let flaky = read(&avocado, "/tests?health=flaky");
    let items = flaky["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{flaky:#}");
    assert_eq!((&items[0]["class_name"], &items[0]["name"]), (&json!("net.py:Net"), &json!("ping")));
    let detail = read(&avocado, &format!("/tests/{}", items[0]["id"].as_str().unwrap()));
    assert!(!detail["evidence"].as_array().unwrap().is_empty(), "{detail:#}");
    assert_agrees(&avocado);
}

fn a_status_that_is_known_late_makes_the_execution(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    let by_tag = |tag: &str, activity: &str, time: &str, status: &str| {
        let mut fields = vec![("test_tag", tag), ("activity", activity), ("time", time)];
        if !status.is_empty() {
            fields.push(("status", status));
        }
        let _ = avocado.form("/jobs/j1/test_activity/", &fields).expect(200);
    };
    for tag in ["1-a", "2-b", "3-c"] {
        by_tag(tag, "STARTED", "2013-05-02T00:00:01Z", "");
    }
    assert_eq!(history(&avocado), []);
    by_tag("1-a", "ENDED", "2013-05-02T00:00:03Z", "PASS");
    by_tag("1-a", "ENDED", "2013-05-02T00:00:04Z", "FAIL");
    let rows = avocado.rows("/jobs/j1/tests/");
    let (b, c) = (&rows[1]["id"], &rows[2]["id"]);
    let _ = avocado.patch(&format!("/jobs/j1/tests/{b}/"), &json!({ "status": "FAIL" })).expect(200);
    let _ = avocado.patch(&format!("/jobs/j1/tests/{b}/"), &json!({ "status": "PASS" })).expect(200);
    let activity = json!({ "activity": "ENDED", "time": "2013-05-02 00:00", "status": "PASS" });
    let _ = avocado.post(&format!("/jobs/j1/tests/{c}/activities/"), &activity).expect(200);
    let statuses: Vec<Value> =
        avocado.rows("/jobs/j1/tests/").iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, ["PASS", "PASS", "PASS"]);
    // History has what was first known of each.
    let runs = {
        let reader = token(&avocado.server, &["--suite", "acme/virt", "--scope", "read"]);
        let path = "/v2/analytics/organizations/acme/suites/virt/runs";
        avocado.server.get(path).token(&reader).send().expect(200).json()
    };
    let run = runs[0]["id"].as_str().unwrap();
    let told = read(&avocado, &format!("/uploads?run={run}"));
    let accepted: i64 = told["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|upload| upload["counts"]["accepted"].as_i64().unwrap_or(0))
        .sum();
    assert_eq!(accepted, 3, "{told:#}");
    assert_agrees(&avocado);
}

fn many_clients_at_once_lose_nothing(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    std::thread::scope(|scope| {
        for client in 0..8 {
            let avocado = &avocado;
            scope.spawn(move || {
                for number in 0..10 {
                    let body = json!({ "tag": format!("{number}-a.py:A.t{client}"), "status": "PASS" });
                    let _ = avocado.post("/jobs/j1/tests/", &body).expect(200);
                    // Everybody sends this one; one of them is first.
                    let body = json!({ "tag": format!("{number}-same"), "status": "PASS" });
                    let status = avocado.post("/jobs/j1/tests/", &body).status;
                    assert!(matches!(status, 200 | 400), "{status}");
                    let body =
                        json!({ "activity": format!("{client} {number}"), "time": "2013-05-02 00:00" });
                    let _ = avocado.post("/jobs/j1/activities/", &body).expect(200);
                }
            });
        }
    });
    let job = avocado.json("/jobs/j1/");
    assert_eq!(job["tests"].as_array().unwrap().len(), 90);
    assert_eq!(job["activities"].as_array().unwrap().len(), 80);
    let summary = json!({ "passed": 90, "failed": 0, "other": 0 });
    assert_eq!(avocado.json("/jobs/j1/tests/summary/"), summary);
    let mut numbers: Vec<i64> =
        job["tests"].as_array().unwrap().iter().map(|test| test["id"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 90);
    assert_agrees(&avocado);
}
