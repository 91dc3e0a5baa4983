//! What becomes of repeated, concurrent, growing and late uploads (`buildkite.md` 4.3, 4.5, 4.6).

use crate::setup::{Suite, start, text};
use casebook_testkit::{Form, TestDatabase, Upload, both_engines};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Barrier;

both_engines!(
    repeated_results_are_known_by_their_uuid,
    repeated_reports_are_known_by_their_content,
    a_new_run_takes_uploads_at_the_same_moment,
    one_upload_sent_many_times_at_once_counts_once,
    variants_of_one_test_are_executions_of_it,
    a_finished_run_may_grow,
    the_result_of_a_run,
    an_upload_without_results_makes_the_run,
    a_run_is_described_by_the_first_upload_that_knows,
    executions_keep_what_their_upload_said,
    newer_uploads_move_a_test,
    branches_are_kept_as_sent,
    history_may_be_brought_later,
    core_tags_are_filled_in,
);

const UUID: &str = "95f7e024-9e0a-450f-bc64-9edb62d43fa9";

fn with_id(id: &str, name: &str) -> Value {
    json!({ "id": id, "scope": "Cart", "name": name, "result": "passed", "history": { "duration": 1 } })
}

/// `queued` and `skipped` of an answer.
fn counted(answer: &Value) -> (i64, i64) {
    (answer["queued"].as_i64().unwrap(), answer["skipped"].as_i64().unwrap())
}

fn repeated_results_are_known_by_their_uuid(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let no_uuid = "ceb0bea1dd12be3cd1d6-3c9a8e8a0fa47ab1a95d";
    let send = |key: &str, results: &[Value]| {
        let upload = results.iter().fold(Upload::new(key), |upload, result| upload.push(result.clone()));
        counted(&suite.upload(&upload))
    };
    // Run, results, how many are queued and skipped.
    let steps = [
        ("k1", vec![with_id(UUID, "a")], (1, 0)),
        ("k1", vec![with_id(UUID, "a")], (0, 1)),
        ("k1", vec![with_id(&UUID.to_uppercase(), "a")], (0, 1)),
        // The same test in another run, another test in the same run.
        ("k2", vec![with_id(UUID, "a")], (1, 0)),
        ("k1", vec![with_id(UUID, "b")], (1, 0)),
        // Twice within one upload.
        ("k3", vec![with_id(UUID, "a"), with_id(&UUID.to_uppercase(), "a"), with_id(UUID, "b")], (2, 1)),
        // What is no UUID never makes a repetition, and neither does its absence.
        ("k4", vec![with_id(no_uuid, "c"), with_id(no_uuid, "c")], (2, 0)),
        ("k4", vec![with_id(no_uuid, "c")], (1, 0)),
        ("k4", vec![with_id("", "c"), with_id("", "c")], (2, 0)),
        ("k4", vec![with_id(&UUID[1..], "c"), with_id(&UUID[1..], "c")], (2, 0)),
        ("k4", vec![with_id(&UUID.replace('-', ""), "c"), with_id(&UUID.replace('-', ""), "c")], (2, 0)),
    ];
    for (number, (key, results, expected)) in steps.iter().enumerate() {
        assert_eq!(send(key, results), *expected, "step {number}");
    }
    let counts = |name: &str| suite.counts("Cart", name)["passed"].as_i64().unwrap();
    assert_eq!([counts("a"), counts("b"), counts("c")], [3, 2, 9]);
    assert_eq!(suite.runs().len(), 4);
    // A repetition leaves everything else as it was, also in an answer of a different result.
    let mut failed = with_id(UUID, "a");
    failed["result"] = json!("failed");
    let answer = suite.upload(&Upload::new("k1").push(failed).result("Cart", "new", "passed"));
    assert_eq!(counted(&answer), (1, 1));
    assert_eq!(suite.run(&answer["run_id"])["result"], "passed");
}

fn repeated_reports_are_known_by_their_content(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let xml = "<testsuite><testcase classname='c' name='a'/><testcase classname='c' name='b'/></testsuite>";
    let send = |key: &str, job: Option<&str>, xml: &str| {
        let form = Form::junit(key, xml);
        let form = job.into_iter().fold(form, |form, job| form.field("run_env[job_id]", job));
        counted(&form.send(&server, &suite.upload_token).expect(202).json())
    };
    assert_eq!(send("k1", None, xml), (2, 0));
    assert_eq!(send("k1", None, xml), (0, 2));
    assert_eq!(send("k1", Some("job 1"), xml), (2, 0));
    assert_eq!(send("k1", Some("job 1"), xml), (0, 2));
    assert_eq!(send("k1", Some("job 2"), xml), (2, 0));
    assert_eq!(send("k2", None, xml), (2, 0));
    assert_eq!(send("k2", None, &xml.replace("'b'/>", "'b' time='1'/>")), (2, 0));
    assert_eq!(suite.counts("c", "a"), json!({ "passed": 5, "failed": 0 }));
}

fn a_new_run_takes_uploads_at_the_same_moment(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    const THREADS: usize = 8;
    for round in 0..5 {
        let key = format!("k{round}");
        let barrier = Barrier::new(THREADS);
        let send = |thread: usize| {
            let mut upload = Upload::new(&key).env("job_id", format!("job {thread}"));
            for number in 0..20 {
                upload = upload.result("shared", &format!("{number}"), "passed");
                upload = upload.result(&format!("own {thread}"), &format!("{number}"), "passed");
            }
            barrier.wait();
            suite.upload(&upload)
        };
        let answers: Vec<Value> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || send(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| counted(answer) == (40, 0)), "{answers:#?}");
        assert!(answers.iter().all(|answer| answer["run_id"] == answers[0]["run_id"]), "{answers:#?}");
        let mut uploads: Vec<String> = answers.iter().map(|answer| text(answer, "upload_id")).collect();
        uploads.sort();
        uploads.dedup();
        assert_eq!(uploads.len(), THREADS);
        assert_eq!(suite.runs().len(), round + 1);
        let tests = suite.tests();
        assert_eq!(tests.len(), 20 * (THREADS + 1));
        for test in tests {
            let an_upload = if test["scope"] == "shared" { THREADS } else { 1 };
            assert_eq!(test["executions_count"], an_upload * (round + 1), "{test:#}");
        }
    }
}

fn one_upload_sent_many_times_at_once_counts_once(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let ids: Vec<String> = (0..50).map(|n| format!("95f7e024-9e0a-450f-bc64-9edb62d43f{n:02}")).collect();
    let upload = ids
        .iter()
        .enumerate()
        .fold(Upload::new("k1"), |upload, (n, id)| upload.push(with_id(id, &format!("{n}"))));
    let barrier = Barrier::new(6);
    let queued: i64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    counted(&suite.upload(&upload)).0
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(queued, 50);
    let tests = suite.tests();
    assert_eq!(tests.len(), 50);
    assert!(tests.iter().all(|test| test["executions_count"] == 1));
}

fn variants_of_one_test_are_executions_of_it(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let linux = suite.upload(&Upload::new("k1").tag("os", "linux").timed("Cart", "a", "passed", 1.0));
    assert_eq!(suite.run(&linux["run_id"])["result"], "passed");
    let windows = suite.upload(&Upload::new("k1").tag("os", "windows").timed("Cart", "a", "failed", 3.0));
    assert_eq!(windows["run_id"], linux["run_id"]);
    assert_eq!(suite.run(&linux["run_id"])["result"], "failed");
    let test = suite.test("Cart", "a");
    assert_eq!(test["executions_count_by_result"], json!({ "passed": 1, "failed": 1 }));
    assert_eq!((&test["reliability"], &test["duration_avg"]), (&json!(0.5), &json!(2.0)));
    assert_eq!(suite.tests().len(), 1);
    let failed = suite.failed(&linux["run_id"]);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["tags"], json!({ "os": "windows" }));
}

fn a_finished_run_may_grow(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let first = suite.upload(&Upload::new("k1").result("Cart", "a", "passed"));
    let before = suite.run(&first["run_id"]);
    assert_eq!(before["state"], "finished");
    let other = suite.upload(&Upload::new("k2").result("Cart", "a", "passed"));
    let again = suite.upload(&Upload::new("k1").result("Cart", "b", "passed").result("Cart", "a", "passed"));
    assert_eq!(again["run_id"], first["run_id"]);
    assert_ne!(again["upload_id"], first["upload_id"]);
    assert_eq!(suite.run(&first["run_id"]), before);
    assert_eq!(suite.counts("Cart", "a")["passed"], 3);
    assert_eq!(suite.counts("Cart", "b")["passed"], 1);
    // Newest first, by when they began.
    let runs: Vec<Value> = suite.runs().iter().map(|run| run["id"].clone()).collect();
    assert_eq!(runs, [other["run_id"].clone(), first["run_id"].clone()]);
}

fn the_result_of_a_run(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    // Results of each upload in turn, and what the run's result is after it.
    let runs: [&[(&[&str], &str)]; 8] = [
        (&[(&["skipped"], "pending"), (&["pending", "unknown"], "pending"), (&["passed"], "passed")]),
        (&[(&["passed", "skipped", "unknown"], "passed")]),
        (&[(&["failed"], "failed"), (&["passed"], "failed"), (&["passed", "passed"], "failed")]),
        (&[(&["passed", "failed", "passed"], "failed")]),
        (&[(&["passed"], "passed"), (&["failed"], "failed"), (&["skipped"], "failed")]),
        (&[(&[], "pending"), (&["passed"], "passed"), (&[], "passed")]),
        (&[(&["skipped", "failed"], "failed")]),
        (&[(&["unknown"], "pending"), (&["failed"], "failed"), (&["passed"], "failed")]),
    ];
    for (number, uploads) in runs.iter().enumerate() {
        for (results, expected) in *uploads {
            let upload = Upload::new(&format!("k{number}"));
            let upload = results.iter().fold(upload, |upload, result| upload.result("Cart", "a", result));
            let answer = suite.upload(&upload);
            assert_eq!(suite.run(&answer["run_id"])["result"], *expected, "run {number} after {results:?}");
        }
    }
}

fn an_upload_without_results_makes_the_run(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let answer = suite.upload(&Upload::new("k1"));
    assert_eq!(counted(&answer), (0, 0));
    let run = suite.run(&answer["run_id"]);
    assert_eq!((&run["result"], &run["branch"]), (&json!("pending"), &json!("main")));
    assert_eq!(suite.tests(), Vec::<Value>::new());
    assert_eq!(suite.upload(&Upload::new("k1"))["run_id"], answer["run_id"]);
    assert_eq!(suite.runs().len(), 1);
}

fn a_run_is_described_by_the_first_upload_that_knows(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let key = "0199a3c1-5d1e-4b7e-9a3c-2f1d6f0a7b11";
    let bare = Upload::new(key).without("branch").without("commit_sha");
    let described = |upload: &Upload| {
        let run = suite.run(&suite.upload(upload)["run_id"]);
        json!([run["branch"], run["commit_sha"], run["build_id"]])
    };
    assert_eq!(described(&bare), json!([null, null, null]));
    assert_eq!(described(&bare.clone().branch("first").env("commit_sha", "")), json!(["first", null, null]));
    assert_eq!(described(&bare.clone().branch("second").commit("c1")), json!(["first", "c1", null]));
    assert_eq!(described(&bare.clone().env("CI", "buildkite").commit("c2")), json!(["first", "c1", key]));
    assert_eq!(described(&bare.clone().env("CI", "circleci")), json!(["first", "c1", key]));

    // Only a key that is a UUID is the id of a build, and only Buildkite's.
    for (key, provider) in [("no uuid", "buildkite"), (UUID, "github_actions"), (UUID, "Buildkite")] {
        let other = suite.sibling(&format!("other-{provider}"));
        let answer = other.upload(&Upload::new(key).env("CI", provider));
        assert_eq!(other.run(&answer["run_id"])["build_id"], json!(null), "{key} {provider}");
    }
}

fn executions_keep_what_their_upload_said(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let result = |file: &str, line: u32| {
        json!({ "scope": "Cart", "name": "a", "result": "failed", "history": {},
                "file_name": file, "location": format!("{file}:{line}") })
    };
    let upload = |job: &str| Upload::new("k1").env("job_id", job);
    let answer = suite.upload(&upload("1").branch("b1").commit("c1").push(result("old.rb", 1)));
    let _ = suite.upload(&upload("2").branch("b2").commit("c2").push(result("new.rb", 2)));
    let failed = suite.failed(&answer["run_id"]);
    let mut told: Vec<Value> = failed
        .iter()
        .map(|failed| {
            let tags = &failed["tags"];
            let place = (&failed["location"], &tags["code.file.path"]);
            json!([failed["branch"], failed["commit_sha"], tags["build.job_id"], place.0, place.1])
        })
        .collect();
    told.sort_by_key(Value::to_string);
    let expected =
        [json!(["b1", "c1", "1", "old.rb:1", "old.rb"]), json!(["b2", "c2", "2", "new.rb:2", "new.rb"])];
    assert_eq!(told, expected);
}

fn newer_uploads_move_a_test(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let place = |location: Value, file: Value| {
        let result = json!({ "scope": "Cart", "name": "a", "result": "passed", "history": {},
                             "location": location, "file_name": file });
        let _ = suite.upload(&Upload::new("k1").push(result));
        let test = suite.test("Cart", "a");
        (test["id"].clone(), json!([test["location"], test["file_name"]]))
    };
    let (id, first) = place(json!("a.rb:1"), json!("a.rb"));
    assert_eq!(first, json!(["a.rb:1", "a.rb"]));
    assert_eq!(place(json!("b.rb:2"), json!("b.rb")), (id.clone(), json!(["b.rb:2", "b.rb"])));
    assert_eq!(place(json!(null), json!("b.rb")), (id.clone(), json!([null, "b.rb"])));
    assert_eq!(place(json!("c.rb"), json!(null)), (id.clone(), json!(["c.rb", null])));
    let _ = suite.upload(&Upload::new("k2").result("Cart", "a", "passed"));
    let test = suite.test("Cart", "a");
    assert_eq!(json!([test["id"], test["location"], test["file_name"]]), json!([id, null, null]));
}

fn branches_are_kept_as_sent(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let result = |key: &str, branch: &str| {
        suite.upload(&Upload::new(key).branch(branch).result("Cart", key, "failed"))
    };
    let long = result("long", "refs/heads/main");
    let _ = result("short", "main");
    let _ = result("other", "refs/heads/maintenance");
    assert_eq!(suite.run(&long["run_id"])["branch"], "refs/heads/main");
    assert_eq!(suite.failed(&long["run_id"])[0]["branch"], "refs/heads/main");
    // Compared without the prefix.
    for branch in ["main", "refs/heads/main", "refs%2Fheads%2Fmain"] {
        let tests = suite.all(&format!("/tests?branch={branch}&period=1day"));
        let mut names: Vec<String> = tests.iter().map(|test| text(test, "name")).collect();
        names.sort();
        assert_eq!(names, ["long", "short"], "{branch}");
    }
}

/// A time by the server's clock, `ago` before now.
fn before(suite: &Suite<'_>, ago: SignedDuration) -> Timestamp {
    let run = suite.run(&suite.upload(&Upload::new("the clock"))["run_id"]);
    let now: Timestamp = text(&run, "created_at").parse().unwrap();
    now - ago
}

fn history_may_be_brought_later(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let days = |days: i64| before(&suite, SignedDuration::from_hours(24 * days));
    let bring = |name: &str, at: &str| {
        let upload = Upload::new(name).env("started_at", at).result("Cart", name, "failed");
        let answer = suite.upload(&upload);
        let run = suite.run(&answer["run_id"]);
        let failed = suite.failed(&answer["run_id"]);
        assert_eq!(failed[0]["created_at"], run["created_at"]);
        text(&run, "created_at").parse::<Timestamp>().unwrap()
    };
    let (three, twenty, hundred) = (days(3), days(20), days(100));
    assert_eq!(bring("3 days ago", &three.to_string()), three);
    assert_eq!(bring("20 days ago", &twenty.to_string()), twenty);
    let with_offset = hundred.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(5)));
    assert_eq!(bring("100 days ago", &with_offset.strftime("%FT%T%.f%:z").to_string()), hundred);
    // Not before it arrived, and not at a time that is none.
    let now = days(0);
    for (name, at) in
        [("future", (now + SignedDuration::from_hours(5)).to_string()), ("odd", "yesterday".into())]
    {
        let at = bring(name, &at);
        assert!((at - now).get_seconds().abs() < 60, "{name}: {at} is not about {now}");
    }

    let within = |query: &str| {
        let mut names: Vec<String> =
            suite.all(&format!("/tests?{query}")).iter().map(|test| text(test, "name")).collect();
        names.sort();
        names
    };
    assert_eq!(within("period=1hour"), ["future", "odd"]);
    assert_eq!(within("period=1day"), ["future", "odd"]);
    assert_eq!(within("period=7days"), ["3 days ago", "future", "odd"]);
    assert_eq!(within(""), ["3 days ago", "future", "odd"]);
    assert_eq!(within("period=28days"), ["20 days ago", "3 days ago", "future", "odd"]);
    let (from, to) = (twenty - SignedDuration::from_secs(1), three - SignedDuration::from_secs(1));
    assert_eq!(within(&format!("min_timestamp={from}&max_timestamp={to}")), ["20 days ago"]);
    assert_eq!(within(&format!("max_timestamp={to}")), ["100 days ago", "20 days ago"]);
    assert_eq!(within(&format!("min_timestamp={to}")), ["3 days ago", "future", "odd"]);
}

/// Which tags the server fills in (4.6).
fn core_tags_are_filled_in(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let result =
        json!({ "scope": "Cart", "name": "a", "result": "failed", "history": {}, "file_name": "a_spec.rb" });
    let upload = Upload::new(UUID)
        .env("CI", "buildkite")
        .env("job_id", "job 1")
        .env("collector", "ruby-buildkite-test_collector")
        .env("version", "2.14.0")
        .env("language_version", "3.1.2")
        .env("test_runner", "rspec");
    let answer = suite.upload(&upload.push(result));
    let expected = json!({
        "build.id": UUID,
        "build.job_id": "job 1",
        "code.file.path": "a_spec.rb",
        "collector.name": "ruby-buildkite-test_collector",
        "collector.version": "2.14.0",
        "language.version": "3.1.2",
        "test.framework.name": "rspec",
        "test.selector.primary": "a_spec.rb",
    });
    assert_eq!(suite.failed(&answer["run_id"])[0]["tags"], expected);
}
