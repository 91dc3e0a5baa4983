//! The real clients of Avocado Server, unmodified, and a real run of Avocado.

use crate::avocado::Avocado;
use crate::collectors::{clients, finish, project};
use crate::setup::{program, sample, token};
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

both_engines!(the_rest_client_is_at_home, the_journal_tool_replays_a_job, a_run_of_today_is_sent_and_read,);

const OLD: &str = "CASEBOOK_TEST_AVOCADO_69";

/// The shipped program says what it found in its log, which nothing shows unless it is turned on.
const REST_CLIENT: &str = "import logging, sys\n\
                           logging.basicConfig(level=logging.INFO, format='%(message)s')\n\
                           from avocado.core.restclient.cli.app import App\n\
                           sys.exit(App().run())\n";

fn python(variable: &str) -> Command {
    let mut command = Command::new(clients(variable));
    let home = std::env::temp_dir();
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
    command
}

fn rest_client(avocado: &Avocado, user: &[&str], action: &str, code: i32) -> String {
    let (host, port) = avocado.server.address().rsplit_once(':').unwrap();
    let mut command = python(OLD);
    command.args(["-c", REST_CLIENT, "server", "--hostname", host, "--port", port, action]).args(user);
    finish(command, &avocado.server, code)
}

fn the_rest_client_is_at_home(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let user = ["--username", "anybody", "--password", &avocado.token];
    let said = rest_client(&avocado, &user, "--status", 0);
    assert!(said.contains("Server version: 0.25.0"), "{said}");
    let said = rest_client(&avocado, &user, "--list-brief", 0);
    let listed: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix(" * ")).collect();
    assert_eq!(
        listed,
        [
            "jobstatuses",
            "teststatuses",
            "softwarecomponentkinds",
            "softwarecomponentarches",
            "softwarecomponents",
            "linuxdistros",
            "testenvironments",
            "jobs"
        ]
    );
    // Whoever names no user is told so.
    let said = rest_client(&avocado, &[], "--list-brief", 0);
    assert!(said.contains("Access Forbidden"), "{said}");
}

fn the_journal_tool_replays_a_job(database: &TestDatabase) {
    let avocado = Avocado::start_with(database, &["--avocado-timezone", "Europe/Berlin"]);
    let folder = project(&[]);
    let journal = folder.path().join(".journal.sqlite");
    let connection = rusqlite::Connection::open(&journal).unwrap();
    connection.execute_batch(&String::from_utf8(sample("avocado/journal.sql")).unwrap()).unwrap();
    drop(connection);
    let tool: PathBuf = clients(OLD).parent().unwrap().join("../source/scripts/avocado-journal-replay");
    let replay = |code: i32| {
        let mut command = python(OLD);
        command.arg(&tool).args(["-s", avocado.server.url(), "-u", "anybody", "-p", &avocado.token]);
        command.args(["-n", "nightly", "-j", journal.to_str().unwrap()]);
        finish(command, &avocado.server, code)
    };
    let _ = replay(0);
    let job = avocado.json("/jobs/a35214a/");
    assert_eq!((&job["name"], &job["status"]), (&json!("nightly"), &Value::Null));
    let status = |tag: &str| {
        let mut tests = job["tests"].as_array().unwrap().iter();
        tests.find(|test| test["tag"] == tag).unwrap()["status"].clone()
    };
    assert_eq!(job["tests"].as_array().unwrap().len(), 13);
    for (tag, expected) in [
        ("01-mixed.py:Mixed.test_pass", "PASS"),
        ("05-mixed.py:Mixed.test_warn", "WARN"),
        ("06-mixed.py:Mixed.test_skip", "TEST_NA"),
        ("07-mixed.py:Mixed.test_cancel", "TEST_NA"),
        ("09-slow.py:Slow.test_timeout", "ERROR"),
        ("13-./exec_fail.sh", "FAIL"),
    ] {
        assert_eq!(status(tag), expected, "{tag}");
    }
    let first = avocado.rows(&format!("/jobs/a35214a/tests/{}/activities/", job["tests"][0]["id"]));
    assert_eq!(first.len(), 2);
    // Winter time of the zone that was configured.
    assert_eq!(first[0]["time"], "2026-11-20T10:33:01.510260Z");
    // The tool gives up on a job that is there.
    assert!(replay(255).contains("This field must be unique."));
    let told = avocado.server.succeed(&["check"]);
    assert!(told.lines().all(|line| line.ends_with("agree")), "{told}");
}

const TESTS: &str = "from avocado import Test\n\n\
                     class Net(Test):\n    def test_pass(self):\n        self.whiteboard = 'a note'\n\n    \
                     def test_fail(self):\n        self.fail('the link is down')\n\n    \
                     def test_cancel(self):\n        self.cancel('no device')\n";

fn a_run_of_today_is_sent_and_read(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let folder = project(&[("net.py", TESTS)]);
    let python = clients("CASEBOOK_TEST_AVOCADO");
    let mut command = Command::new(python.parent().unwrap().join("avocado"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        [python.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&path)),
    );
    command.current_dir(folder.path()).env_clear().env("PATH", path.unwrap()).env("HOME", folder.path());
    command.args(["run", "--job-results-dir", "results", "--disable-sysinfo", "net.py"]);
    // One test fails.
    let _ = finish(command, &avocado.server, 1);
    let token = token(&avocado.server, &["--suite", "acme/virt", "--scope", "upload"]);
    let mut command = Command::new(program());
    command.current_dir(folder.path()).env_clear().env("CASEBOOK_TOKEN", &token);
    command.args(["upload", "--strict", "--server", avocado.server.url(), "results"]);
    let _ = finish(command, &avocado.server, 0);
    let jobs = avocado.rows("/jobs/");
    assert_eq!((jobs.len(), &jobs[0]["status"]), (1, &json!("FAIL")));
    let mut told: Vec<(String, Value)> = jobs[0]["tests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|test| {
            (test["tag"].as_str().unwrap().split_once('-').unwrap().1.to_owned(), test["status"].clone())
        })
        .collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("net.py:Net.test_cancel", "TEST_NA"),
        ("net.py:Net.test_fail", "FAIL"),
        ("net.py:Net.test_pass", "PASS"),
    ];
    assert_eq!(told, expected.map(|(tag, status)| (tag.to_owned(), json!(status))));
}
