//! What the pytest plugin brings and asks beyond Buildkite's format: promised repairs, resources of attempts, new tests.

use crate::aviator::{checked_suite, make_flaky, now, rerun_list, test_cases};
use crate::setup::{Suite, program, start, text, token};
use crate::webhook_setup::{Place, commit, flake, prompt_suite, read, wait_for_all};
use casebook_testkit::{TestDatabase, TestServer, Upload, WebhookReceiver, both_engines};
use serde_json::{Value, json};

both_engines!(
    a_promised_repair_is_proven_by_clean_runs,
    a_broken_promise_proves_nothing,
    a_promise_is_only_for_tests_under_suspicion,
    promises_in_concurrent_uploads_take_part_in_a_replay,
    attempts_of_any_outcome_bring_what_they_took,
    new_tests_are_told_from_known_ones,
);

/// Attempts of a test by a commit that promises to repair it; `f` is one that failed.
fn attempts(key: &str, commit: &str, name: &str, outcomes: &str) -> Upload {
    let upload = Upload::new(key).branch("fix-it").commit(commit);
    outcomes.chars().enumerate().fold(upload, |upload, (index, outcome)| {
        let result = if outcome == 'f' { "failed" } else { "passed" };
        upload.push(json!({
            "scope": "Cart", "name": name, "result": result, "history": { "duration": 0.1 },
            "tags": { "casebook.mode": "attempt_to_fix", "casebook.attempt": (index + 1).to_string() },
        }))
    })
}

fn health(suite: &Suite<'_>, name: &str) -> String {
    let found = read(suite, "/tests");
    let tests = found["items"].as_array().unwrap();
    let test = tests.iter().find(|test| test["name"] == name).unwrap_or_else(|| panic!("{found}"));
    text(test, "health")
}

/// Folding everything again gives the states that are stored, and the exported stream the same healths.
#[track_caller]
fn assert_replays(server: &TestServer, expected: &[(&str, &str)]) {
    let told = server.succeed(&["check"]);
    assert!(told.lines().any(|line| line.starts_with("acme/cart") && line.ends_with("agree")), "{told}");
    let exported = server.succeed(&["export", "--suite", "acme/cart"]);
    let lines = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let promised: Vec<(String, String)> = lines
        .filter(|line| line["mark"] == "repair")
        .map(|line| (text(&line, "name"), text(&line, "commit")))
        .collect();
    let mut expected: Vec<(String, String)> =
        expected.iter().map(|(name, commit)| ((*name).to_owned(), (*commit).to_owned())).collect();
    let mut sorted = promised;
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
    let replayed = casebook_testkit::run(program(), &["replay", "-"], &exported);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
}

fn a_promised_repair_is_proven_by_clean_runs(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let options = ["--repo", "repo_org/repo_name", "--check", crate::aviator::CHECK];
    let _ = server.succeed(&[&["suite", "create", &suite.name], &options[..]].concat());
    let _ = place.hook(&server, &receiver.url("/"), &[]);
    let _ = suite.upload(&flake("shaky", 1));
    let _ = suite.upload(&flake("other", 1));
    let _ = receiver.wait_for(2);
    assert_eq!((test_cases(&suite).len(), rerun_list(&suite).len()), (2, 2));

    // Fewer than twenty clean runs prove nothing; those of several jobs add up.
    let _ = suite.upload(&attempts("one", &commit(9), "shaky", &"p".repeat(19)));
    assert_eq!(health(&suite, "shaky"), "flaky");
    for job in 0..4 {
        let key = format!("job {job}");
        let _ = suite.upload(&attempts(&key, &commit(9), "shaky", &"p".repeat(20)));
    }
    assert_eq!(health(&suite, "shaky"), "resolved");
    let told = receiver.wait_for(3)[2].json();
    assert_eq!(
        (&told["action"], &told["test_case"]["name"]),
        (&json!("resolved_flaky_test"), &json!("shaky"))
    );
    let left = |tests: Vec<Value>, name: &str| tests.iter().map(|test| text(test, name)).collect::<Vec<_>>();
    assert_eq!(left(rerun_list(&suite), "test_name"), ["other"]);
    // This list is of the last thirty days, whatever has become of its tests.
    assert_eq!(left(test_cases(&suite), "name"), ["other", "shaky"]);
    wait_for_all(&suite, &receiver, 3);
    assert_replays(&server, &[("shaky", &commit(9))]);
}

fn a_broken_promise_proves_nothing(database: &TestDatabase) {
    let server = start(database);
    let suite = prompt_suite(&server);
    let _ = suite.upload(&flake("shaky", 1));
    let _ = suite.upload(&flake("kept", 1));
    // It fails at once; and after some clean runs. Neither is forgotten when the same commit is tried again.
    let _ = suite.upload(&attempts("a", &commit(2), "shaky", "ppf"));
    let _ = suite.upload(&attempts("b", &commit(3), "kept", "ppp"));
    let _ = suite.upload(&attempts("c", &commit(3), "kept", "f"));
    for (key, number, name) in [("d", 2, "shaky"), ("e", 3, "kept")] {
        let _ = suite.upload(&attempts(key, &commit(number), name, &"p".repeat(200)));
        assert_eq!(health(&suite, name), "flaky");
    }
    assert_replays(&server, &[("kept", &commit(3))]);
}

fn a_promise_is_only_for_tests_under_suspicion(database: &TestDatabase) {
    let server = start(database);
    let suite = prompt_suite(&server);
    let _ = suite.upload(&flake("shaky", 1));
    let _ = suite.upload(&attempts("a", &commit(2), "steady", &"p".repeat(30)));
    // Without a commit there is nothing that could promise.
    let mut without = Upload::new("b").env("commit_sha", Value::Null);
    for _ in 0..200 {
        let tags = json!({ "casebook.mode": "attempt_to_fix" });
        without = without.push(
            json!({ "scope": "Cart", "name": "shaky", "result": "passed", "history": {}, "tags": tags }),
        );
    }
    let _ = suite.upload(&without);
    assert_eq!(health(&suite, "shaky"), "flaky");
    assert_replays(&server, &[]);
}

fn promises_in_concurrent_uploads_take_part_in_a_replay(database: &TestDatabase) {
    let server = start(database);
    let suite = prompt_suite(&server);
    let names: Vec<String> = (0..6).map(|number| format!("t{number}")).collect();
    for name in &names {
        let _ = suite.upload(&flake(name, 1));
    }
    std::thread::scope(|scope| {
        for name in &names {
            for part in 0..4 {
                let suite = &suite;
                scope.spawn(move || {
                    let outcomes = if name == "t5" && part == 2 { "pf" } else { "pppppppppp" };
                    let key = format!("{name} {part}");
                    let _ = suite.upload(&attempts(&key, &commit(7), name, outcomes));
                });
            }
        }
    });
    let told = server.succeed(&["check"]);
    assert!(told.lines().any(|line| line.starts_with("acme/cart") && line.ends_with("agree")), "{told}");
    assert_eq!(health(&suite, "t5"), "flaky");
}

fn attempts_of_any_outcome_bring_what_they_took(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let result = |outcome: &str, resources: Value| json!({ "scope": "Cart", "name": "heavy", "result": outcome, "history": { "duration": 0.5 }, "resources": resources });
    let taken =
        json!({ "wall_seconds": 0.5, "user_seconds": 0.25, "system_seconds": 0.125, "memory_mib": 84.5 });
    let upload = Upload::new("one").commit("c1").branch("main");
    let upload = upload.push(result("failed", taken)).push(result("passed", json!({ "memory_mib": 80 })));
    let _ = suite.upload(&upload.push(result("passed", Value::Null)));
    let test = text(&read(&suite, "/tests?health=suspect")["items"][0], "id");
    let found = read(&suite, &format!("/tests/{test}/executions"));
    let items = found["items"].as_array().unwrap();
    let outcomes: Vec<Value> = items.iter().map(|item| json!([item["attempt"], item["outcome"]])).collect();
    assert_eq!(Value::from(outcomes), json!([[1, "failed"], [2, "passed"], [3, "passed"]]));
    let whole = json!({
        "wall_seconds": 0.5, "user_seconds": 0.25, "system_seconds": 0.125, "cpu_share": 0.75, "memory_mib": 84.5,
    });
    let partly = json!({
        "wall_seconds": null, "user_seconds": null, "system_seconds": null, "cpu_share": null, "memory_mib": 80.0,
    });
    let resources: Vec<&Value> = items.iter().map(|item| &item["resources"]).collect();
    assert_eq!(resources, [&whole, &partly, &Value::Null]);
    assert_eq!((&items[0]["duration"], &items[0]["from_metric"]), (&json!(0.5), &json!(false)));
    let refused = format!("/api/casebook/v1/suites/{}/tests/{test}/executions?runs=0", suite.name);
    let _ = server.get(&refused).token(&suite.read_token).send().expect(400);
}

fn new_tests_are_told_from_known_ones(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "tests/test_a.py::TestA", "test_x[1]", 5);
    let policy = |token: &str, query: &str| {
        let path = format!("/api/casebook/v1/policy{query}");
        server.get(&path).token(token).send().expect(200).json()["new_tests"].clone()
    };
    assert_eq!(policy(&suite.upload_token, "")["enabled"], false);
    let _ = server.succeed(&["suite", "create", "acme/cart", "--new-tests", "on"]);
    assert!(server.succeed(&["suite", "list"]).contains("new tests run several times"));
    let _ = server.succeed(&["suite", "create", "acme/cart", "--provider", "circleci"]);
    let told = policy(&suite.upload_token, "");
    assert_eq!(json!([told["enabled"], told["runs"]]), json!([true, [10, 5, 3, 2]]));

    let known = |token: &str, path: &str| server.get(path).token(token).send().expect(200);
    let answer = known(&suite.upload_token, &text(&told, "known"));
    // printf 'tests.test_a.TestA\ntest_x[1]' | sha256sum
    let digest = "c642cb26d0a1ac71b17c059d55d1dfc4c728c8166db7b1e8e733d5ddbdfbf10a";
    assert_eq!(answer.text(), format!("{digest}\n"));
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    let tag = answer.header("etag").unwrap().to_owned();
    let path = text(&told, "known");
    let again = server.get(&path).token(&suite.upload_token).header("If-None-Match", &tag).send();
    let _ = again.expect(304);

    // A test more is another list under another address, so that the policy is another too.
    let _ = suite.upload(&Upload::new("more").result("Cart", "added", "passed"));
    let later = policy(&suite.upload_token, "");
    assert_ne!(later["known"], told["known"]);
    assert_eq!(known(&suite.upload_token, &text(&later, "known")).text().lines().count(), 2);

    // An organization's token says which suite; the list then is of that one.
    let [upload, _] = crate::aviator::organization_tokens(&server, "acme");
    let query = "?repo=repo_org/repo_name&check=ci/circleci:%20unit-tests";
    let named = policy(&upload, query);
    assert_eq!(known(&upload, &text(&named, "known")).text().lines().count(), 2);
    let other = known(&upload, "/api/casebook/v1/policy/known-tests?repo=a/b&check=none");
    assert_eq!(other.text(), "");
    let stranger = token(&server, &["--suite", "acme/default", "--scope", "upload"]);
    assert_eq!(known(&stranger, &text(&named, "known")).text(), "");
}
