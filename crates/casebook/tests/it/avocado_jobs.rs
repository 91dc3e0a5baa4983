//! Jobs, their rates and activities (contract of Avocado's API, section 4).

use crate::avocado::{Avocado, assert_refused, not_found};
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(
    a_job_is_made_read_changed_and_deleted,
    jobs_are_made_the_old_way,
    jobs_are_found_by_id_name_and_beginning,
    jobs_are_listed_in_any_order,
    rates_and_summaries_follow_every_change,
    activities_of_jobs_keep_their_order,
    deleted_jobs_can_be_made_again,
);

const ID: &str = "a0a272a09d2edda895bae4d75f5aebfad6562fb0";

fn unique() -> Value {
    json!(["This field must be unique."])
}

fn a_job_is_made_read_changed_and_deleted(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let given =
        json!({ "id": ID, "description": "foobar job", "status": "NOSTATUS", "time": "2013-05-02 00:00:01" });
    let made = avocado.post("/jobs/", &given).expect(201);
    assert!(made.text().contains("\"elapsed_time\":0.0"), "{}", made.text());
    let made = made.json();
    let time = made["time"].as_str().expect("a time").to_owned();
    // The moment of creation here, whatever was sent.
    assert!(time.ends_with('Z') && !time.starts_with("2013"), "{time}");
    let expected = json!({
        "id": ID, "description": "foobar job", "time": time, "elapsed_time": 0.0, "status": "NOSTATUS",
        "activities": [], "tests": [], "name": "foobar job", "uniqueident": ID, "timeout": 0, "priority": null,
    });
    assert_eq!(made, expected);
    let path = format!("/jobs/{ID}/");
    assert_eq!(avocado.json(&path), expected);
    assert_eq!(avocado.json("/jobs/")["results"], json!([expected]));
    assert_refused(&avocado.post("/jobs/", &given), 400, &json!({ "id": unique() }));

    let changed = avocado.put(&path, &json!({ "status": "PASS", "elapsed_time": "1.5", "id": "b" }));
    let mut expected = expected;
    expected["status"] = json!("PASS");
    expected["elapsed_time"] = json!(1.5);
    assert_eq!(changed.expect(200).json(), expected);
    let changed = avocado.patch(&path, &json!({ "description": "", "timeout": -5, "priority": "HIGH" }));
    for (name, value) in [("description", json!("")), ("name", json!("")), ("priority", json!("HIGH"))] {
        expected[name] = value;
    }
    assert_eq!(changed.expect(200).json(), expected);
    assert_eq!(avocado.json(&path), expected);
    assert_eq!(avocado.patch(&path, &json!({ "elapsed_time": -2 })).expect(200).json()["elapsed_time"], -2.0);
    for (body, refusal) in [
        (json!({}), json!({ "status": ["This field is required."] })),
        (json!({ "status": null }), json!({ "status": ["This field may not be null."] })),
        (json!({ "status": "PASSED" }), json!({ "status": ["Object with name=PASSED does not exist."] })),
        (
            json!({ "status": "PASS", "description": "x".repeat(256), "elapsed_time": "x" }),
            json!({
                "description": ["Ensure this field has no more than 255 characters."],
                "elapsed_time": ["A valid number is required."],
            }),
        ),
    ] {
        assert_refused(&avocado.put(&path, &body), 400, &refusal);
    }
    assert_refused(
        &avocado.patch(&path, &json!({ "status": null })),
        400,
        &json!({ "status": ["This field may not be null."] }),
    );
    let deleted = avocado.delete(&path).expect(204);
    assert!(deleted.body.is_empty());
    for reply in [avocado.get(&path), avocado.delete(&path), avocado.put(&path, &json!({ "status": "PASS" }))]
    {
        assert_refused(&reply, 404, &not_found());
    }
    let refusal = json!({ "status": ["This field is required."] });
    assert_refused(&avocado.post("/jobs/", &json!({})), 400, &refusal);
    assert_refused(
        &avocado.post("/jobs/", &json!({ "status": null })),
        400,
        &json!({ "status": ["This field may not be null."] }),
    );
    let refusal = json!({ "id": ["Ensure this field has no more than 40 characters."] });
    assert_refused(
        &avocado.post("/jobs/", &json!({ "id": "x".repeat(41), "status": "PASS" })),
        400,
        &refusal,
    );
    // The address of this one is that of the summary.
    let refusal = json!({ "id": unique() });
    assert_refused(&avocado.post("/jobs/", &json!({ "id": "summary", "status": "PASS" })), 400, &refusal);
    let made_up = avocado.post("/jobs/", &json!({ "status": "PASS" })).expect(201).json();
    let id = made_up["id"].as_str().expect("an id");
    assert!(id.len() == 40 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
}

fn jobs_are_made_the_old_way(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let made = avocado.form("/jobs/", &[("uniqueident", ID), ("name", "old")]).expect(201).json();
    for (name, value) in [
        ("id", json!(ID)),
        ("uniqueident", json!(ID)),
        ("name", json!("old")),
        ("description", json!("old")),
        ("status", Value::Null),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let refusal = json!({ "uniqueident": unique() });
    assert_refused(&avocado.form("/jobs/", &[("uniqueident", ID)]), 400, &refusal);
    let both =
        avocado.post("/jobs/", &json!({ "id": "x1", "uniqueident": "u1", "timeout": -1, "priority": "LOW" }));
    let both = both.expect(201).json();
    assert_eq!((&both["id"], &both["uniqueident"]), (&json!("x1"), &json!("u1")));
    assert_eq!((&both["timeout"], &both["priority"]), (&json!(0), &json!("LOW")));
    assert_refused(&avocado.post("/jobs/", &json!({ "id": "x2", "uniqueident": "u1" })), 400, &refusal);
    let named = avocado.post("/jobs/", &json!({ "name": "only a name" })).expect(201).json();
    assert_eq!(named["id"], named["uniqueident"]);
    assert_eq!(avocado.json("/jobs/")["count"], 3);
    assert_eq!(avocado.json("/jobs/summary/"), json!({ "passed": 0, "failed": 0, "other": 3 }));
}

fn jobs_are_found_by_id_name_and_beginning(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    for id in ["abcdef1", "abcdef2", "abcdef", "q\u{e4}/ x", "7"] {
        avocado.job(id);
    }
    let _ = avocado.post("/jobs/", &json!({ "id": "zzz", "uniqueident": "abc" })).expect(201);
    let id = |key: &str| avocado.json(&format!("/jobs/{key}/"))["id"].clone();
    assert_eq!(id("abcdef1"), "abcdef1");
    // The beginning of other ids, and an id itself.
    assert_eq!(id("abcdef"), "abcdef");
    // The beginning of several ids, but somebody's uniqueident.
    assert_eq!(id("abc"), "zzz");
    assert_eq!(id("z"), "zzz");
    assert_eq!(id("q%C3%A4%2F%20x"), "q\u{e4}/ x");
    let conflict = json!({ "detail": "Conflict." });
    for rest in ["", "tests/", "activities/", "passrate/", "tests/summary/", "tests/1/"] {
        assert_refused(&avocado.get(&format!("/jobs/abcd/{rest}")), 409, &conflict);
        assert_refused(&avocado.get(&format!("/jobs/nothing/{rest}")), 404, &not_found());
    }
    assert_refused(&avocado.delete("/jobs/abcd/"), 409, &conflict);
    let test = json!({ "tag": "a", "status": "PASS" });
    assert_refused(&avocado.post("/jobs/abcd/tests/", &test), 409, &conflict);
    // A running number is the last resort.
    assert_eq!(id("7"), "7");
    assert_eq!(id("1"), "abcdef1");
    assert_refused(&avocado.get("/jobs/99/"), 404, &not_found());
    assert_refused(&avocado.get("/jobs/99999999999999/"), 404, &not_found());
}

fn jobs_are_listed_in_any_order(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    for (id, status, elapsed, description) in [
        ("a", json!("PASS"), 3.0, json!("b")),
        ("b", json!("FAIL"), 1.0, Value::Null),
        ("c", json!("PASS"), 2.0, json!("B")),
        ("d", json!("ABORT"), 1.0, json!("\u{e4}")),
    ] {
        let job = json!({ "id": id, "status": status, "elapsed_time": elapsed, "description": description });
        let _ = avocado.post("/jobs/", &job).expect(201);
    }
    let _ = avocado.post("/jobs/", &json!({ "uniqueident": "e", "elapsed_time": 9 })).expect(201);
    let order = |ordering: &str| {
        let jobs = avocado.rows(&format!("/jobs/?ordering={ordering}"));
        jobs.iter().map(|job| job["id"].as_str().unwrap()).collect::<String>()
    };
    for (ordering, expected) in [
        ("", "abcde"),
        ("time", "abcde"),
        ("-time", "edcba"),
        ("status", "edbac"),
        ("-status", "acbde"),
        ("elapsed_time", "bdcae"),
        ("description", "becad"),
        ("-description", "dacbe"),
        ("status,-elapsed_time", "edbac"),
        ("-elapsed_time,-status", "eacbd"),
        ("%20-status%20,%20elapsed_time", "cabde"),
        // What cannot be ordered by is left out.
        ("id", "abcde"),
        ("-tests_total", "abcde"),
        ("id,-time", "edcba"),
    ] {
        assert_eq!(order(ordering), expected, "{ordering}");
    }
}

fn rates_and_summaries_follow_every_change(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    avocado.job("j2");
    let rate = |job: &str| avocado.get(&format!("/jobs/{job}/passrate")).expect(200).text();
    let summary = |path: &str| avocado.json(path);
    assert_eq!(rate("j1"), r#"{"passrate":0.0}"#);
    avocado.test("j1", "a", "PASS");
    avocado.test("j1", "b", "PASS");
    let third = avocado.test("j1", "c", "FAIL");
    avocado.test("j2", "a", "WARN");
    assert_eq!(rate("j1"), r#"{"passrate":66.67}"#);
    assert_eq!(avocado.json("/jobs/j1/testcount/"), json!({ "testcount": 3 }));
    assert_eq!(summary("/jobs/j1/tests/summary/"), json!({ "passed": 2, "failed": 1, "other": 0 }));
    assert_eq!(summary("/jobs/j2/tests/summary/"), json!({ "passed": 0, "failed": 0, "other": 1 }));
    avocado.test("j1", "d", "PASS");
    assert_eq!(rate("j1"), r#"{"passrate":75.0}"#);
    let _ = avocado.patch(&format!("/jobs/j1/tests/{third}/"), &json!({ "status": "PASS" })).expect(200);
    assert_eq!(rate("j1"), r#"{"passrate":100.0}"#);
    let _ = avocado.delete(&format!("/jobs/j1/tests/{third}/")).expect(204);
    assert_eq!(summary("/jobs/j1/tests/summary/"), json!({ "passed": 3, "failed": 0, "other": 0 }));

    assert_eq!(summary("/jobs/summary/"), json!({ "passed": 0, "failed": 0, "other": 2 }));
    let _ = avocado.patch("/jobs/j1/", &json!({ "status": "PASS" })).expect(200);
    let _ = avocado.patch("/jobs/j2/", &json!({ "status": "ERROR" })).expect(200);
    assert_eq!(summary("/jobs/summary/"), json!({ "passed": 1, "failed": 1, "other": 0 }));
    let _ = avocado.delete("/jobs/j2/").expect(204);
    assert_eq!(summary("/jobs/summary/"), json!({ "passed": 1, "failed": 0, "other": 0 }));
}

fn activities_of_jobs_keep_their_order(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job(ID);
    avocado.job("other");
    let path = format!("/jobs/{ID}/activities/");
    let added = json!({ "status": "job activity added" });
    for number in 0..12 {
        // Arrival counts, not what they tell of time.
        let body = json!({ "activity": format!("STEP {number}"), "time": format!("2013-05-02 00:00:{:02}", 30 - number) });
        assert_eq!(avocado.post(&path, &body).expect(200).json(), added);
    }
    let rows = avocado.rows(&path);
    let expected = json!({ "job": ID, "activity": "STEP 0", "time": "2013-05-02T05:00:30Z" });
    assert_eq!((rows.len(), &rows[0]), (12, &expected));
    assert_eq!(rows[11]["activity"], "STEP 11");
    assert_eq!(avocado.json(&format!("/jobs/{ID}/"))["activities"], json!(rows));
    assert_eq!(avocado.json("/jobs/other/activities/")["count"], 0);

    let repeated = json!({ "activity": "STEP 0", "time": "2013-05-02T05:00:30Z" });
    let refusal = json!({ "non_field_errors": ["The fields job, activity, time must make a unique set."] });
    assert_refused(&avocado.post(&path, &repeated), 400, &refusal);
    let wrong = "Datetime has wrong format. Use one of these formats instead: \
                 YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]";
    for (body, refusal) in [
        (json!({}), json!({ "activity": ["This field is required."], "time": ["This field is required."] })),
        (json!({ "activity": "x", "time": "yesterday" }), json!({ "time": [wrong] })),
        (json!({ "activity": "x", "time": 5 }), json!({ "time": [wrong] })),
        (
            json!({ "activity": null, "time": "2013-05-02 00:00" }),
            json!({ "activity": ["This field may not be null."] }),
        ),
    ] {
        assert_refused(&avocado.post(&path, &body), 400, &refusal);
    }
    assert_refused(&avocado.post("/jobs/nothing/activities/", &json!({})), 404, &not_found());
    assert_eq!(avocado.json(&path)["count"], 12);

    // The action names its job in the body.
    let action = format!("/jobs/{ID}/activity/");
    let body = json!({ "job": "other", "activity": "JOB_START", "time": "2013-05-02 00:00" });
    assert_eq!(avocado.post(&action, &body).expect(200).json(), added);
    assert_eq!(avocado.json("/jobs/other/activities/")["count"], 1);
    let body = json!({ "job": "nothing", "activity": "x".repeat(21), "time": "2013-05-02 00:00" });
    let refusal = json!({
        "job": ["Invalid pk 'nothing' - object does not exist."],
        "activity": ["Ensure this field has no more than 20 characters."],
    });
    assert_refused(&avocado.post(&action, &body), 400, &refusal);
    let body = json!({ "job": null, "activity": "JOB_START", "time": "2013-05-02 00:00" });
    let refusal = json!({ "job": ["This field may not be null."] });
    assert_refused(&avocado.post(&action, &body), 400, &refusal);
    let body = json!({ "activity": "JOB_END", "time": "2013-05-02 00:00" });
    assert_eq!(avocado.post(&action, &body).expect(200).json(), added);
    assert_eq!(avocado.json(&path)["count"], 13);
}

fn deleted_jobs_can_be_made_again(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("j1");
    let first = avocado.test("j1", "1-a.py:A.test", "PASS");
    let body = json!({ "activity": "x", "time": "2013-05-02 00:00" });
    let _ = avocado.post(&format!("/jobs/j1/tests/{first}/activities/"), &body).expect(200);
    let _ = avocado.delete("/jobs/j1/").expect(204);
    avocado.job("j1");
    let again = avocado.json("/jobs/j1/");
    assert_eq!((&again["tests"], &again["activities"]), (&json!([]), &json!([])));
    let second = avocado.test("j1", "1-a.py:A.test", "FAIL");
    assert!(second > first, "numbers are not given twice");
    assert_eq!(avocado.json(&format!("/jobs/j1/tests/{second}/activities/"))["count"], 0);
}
