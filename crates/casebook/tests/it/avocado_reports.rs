//! Job results of Avocado, sent by `casebook upload`: as jobs of its API and as history.

use crate::avocado::{Avocado, report};
use crate::setup::{program, token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

both_engines!(
    a_job_folder_becomes_a_job,
    the_older_shape_is_read_too,
    a_large_job_is_joined_of_its_parts,
    damaged_results_leave_nothing,
);

const JOB: &str = "a35214a3e4ed18aa69e47ba3989d775bf9ef56a8";

/// Sends a file or folder with the command, and returns its exit code and what it said.
fn upload(avocado: &Avocado, path: &Path) -> (Option<i32>, String) {
    let token = token(&avocado.server, &["--suite", "acme/virt", "--scope", "upload"]);
    let mut command = Command::new(program());
    command.env_clear().env("CASEBOOK_TOKEN", &token).env("GIT_DIR", "/nonexistent");
    command.args(["upload", "--strict", "--server", avocado.server.url()]).arg(path);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// A folder as Avocado leaves it.
fn job_folder(results: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("job-2026-11-20T11.32-a35214a");
    fs::create_dir_all(inner.join("test-results/1-a")).unwrap();
    fs::write(inner.join("results.json"), results).unwrap();
    // The same told once more, and what belongs to a test.
    let xml = "<testsuite name='avocado'><testcase classname='c' name='n' time='0.1'/></testsuite>";
    fs::write(inner.join("results.xml"), xml).unwrap();
    fs::write(inner.join("test-results/1-a/data.json"), "[]").unwrap();
    fs::write(inner.join("job.log"), "log").unwrap();
    folder
}

fn statuses(job: &Value) -> Vec<(String, Value)> {
    let tests = job["tests"].as_array().unwrap().iter();
    let mut statuses: Vec<_> =
        tests.map(|test| (test["tag"].as_str().unwrap().to_owned(), test["status"].clone())).collect();
    statuses.sort_by(|a, b| a.0.cmp(&b.0));
    statuses
}

#[track_caller]
fn assert_agrees(avocado: &Avocado) {
    let told = avocado.server.succeed(&["check"]);
    assert!(told.lines().all(|line| line.ends_with("agree")), "{told}");
}

fn a_job_folder_becomes_a_job(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let folder = job_folder(&report("results-113.0.json"));
    let (code, said) = upload(&avocado, folder.path());
    assert_eq!(code, Some(0), "{said}");
    let job = avocado.json(&format!("/jobs/{JOB}/"));
    assert_eq!(job["status"], "FAIL");
    assert!(job["elapsed_time"].as_f64().unwrap() > 0.0, "{job}");
    let start = json!([{ "job": JOB, "activity": "JOB_START", "time": "2026-11-20T11:32:59.638789Z" }]);
    assert_eq!(job["activities"], start);
    let expected = [
        ("01-mixed.py:Mixed.test_pass", "PASS"),
        ("02-mixed.py:Mixed.test_fail", "FAIL"),
        ("03-mixed.py:Mixed.test_assert", "FAIL"),
        ("04-mixed.py:Mixed.test_error", "ERROR"),
        ("05-mixed.py:Mixed.test_warn", "WARN"),
        ("06-mixed.py:Mixed.test_skip", "TEST_NA"),
        ("07-mixed.py:Mixed.test_cancel", "TEST_NA"),
        ("08-mixed.py:Params.test_params", "PASS"),
        ("09-slow.py:Slow.test_timeout", "ERROR"),
        ("10-unit.py:U.test_ok", "PASS"),
        ("11-unit.py:U.test_xfail", "PASS"),
        ("12-./exec_ok.sh", "PASS"),
        ("13-./exec_fail.sh", "FAIL"),
    ];
    assert_eq!(statuses(&job), expected.map(|(tag, status)| (tag.to_owned(), json!(status))));

    let cancelled =
        job["tests"].as_array().unwrap().iter().find(|test| test["tag"] == "07-mixed.py:Mixed.test_cancel");
    let path = format!("/jobs/{JOB}/tests/{}", cancelled.unwrap()["id"]);
    let activities = avocado.rows(&format!("{path}/activities/"));
    let told: Vec<_> = activities.iter().map(|row| (&row["activity"], &row["status"])).collect();
    assert_eq!(told, [(&json!("STARTED"), &Value::Null), (&json!("ENDED"), &json!("TEST_NA"))]);
    let data = avocado.rows(&format!("{path}/data/"));
    let value = |category: &str, key: &str| {
        let row = data.iter().find(|row| row["category"] == category && row["key"] == key);
        row.map(|row| String::from_utf8(STANDARD.decode(row["value"].as_str().unwrap()).unwrap()).unwrap())
    };
    // Avocado's own word is kept.
    assert_eq!(value("result", "status").as_deref(), Some("CANCEL"));
    assert!(value("log_file_path", "debug.log").is_some_and(|path| path.ends_with("/debug.log")), "{data:?}");

    // History knows the job as a run, and its tests by what does not change from job to job.
    let reader = token(&avocado.server, &["--suite", "acme/virt", "--scope", "read"]);
    let read = |rest: &str| {
        let path = format!("/v2/analytics/organizations/acme/suites/virt{rest}");
        let request = avocado.server.get(&path).token(&reader).header("Buildkite-Version", "2026-08-01");
        request.send().expect(200).json()
    };
    let runs = read("/runs");
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    let run = runs[0]["id"].as_str().unwrap();
    let failed = read(&format!("/runs/{run}/failed_executions"));
    let reason = |name: &str| {
        let rows = failed.as_array().unwrap().iter();
        let mut found = rows.filter(|row| row["test_name"].as_str().unwrap().contains(name));
        found.next().map(|row| row["failure_reason"].clone())
    };
    assert_eq!(failed.as_array().unwrap().len(), 5, "{failed:#}");
    assert_eq!(reason("test_fail"), Some(json!("expected 1 got 2")));
    assert_eq!(reason("test_assert"), Some(json!("1 != 2")));

    // Sent again it changes nothing.
    let (code, said) = upload(&avocado, &folder.path().join("job-2026-11-20T11.32-a35214a/results.json"));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(avocado.json(&format!("/jobs/{JOB}/")), job);
    assert_eq!(avocado.json("/jobs/")["count"], 1);
    assert_eq!(read("/runs").as_array().unwrap().len(), 1);
    assert_eq!(read(&format!("/runs/{run}/failed_executions")).as_array().unwrap().len(), 5);
    assert_agrees(&avocado);
}

fn the_older_shape_is_read_too(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let folder = job_folder(&report("results-69.0.json"));
    let (code, said) = upload(&avocado, folder.path());
    assert_eq!(code, Some(0), "{said}");
    let job = avocado.json("/jobs/2d28ff8/");
    assert_eq!(job["id"], "2d28ff8c46e970e78b6b0bfeeb11619697ba34bf");
    assert_eq!(job["status"], "FAIL");
    let statuses = statuses(&job);
    assert_eq!(statuses[0], ("01-mixed.py:Mixed.test_pass".to_owned(), json!("PASS")));
    assert!(statuses.iter().all(|(_, status)| status.is_string()), "{statuses:?}");
    // Its tests tell the zone in which it ran.
    assert_eq!(job["activities"][0]["activity"], "JOB_START");
    assert_agrees(&avocado);
}

fn a_large_job_is_joined_of_its_parts(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let tests: Vec<Value> = (1..=6_000)
        .map(|number| {
            json!({
                "id": format!("{number:04}-a.py:A.test_{number}"), "status": "PASS", "time_elapsed": 0.1,
                "actual_time_start": 1_795_174_381.0 + f64::from(number), "fail_reason": null,
            })
        })
        .collect();
    let job = json!({ "job_id": "large", "debuglog": "x", "total": 6_000, "pass": 6_000, "tests": tests });
    let folder = job_folder(job.to_string().as_bytes());
    for _ in 0..2 {
        let (code, said) = upload(&avocado, folder.path());
        assert_eq!(code, Some(0), "{said}");
        let summary = json!({ "passed": 6_000, "failed": 0, "other": 0 });
        assert_eq!(avocado.json("/jobs/large/tests/summary/"), summary);
        assert_eq!(avocado.json("/jobs/large/")["activities"].as_array().unwrap().len(), 1);
    }
    assert_eq!(avocado.json("/jobs/large/tests/?page=last")["results"][9]["tag"], "6000-a.py:A.test_6000");
    assert_agrees(&avocado);
}

fn damaged_results_leave_nothing(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    for content in [
        &br#"{"debuglog": "x", "job_id": "j", "tests": ["#[..],
        br#"{"debuglog": "x", "job_id": "", "tests": []}"#,
        br#"{"debuglog": "x", "job_id": 5, "tests": [{"id": "a", "status": "PASS"}]}"#,
        br#"{"debuglog": "x", "job_id": "j", "tests": 5}"#,
    ] {
        let folder = job_folder(content);
        let (code, said) = upload(&avocado, folder.path());
        assert_ne!(code, Some(0), "{said}");
    }
    assert_eq!(avocado.json("/jobs/")["count"], 0);
    // What can be used of a damaged job is kept.
    let tests = json!([
        { "id": "1-a", "status": "ODD", "time_elapsed": -1, "actual_time_start": -1 },
        { "id": "2-b", "status": "PASS", "time_elapsed": "x", "whiteboard": "a\u{0}b" },
        { "status": "PASS" },
        5,
    ]);
    let job = json!({ "job_id": "j", "debuglog": "x", "tests": tests });
    let (_, said) = upload(&avocado, job_folder(job.to_string().as_bytes()).path());
    let statuses = statuses(&avocado.json("/jobs/j/"));
    assert_eq!(statuses, [("1-a".to_owned(), Value::Null), ("2-b".to_owned(), json!("PASS"))], "{said}");
    assert_agrees(&avocado);
}
