//! `casebook import` of what Avocado and an old Avocado Server have.

use crate::avocado::{Avocado, report};
use crate::endpoint::{Endpoint, Received};
use casebook_testkit::{Engine, TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(
    job_results_come_in_with_their_own_time,
    an_old_server_is_taken_over_in_its_order,
    a_released_server_lists_everything_everywhere,
);

fn import(avocado: &Avocado, source: &str) -> String {
    avocado.server.succeed(&["import", "--suite", "acme/virt", source])
}

#[track_caller]
fn assert_agrees(avocado: &Avocado) {
    let told = avocado.server.succeed(&["check"]);
    assert!(told.lines().all(|line| line.ends_with("agree")), "{told}");
}

fn job_results_come_in_with_their_own_time(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in [("job-1", "results-113.0.json"), ("job-2", "results-69.0.json")] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("results.json"), report(file)).unwrap();
    }
    let told = import(&avocado, folder.path().to_str().unwrap());
    assert!(told.starts_with("2 reports: "), "{told}");
    let jobs = avocado.rows("/jobs/");
    assert_eq!(jobs.len(), 2);
    let reader = crate::setup::token(&avocado.server, &["--suite", "acme/virt", "--scope", "read"]);
    let path = "/v2/analytics/organizations/acme/suites/virt/runs";
    let runs = avocado.server.get(path).token(&reader).send().expect(200).json();
    let mut times: Vec<&str> =
        runs.as_array().unwrap().iter().map(|run| run["created_at"].as_str().unwrap()).collect();
    times.sort_unstable();
    assert!(times.len() == 2 && times.iter().all(|time| time.starts_with("2026-11-20T11:3")), "{times:?}");
    // Again it adds nothing.
    let told = import(&avocado, folder.path().to_str().unwrap());
    assert!(told.contains(" 0 results imported"), "{told}");
    assert_eq!(avocado.rows("/jobs/"), jobs);
    assert_agrees(&avocado);
}

/// Everything that the API tells.
fn all(avocado: &Avocado) -> Value {
    let jobs = avocado.rows("/jobs/");
    let mut below = Vec::new();
    for job in &jobs {
        for test in job["tests"].as_array().unwrap() {
            let id = job["id"].as_str().unwrap().replace(' ', "%20");
            let path = format!("/jobs/{id}/tests/{}", test["id"]);
            below.push(json!([
                avocado.rows(&format!("{path}/activities/")),
                avocado.rows(&format!("{path}/data/"))
            ]));
        }
    }
    json!({
        "jobs": jobs,
        "below": below,
        "kinds": avocado.rows("/softwarecomponentkinds/"),
        "arches": avocado.rows("/softwarecomponentarches/"),
        "components": avocado.rows("/softwarecomponents/"),
        "distros": avocado.rows("/linuxdistros/"),
        "environments": avocado.rows("/testenvironments/"),
    })
}

/// Fills a server with a bit of everything.
fn fill(old: &Avocado) {
    let _ = old.post("/softwarecomponentkinds/", &json!({ "name": "rpm" })).expect(201);
    let component = json!({
        "name": "kvm", "kind": "rpm", "arch": "unknown", "version": "1", "release": "2", "checksum": "c",
    });
    let _ = old.post("/softwarecomponents/", &component).expect(201);
    let distro = json!({ "name": "fedora", "version": "22", "arch": "x86_64" });
    let distro = old.post("/linuxdistros/", &distro).expect(201).json();
    for _ in 0..2 {
        let _ = old.post("/testenvironments/", &json!({ "distro": distro })).expect(201);
    }
    for number in 0..12 {
        let id = format!("job {number:02}");
        let job =
            json!({ "id": id, "status": "PASS", "description": format!("d{number}"), "elapsed_time": 1.5 });
        let _ = old.post("/jobs/", &job).expect(201);
        let path = format!("/jobs/job%20{number:02}");
        let activity = json!({ "activity": "JOB_START", "time": "2026-01-02 03:04:05.5" });
        let _ = old.post(&format!("{path}/activities/"), &activity).expect(200);
        for (tag, status) in [("1-a.py:A.b", "PASS"), ("2-a.py:A.c", "FAIL")] {
            let _ = old.post(&format!("{path}/tests/"), &json!({ "tag": tag, "status": status })).expect(200);
        }
        let open = [("test_tag", "3-open"), ("activity", "STARTED"), ("time", "2026-01-02 03:04:06")];
        let _ = old.form(&format!("{path}/test_activity/"), &open).expect(200);
        let first = old.json(&format!("{path}/tests/"))["results"][0]["id"].clone();
        for body in [
            json!({ "activity": "STARTED", "time": "2026-01-02 03:04:06" }),
            json!({ "activity": "ENDED", "time": "2026-01-02 03:04:08", "status": "PASS" }),
        ] {
            let _ = old.post(&format!("{path}/tests/{first}/activities/"), &body).expect(200);
        }
        for (key, value) in [("k\u{e4}se", json!("\u{1f9c0}")), ("empty", json!("")), ("null", Value::Null)] {
            let datum = json!({ "key": key, "value": value });
            let _ = old.post(&format!("{path}/tests/{first}/data/"), &datum).expect(200);
        }
    }
}

fn an_old_server_is_taken_over_in_its_order(database: &TestDatabase) {
    let other = TestDatabase::new(Engine::Sqlite).unwrap();
    let old = Avocado::start(&other);
    fill(&old);
    let avocado = Avocado::start(database);
    let url = format!("http://anybody:{}@{}", old.token, old.server.address());
    let told = import(&avocado, &url);
    assert!(told.contains("12 jobs with 36 tests read, 24 executions imported"), "{told}");
    assert!(!told.contains(&old.token), "{told}");
    assert_eq!(all(&avocado), all(&old));
    // Again it adds nothing.
    let told = import(&avocado, &url);
    assert!(told.contains("12 jobs with 36 tests read, 0 executions imported"), "{told}");
    assert_eq!(all(&avocado), all(&old));
    assert_agrees(&avocado);

    let output = avocado.server.command(&["import", "--suite", "acme/virt", old.server.url()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("asks for a credential"), "{said}");
}

/// What a released server of the time before the document would answer.
fn released(request: &Received) -> Value {
    let path = request.head.split_whitespace().nth(1).unwrap().split('?').next().unwrap().to_owned();
    let page = |rows: Value| json!({ "count": 1, "next": null, "previous": null, "results": rows });
    let test = |id: i64, job: &str, tag: &str| json!({ "id": id, "job": job, "tag": tag, "status": "PASS" });
    let job = |id: &str, tests: Value| {
        json!({
            "id": id, "description": "x", "time": "2015-07-01T10:00:00Z", "elapsed_time": 1.0, "status": "PASS",
            "activities": [], "tests": tests,
        })
    };
    match path.as_str() {
        "/jobs/" => page(json!([
            job("aa", json!([test(1, "aa", "1-x"), test(2, "aa", "2-y")])),
            job("bb", json!([test(3, "bb", "1-x")])),
        ])),
        path if path.ends_with("/activities/") => page(json!([
            { "test": 1, "activity": "one", "time": "2015-07-01T10:00:01Z", "status": null },
            { "test": 3, "activity": "three", "time": "2015-07-01T10:00:03Z", "status": "PASS" },
        ])),
        path if path.ends_with("/data/") => page(json!([
            { "test": 2, "category": "default", "key": "k", "value": "dg==" },
        ])),
        _ => page(json!([])),
    }
}

fn a_released_server_lists_everything_everywhere(database: &TestDatabase) {
    let old = Endpoint::start(|_, request| (200, "", released(request).to_string()));
    let avocado = Avocado::start(database);
    let told = import(&avocado, &old.url);
    assert!(told.contains("2 jobs with 3 tests read, 3 executions imported"), "{told}");
    let activities = |path: &str| {
        let rows = avocado.rows(path);
        rows.iter().map(|row| row["activity"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(activities("/jobs/aa/tests/1/activities/"), ["one"]);
    assert_eq!(activities("/jobs/aa/tests/2/activities/"), [""; 0]);
    assert_eq!(activities("/jobs/bb/tests/3/activities/"), ["three"]);
    assert_eq!(avocado.rows("/jobs/aa/tests/2/data/")[0]["value"], "dg==");
    assert_eq!(avocado.json("/jobs/aa/")["time"], "2015-07-01T10:00:00Z");
    assert_agrees(&avocado);
}
