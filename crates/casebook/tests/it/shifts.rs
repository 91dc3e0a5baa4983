//! What tests take, through the real server: baselines, shifts, and what is the machine's.

use crate::setup::{Suite, start, text, token};
use crate::webhook_setup::wait_until;
use casebook_testkit::{Engine, TestDatabase, TestServer, Upload, both_engines};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

both_engines!(
    a_shift_is_told_with_the_commits_it_may_come_from,
    a_slow_machine_is_not_slow_code,
    a_server_that_was_down_catches_up,
    other_branches_and_failures_do_not_count,
    peaks_of_a_process_are_told_apart,
    a_deleted_suite_leaves_nothing,
);

fn read(suite: &Suite<'_>, rest: &str) -> Value {
    let path = format!("/api/casebook/v1/suites/{}{rest}", suite.name);
    suite.server.get(&path).token(&suite.read_token).send().expect(200).json()
}

/// The server's time, from a run that says nothing of the default branch.
fn now(suite: &Suite<'_>) -> Timestamp {
    let answer = suite.upload(&Upload::new("first").branch("elsewhere"));
    text(&suite.run(&answer["run_id"]), "created_at").parse().unwrap()
}

/// A few percent up or down, always the same.
fn noise(run: i64, test: i64) -> f64 {
    1.0 + ((run * 7919 + test * 104_729) % 101 - 50) as f64 / 1000.0
}

/// Run number `run`, an hour after the one before it, of tests that take so many seconds.
fn run(now: Timestamp, run: i64, seconds: impl Fn(i64) -> f64, tests: i64) -> Upload {
    let at = now - SignedDuration::from_hours(24 * 10 - run);
    let upload = Upload::new(&format!("run-{run}")).commit(&format!("{run:040x}"));
    (0..tests).fold(upload.env("started_at", at.to_string()), |upload, test| {
        upload.timed("Cart", &format!("test {test}"), "passed", seconds(test) * noise(run, test))
    })
}

/// Starts the server again, asks until what it answers is as it should be, and returns that.
fn caught_up(database: &TestDatabase, suite: &Suite<'_>, rest: &str, done: impl Fn(&Value) -> bool) -> Value {
    let _ = suite.server.terminate();
    let server = start(database);
    let answer = asked(&suite.on(&server), rest, done);
    // A server that stops gives its lease back; one that is killed does not.
    let _ = server.terminate();
    answer
}

fn asked(suite: &Suite<'_>, rest: &str, done: impl Fn(&Value) -> bool) -> Value {
    wait_until(|| read(suite, rest), done)
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().unwrap()
}

/// The id of a test of the suite.
fn test_id(suite: &Suite<'_>, name: &str) -> String {
    let tests = read(suite, "/tests?limit=200");
    let found = items(&tests).iter().find(|test| test["name"] == name);
    text(found.unwrap(), "id")
}

fn a_shift_is_told_with_the_commits_it_may_come_from(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    for number in 0..60 {
        let slow = |test| if test == 3 && number >= 40 { 1.4 } else { 1.0 };
        let _ = suite.upload(&run(now, number, slow, 30));
    }
    let test = test_id(&suite, "test 3");
    let _ = suite.server.terminate();
    let server = start(database);
    let suite = suite.on(&server);
    let found = asked(&suite, "/shifts", |page| !items(page).is_empty());
    let [shift] = items(&found) else { panic!("{found}") };
    assert_eq!(
        json!([
            shift["name"],
            shift["measure"],
            shift["machine_wide"],
            shift["host_class"],
            shift["test_id"]
        ]),
        json!(["test 3", "duration", false, "unknown", test])
    );
    let commit = |member: &str| text(&shift[member], "commit_sha");
    assert_eq!(commit("most_likely"), format!("{:040x}", 40), "{shift}");
    let [before, until] = ["last_before", "surely_by"].map(commit);
    assert!(before < format!("{:040x}", 40) && until >= format!("{:040x}", 40), "{shift}");
    assert_eq!(shift["most_likely"]["position"], 41, "{shift}");
    let number = |member: &str| shift[member].as_f64().unwrap();
    assert!((number("before") - 1.0).abs() < 0.05 && (number("shift") - 0.4).abs() < 0.08, "{shift}");
    assert!((number("after") - 1.4).abs() < 0.1 && number("p") < 1e-4, "{shift}");
    // Filters.
    for (query, count) in [
        ("measure=duration", 1),
        ("measure=memory", 0),
        ("machine_wide=true", 0),
        ("machine_wide=false", 1),
        (&*format!("test={test}"), 1),
        (&*format!("test={}", test_id(&suite, "test 4")), 0),
        (&*format!("after={}", text(shift, "id")), 0),
    ] {
        assert_eq!(items(&read(&suite, &format!("/shifts?{query}"))).len(), count, "{query}");
    }
    let of_test =
        asked(&suite, &format!("/tests/{test}/baselines"), |found| found["baselines"][0]["runs"] == 20);
    let baseline = &of_test["baselines"][0];
    assert_eq!(json!([baseline["measure"], baseline["host_class"]]), json!(["duration", "unknown"]));
    assert!((baseline["median"].as_f64().unwrap() - 1.4).abs() < 0.1, "{baseline}");
    assert_eq!(of_test["shifts"], json!([shift]));
    let values = of_test["values"].as_array().unwrap();
    assert_eq!(values.len(), 60);
    assert_eq!(
        json!([values[0]["commit_sha"], values[0]["branch_class"]]),
        json!([format!("{:040x}", 59), "default"])
    );
    assert!((values[0]["duration"].as_f64().unwrap() - 1.4).abs() < 0.1, "{}", values[0]);
}

fn a_slow_machine_is_not_slow_code(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    for number in 0..60 {
        let slow = |_| if number >= 40 { 1.5 } else { 1.0 };
        let _ = suite.upload(&run(now, number, slow, 30));
    }
    let found = caught_up(database, &suite, "/shifts?limit=200", |page| items(page).len() >= 30);
    assert_eq!(items(&found).len(), 30, "each test shifted once");
    assert!(items(&found).iter().all(|shift| shift["machine_wide"] == true), "{found}");
}

fn a_server_that_was_down_catches_up(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    let slow = |number: i64| move |test| if test == 3 && number >= 40 { 1.4 } else { 1.0 };
    for number in 0..42 {
        let _ = suite.upload(&run(now, number, slow(number), 5));
    }
    let test = test_id(&suite, "test 3");
    let rest = format!("/tests/{test}/baselines");
    let before = caught_up(database, &suite, &rest, |found| found["baselines"][0]["runs"] == 42);
    assert_eq!(before["shifts"], json!([]), "{before}");
    // The states are those of 42 runs; these 18 are enough only together with them.
    let server = start(database);
    let suite = suite.on(&server);
    for number in 42..60 {
        let _ = suite.upload(&run(now, number, slow(number), 5));
    }
    let found = caught_up(database, &suite, "/shifts", |page| !items(page).is_empty());
    let [shift] = items(&found) else { panic!("{found}") };
    assert_eq!(text(&shift["most_likely"], "commit_sha"), format!("{:040x}", 40));
}

#[test]
fn two_servers_on_one_database_follow_in_turn() {
    // SQLite's file has one server.
    let Some(database) = TestDatabase::new(Engine::Postgres) else { return };
    let servers = [start(&database), start(&database)];
    let suite = Suite::new(&servers[0], "cart");
    let now = now(&suite);
    let slow = |number: i64| move |test| if test == 3 && number >= 40 { 1.4 } else { 1.0 };
    for number in 0..60 {
        let _ = suite.on(&servers[number as usize % 2]).upload(&run(now, number, slow(number), 5));
    }
    let rest = format!("/tests/{}/baselines", test_id(&suite, "test 3"));
    for server in &servers {
        let found = asked(&suite.on(server), &rest, |found| found["baselines"][0]["runs"] == 20);
        let [shift] = found["shifts"].as_array().unwrap().as_slice() else { panic!("{found}") };
        assert_eq!(text(&shift["most_likely"], "commit_sha"), format!("{:040x}", 40));
    }
    // Whichever of them follows, the other one goes on.
    let [stopped, left] = &servers;
    let _ = stopped.terminate();
    for number in 60..65 {
        let _ = suite.on(left).upload(&run(now, number, slow(number), 5));
    }
    let found = asked(&suite.on(left), &rest, |found| found["baselines"][0]["runs"] == 25);
    assert_eq!(found["shifts"].as_array().map(Vec::len), Some(1));
}

fn other_branches_and_failures_do_not_count(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    for number in 0..60 {
        let on_change = number % 2 == 1;
        let upload = run(now, number, |_| if on_change { 5.0 } else { 1.0 }, 2);
        let upload = if on_change { upload.branch("change") } else { upload };
        let _ = suite.upload(&upload.timed("Cart", "broken", "failed", 1.0));
    }
    let test = test_id(&suite, "test 1");
    let broken = test_id(&suite, "broken");
    let rest = format!("/tests/{test}/baselines");
    let found = caught_up(database, &suite, &rest, |found| found["baselines"][0]["runs"] == 30);
    assert!((found["baselines"][0]["median"].as_f64().unwrap() - 1.0).abs() < 0.05, "{found}");
    assert_eq!((found["values"].as_array().unwrap().len(), &found["shifts"]), (60, &json!([])));
    let server = start(database);
    let found = read(&suite.on(&server), &format!("/tests/{broken}/baselines"));
    assert_eq!(found["baselines"], json!([]), "{found}");
}

/// pytest-monitor's calls for a session of four tests, of which the third adds to the peak.
fn session(server: &TestServer, token: &str, now: Timestamp, number: i64) {
    let at = now - SignedDuration::from_hours(24 * 10 - number);
    let post = |path: &str, body: &Value| {
        let _ = server.post(&format!("/api/v1{path}")).token(token).json(body).send().expect(201);
    };
    let day = at.to_string();
    post(
        "/sessions/",
        &json!({ "session_h": format!("s{number}"), "run_date": day, "scm_ref": format!("{number:040x}"), "description": {} }),
    );
    let added = if number < 40 { 20.0 } else { 60.0 };
    for (test, peak) in [(1, 100.0), (2, 100.0), (3, 100.0 + added), (4, 100.0 + added)] {
        let metric = json!({
            "session_h": format!("s{number}"), "context_h": "machine", "item_start_time": day,
            "item_path": "tests.test_cart", "item": format!("test_{test}"), "item_variant": format!("test_{test}"),
            "item_fs_loc": "tests/test_cart.py", "kind": "function", "component": "",
            "total_time": 1.0, "user_time": 0.5, "kernel_time": 0.1, "cpu_usage": 0.6,
            "mem_usage": peak * noise(number, 0),
        });
        post("/metrics/", &metric);
    }
}

fn peaks_of_a_process_are_told_apart(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    let writer = token(&server, &["--suite", &suite.name, "--scope", "write"]);
    for number in 0..60 {
        session(&server, &writer, now, number);
    }
    let found = caught_up(database, &suite, "/shifts", |page| !items(page).is_empty());
    let told: Vec<Value> = items(&found)
        .iter()
        .map(|shift| json!([shift["name"], shift["measure"], shift["host_class"]]))
        .collect();
    assert_eq!(told, [json!(["test_3", "memory", "machine"])], "only the test that added more");
    assert!((items(&found)[0]["after"].as_f64().unwrap() - 60.0).abs() < 6.0, "{found}");
    let server = start(database);
    let suite = suite.on(&server);
    let last = test_id(&suite, "test_4");
    let rest = format!("/tests/{last}/baselines");
    let of_test =
        asked(&suite, &rest, |found| found["baselines"].as_array().is_some_and(|all| all.len() == 3));
    assert_eq!(of_test["values"][0]["memory_is_process_peak"], true);
    assert!(of_test["values"][0]["memory"].as_f64().unwrap() > 140.0, "as it was reported: {of_test}");
    let own = of_test["baselines"][2]["median"].as_f64().unwrap();
    assert!(own < 1.0, "it adds nothing: {own}");
}

fn a_deleted_suite_leaves_nothing(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    for number in 0..20 {
        let _ = suite.upload(&run(now, number, |_| 1.0, 3));
    }
    let test = test_id(&suite, "test 1");
    let rest = format!("/tests/{test}/baselines");
    let _ = asked(&suite, &rest, |found| found["baselines"][0]["runs"] == 20);
    let admin = token(&server, &["--org", "acme", "--scope", "admin"]);
    let _ = server.request("DELETE", &suite.path("")).token(&admin).send().expect(204);
    let rows = "select (select count(*) from resource_baseline) + (select count(*) from resource_suite) \
                + (select count(*) from host_class) + (select count(*) from suite_removal)";
    let store = casebook_storage::Store::open(&database.url().parse().unwrap()).unwrap();
    let left = || json!(store.read(|db| db.get(rows, &[], |row| row.get::<i64>(0))).unwrap());
    let _ = wait_until(left, |left| left == 0);
}
