//! `GET /api/v1/testdeck/flaky` (`aviator.md` 2).

use crate::aviator::{
    CHECK, QUESTION, checked_suite, flake, flaky, junit, make_flaky, now, send_reports, test_cases,
};
use crate::setup::{Suite, start, text, token};
use casebook_testkit::{Form, Reply, TestDatabase, Upload, both_engines};
use jiff::{SignedDuration, Timestamp, civil};
use serde_json::{Value, json};
use std::io::Write as _;

both_engines!(
    a_flaky_test_is_listed_with_its_times,
    the_newest_episode_comes_first_and_pages_lose_nothing,
    tests_that_are_flaky_together_are_found,
    a_check_is_called_as_its_provider_writes_it,
    a_test_is_listed_for_thirty_days,
    what_happened_in_the_last_day_is_counted,
    a_question_may_stand_in_query_or_body,
    wrong_questions_are_told,
    nobody_learns_of_others,
    the_address_of_a_test_leads_to_it,
    questions_never_wait_for_bodies,
);

fn a_flaky_test_is_listed_with_its_times(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    let _ = suite.upload(&flake(now, "src/test_sample.py::TestSample", "test_sample_random", 30));
    // One piece of evidence is a suspicion.
    let none = flaky(&server, &suite.read_token, QUESTION).expect(200);
    let expected = json!({
        "repository": { "name": "repo_name", "org": "repo_org" },
        "github_check": { "name": CHECK, "provider": "CircleCI" },
        "test_cases": [],
    });
    assert_eq!(none.json(), expected);
    assert_eq!(none.header("content-type"), Some("application/json"));

    let _ = suite.upload(&flake(now, "src/test_sample.py::TestSample", "test_sample_random", 3));
    let listed = test_cases(&suite);
    let [test] = listed.as_slice() else { panic!("{listed:?}") };
    let keys: Vec<&String> = test.as_object().unwrap().keys().collect();
    let mut expected =
        ["class_name", "details_url", "first_occurrence", "last_24_hours_count", "last_occurrence", "name"];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    // One identity, however the results arrived.
    assert_eq!(test["class_name"], "src.test_sample.TestSample");
    assert_eq!((&test["name"], &test["last_24_hours_count"]), (&json!("test_sample_random"), &json!(1)));
    for (name, hours) in [("first_occurrence", 30), ("last_occurrence", 3)] {
        assert_eq!(time(test, name), now - SignedDuration::from_hours(hours), "{test}");
    }
    // More evidence moves the last time, not the first.
    let _ = suite.upload(&flake(now, "src/test_sample.py::TestSample", "test_sample_random", 2));
    let again = test_cases(&suite);
    assert_eq!(again[0]["first_occurrence"], test["first_occurrence"]);
    assert_eq!(
        (time(&again[0], "last_occurrence"), &again[0]["last_24_hours_count"]),
        (now - SignedDuration::from_hours(2), &json!(2))
    );
    assert_eq!(again[0]["details_url"], test["details_url"]);
}

/// A time: UTC without a zone and with six digits.
#[track_caller]
fn time(test: &Value, name: &str) -> Timestamp {
    let text = text(test, name);
    assert_eq!(text.len(), "2022-11-16T17:21:41.350499".len(), "{text}");
    assert_eq!(text.as_bytes()[19], b'.', "{text}");
    text.parse::<civil::DateTime>().unwrap().to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}

fn the_newest_episode_comes_first_and_pages_lose_nothing(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    let mut uploads: Vec<Upload> = Vec::new();
    // 205 tests become flaky together, 3 in a run, so that no run looks like an incident.
    for group in 0..69i64 {
        for hours_ago in [100 + group, 20] {
            let key = format!("{group} {hours_ago}");
            let at = now - SignedDuration::from_hours(hours_ago);
            let mut upload = Upload::new(&key).branch("main").commit(&key).env("started_at", at.to_string());
            for test in (group * 3..group * 3 + 3).filter(|test| *test < 205) {
                let name = format!("test {test:03}");
                upload = upload.result("Cart", &name, "failed").result("Cart", &name, "passed");
            }
            uploads.push(upload);
        }
    }
    uploads.iter().for_each(|upload| drop(suite.upload(upload)));
    let page = |number: &str| -> Vec<Value> {
        let question = format!("{QUESTION}&page={number}");
        let answer = flaky(&server, &suite.read_token, &question).expect(200).json();
        answer["test_cases"].as_array().unwrap().clone()
    };
    let pages = ["1", "2", "3", "4", "4294967297", "99999999999999999999"].map(page);
    assert_eq!(pages.each_ref().map(Vec::len), [100, 100, 5, 0, 0, 0]);
    assert_eq!(test_cases(&suite), pages[0]);
    let all: Vec<&Value> = pages.iter().flatten().collect();
    let starts: Vec<Timestamp> = all.iter().map(|test| time(test, "first_occurrence")).collect();
    assert!(starts.is_sorted_by(|a, b| a >= b), "{starts:?}");
    let mut names: Vec<String> = all.iter().map(|test| text(test, "name")).collect();
    // Of those that began together the one that arrived last comes first.
    assert_eq!(names[..3], ["test 002", "test 001", "test 000"]);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 205);
}

/// A new suite knows nothing yet of how much is usual.
fn tests_that_are_flaky_together_are_found(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    for commit in ["c1", "c2"] {
        let mut upload = Upload::new(commit).branch("main").commit(commit);
        for number in 0..10 {
            let name = format!("shaky {number}");
            upload = upload.result("Cart", &name, "failed").result("Cart", &name, "passed");
        }
        let _ = suite.upload(&upload);
    }
    assert_eq!(test_cases(&suite).len(), 10);
}

fn a_check_is_called_as_its_provider_writes_it(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let options = ["--repo", "repo_org/repo_name", "--check", "ci/circleci:unit-tests"];
    let _ = server.succeed(&[&["suite", "create", &suite.name], &options[..]].concat());
    let called = || flaky(&server, &suite.read_token, QUESTION).expect(200).json()["github_check"].clone();
    assert_eq!(called(), json!({ "name": CHECK, "provider": "" }));
    let report = Form::new().file("file[]", "result.xml", junit(&[("Cart", "steady", false)]));
    let _ = send_reports(&server, &suite.upload_token, &[("Commit-Sha", "c1")], &report).expect(200);
    assert_eq!(called(), json!({ "name": CHECK, "provider": "CircleCI" }));
}

fn a_test_is_listed_for_thirty_days(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    for (name, days) in [("long ago", 31), ("resolved", 29), ("quiet", 15), ("flaky", 13)] {
        make_flaky(&suite, now, "Cart", name, days * 24 - 1);
    }
    let names: Vec<String> = test_cases(&suite).iter().map(|test| text(test, "name")).collect();
    assert_eq!(names, ["flaky", "quiet", "resolved"]);
    // A new episode begins anew; the test passed in between.
    let clean = Upload::new("clean").branch("main").commit("clean").result("Cart", "resolved", "passed");
    let _ = suite.upload(&clean.env("started_at", (now - SignedDuration::from_hours(9)).to_string()));
    make_flaky(&suite, now, "Cart", "resolved", 5);
    let listed = test_cases(&suite);
    assert_eq!(listed[0]["name"], "resolved");
    assert_eq!(time(&listed[0], "first_occurrence"), now - SignedDuration::from_hours(6));
    // A suspicion within an episode's thirty days changes nothing.
    let _ = suite.upload(&flake(now, "Cart", "quiet too", 5));
    assert_eq!(test_cases(&suite).len(), 3);
}

fn what_happened_in_the_last_day_is_counted(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    for hours_ago in [50, 25, 24, 23, 5] {
        let _ = suite.upload(&flake(now, "Cart", "shaky", hours_ago));
    }
    // The one that is exactly a day ago was so when it was sent, a moment ago.
    assert_eq!(test_cases(&suite)[0]["last_24_hours_count"], 2);
    // A later build of a commit in which the test fails again is one more; attempts within one are not.
    let again = flake(now, "Cart", "shaky", 5).env("key", "again").result("Cart", "shaky", "failed");
    let _ = suite.upload(&again);
    assert_eq!(test_cases(&suite)[0]["last_24_hours_count"], 3);
}

fn a_question_may_stand_in_query_or_body(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "Cart", "shaky", 5);
    let ask = |path: &str, content_type: &str, body: &str| -> Reply {
        let request = server.get(path).token(&suite.read_token);
        request.header("Content-Type", content_type).bytes(body.as_bytes().to_vec()).send()
    };
    let query = format!("/api/v1/testdeck/flaky?{QUESTION}");
    let path = "/api/v1/testdeck/flaky";
    let body = r#"{"org": "repo_org", "repo": "repo_name", "github_check_name": "ci/circleci:unit-tests", "page": 1}"#;
    let page = body.replace(": 1}", r#": "2"}"#);
    for (path, content_type, body, found) in [
        (query.as_str(), "application/json", "", 1),
        (path, "application/json", body, 1),
        (path, "application/json; charset=utf-8", body, 1),
        ("/api/v1/testdeck/flaky/", "application/vnd.api+json", body, 1),
        (path, "application/json", &page, 0),
        (path, "application/x-www-form-urlencoded", QUESTION, 1),
        // curl says that it is a form, whatever it is.
        (path, "application/x-www-form-urlencoded", body, 1),
        (path, "application/json", &body.replace('}', r#", "more": {"than": ["asked"]}}"#), 1),
        // What is in the query wins.
        (&format!("{query}&page=1"), "application/json", &page, 1),
        (&query.replace("%20", ""), "application/json", "{}", 1),
    ] {
        let answer = ask(path, content_type, body).expect(200).json();
        assert_eq!(answer["test_cases"].as_array().map(Vec::len), Some(found), "{path} {body}: {answer}");
        assert_eq!(answer["github_check"]["name"], CHECK, "{path} {body}");
    }
    // Every way to show a token.
    let credentials = [
        ("Authorization", format!("Bearer {}", suite.read_token)),
        ("X-AVIATOR-API-KEY", suite.read_token.clone()),
        ("Authorization", crate::setup::basic("token", &suite.read_token)),
    ];
    for (name, value) in credentials {
        let _ = server.get(&query).header(name, &value).send().expect(200);
    }
}

#[track_caller]
fn error(reply: Reply, status: u16) -> String {
    let reply = reply.expect(status);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let body = reply.json();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    text(&body, "error")
}

fn wrong_questions_are_told(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    for missing in ["org", "repo", "github_check_name"] {
        for value in ["", "="] {
            let question = QUESTION.replace(&format!("{missing}="), &format!("x{missing}="));
            let question = if value.is_empty() { question } else { format!("{missing}=&{question}") };
            assert!(error(flaky(&server, &suite.read_token, &question), 400).contains(missing));
        }
    }
    for page in ["0", "-1", "1.5", "one", "", "true"] {
        let question = format!("{QUESTION}&page={page}");
        assert!(error(flaky(&server, &suite.read_token, &question), 400).contains("page"), "{page}");
    }
    for body in ["{", "[]", "1", "null", "\"x\"", "\u{1}"] {
        let request = server.get("/api/v1/testdeck/flaky").token(&suite.read_token);
        let reply = request.header("Content-Type", "application/json").bytes(body.as_bytes().to_vec()).send();
        assert!(error(reply, 400).contains("JSON object"), "{body}");
    }
    // The token comes first.
    for header in ["Bearer ", "Bearer nothing", "nonsense", "Basic !!!"] {
        let request = server.get("/api/v1/testdeck/flaky?page=x").header("Authorization", header);
        let _ = error(request.send(), 401);
    }
    let _ = error(server.get("/api/v1/testdeck/flaky").send(), 401);
    let _ = error(flaky(&server, &suite.upload_token, QUESTION), 403);
    for method in ["POST", "PUT", "DELETE"] {
        let _ = error(server.request(method, "/api/v1/testdeck/flaky").token(&suite.read_token).send(), 405);
    }
    let unknown = server.get("/api/v1/testdeck/nothing").token(&suite.read_token).send().expect(404).json();
    assert_eq!(unknown["error"], unknown["message"]);
}

fn nobody_learns_of_others(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "Cart", "shaky", 5);
    let _ = Suite::new(&server, "other");
    let of_other = token(&server, &["--suite", "acme/other", "--scope", "read"]);
    let _ = server.succeed(&["suite", "create", "rival/web"]);
    let of_rival = token(&server, &["--org", "rival", "--scope", "admin"]);
    let unknown = QUESTION.replace("repo_name", "nothing");
    let words = error(flaky(&server, &suite.read_token, &unknown), 404);
    for token in [&of_other, &of_rival] {
        assert_eq!(error(flaky(&server, token, QUESTION), 404), words);
    }
    for question in [
        QUESTION.replace("unit-tests", "lint"),
        QUESTION.replace("repo_org", "rival_org"),
        QUESTION.replace("repo_org", "%00"),
    ] {
        assert_eq!(error(flaky(&server, &suite.read_token, &question), 404), words, "{question}");
    }
    let own = token(&server, &["--suite", "acme/cart", "--scope", "read"]);
    let _ = flaky(&server, &own, QUESTION).expect(200);
}

fn the_address_of_a_test_leads_to_it(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let now = now(&suite);
    make_flaky(&suite, now, "Cart", "shaky", 5);
    let address = text(&test_cases(&suite)[0], "details_url");
    let path = address.strip_prefix(server.url()).unwrap();
    let number = path.strip_prefix("/flaky/test_case/").unwrap();
    assert!(number.parse::<u64>().unwrap() < 1 << 53, "{number}");
    assert_eq!(server.get(path).token(&suite.read_token).send().expect(200).json()["name"], "shaky");
    assert_eq!(server.get(path).send().status, 401);
    let rival = token(&server, &["--suite", "default/default", "--scope", "read"]);
    for path in [path, "/flaky/test_case/1", "/flaky/test_case/x", "/flaky/test_case/-1"] {
        assert_eq!(server.get(path).token(&rival).send().status, 404, "{path}");
    }
}

/// Whoever sends a body slowly holds up nobody else.
fn questions_never_wait_for_bodies(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let head = |path: &str, token: &str| {
        format!(
            "{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: 4194304\r\n\r\n{{"
        )
    };
    let mut slow = Vec::new();
    for _ in 0..40 {
        for request in [
            head("GET /api/v1/testdeck/flaky", &suite.read_token),
            head("POST /v1/uploads", &suite.upload_token),
        ] {
            let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            slow.push(stream);
        }
    }
    for _ in 0..20 {
        let _ = flaky(&server, &suite.read_token, QUESTION).expect(200);
        let body = server
            .get("/api/v1/flaky-tests")
            .token(&suite.upload_token)
            .header("Content-Type", "application/json");
        let _ = body.bytes(b"{}".to_vec()).send().expect(200);
    }
    let request = server
        .get("/api/v1/testdeck/flaky")
        .token(&suite.read_token)
        .header("Content-Type", "application/json");
    let _ = error(request.bytes(vec![b' '; 70 << 10]).send(), 413);
}
