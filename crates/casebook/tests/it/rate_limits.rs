//! Requests a minute to the REST API (`buildkite.md` 11).
//!
//! Minutes are those of the clock, so a test may run into the next one, where everything counts from the beginning again.
//! What must hold within one minute is therefore tried again when a minute has passed meanwhile.

use crate::setup::{Suite, program, start, text, token};
use casebook_testkit::{Reply, TestDatabase, TestServer, Upload, both_engines};
use serde_json::{Value, json};

both_engines!(
    every_answer_tells_the_limits,
    callers_have_a_limit_of_their_own,
    organizations_have_a_limit_for_all_callers,
    denied_requests_use_up_nothing,
);

/// Runs `attempt` again until no minute passed while it ran.
fn within_a_minute(server: &TestServer, mut attempt: impl FnMut()) {
    // Seconds of the minute that are left; a denied request uses up nothing.
    let left = || number(&server.get("/v2/analytics/organizations/none/suites").send(), "ratelimit-reset");
    loop {
        let before = left();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut attempt));
        match outcome {
            Ok(()) => return,
            Err(panic) if left() <= before => std::panic::resume_unwind(panic),
            Err(_) => {}
        }
    }
}

#[track_caller]
fn number(reply: &Reply, name: &str) -> u64 {
    let value = reply.header(name).unwrap_or_else(|| panic!("no {name}: {:?}", reply.headers));
    value.parse().unwrap_or_else(|_| panic!("{name} is {value}"))
}

/// Limits and what is left of them: of the organization and of the caller.
#[track_caller]
fn levels(reply: &Reply) -> [u64; 4] {
    assert_eq!(reply.header("ratelimit-scope"), Some("rest"));
    for name in ["ratelimit-reset", "ratelimit-user-reset"] {
        assert!((1..=60).contains(&number(reply, name)), "{name}");
    }
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-user-limit", "ratelimit-user-remaining"]
        .map(|name| number(reply, name))
}

/// A refusal, which must say everything.
#[track_caller]
fn assert_refused(reply: Reply, limit: u64) {
    let body = reply.expect(429).json();
    let mut members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["current", "limit", "message", "reset", "scope"]);
    assert!(!text(&body, "message").is_empty());
    assert_eq!((&body["scope"], &body["limit"]), (&json!("rest"), &json!(limit)));
    assert!(body["current"].as_u64().is_some_and(|current| current >= limit), "{body}");
    assert!(body["reset"].as_u64().is_some_and(|seconds| (1..=60).contains(&seconds)), "{body}");
}

fn get(suite: &Suite<'_>, token: &str) -> Reply {
    suite.server.get(&suite.path("/runs")).token(token).send()
}

fn every_answer_tells_the_limits(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let answer = suite.upload(&Upload::new("k1").result("Cart", "a", "failed"));
    let run = text(&answer, "run_id");
    for (method, rest, token, status) in [
        ("GET", "", &*suite.read_token, 200),
        ("GET", "/runs", &suite.read_token, 200),
        ("GET", &format!("/runs/{run}/failed_executions"), &suite.read_token, 200),
        ("GET", "/tests", &suite.read_token, 200),
        ("GET", "/tests?period=x", &suite.read_token, 200),
        ("GET", "/runs?page=x", &suite.read_token, 400),
        ("GET", "/runs/nothing", &suite.read_token, 404),
        ("PATCH", "", &suite.read_token, 403),
        ("GET", "/runs", "unknown", 401),
    ] {
        let reply = server.request(method, &suite.path(rest)).token(token).send();
        assert_eq!(reply.status, status, "{method} {rest}: {}", reply.text());
        let [limit, remaining, of_user, remaining_of_user] = levels(&reply);
        assert!(limit > 0 && of_user > 0, "{method} {rest}");
        assert!(remaining <= limit && remaining_of_user <= of_user, "{method} {rest}");
    }
    within_a_minute(&server, || {
        let [first, second] =
            [get(&suite, &suite.read_token), get(&suite, &suite.read_token)].map(|reply| levels(&reply));
        assert_eq!([first[1] - second[1], first[3] - second[3]], [1, 1]);
    });
}

fn callers_have_a_limit_of_their_own(database: &TestDatabase) {
    let server = TestServer::start_with(program(), database, &["--rest-limit-user", "3"]);
    let suite = Suite::new(&server, "cart");
    within_a_minute(&server, || {
        let (mine, other) =
            ["--org", "--org"].map(|_| token(&server, &["--org", "acme", "--scope", "read"])).into();
        for left in [2, 1, 0] {
            let [_, _, limit, remaining] = levels(&get(&suite, &mine).expect(200));
            assert_eq!((limit, remaining), (3, left));
        }
        for _ in 0..3 {
            let reply = get(&suite, &mine);
            assert_eq!(levels(&reply)[3], 0);
            assert_refused(reply, 3);
        }
        // Others may go on, and so may results.
        assert_eq!(levels(&get(&suite, &other).expect(200))[3], 2);
        let uploader = token(&server, &["--suite", "acme/cart", "--scope", "write"]);
        for _ in 0..3 {
            let _ = get(&suite, &uploader).expect(200);
        }
        assert_refused(get(&suite, &uploader), 3);
        for number in 0..5 {
            let upload = Upload::new(&format!("k{number}")).result("Cart", "a", "passed");
            let reply = upload.send(&server, &uploader).expect(202);
            assert_eq!(reply.header("ratelimit-limit"), None);
        }
        // Asking again does not make it longer.
        assert_refused(get(&suite, &mine), 3);
    });
}

fn organizations_have_a_limit_for_all_callers(database: &TestDatabase) {
    let server = TestServer::start_with(program(), database, &["--rest-limit", "4"]);
    let _ = server.succeed(&["suite", "create", "rival/cart"]);
    let suite = Suite::new(&server, "cart");
    let rival = token(&server, &["--org", "rival", "--scope", "read"]);
    let tokens = [0, 1].map(|_| token(&server, &["--org", "acme", "--scope", "read"]));
    within_a_minute(&server, || {
        let first = levels(&get(&suite, &tokens[0]));
        assert_eq!(first[0], 4);
        // A minute that was begun before is waited for no longer than it takes to use it up.
        let left = first[1];
        for number in 0..left {
            let reply = get(&suite, &tokens[number as usize % 2]).expect(200);
            assert_eq!(levels(&reply)[..2], [4, left - number - 1]);
        }
        for token in &tokens {
            let reply = get(&suite, token);
            assert_eq!(levels(&reply)[1], 0);
            assert_refused(reply, 4);
        }
        let path = "/v2/analytics/organizations/rival/suites/cart";
        let elsewhere = server.get(path).token(&rival).send().expect(200);
        assert!(levels(&elsewhere)[1] < 4);
        let answer = suite.upload(&Upload::new("k1").result("Cart", "a", "passed"));
        assert_eq!(answer["skipped"], Value::from(0));
    });
}

fn denied_requests_use_up_nothing(database: &TestDatabase) {
    let server =
        TestServer::start_with(program(), database, &["--rest-limit", "5", "--rest-limit-user", "5"]);
    let suite = Suite::new(&server, "cart");
    let _ = server.succeed(&["suite", "create", "rival/cart"]);
    let rival = token(&server, &["--org", "rival", "--scope", "admin"]);
    within_a_minute(&server, || {
        for _ in 0..7 {
            for (token, status) in [("unknown", 401), (&*rival, 404), (&*suite.upload_token, 403)] {
                let _ = get(&suite, token).expect(status);
            }
            let reply = server.get(&suite.path("/runs")).send().expect(401);
            assert_eq!(levels(&reply), [5; 4]);
        }
        let mine = token(&server, &["--org", "acme", "--scope", "read"]);
        assert_eq!(levels(&get(&suite, &mine).expect(200)), [5, 4, 5, 4]);
    });
}
