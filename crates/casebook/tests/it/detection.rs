//! The detector behind the server: states are those of a replay, evidence and judgements are stored with the upload.

use crate::setup::{Suite, program, start, text};
use casebook_testkit::{Engine, TestDatabase, TestServer, Upload, both_engines, run as run_program};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

both_engines!(
    states_are_those_of_a_replay,
    states_are_those_of_a_replay_after_concurrent_uploads,
    a_server_that_was_started_again_goes_on_where_it_was,
    a_flaky_test_is_found_explained_and_resolved,
    failures_are_judged,
    failures_of_one_cause_have_one_signature,
    an_exported_suite_is_replayed_to_the_same_changes,
);

/// A stream of bits that is the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A run of 40 tests at a time before now; some of its tests are flaky, and what failed is tried again.
fn run(now: Timestamp, dice: &mut Dice, number: u64, hours_ago: i64) -> Upload {
    let at = (now - SignedDuration::from_hours(hours_ago)).to_string();
    let branch = if number.is_multiple_of(3) { format!("change-{}", number % 5) } else { "main".to_owned() };
    let commit = format!("{:040x}", number / 2);
    let mut upload =
        Upload::new(&format!("run-{number}")).branch(&branch).commit(&commit).env("started_at", at);
    if number.is_multiple_of(4) {
        upload = upload.env("job_id", format!("job-{}", number % 8));
    }
    for test in 0..40 {
        let name = format!("test {test}");
        let fails = test < 6 && dice.roll(5) == 0 || test == 20 && (30..40).contains(&number);
        if fails {
            let result = json!({
                "scope": "Cart", "name": name, "result": "failed", "history": { "duration": 0.1 },
                "failure_reason": format!("TimeoutError: waited {} ms", dice.roll(1000)),
            });
            upload = upload.push(result);
        }
        if !fails || test < 6 {
            upload = upload.result("Cart", &name, "passed");
        }
    }
    upload
}

/// The server's time, a moment ago.
fn now(suite: &Suite<'_>) -> Timestamp {
    let answer = suite.upload(&Upload::new("first"));
    text(&suite.run(&answer["run_id"]), "created_at").parse().unwrap()
}

#[track_caller]
fn assert_agrees(server: &TestServer, uploads: usize) {
    let told = server.succeed(&["check"]);
    let line = told.lines().find(|line| line.starts_with("acme/cart")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.ends_with("agree"), "{told}");
    assert!(line.contains(&format!("{uploads} uploads folded again")), "{told}");
    assert!(!line.contains(" 0 states"), "{told}");
}

fn states_are_those_of_a_replay(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let (mut dice, now) = (Dice(7), now(&suite));
    for number in 0..60u64 {
        // Every seventh comes late: with a time that is long past.
        let late = if number.is_multiple_of(7) { 24 * 40 } else { 0 };
        let _ = suite.upload(&run(now, &mut dice, number, 24 * 60 - 20 * number as i64 + late));
    }
    // A repetition and an empty upload change nothing.
    let again = Upload::new("run-x");
    let _ = (suite.upload(&again), suite.upload(&again));
    assert_agrees(&server, 60);
}

fn states_are_those_of_a_replay_after_concurrent_uploads(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    std::thread::scope(|scope| {
        for client in 0..6 {
            let suite = &suite;
            scope.spawn(move || {
                let mut dice = Dice(client);
                for number in 0..10u64 {
                    let _ =
                        suite.upload(&run(now, &mut dice, client * 10 + number, 24 * 30 - 5 * number as i64));
                }
            });
        }
    });
    assert_agrees(&server, 60);
}

fn a_server_that_was_started_again_goes_on_where_it_was(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let (mut dice, now) = (Dice(3), now(&suite));
    for number in 0..15u64 {
        let _ = suite.upload(&run(now, &mut dice, number, 24 * 20 - 10 * number as i64));
    }
    let _ = server.terminate();
    let server = start(database);
    let suite = suite.on(&server);
    for number in 15..30u64 {
        let answer = suite.upload(&run(now, &mut dice, number, 24 * 20 - 10 * number as i64));
        assert!(!text(&answer, "run_id").is_empty());
    }
    assert_agrees(&server, 30);
}

fn read(suite: &Suite<'_>, rest: &str) -> Value {
    let path = format!("/api/casebook/v1/suites/{}{rest}", suite.name);
    suite.server.get(&path).token(&suite.read_token).send().expect(200).json()
}

/// A test that fails and passes on one commit of the default branch, and one that passes.
fn flake(now: Timestamp, number: u64, hours_ago: i64) -> Upload {
    let at = now - SignedDuration::from_hours(hours_ago);
    let upload = Upload::new(&format!("run-{number}")).branch("main").commit(&format!("{number:040x}"));
    upload
        .env("started_at", at.to_string())
        .result("Cart", "shaky", "failed")
        .result("Cart", "shaky", "passed")
        .result("Cart", "steady", "passed")
}

fn a_flaky_test_is_found_explained_and_resolved(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    // Long ago, so that it is resolved since: 20 days and a day later.
    let _ = suite.upload(&flake(now, 1, 24 * 20));
    let _ = suite.upload(&flake(now, 2, 24 * 19));
    let found = read(&suite, "/tests");
    let tests = found["items"].as_array().unwrap();
    assert_eq!(tests.len(), 2, "{found}");
    assert_eq!(json!([tests[0]["class_name"], tests[0]["name"]]), json!(["Cart", "shaky"]));
    assert_eq!(json!([tests[1]["health"], tests[1]["failure_probability"]]), json!(["new", null]));
    let path = format!("/tests/{}", text(&tests[0], "id"));
    let detail = read(&suite, &path);
    assert_eq!(detail["health"], "resolved", "{detail}");
    assert_eq!(detail["evidence"].as_array().map(Vec::len), Some(2), "{detail}");
    assert_eq!(
        (&detail["evidence"][0]["kind"], &detail["evidence"][0]["weight"]),
        (&json!("retry"), &json!(1.0))
    );
    assert!(!detail["explanation"].as_array().unwrap().is_empty(), "{detail}");
    let changes = detail["changes"].as_array().unwrap();
    assert_eq!(json!([changes[0]["from"], changes[0]["to"]]), json!(["suspect", "flaky"]), "{detail}");
    // A server that was down does what was due meanwhile, under the time at which it was due.
    let _ = server.terminate();
    let server = start(database);
    let suite = suite.on(&server);
    let last = text(&detail["evidence"][0], "at").parse::<Timestamp>().unwrap();
    let due = last + SignedDuration::from_hours(14 * 24);
    let resolved = (0..5_000)
        .map(|_| read(&suite, &path))
        .find(|detail| detail["changes"][0]["to"] == "resolved")
        .expect("the resolution is told");
    assert_eq!(text(&resolved["changes"][0], "at").parse::<Timestamp>().unwrap(), due);
    let episode = &resolved["episodes"][0];
    assert_eq!(json!([episode["ended_by"], episode["number"]]), json!(["resolved", 1]));
    let flaky = read(&suite, "/tests?health=flaky,suspect");
    assert_eq!(flaky["items"], json!([]));
    assert_eq!(read(&suite, "/tests?health=resolved")["items"].as_array().map(Vec::len), Some(1));
}

fn failures_are_judged(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    let answer = suite.upload(&flake(now, 1, 2));
    let failures = read(&suite, &format!("/runs/{}/failures", text(&answer, "run_id")));
    let [failure] = failures["items"].as_array().unwrap().as_slice() else { panic!("{failures}") };
    assert_eq!(
        json!([failure["name"], failure["attempt"], failure["outcome"]]),
        json!(["shaky", 1, "failed"])
    );
    let judgement = &failure["judgement"];
    let parts = ["flake", "regression", "incident"].map(|cause| judgement[cause].as_f64().unwrap());
    assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{judgement}");
    // It passed on the same code.
    assert!(parts[0] > 0.9, "{judgement}");
}

/// A failure is known by its type, its message without what varies, and the project's function where it happened.
fn failures_of_one_cause_have_one_signature(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let trace = |line: u32, function: &str| {
        json!([{ "expanded": [], "backtrace": [
            format!("tests/test_cart.py:{line}: in test_it"),
            format!("cart/store.py:{}: in {function}", line + 1),
            "/venv/lib/python3.11/site-packages/http/client.py:8: in get",
        ] }])
    };
    let mut upload = Upload::new("build");
    for (name, waited, trace) in [
        ("one", 17, trace(5, "load")),
        ("the same elsewhere", 4_300, trace(90, "load")),
        ("another function", 17, trace(5, "save")),
        ("no trace", 17, json!([])),
    ] {
        upload = upload.push(json!({
            "scope": "Cart", "name": name, "result": "failed", "history": { "duration": 0.1 },
            "failure_reason": format!("TimeoutError: waited {waited} ms"), "failure_expanded": trace,
        }));
    }
    let answer = suite.upload(&upload);
    let failures = read(&suite, &format!("/runs/{}/failures", text(&answer, "run_id")));
    let signature = |name: &str| {
        let items = failures["items"].as_array().unwrap();
        let found = items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("{failures}"));
        text(found, "signature").to_owned()
    };
    assert_eq!(signature("one"), signature("the same elsewhere"));
    assert_ne!(signature("one"), signature("another function"));
    assert_ne!(signature("one"), signature("no trace"));
    assert_ne!(signature("another function"), signature("no trace"));
}

fn an_exported_suite_is_replayed_to_the_same_changes(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let (mut dice, now) = (Dice(11), now(&suite));
    for number in 0..40u64 {
        let _ = suite.upload(&run(now, &mut dice, number, 24 * 12 - 7 * number as i64));
    }
    let exported = server.succeed(&["export", "--suite", "acme/cart"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cart.ndjson");
    std::fs::write(&file, &exported).unwrap();
    let replayed = run_program(program(), &["replay", file.to_str().unwrap()], "");
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let mut expected: Vec<Value> = String::from_utf8(replayed.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|change: Value| json!([change["name"], change["at"], change["from"], change["to"]]))
        .collect();
    let mut found: Vec<Value> = Vec::new();
    for test in read(&suite, "/tests?limit=200")["items"].as_array().unwrap() {
        let detail = read(&suite, &format!("/tests/{}", text(test, "id")));
        for change in detail["changes"].as_array().unwrap() {
            found.push(json!([test["name"], change["at"], change["from"], change["to"]]));
        }
    }
    assert!(found.len() > 6, "{found:?}");
    expected.sort_by_key(Value::to_string);
    found.sort_by_key(Value::to_string);
    assert_eq!(found, expected);
    let table = server.succeed(&["export", "--suite", "acme/cart", "--format", "csv"]);
    assert_eq!(table.lines().count(), exported.lines().count() + 1);
}

/// On one engine, because only its file can be changed so easily.
#[test]
fn a_state_that_is_missing_or_wrong_is_told() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    let _ = suite.upload(&flake(now, 1, 5));
    let check = || server.command(&["check"]);
    assert!(check().status.success());
    let path = database.url().strip_prefix("sqlite:").unwrap();
    let file = rusqlite::Connection::open(path).unwrap();
    file.execute(
        "update detector_state set body = cast(substr(body, 1, length(body) - 1) || x'07' as blob)",
        [],
    )
    .unwrap();
    assert_eq!(check().status.code(), Some(1));
    file.execute("delete from detector_state", []).unwrap();
    let told = check();
    assert_eq!(told.status.code(), Some(1));
    let line = String::from_utf8(told.stdout).unwrap();
    assert!(line.lines().any(|line| line.starts_with("acme/cart") && line.ends_with("1 differ")), "{line}");
}
