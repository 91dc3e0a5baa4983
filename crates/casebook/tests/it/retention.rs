//! Retention: old runs go with everything below them, what was learned of tests stays, and no list shows a gap.

use crate::monitor_setup::Monitor;
use crate::setup::{Suite, program, start, text, token};
use crate::webhook_setup::{read, wait_until};
use casebook_app::clock::Clock;
use casebook_testkit::{TestDatabase, TestServer, Upload, both_engines};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::LazyLock;

both_engines!(
    old_runs_go_and_what_was_learned_stays,
    what_was_dropped_is_not_counted_again,
    a_server_drops_what_is_older_than_it_keeps,
    listings_of_metrics_close_the_gaps,
    old_jobs_go,
);

/// The same moment whenever it is asked for, so that what is sent again is the same.
fn days_ago(days: i64) -> Timestamp {
    static NOW: LazyLock<i64> = LazyLock::new(|| Clock::System.now().as_microseconds());
    Timestamp::from_microsecond(*NOW).unwrap() - SignedDuration::from_hours(24 * days)
}

fn upload(key: &str, days: i64) -> Upload {
    Upload::new(key).env("started_at", days_ago(days).to_string())
}

fn failed(name: &str, reason: &str) -> Value {
    json!({ "scope": "Cart", "name": name, "result": "failed", "history": { "duration": 0.1 }, "failure_reason": reason })
}

/// What `casebook retention run` says of the suite.
fn drop_older(server: &TestServer, suite: &str, days: &str) -> String {
    let told = server.succeed(&["retention", "run", "--keep-days", days, "--suite", suite]);
    told.trim_end().split_once('\t').unwrap().1.to_owned()
}

/// Every count of the database is that of what is there.
#[track_caller]
fn assert_counts_agree(server: &TestServer) {
    let told = server.succeed(&["check"]);
    assert!(!told.contains("are counted"), "{told}");
}

fn old_runs_go_and_what_was_learned_stays(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let commit = "0123456789012345678901234567890123456789";
    let first = suite.upload(
        &upload("old", 100)
            .commit(commit)
            .push(failed("a", "boom"))
            .push(failed("b", "only here"))
            .result("Cart", "a", "passed"),
    );
    let _ = suite.upload(&upload("old too", 99).commit(commit).result("Cart", "a", "passed"));
    let _ = suite.upload(&upload("pinned", 98).push(failed("c", "boom")));
    // It began long ago and has grown since.
    let _ = suite.upload(&upload("growing", 97).result("Cart", "a", "passed"));
    let _ = suite.upload(&upload("growing", 3).result("Cart", "b", "passed"));
    let young = suite.upload(&upload("young", 20).push(failed("a", "boom")));
    assert_eq!(server.succeed(&["run", "pin", "--suite", &suite.name, "pinned"]), "pinned run pinned\n");
    let evidence = || {
        let tests = read(&suite, "/tests");
        let found = tests["items"].as_array().unwrap().iter().find(|test| test["name"] == "a").unwrap();
        read(&suite, &format!("/tests/{}", text(found, "id")))["evidence"].clone()
    };
    let learned = evidence();
    assert_eq!(learned.as_array().map(Vec::len), Some(1), "{learned}");

    let other = Suite::new(&server, "other");
    let _ = other.upload(&upload("old", 100).result("Cart", "a", "passed"));
    assert_eq!(drop_older(&server, &suite.name, "90"), "dropped 2 runs with 4 executions and 0 metrics");
    assert_eq!(drop_older(&server, &suite.name, "90"), "dropped 0 runs with 0 executions and 0 metrics");
    assert_eq!(suite.runs().len(), 3);
    assert_eq!(suite.read(&format!("/runs/{}", text(&first, "run_id"))).status, 404);
    assert_eq!(other.runs().len(), 1);
    assert_eq!(read(&suite, "/tests")["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(evidence(), learned);
    // The text of a failure stays as long as one failure has it.
    assert_eq!(suite.failed(&young["run_id"])[0]["failure_reason"], "boom");
    assert_counts_agree(&server);

    let _ = server.succeed(&["run", "unpin", "--suite", &suite.name, "pinned"]);
    assert_eq!(drop_older(&server, &suite.name, "30"), "dropped 1 runs with 1 executions and 0 metrics");
    assert_eq!(suite.runs().len(), 2);
    assert_counts_agree(&server);
    let wrong = server.command(&["run", "pin", "--suite", &suite.name, "old"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&wrong.stderr),
        "error: suite acme/cart has no run old: give the key that its client sent, such as the id of the build\n"
    );
    assert_eq!(server.command(&["retention", "run", "--keep-days", "29"]).status.code(), Some(2));
}

fn what_was_dropped_is_not_counted_again(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let old = upload("nightly", 100).result("Cart", "a", "passed").result("Cart", "b", "passed");
    let _ = suite.upload(&old);
    let _ = drop_older(&server, &suite.name, "90");
    let answer = suite.upload(&old);
    assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(0), &json!(2)), "{answer}");
    assert_eq!(suite.runs().len(), 0);
    // Younger results under the same key are another run.
    let new = upload("nightly", 1).result("Cart", "a", "passed");
    let answer = suite.upload(&new);
    assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(1), &json!(0)), "{answer}");
    let _ = suite.upload(&old);
    assert_eq!(suite.runs().len(), 1);
    assert_counts_agree(&server);
}

fn a_server_drops_what_is_older_than_it_keeps(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let _ = suite.upload(&upload("old", 20).result("Cart", "a", "passed"));
    let young = suite.upload(&upload("young", 0).result("Cart", "a", "passed"));
    let _ = server.terminate();
    let ahead = (24 * 60 * 60 * 80).to_string();
    let arguments = ["--keep-days", "90", "--clock-ahead-seconds", &ahead];
    let server = TestServer::start_with(program(), database, &arguments);
    let suite = suite.on(&server);
    let _ = wait_until(|| suite.get("/runs"), |runs| runs.as_array().is_some_and(|runs| runs.len() == 1));
    assert_eq!(text(&suite.runs()[0], "id"), text(&young, "run_id"));
    assert_counts_agree(&server);
}

/// A metric of one of six sessions, which arrive in turn.
fn metric(number: usize) -> (usize, Value) {
    let session = if number < 80 { number % 3 } else { 3 + number % 3 };
    let old = is_old(session);
    let at = days_ago(if old { 100 } else { 1 }).strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    let component = ["", "lib", "gone"][if old && number.is_multiple_of(5) { 2 } else { number % 2 }];
    let value = (number * 7_919 % 97) as f64 + 0.5;
    let body = json!({
        "session_h": session_key(session), "context_h": "c", "item_start_time": at, "item_path": "tests.module",
        "item": format!("test_{}", number % 40), "item_variant": format!("test_{}[{}]", number % 40, number % 3),
        "item_fs_loc": "tests/module.py", "kind": if number.is_multiple_of(9) { "module" } else { "function" },
        "component": component, "total_time": value, "user_time": -value, "kernel_time": value * 2.0, "cpu_usage": 1.0,
        "mem_usage": (number % 400) as f64,
    });
    (session, body)
}

/// Sessions that are dropped: in the middle of the others.
fn is_old(session: usize) -> bool {
    [1, 4].contains(&session)
}

fn session_key(session: usize) -> String {
    format!("{session:032x}")
}

fn session(number: usize) -> Value {
    json!({
        "session_h": session_key(number),
        "run_date": days_ago(if is_old(number) { 100 } else { 1 }).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        "scm_ref": format!("{number}0aa"),
        "description": {
            "pipeline_branch": if is_old(number) { "old" } else { "main" },
            "pipeline_build_no": (number / 2).to_string(),
        },
    })
}

/// Everything that lists sessions or metrics, page after page.
fn listings(monitor: &Monitor<'_>) -> Vec<(String, String)> {
    let mut paths: Vec<String> = [
        "/metrics/",
        "/sessions/",
        "/components/",
        "/pipelines/",
        "/metrics/count",
        "/sessions/count",
        "/pipelines/main/builds",
        "/pipelines/old/builds",
        "/pipelines/main/builds/1/sessions",
        "/components/lib/pipelines",
        "/components/gone/metrics",
        "/components/lib/metrics",
        "/contexts/c/metrics",
        "/contexts/c/metrics/count",
        "/items/test_7/metrics",
        "/items/like/test_1/metrics",
        "/variants/test_7[1]/metrics",
        "/variants/like/[2]/metrics",
        "/filters/scope/module/metrics",
        "/filters/scope/function/metrics/count",
        "/filters/scm/1/metrics",
        "/filters/scm/2/metrics",
        "/filters/scm/10aa/sessions",
        "/components/lib/items/test_7/metrics",
        "/resources/memory/head/40/metrics",
        "/resources/total_time/tail/40/metrics",
        "/resources/user_time/components/lib/head/40/metrics",
        "/resources/total_time/pipelines/main/tail/40/metrics",
        "/resources/memory/pipelines/old/head/40/metrics",
    ]
    .map(str::to_owned)
    .into();
    for session in 0..6 {
        paths.push(format!("/sessions/{}/metrics", session_key(session)));
        paths.push(format!("/sessions/{}", session_key(session)));
        paths.push(format!("/sessions/{}/metrics/count", session_key(session)));
    }
    let mut found = Vec::new();
    for path in paths {
        for page in [1, 3, -1] {
            let reply = monitor.get(&format!("{path}?page={page}"));
            found.push((format!("{path} {page}"), format!("{} {}", reply.status, reply.text())));
        }
    }
    found
}

fn listings_of_metrics_close_the_gaps(database: &TestDatabase) {
    let server = TestServer::start_with(program(), database, &["--monitor-page-size", "10"]);
    let all = Monitor::new(&server);
    let name = "acme/kept";
    let _ = server.succeed(&["suite", "create", name]);
    // This suite gets only what is kept.
    let kept = Monitor { server: &server, token: token(&server, &["--suite", name, "--scope", "write"]) };
    for monitor in [&all, &kept] {
        for number in (0..6).filter(|number| monitor.token == all.token || !is_old(*number)) {
            let _ = monitor.post("/sessions/", &session(number)).expect(201);
        }
    }
    // Both at one time; each in its own order.
    let send = |metrics: &[(usize, Value)]| {
        std::thread::scope(|scope| {
            for (monitor, takes_old) in [(&all, true), (&kept, false)] {
                scope.spawn(move || {
                    for (_, body) in metrics.iter().filter(|(session, _)| takes_old || !is_old(*session)) {
                        let _ = monitor.post("/metrics/", body).expect(201);
                    }
                });
            }
        });
    };
    let first: Vec<(usize, Value)> = (0..120).map(metric).collect();
    let dropped = first.iter().filter(|(session, _)| is_old(*session)).count();
    send(&first);
    assert_eq!(
        drop_older(&server, "acme/cart", "90"),
        format!("dropped 2 runs with {dropped} executions and {dropped} metrics")
    );
    assert_counts_agree(&server);
    assert_same(&all, &kept);
    let later = (120..150).map(|number| {
        let (_, mut body) = metric(number);
        body["session_h"] = json!(session_key(5));
        body["item_start_time"] = json!(days_ago(1).strftime("%Y-%m-%dT%H:%M:%S").to_string());
        body["component"] = json!("lib");
        (5, body)
    });
    send(&later.collect::<Vec<_>>());
    assert_same(&all, &kept);
    // What was dropped comes again, and changes nothing.
    let _ = all.post("/sessions/", &session(1)).expect(201);
    let _ = all.post("/metrics/", &metric(1).1).expect(201);
    for path in ["/sessions/count", "/metrics/count"] {
        assert_eq!(all.count(path), kept.count(path), "{path}");
    }
    assert_counts_agree(&server);
}

#[track_caller]
fn assert_same(all: &Monitor<'_>, kept: &Monitor<'_>) {
    for ((path, found), (_, expected)) in listings(all).into_iter().zip(listings(kept)) {
        let shown = |text: &str| text.chars().take(300).collect::<String>();
        assert!(found == expected, "{path}: {} instead of {}", shown(&found), shown(&expected));
    }
}

fn old_jobs_go(database: &TestDatabase) {
    let server = start(database);
    let _ = server.succeed(&["suite", "create", "acme/jobs"]);
    let token = token(&server, &["--suite", "acme/jobs", "--scope", "write"]);
    let (old, pinned) =
        ("0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef");
    for id in [old, pinned] {
        let post = |path: &str, status: u16, body: &Value| {
            let _ = server.post(path).token(&token).json(body).send().expect(status);
        };
        post("/jobs/", 201, &json!({ "id": id, "description": "nightly", "status": "PASS" }));
        post(&format!("/jobs/{id}/tests/"), 200, &json!({ "tag": "1-a.py:A.test", "status": "PASS" }));
    }
    let _ = server.succeed(&["run", "pin", "--suite", "acme/jobs", pinned]);
    let _ = server.terminate();
    let ahead = (24 * 60 * 60 * 60).to_string();
    let arguments = ["--keep-days", "30", "--clock-ahead-seconds", &ahead];
    let server = TestServer::start_with(program(), database, &arguments);
    let jobs = || server.get("/jobs/").token(&token).send().expect(200).json();
    let left = wait_until(jobs, |jobs| jobs["count"] == 1);
    assert_eq!(left["results"][0]["id"], pinned);
    assert_eq!(left["results"][0]["tests"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.get(&format!("/jobs/{old}/")).token(&token).send().status, 404);
    let summary = server.get("/jobs/summary/").token(&token).send().expect(200).json();
    assert_eq!(summary["passed"], 1, "{summary}");
    assert_counts_agree(&server);
}
