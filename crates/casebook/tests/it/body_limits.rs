//! Bodies that are too large, damaged or hostile are refused as a whole, and large ones that are good are stored right
//! (`buildkite.md` 2.2, 4.1, 4.7).

use crate::setup::{Suite, start, text};
use casebook_testkit::{Engine, Form, Reply, TestDatabase, Upload, both_engines, exchange};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

both_engines!(
    packed_forms_of_several_members_are_read,
    damaged_gzip_leaves_nothing,
    fields_beside_data_are_small,
    refusals_reach_clients_that_are_still_sending,
    forms_have_at_most_two_thousand_fields,
    every_format_has_at_most_five_thousand_results,
    hostile_names_come_back_as_they_were,
    heavy_reports_go_through_a_file,
    what_is_no_request_is_answered_in_json,
);

const MIB: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn send(suite: &Suite<'_>, content_type: &str, encoding: &str, body: Vec<u8>) -> Reply {
    let request = suite.server.post("/v1/uploads").token(&suite.upload_token);
    let request = request.header("Content-Type", content_type).bytes(body);
    if encoding.is_empty() { request.send() } else { request.header("Content-Encoding", encoding).send() }
}

/// The suite takes results as before, and has taken none so far.
#[track_caller]
fn assert_unharmed(suite: &Suite<'_>) {
    suite.assert_empty();
    assert_eq!(suite.upload(&Upload::new("after").result("Cart", "a", "passed"))["queued"], 1);
}

/// A form whose report has that many bytes, most of them in a comment.
fn form_of(bytes: usize) -> Form {
    let xml =
        format!("<testsuite><!--{}--><testcase classname='a' name='b'/></testsuite>", "x".repeat(bytes));
    Form::junit("k1", xml)
}

/// On one engine, because nothing of it gets as far as the database.
#[test]
fn heavy_bodies_over_64_megabytes_are_413() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "cart");
    // Announced: whoever says so before sending is told at once.
    for content_type in ["application/json", &Form::content_type()] {
        let head = format!(
            "POST /v1/uploads HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            server.address(),
            suite.upload_token,
            64 * MIB + 1,
        );
        let reply = exchange(server.address(), head.as_bytes()).expect(413);
        assert!(!reply.message().is_empty());
    }
    // Chunked: nobody knows before it has come.
    let body = form_of(64 * MIB).body();
    let request = server.post("/v1/uploads").token(&suite.upload_token);
    let reply = request.header("Content-Type", &Form::content_type()).bytes(body).chunked().send();
    assert!(!reply.expect(413).message().is_empty());
    suite.assert_empty();
    // One that is just small enough is taken.
    let body = form_of(63 * MIB).body();
    let request = server.post("/v1/uploads").token(&suite.upload_token);
    let reply = request.header("Content-Type", &Form::content_type()).bytes(body).chunked().send();
    assert_eq!(reply.expect(202).json()["queued"], 1);
}

fn packed_forms_of_several_members_are_read(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let body = Form::junit("k1", "<testsuite><testcase classname='Cart' name='a'/></testsuite>").body();
    // Every member ends somewhere else in the form, also inside of a boundary.
    let members: Vec<u8> = body.chunks(37).flat_map(gzip).collect();
    assert_eq!(send(&suite, &Form::content_type(), "gzip", members).expect(202).json()["queued"], 1);
    let chunked: Vec<u8> = body.chunks(53).flat_map(gzip).collect();
    let request = server.post("/v1/uploads").token(&suite.upload_token).header("Content-Encoding", "GZIP");
    let reply = request.header("Content-Type", &Form::content_type()).bytes(chunked).chunked().send();
    // The same report of the same job is a repetition.
    assert_eq!(reply.expect(202).json()["skipped"], 1);
    assert_eq!(suite.counts("Cart", "a"), json!({ "passed": 1, "failed": 0 }));
}

fn damaged_gzip_leaves_nothing(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let cases = "<testcase classname='Cart' name='a'/>".repeat(2_000);
    let body = Form::junit("k1", format!("<testsuite>{cases}</testsuite>")).body();
    let whole = gzip(&body);
    let mut wrong_sum = whole.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    for (what, body) in [
        ("cut", whole[..whole.len() - 9].to_vec()),
        ("wrong sum", wrong_sum),
        ("second member damaged", [whole.clone(), whole[..whole.len() / 2].to_vec()].concat()),
        ("something behind", [whole.clone(), b"something".to_vec()].concat()),
    ] {
        let reply = send(&suite, &Form::content_type(), "gzip", body);
        assert_eq!(reply.status, 400, "{what}: {}", reply.text());
        assert!(!reply.message().is_empty());
    }
    for encoding in ["br", "deflate", "zstd", "x", "gzip, gzip", "gzip, identity, br"] {
        let reply = send(&suite, &Form::content_type(), encoding, whole.clone());
        assert!(!reply.expect(415).message().is_empty(), "{encoding}");
    }
    assert_unharmed(&suite);
}

/// On one engine, because it never gets as far as the database.
#[test]
fn heavy_bombs_are_413_before_they_cost_anything() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "cart");
    // 10 GiB of blanks in 10 MB, as JSON and inside of the report of a form.
    let blanks = gzip(&vec![b' '; 16 * MIB]);
    let body = form_of(0).body();
    let split = body.windows(4).position(|bytes| bytes == b"<!--").unwrap() + 4;
    for (content_type, head, tail) in
        [("application/json", &b""[..], &b"{}"[..]), (&Form::content_type(), &body[..split], &body[split..])]
    {
        let bomb = [gzip(head), blanks.repeat(640), gzip(tail)].concat();
        assert!(bomb.len() < 64 * MIB, "{}", bomb.len());
        let begin = Instant::now();
        let request = server.post("/v1/uploads").token(&suite.upload_token);
        let request = request.header("Content-Type", content_type).header("Content-Encoding", "gzip");
        assert!(!request.bytes(bomb).send().expect(413).message().is_empty());
        // Unpacking all of it would take far longer.
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    }
    assert_unharmed(&suite);
}

fn fields_beside_data_are_small(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let form = |name: &str, value: &str| {
        let report = "<testsuite><testcase classname='Cart' name='a'/></testsuite>";
        Form::new().field("format", "junit").field(name, value).field("run_env[key]", "k1").file(
            "data",
            "junit.xml",
            report,
        )
    };
    let long = "x".repeat((256 << 10) + 1);
    for name in ["run_env[message]", "tags[team]", "format", "run_env[key]"] {
        let reply = form(name, &long).send(&server, &suite.upload_token);
        assert!(!reply.expect(413).message().is_empty(), "{name}");
    }
    // Together they are bounded, too.
    let many = (0..100)
        .fold(Form::new(), |form, number| form.field(&format!("run_env[e{number}]"), &long[..200_000]));
    assert!(!many.send(&server, &suite.upload_token).expect(413).message().is_empty());
    suite.assert_empty();
    let answer = form("run_env[message]", &long[..100_000]).send(&server, &suite.upload_token);
    assert_eq!(answer.expect(202).json()["queued"], 1);
}

/// Clients go on sending until that fails, and then look for the answer.
fn refusals_reach_clients_that_are_still_sending(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let more = "x".repeat(16 * MIB);
    let form = Form::content_type();
    let twice = Form::new().file("data", "a", "<testsuite/>").file("data", "b", &more);
    let long = Form::new().field("format", &"x".repeat(300 << 10)).file("data", "b", &more);
    let fields = (0..2_001).fold(Form::new(), |form, number| form.field(&format!("tags[{number}]"), "x"));
    let owners = Form::new().file("file", "TESTOWNERS", &more).body();
    let mut damaged = gzip(b"{}");
    damaged.extend(more.bytes());
    for (what, status, content_type, encoding, body) in [
        ("two files", 422, &*form, "", twice.body()),
        ("a long field", 413, &form, "", long.body()),
        ("many fields", 422, &form, "", fields.file("data", "b", &more).body()),
        ("no form", 400, &form, "", more.clone().into_bytes()),
        ("damaged form", 400, &form, "gzip", damaged.clone()),
        ("damaged JSON", 400, "application/json", "gzip", damaged),
        ("no JSON", 400, "application/json", "", more.clone().into_bytes()),
    ] {
        let reply = send(&suite, content_type, encoding, body);
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        assert!(!reply.message().is_empty(), "{what}");
    }
    let request = server.post("/v1/test-ownerships").token(&suite.upload_token);
    let reply = request.header("Content-Type", &form).bytes(owners).send();
    assert!(!reply.expect(413).message().is_empty());
    assert_unharmed(&suite);
}

fn forms_have_at_most_two_thousand_fields(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let report = "<testsuite><testcase classname='Cart' name='a'/></testsuite>";
    let form = |fields: usize| {
        let form =
            (3..fields).fold(Form::new(), |form, number| form.field(&format!("run_env[e{number}]"), "v"));
        form.field("format", "junit").field("run_env[key]", "k1").file("data", "junit.xml", report)
    };
    for fields in [2_001, 20_000] {
        assert!(
            !form(fields).send(&server, &suite.upload_token).expect(422).message().is_empty(),
            "{fields}"
        );
    }
    suite.assert_empty();
    assert_eq!(form(2_000).send(&server, &suite.upload_token).expect(202).json()["queued"], 1);
}

/// A report of every format with so many results.
fn reports(count: usize) -> Vec<(&'static str, String)> {
    let each = |result: &dyn Fn(usize) -> String, separator: &str| {
        (0..count).map(result).collect::<Vec<_>>().join(separator)
    };
    let json = each(&|n| json!({ "scope": "S", "name": format!("t{n}"), "history": {} }).to_string(), ",");
    let junit = each(&|n| format!("<testcase classname='S' name='t{n}'/>"), "");
    let jest = each(
        &|n| json!({ "ancestorTitles": ["S"], "title": format!("t{n}"), "status": "passed" }).to_string(),
        ",",
    );
    let rspec = each(
        &|n| {
            json!({ "description": format!("t{n}"), "full_description": format!("S t{n}"), "status": "passed",
                    "file_path": "./a_spec.rb", "run_time": 0.1 })
            .to_string()
        },
        ",",
    );
    let playwright = each(
        &|n| {
            json!({ "title": format!("t{n}"), "file": "a.ts", "line": 1, "column": 1, "tests": [{ "projectName": "p",
                    "results": [{ "status": "passed", "duration": 5, "retry": 0 }] }] })
            .to_string()
        },
        ",",
    );
    let cucumber = each(
        &|n| {
            json!({ "type": "scenario", "keyword": "Scenario", "name": format!("t{n}"), "line": n,
                    "steps": [{ "name": "s", "result": { "status": "passed", "duration": 5 } }] })
            .to_string()
        },
        ",",
    );
    let go = each(
        &|n| json!({ "Action": "pass", "Package": "p", "Test": format!("T{n}"), "Elapsed": 0.1 }).to_string(),
        "\n",
    );
    vec![
        ("json", format!("[{json}]")),
        ("junit", format!("<testsuite name='S'>{junit}</testsuite>")),
        (
            "jest-json",
            format!(r#"{{"testResults": [{{"name": "/w/a.test.js", "assertionResults": [{jest}]}}]}}"#),
        ),
        ("rspec-json", format!(r#"{{"version": "3.13", "examples": [{rspec}]}}"#)),
        (
            "playwright-json",
            format!(
                r#"{{"config": {{}}, "suites": [{{"title": "a.ts", "file": "a.ts", "specs": [{playwright}]}}]}}"#
            ),
        ),
        (
            "cucumber-json",
            format!(
                r#"[{{"name": "S", "uri": "a.feature", "keyword": "Feature", "elements": [{cucumber}]}}]"#
            ),
        ),
        ("go-jsonl", format!("{go}\n")),
    ]
}

fn every_format_has_at_most_five_thousand_results(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let send = |format: &str, report: &str| {
        let form = Form::new().file("data", "report", report).field("format", format);
        form.field("run_env[key]", format).send(&server, &suite.upload_token)
    };
    for (format, report) in reports(5_001) {
        let reply = send(format, &report);
        assert_eq!(reply.status, 422, "{format}: {}", reply.text());
        assert!(reply.message().contains("5000"), "{format}: {}", reply.text());
        suite.assert_empty();
    }
    // Or the reports would be refused for something else.
    for (format, report) in reports(5_000) {
        let answer = send(format, &report).expect(202).json();
        assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(5_000), &json!(0)), "{format}");
    }
}

fn hostile_names_come_back_as_they_were(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let piece = "\"';--</script><script>alert(1)</script>{{7*7}}${x}%s\\\\../..\u{202e}\r\n\t\u{1F9EA}é\u{301}%00?#&=+ ";
    let hostile: String = piece.chars().cycle().take(10_000).collect();
    let scope = format!("scope {hostile}end");
    let upload = Upload::new(&format!("key {hostile}"))
        .env("message", &*hostile)
        .env("url", format!("javascript:{hostile}"))
        .push(json!({ "scope": scope, "name": hostile, "result": "failed", "failure_reason": hostile,
            "location": hostile, "file_name": hostile, "history": { "duration": 1 } }))
        .result(&scope, &format!("{hostile}2"), "passed");
    let answer = suite.upload(&upload);
    assert_eq!(
        (&answer["queued"], &answer["skipped"], &answer["errors"]),
        (&json!(2), &json!(0), &json!([]))
    );
    let find = json!({ "scope": scope, "name": hostile });
    let request = server.post(&suite.path("/tests/find")).token(&suite.read_token);
    let found = request.json(&find).send().expect(200).json();
    assert_eq!((text(&found, "scope"), text(&found, "name")), (scope.clone(), hostile.clone()));
    let failed = suite.failed(&answer["run_id"]);
    assert_eq!(failed.len(), 1);
    assert_eq!(text(&failed[0], "failure_reason"), hostile);
    assert_eq!(suite.tests().len(), 2);
    assert_eq!(suite.counts(&scope, &hostile), json!({ "passed": 0, "failed": 1 }));
    // Also as label, tag and run.
    let again = suite.upload(&upload);
    assert_eq!(again["run_id"], answer["run_id"]);
    let label: String = piece.chars().filter(|c| !c.is_control()).collect();
    let write = crate::setup::token(&server, &["--suite", "acme/cart", "--scope", "write"]);
    let path = suite.path(&format!("/tests/{}/labels", text(&found, "id")));
    let body = json!({ "operator": "add", "labels": [label.trim()] });
    let labelled = server.request("PATCH", &path).token(&write).json(&body).send().expect(200).json();
    assert_eq!(labelled["labels"], json!([label.trim()]));
    let log = server.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

/// 20 MB of XML, more than is kept in memory, with a failure in every tenth case.
fn heavy_reports_go_through_a_file(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let mut xml = String::from("<?xml version='1.0'?><testsuites><testsuite name='big'>");
    let output = "a line of output &amp; more\n".repeat(150);
    for number in 0..5_000 {
        let failure = if number % 10 == 0 {
            format!("<failure message='reason {number}'>at line {number}</failure>")
        } else {
            String::new()
        };
        write!(
            xml,
            "<testcase classname='Cart{}' name='case {number}' time='0.25'>{failure}<system-out>{output}</system-out></testcase>",
            number % 7
        )
        .unwrap();
    }
    xml.push_str("</testsuite></testsuites>");
    assert!(xml.len() > 20_000_000, "{}", xml.len());
    let answer = suite.upload_junit("big", &xml);
    assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(5_000), &json!(0)));
    let failed = suite.failed(&answer["run_id"]);
    assert_eq!(failed.len(), 500);
    for execution in &failed {
        let name = text(execution, "test_name");
        let number = name.split(' ').next_back().unwrap();
        assert_eq!(execution["failure_reason"], Value::from(format!("reason {number}")));
        assert_eq!(execution["failure_expanded"][0]["expanded"], json!([format!("at line {number}")]));
    }
    let tests = suite.tests();
    assert_eq!(tests.len(), 5_000);
    assert!(tests.iter().all(|test| test["duration_sum"] == json!(0.25) && test["executions_count"] == 1));
    // Sent again it is recognised, also packed.
    let form = Form::junit("big", &xml).body();
    let again = send(&suite, &Form::content_type(), "gzip", gzip(&form)).expect(202).json();
    assert_eq!((&again["queued"], &again["skipped"]), (&json!(0), &json!(5_000)));
    assert_eq!(again["run_id"], answer["run_id"]);
}

/// No handler sees these requests.
fn what_is_no_request_is_answered_in_json(database: &TestDatabase) {
    let server = start(database);
    let long = "x".repeat(70_000);
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    for (target, headers, status) in [
        (format!("/api/v1/flaky-tests?job_name={long}"), "", 414),
        ("/api/v1/flaky-tests".to_owned(), many.as_str(), 431),
        ("/api/v1/flaky-tests?job_name=ci/circleci: x".to_owned(), "", 400),
        ("/api/v1/flaky-tests".to_owned(), "Content-Length: x\r\n", 400),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let reply = exchange(server.address(), request.as_bytes()).expect(status);
        assert_eq!(reply.header("content-type"), Some("application/json"), "{status}");
        let body = reply.json();
        assert!(body["error"].is_string() && body["error"] == body["message"], "{body}");
    }
    assert_eq!(server.get("/healthz").send().status, 200);
}
