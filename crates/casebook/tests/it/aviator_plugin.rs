//! The real pytest-aviator, unmodified: only the address and the token are ours. Both examples of its README.

use crate::aviator::{CHECK, checked_suite, make_flaky, now, send_reports, test_cases};
use crate::collectors::{clients, finish, project};
use crate::setup::{Suite, start};
use casebook_testkit::{Form, TestDatabase, both_engines};
use serde_json::json;
use std::process::Command;

both_engines!(
    a_failed_test_is_run_again_until_it_passes,
    a_test_that_does_not_pass_often_enough_fails,
    one_variable_with_credentials_is_enough,
    its_report_is_evidence_again,
    a_wrong_token_reruns_nothing,
);

/// Six tests, one of which fails in the runs whose numbers are given.
fn tests(failing: &[u32]) -> String {
    format!(
        r#"import os


def test_sample_random():
    runs = len(os.listdir("runs")) if os.path.isdir("runs") else 0
    os.makedirs(f"runs/{{runs + 1}}")
    assert runs + 1 not in {failing:?}, "2 != 1"


def test_a():
    pass


def test_b():
    pass


def test_c():
    pass


def test_d():
    pass


def test_e():
    pass
"#
    )
}

/// A run of pytest in a CircleCI job.
struct Job<'a> {
    suite: &'a Suite<'a>,
    python: &'static str,
    failing: &'a [u32],
    /// The variables with address and token.
    variables: Vec<(&'static str, String)>,
}

impl<'a> Job<'a> {
    fn new(suite: &'a Suite<'a>, python: &'static str, failing: &'a [u32]) -> Self {
        let variables = vec![
            ("AVIATOR_API_URL", format!("{}/api/v1/flaky-tests", suite.server.url())),
            ("AVIATOR_API_TOKEN", suite.upload_token.clone()),
        ];
        Self { suite, python, failing, variables }
    }

    /// What pytest printed, and its JUnit report.
    fn run(&self, code: i32) -> (String, String) {
        let folder = project(&[("src/test_sample.py", &tests(self.failing))]);
        let mut command = Command::new(clients(self.python));
        command
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .env("CIRCLE_JOB", "unit-tests")
            .env("CIRCLE_PROJECT_USERNAME", "repo_org")
            .env("CIRCLE_PROJECT_REPONAME", "repo_name")
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .args(["-m", "pytest", "-p", "no:cacheprovider", "--junitxml", "output.xml", "src"]);
        let printed = finish(command, self.suite.server, code);
        (printed, std::fs::read_to_string(folder.path().join("output.xml")).unwrap())
    }
}

const PYTHONS: [&str; 2] = ["CASEBOOK_TEST_AVIATOR_7", "CASEBOOK_TEST_AVIATOR_8"];

/// What stands between the frames of the report, each line by itself.
fn report(printed: &str) -> Vec<String> {
    let begin = printed.find("FlakyBot Test Report").unwrap_or_else(|| panic!("{printed}"));
    let inside = &printed[begin..];
    let inside = &inside[..inside.find("End FlakyBot Test Report").unwrap_or_else(|| panic!("{printed}"))];
    let lines =
        inside.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("==="));
    lines.map(str::to_owned).collect()
}

fn a_failed_test_is_run_again_until_it_passes(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "src.test_sample", "test_sample_random", 5);
    for python in PYTHONS {
        let (printed, xml) = Job::new(&suite, python, &[1]).run(0);
        let lines = report(&printed);
        assert_eq!(lines[..2], ["test_sample_random", "FAILED: (4 runs remaining out of 5)."], "{printed}");
        assert!(lines[2].starts_with("<class 'AssertionError'>: 2 != 1"), "{lines:?}");
        assert!(
            lines.iter().any(|line| line.contains("TracebackEntry") && line.contains("test_sample.py:7")),
            "{lines:?}"
        );
        assert_eq!(lines.last().unwrap(), "test_sample_random passed 1 out of the required 1 times.");
        assert!(printed.contains("6 passed"), "{printed}");
        assert_eq!(xml.matches("name=\"test_sample_random\"").count(), 2, "{xml}");
    }
}

fn a_test_that_does_not_pass_often_enough_fails(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "src.test_sample", "test_sample_random", 5);
    let test = ["--class-name", "src.test_sample", "--name", "test_sample_random"];
    let policy = ["policy", "set", "--suite", "acme/cart", "--max-runs", "3", "--min-passes", "2"];
    let _ = server.succeed(&[&policy[..], &test].concat());
    for python in PYTHONS {
        let (printed, xml) = Job::new(&suite, python, &[2, 3]).run(1);
        let lines = report(&printed);
        let expected = [
            "test_sample_random passed 1 out of the required 2 times.",
            "Running test again until it passes 2 times.",
            "test_sample_random",
            "FAILED: (1 runs remaining out of 3).",
        ];
        assert_eq!(lines[..4], expected, "{printed}");
        let last = ["test_sample_random: FAILED", "It passed 1 out of the required 2 times."];
        assert_eq!(lines[lines.len() - 2..], last, "{printed}");
        assert!(printed.contains("1 failed, 5 passed"), "{printed}");
        assert_eq!(xml.matches("name=\"test_sample_random\"").count(), 3, "{xml}");
    }
}

fn one_variable_with_credentials_is_enough(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "src.test_sample", "test_sample_random", 5);
    let place = server.url().strip_prefix("http://").unwrap();
    let url = format!("http://token:{}@{place}/api/v1/flaky-tests", suite.upload_token);
    for python in PYTHONS {
        let mut job = Job::new(&suite, python, &[1]);
        job.variables = vec![("AVIATOR_API_URL", url.clone())];
        let (printed, _) = job.run(0);
        assert!(report(&printed).contains(&"FAILED: (4 runs remaining out of 5).".to_owned()), "{printed}");
    }
}

fn its_report_is_evidence_again(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "src.test_sample", "test_sample_random", 50);
    assert_eq!(test_cases(&suite)[0]["last_24_hours_count"], 0);
    let (_, xml) = Job::new(&suite, PYTHONS[0], &[1]).run(0);
    let form = Form::new().file("file[]", "output.xml", &xml);
    let _ = send_reports(&server, &suite.upload_token, &[], &form).expect(200);
    let listed = test_cases(&suite);
    assert_eq!((&listed[0]["last_24_hours_count"], listed.len()), (&json!(1), 1), "{CHECK}: {listed:?}");
    // The attempts are grouped, whatever the report's own counters say.
    assert_eq!(suite.counts("src.test_sample", "test_sample_random"), json!({ "passed": 1, "failed": 1 }));
}

fn a_wrong_token_reruns_nothing(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "src.test_sample", "test_sample_random", 5);
    for python in PYTHONS {
        for token in ["", "unknown"] {
            let mut job = Job::new(&suite, python, &[1]);
            job.variables[1].1 = token.to_owned();
            let (printed, _) = job.run(1);
            assert_eq!(report(&printed), Vec::<String>::new(), "{printed}");
        }
    }
}
