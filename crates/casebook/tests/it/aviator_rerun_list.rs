//! `GET /api/v1/flaky-tests` (`aviator.md` 4.3 to 4.5), and policies of our own (`/api/casebook/v1/policy`).

use crate::aviator::{CHECK, checked_suite, counts, flake, make_flaky, now, rerun_list, test_cases};
use crate::setup::{Suite, start, text, token};
use casebook_testkit::{Reply, TestDatabase, TestServer, Upload, both_engines};
use flate2::read::GzDecoder;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::io::Read as _;

both_engines!(
    suspects_and_flaky_tests_are_run_again,
    every_spelling_of_a_repository_finds_its_list,
    what_is_not_known_is_not_flaky,
    class_names_are_as_short_as_they_can_be,
    a_quarter_of_failures_asks_for_five_runs,
    an_episode_that_is_over_is_not_listed,
    people_set_run_counts,
    people_say_what_is_flaky,
    marks_take_part_in_a_replay,
    the_policy_tells_the_plugin_what_to_do,
    a_policy_that_has_not_changed_is_not_sent_again,
);

fn suspects_and_flaky_tests_are_run_again(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    assert_eq!(rerun_list(&suite), Vec::<Value>::new());
    let _ = suite.upload(&flake(now, "tests.test_x", "test_suspect", 4));
    make_flaky(&suite, now, "src.test_sample.TestSample", "test_p[x-1]", 6);
    let expected = json!([
        { "test_name": "test_p[x-1]", "class_name": "TestSample", "max_runs": 5, "min_passes": 1 },
        { "test_name": "test_suspect", "class_name": "test_x", "max_runs": 5, "min_passes": 1 },
    ]);
    // The one with the latest evidence last.
    assert_eq!(Value::from(rerun_list(&suite)), expected);
    // A test that never failed is not there, nor one that is broken on every change.
    let broken = Upload::new("broken").commit("c1").branch("main").result("Cart", "broken", "failed");
    let _ = suite.upload(&broken.result("Cart", "steady", "passed"));
    assert_eq!(rerun_list(&suite).len(), 2);
}

fn ask(server: &TestServer, token: &str, query: &str) -> Value {
    server.get(&format!("/api/v1/flaky-tests?{query}")).token(token).send().expect(200).json()
}

fn every_spelling_of_a_repository_finds_its_list(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "Cart", "shaky", 5);
    let found =
        |query: &str| ask(&server, &suite.upload_token, query)["flaky_tests"].as_array().map(Vec::len);
    for repository in ["repo_org/repo_name", "https://github.com/repo_org/repo_name", "repo_org%2Frepo_name"]
    {
        for check in ["ci/circleci:unit-tests", "ci/circleci:%20unit-tests", "ci%2Fcircleci:+unit-tests"] {
            let query = format!("repo_name={repository}&job_name={check}");
            assert_eq!(found(&query), Some(1), "{query}");
        }
    }
    let _ = server.get("/api/v1/flaky-tests/?repo_name=repo_org/repo_name&job_name=ci/circleci:unit-tests");
    // The client leaves every ".git" out.
    let pages = suite.sibling("pages");
    let options = ["--repo", "org/my.github.io", "--check", "buildkite/pages"];
    let _ = server.succeed(&[&["suite", "create", "acme/pages"], &options[..]].concat());
    make_flaky(&pages, now, "Cart", "shaky", 5);
    for token in [&pages.upload_token, &pages.read_token] {
        for repository in ["org/myhub.io", "org/my.github.io", "https://github.com/org/myhub.io"] {
            let query = format!("repo_name={repository}&job_name=buildkite/pages");
            assert_eq!(
                ask(&server, token, &query)["flaky_tests"].as_array().map(Vec::len),
                Some(1),
                "{query}"
            );
        }
    }
}

fn what_is_not_known_is_not_flaky(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "Cart", "shaky", 5);
    let nothing = json!({ "flaky_tests": [] });
    for query in [
        "",
        "repo_name=repo_org/repo_name",
        "job_name=ci/circleci:unit-tests",
        "repo_name=/&job_name=ci/circleci:unit-tests",
        "repo_name=repo_org/other&job_name=ci/circleci:unit-tests",
        "repo_name=repo_org/repo_name&job_name=lint",
    ] {
        assert_eq!(ask(&server, &suite.upload_token, query), nothing, "{query}");
    }
    let other = suite.sibling("other");
    let query = "repo_name=repo_org/repo_name&job_name=ci/circleci:unit-tests";
    assert_eq!(ask(&server, &other.upload_token, query), nothing);
    let refused = server.get(&format!("/api/v1/flaky-tests?{query}"));
    let body = refused.header("Authorization", "Bearer ").header("Content-Type", "application/json").send();
    let body = body.expect(401).json();
    assert!(body["flaky_tests"].is_null() && body["error"].is_string(), "{body}");
}

fn class_names_are_as_short_as_they_can_be(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "tests.unit.test_cart", "test_a", 5);
    let _ = suite.upload(&Upload::new("n").result("tests.slow.test_cart", "test_a", "passed"));
    let _ = suite.upload(&Upload::new("m").result("test_cart", "test_b", "passed"));
    let listed = rerun_list(&suite);
    assert_eq!((listed.len(), &listed[0]["class_name"]), (1, &json!("unit.test_cart")));
}

/// First attempts: three of twelve fail, and all of their changes have passed too.
fn a_quarter_of_failures_asks_for_five_runs(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    let run = |number: i64, fails: bool, name: &str| {
        let at = now - SignedDuration::from_hours(40 - number);
        let upload =
            Upload::new(&format!("{name} {number}")).branch("main").commit(&format!("{name} {number}"));
        let upload = upload.env("started_at", at.to_string());
        let upload = if fails { upload.result("Cart", name, "failed") } else { upload };
        suite.upload(&upload.result("Cart", name, "passed"))
    };
    for number in 0..12 {
        let _ = run(number, number % 4 == 1, "quarter");
    }
    for number in 0..36 {
        let _ = run(number, matches!(number, 10 | 20), "rare");
    }
    let listed = rerun_list(&suite);
    let of = |name: &str| listed.iter().find(|test| test["test_name"] == name).map(counts);
    assert_eq!(of("quarter"), Some(json!([5, 1])));
    // 2 of 36: ln 0.001 / ln (2 / 36) = 2.39.
    assert_eq!(of("rare"), Some(json!([3, 1])));
}

fn an_episode_that_is_over_is_not_listed(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "Cart", "resolved", 14 * 24 + 1);
    make_flaky(&suite, now, "Cart", "flaky", 14 * 24 - 1);
    let _ = suite.upload(&flake(now, "Cart", "lapsed", 28 * 24 + 1));
    let _ = suite.upload(&flake(now, "Cart", "suspect", 28 * 24 - 1));
    let names: Vec<String> = rerun_list(&suite).iter().map(|test| text(test, "test_name")).collect();
    assert_eq!(names, ["suspect", "flaky"]);
}

fn people_set_run_counts(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "Cart", "shaky", 5);
    make_flaky(&suite, now, "Cart", "other", 3);
    let of = |name: &str| {
        let listed = rerun_list(&suite);
        listed.iter().find(|test| test["test_name"] == name).map(counts)
    };
    let policy =
        |arguments: &[&str]| server.command(&[&["policy"], arguments, &["--suite", "acme/cart"]].concat());
    let shaky = ["--class-name", "Cart", "--name", "shaky"];
    let before = of("shaky");
    assert!(
        policy(&[&["set", "--max-runs", "7", "--min-passes", "2"], &shaky[..]].concat()).status.success()
    );
    assert_eq!((of("shaky"), of("other")), (Some(json!([7, 2])), before.clone()));
    // A suite's counts are for those without their own.
    assert!(policy(&["set", "--max-runs", "3"]).status.success());
    assert_eq!((of("shaky"), of("other")), (Some(json!([7, 2])), Some(json!([3, 1]))));
    assert!(policy(&[&["clear"], &shaky[..]].concat()).status.success());
    assert_eq!(of("shaky"), Some(json!([3, 1])));
    assert!(policy(&["clear"]).status.success());
    assert_eq!(of("shaky"), before);
    // Run counts do not make a test flaky that somebody said is not.
    let steady = ["--suite", "acme/cart", "--class-name", "Cart", "--name", "other"];
    assert!(policy(&["set", "--max-runs", "6", "--class-name", "Cart", "--name", "other"]).status.success());
    let _ = server.succeed(&[&["test", "mark-not-flaky"], &steady[..]].concat());
    assert_eq!(of("other"), None);
    let told = self::policy(&server, &suite.upload_token, "");
    assert!(told["tests"].as_array().unwrap().iter().all(|test| test["name"] != "other"), "{told}");
    let _ = server.succeed(&[&["test", "mark-flaky"], &steady[..]].concat());
    assert_eq!(of("other"), Some(json!([6, 1])));
    assert!(policy(&["clear", "--class-name", "Cart", "--name", "other"]).status.success());
    // One run means none again.
    assert!(policy(&["set", "--max-runs", "1"]).status.success());
    assert_eq!(rerun_list(&suite), Vec::<Value>::new());

    for (max_runs, min_passes) in [("0", "0"), ("3", "4"), ("101", "1"), ("3", "0")] {
        let refused = policy(&["set", "--max-runs", max_runs, "--min-passes", min_passes]);
        assert_eq!(refused.status.code(), Some(2), "{max_runs} {min_passes}");
    }
    let unknown = policy(&["set", "--max-runs", "3", "--name", "nothing"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(policy(&["clear", "--class-name", "Cart", "--name", "shaky"]).status.code(), Some(1));

    // The same over HTTP.
    let write = token(&server, &["--suite", "acme/cart", "--scope", "write"]);
    let api = "/api/casebook/v1/suites/acme/cart";
    let set =
        |method: &str, path: &str, body: Value| server.request(method, path).token(&write).json(&body).send();
    let test = test_id(&suite, "shaky");
    let body = json!({ "max_runs": 4, "min_passes": 2 });
    assert_eq!(
        set("PUT", &format!("{api}/tests/{test}/policy"), body.clone()).expect(200).json()["policy"],
        body
    );
    assert_eq!((of("shaky"), of("other")), (Some(json!([4, 2])), None));
    let _ = set("DELETE", &format!("{api}/tests/{test}/policy"), json!({})).expect(204);
    assert_eq!(set("PUT", &format!("{api}/policy"), body.clone()).expect(200).json()["policy"], body);
    assert_eq!(
        server.get(&format!("{api}/policy")).token(&write).send().expect(200).json(),
        json!({ "policy": body })
    );
    assert_eq!(of("other"), Some(json!([4, 2])));
    let _ = set("DELETE", &format!("{api}/policy"), json!({})).expect(204);
    assert_eq!(
        server.get(&format!("{api}/policy")).token(&write).send().expect(200).json(),
        json!({ "policy": null })
    );
    for wrong in [
        json!({ "max_runs": 2, "min_passes": 3 }),
        json!({ "max_runs": 0, "min_passes": 0 }),
        json!({}),
        json!([]),
    ] {
        let _ = set("PUT", &format!("{api}/policy"), wrong).expect(400);
    }
    let nobody = format!("{api}/tests/{}/policy", text(&server_suite(&server), "id"));
    let _ = set("PUT", &nobody, body).expect(404);
}

/// Any public id that is no test's.
fn server_suite(server: &TestServer) -> Value {
    let path = "/v2/analytics/organizations/acme/suites/cart";
    server.get(path).token(&token(server, &["--org", "acme", "--scope", "read"])).send().expect(200).json()
}

fn test_id(suite: &Suite<'_>, name: &str) -> String {
    let path = "/api/casebook/v1/suites/acme/cart/tests?limit=200";
    let tests = suite.server.get(path).token(&suite.read_token).send().expect(200).json();
    let test = tests["items"].as_array().unwrap().iter().find(|test| test["name"] == name).unwrap();
    text(test, "id")
}

fn people_say_what_is_flaky(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "Cart", "shaky", 5);
    let _ = suite.upload(&Upload::new("s").branch("main").commit("s").result("Cart", "steady", "passed"));
    let names = |list: Vec<Value>, member: &str| -> Vec<String> {
        list.iter().map(|test| text(test, member)).collect()
    };
    let said = server.succeed(&[
        "test",
        "mark-not-flaky",
        "--suite",
        "acme/cart",
        "--class-name",
        "Cart",
        "--name",
        "shaky",
    ]);
    assert_eq!(said, "marked Cart shaky not flaky\n");
    assert_eq!((rerun_list(&suite), test_cases(&suite)), (vec![], vec![]));
    let said = server.succeed(&[
        "test",
        "mark-flaky",
        "--suite",
        "acme/cart",
        "--class-name",
        "Cart",
        "--name",
        "steady",
    ]);
    assert_eq!(said, "marked Cart steady flaky\n");
    assert_eq!(names(rerun_list(&suite), "test_name"), ["steady"]);
    let listed = test_cases(&suite);
    assert_eq!(
        (names(listed.clone(), "name"), &listed[0]["last_24_hours_count"]),
        (vec!["steady".to_owned()], &json!(1))
    );
    // The running server goes on from there: what is observed from now on counts.
    let later = |key: &str| Upload::new(key).branch("main").commit(key).result("Cart", "shaky", "passed");
    for key in ["1", "2"] {
        let _ = suite.upload(&later(key).result("Cart", "shaky", "failed"));
    }
    assert_eq!(names(test_cases(&suite), "name"), ["shaky", "steady"]);

    let write = token(&server, &["--suite", "acme/cart", "--scope", "write"]);
    let path = format!("/api/casebook/v1/suites/acme/cart/tests/{}/marks", test_id(&suite, "steady"));
    let marked =
        server.post(&path).token(&write).json(&json!({ "mark": "not_flaky" })).send().expect(200).json();
    assert_eq!(
        (&marked["name"], &marked["episodes"][0]["ended_by"]),
        (&json!("steady"), &json!("dismissed")),
        "{marked}"
    );
    for body in [json!({ "mark": "maybe" }), json!({}), json!(1)] {
        let _ = server.post(&path).token(&write).json(&body).send().expect(400);
    }
    let unknown = server.command(&["test", "mark-flaky", "--suite", "acme/cart", "--name", "nothing"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("nothing"));
}

fn marks_take_part_in_a_replay(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    let mark = |word: &str, name: &str| {
        let _ =
            server.succeed(&["test", word, "--suite", "acme/cart", "--class-name", "Cart", "--name", name]);
    };
    make_flaky(&suite, now, "Cart", "shaky", 50);
    make_flaky(&suite, now, "Cart", "other", 40);
    mark("mark-not-flaky", "shaky");
    mark("mark-flaky", "other");
    // A later upload whose results are older, and new evidence.
    make_flaky(&suite, now, "Cart", "shaky", 30);
    mark("mark-not-flaky", "other");
    mark("mark-flaky", "shaky");
    let told = server.succeed(&["check"]);
    assert!(told.lines().any(|line| line.starts_with("acme/cart") && line.ends_with("agree")), "{told}");
    let exported = server.succeed(&["export", "--suite", "acme/cart"]);
    let marks: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line.get("mark").is_some())
        .collect();
    let told: Vec<Value> = marks.iter().map(|mark| json!([mark["name"], mark["mark"]])).collect();
    let expected =
        json!([["shaky", "not_flaky"], ["other", "flaky"], ["other", "not_flaky"], ["shaky", "flaky"]]);
    assert_eq!(Value::from(told), expected);
    let replayed = casebook_testkit::run(crate::setup::program(), &["replay", "-"], &exported);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let last = |name: &str| {
        let lines = String::from_utf8(replayed.stdout.clone()).unwrap();
        let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.rfind(|line| line["name"] == name).map(|line| text(&line, "to"))
    };
    let health = |name: &str| {
        let path = format!("/api/casebook/v1/suites/acme/cart/tests/{}", test_id(&suite, name));
        text(&server.get(&path).token(&suite.read_token).send().expect(200).json(), "health")
    };
    for name in ["shaky", "other"] {
        assert_eq!(last(name), Some(health(name)), "{name}");
    }
}

fn policy(server: &TestServer, token: &str, query: &str) -> Value {
    server.get(&format!("/api/casebook/v1/policy{query}")).token(token).send().expect(200).json()
}

fn the_policy_tells_the_plugin_what_to_do(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "src/test_a.py::TestA", "test_flaky", 5);
    make_flaky(&suite, now, "Cart", "muted", 30);
    let _ =
        suite.upload(&Upload::new("s").result("Cart", "slow", "passed").result("Cart", "steady", "passed"));
    let write = token(&server, &["--suite", "acme/cart", "--scope", "write"]);
    for (name, action) in [("muted", "mute"), ("slow", "skip")] {
        let path =
            format!("/v2/analytics/organizations/acme/suites/cart/tests/{}/{action}", test_id(&suite, name));
        let _ = server.request("PUT", &path).token(&write).json(&json!({})).send().expect(200);
    }
    let told = policy(&server, &suite.upload_token, "");
    let suite_told = json!({ "repo": "repo_org/repo_name", "check": CHECK, "url": told["suite"]["url"] });
    assert_eq!(told["suite"], suite_told);
    assert_eq!((&told["version"], &told["upload"]["gzip"]), (&json!(1), &json!(true)));
    assert_eq!(told["limits"], json!({ "max_reruns": 200, "max_seconds": 600 }));
    assert_eq!(told["defaults"], json!({ "max_runs": 1, "min_passes": 1 }));
    assert_eq!(told["new_tests"], json!({ "enabled": false, "runs": [10, 5, 3, 2], "known": null }));
    let tests = told["tests"].as_array().unwrap();
    let modes: Vec<Value> =
        tests.iter().map(|test| json!([test["class_name"], test["name"], test["mode"]])).collect();
    let expected = json!([
        ["Cart", "slow", "disabled"],
        ["Cart", "muted", "quarantine"],
        ["src.test_a.TestA", "test_flaky", "rerun"]
    ]);
    assert_eq!(Value::from(modes), expected);
    for test in tests {
        let [max_runs, min_passes] = ["max_runs", "min_passes"].map(|name| test[name].as_i64().unwrap());
        assert!((1..=max_runs).contains(&min_passes), "{test}");
        assert!(
            text(test, "details_url").starts_with(&format!("{}/flaky/test_case/", server.url())),
            "{test}"
        );
        assert_eq!(test["since"].as_str().map(str::len), (test["name"] != "slow").then_some(10), "{test}");
    }
    // More passes are asked for than a client that obeys the last run could bear.
    assert!(tests[2]["min_passes"].as_i64() > Some(1), "{}", tests[2]);
    // A token of the organization names the suite; a suite that is not there yet has an empty policy.
    let named = format!(
        "?repo=https://github.com/repo_org/repo_name.git&check={}&branch=x&commit=y",
        "ci/circleci:unit-tests"
    );
    assert_eq!(policy(&server, &suite.read_token, &named), told);
    assert_eq!(policy(&server, &suite.read_token, "?repo=repo_org/repo_name"), told);
    let unknown = policy(&server, &suite.read_token, "?repo=repo_org/new&check=x");
    assert_eq!((&unknown["tests"], &unknown["suite"]["repo"]), (&json!([]), &json!("repo_org/new")));
    assert_eq!(policy(&server, server.admin_token(), "")["tests"], json!([]));
    assert_eq!(server.get("/api/casebook/v1/policy").send().status, 401);
}

fn a_policy_that_has_not_changed_is_not_sent_again(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    let ask = |known: Option<&str>| {
        let request = server.get("/api/casebook/v1/policy").token(&suite.upload_token);
        known.into_iter().fold(request, |request, known| request.header("If-None-Match", known)).send()
    };
    let first = ask(None).expect(200);
    assert_eq!(first.header("accept-encoding"), Some("gzip"));
    let tag = first.header("etag").unwrap().to_owned();
    let unchanged = ask(Some(&tag)).expect(304);
    assert_eq!((unchanged.body.len(), unchanged.header("etag")), (0, Some(tag.as_str())));
    assert_eq!(ask(Some(&format!("\"x\", W/{tag}"))).status, 304);
    make_flaky(&suite, now, "Cart", "shaky", 5);
    let second = ask(Some(&tag)).expect(200);
    assert_ne!(second.header("etag"), Some(tag.as_str()));
    let tag = second.header("etag").unwrap().to_owned();
    // More passes change nothing that is told.
    let _ = suite.upload(&Upload::new("s").result("Cart", "steady", "passed"));
    assert_eq!(ask(Some(&tag)).status, 304);
    // Who can unpack it gets it packed.
    for number in 0..6 {
        make_flaky(&suite, now, "Cart", &format!("test {number}"), 5);
    }
    let plain = ask(None).expect(200);
    let request = server.get("/api/casebook/v1/policy").token(&suite.upload_token);
    let packed = request.header("Accept-Encoding", "gzip").send().expect(200);
    let coding = |reply: &Reply| reply.header("content-encoding").map(str::to_owned);
    assert_eq!((coding(&plain), coding(&packed)), (None, Some("gzip".to_owned())));
    assert_eq!(
        (packed.header("etag"), packed.header("vary")),
        (plain.header("etag"), Some("accept-encoding"))
    );
    let mut unpacked = Vec::new();
    let _ = GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
}
