//! What `POST /v1/uploads` accepts and refuses, request by request.

use crate::setup::{Suite, start, text, token};
use casebook_testkit::{Form, Reply, TestDatabase, Upload, both_engines, exchange};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;

both_engines!(
    every_spelling_of_the_token_works,
    credentials_decide_before_the_body_is_looked_at,
    refusals_reach_clients_that_are_still_sending,
    other_content_types_and_encodings_are_415,
    unreadable_bodies_are_400,
    wrong_shapes_are_422,
    refused_uploads_leave_nothing_behind,
    five_thousand_results_and_no_more,
    bodies_may_be_chunked_and_packed,
    damaged_gzip_is_400,
    forms_may_have_any_order_and_empty_fields,
    members_may_have_any_order_and_company,
    the_run_environment_may_hold_anything,
    reports_may_come_inside_json,
);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An upload that would be accepted.
fn good() -> Upload {
    Upload::new("k1").result("Cart", "starts empty", "passed")
}

/// Sends a body with headers.
fn send(suite: &Suite<'_>, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    let authorization = format!("Token token=\"{}\"", suite.upload_token);
    let mut request = suite.server.post("/v1/uploads").header("Authorization", &authorization).bytes(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send()
}

fn send_json(suite: &Suite<'_>, body: impl Into<Vec<u8>>) -> Reply {
    send(suite, &[("Content-Type", "application/json")], body)
}

fn every_spelling_of_the_token_works(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let t = &suite.upload_token;
    let spellings = [
        format!("Token token=\"{t}\""),
        format!("Token token={t}"),
        format!("Token {t}"),
        format!("Bearer {t}"),
        format!("Token token=\"{t}\";"),
    ];
    for (number, spelling) in spellings.iter().enumerate() {
        let body = Upload::new(&format!("k{number}")).result("", "a", "passed").body();
        let reply = server.post("/v1/uploads").header("Authorization", spelling).json(&body).send();
        assert_eq!(reply.status, 202, "{spelling}: {}", reply.text());
        assert_eq!(reply.json()["queued"], 1);
    }
    assert_eq!(suite.runs().len(), spellings.len());
}

fn credentials_decide_before_the_body_is_looked_at(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let t = &suite.upload_token;
    let values = [
        None,
        Some(String::new()),
        Some("Token".to_owned()),
        Some("Token token=".to_owned()),
        Some("Token token=\"\"".to_owned()),
        Some(t.clone()),
        Some(format!("Digest {t}")),
        Some("Basic !!!".to_owned()),
        Some("Token token=\"dev-suite-token\"".to_owned()),
        Some(format!("Token token=\"{t}x\"")),
        Some(format!("Token token=\"{}\"", &t[..t.len() - 1])),
        Some(format!("Token token=\"{}\"", t.to_uppercase())),
        Some(format!("Bearer {t} {t}")),
    ];
    let good = good().body().to_string();
    for value in &values {
        // Bodies that would be 202, 400 and 415 with a credential.
        for (content_type, body) in
            [("application/json", good.as_str()), ("application/json", "\u{0}{]"), ("text/csv", "a,b")]
        {
            let mut request = server.post("/v1/uploads").header("Content-Type", content_type).bytes(body);
            if let Some(value) = value {
                request = request.header("Authorization", value);
            }
            let reply = request.send();
            assert_eq!(reply.status, 401, "{value:?} {body:?}: {}", reply.text());
            let message = reply.message();
            assert!(!message.contains(t.as_str()), "a credential is shown: {message}");
        }
    }
    suite.assert_empty();

    let read = token(&server, &["--suite", "acme/cart", "--scope", "read"]);
    let reply = server.post("/v1/uploads").token(&read).header("Content-Type", "text/csv").bytes("a").send();
    assert!(!reply.expect(403).message().is_empty());
    suite.assert_empty();
}

/// Clients go on sending until that fails, and then look for the answer.
fn refusals_reach_clients_that_are_still_sending(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let body = "x".repeat(8 << 20);
    let refused = |token: &str, header: &str| {
        let head = format!(
            "POST /v1/uploads HTTP/1.1\r\nHost: {}\r\nAuthorization: Token token=\"{token}\"\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n{header}\r\n",
            server.address(),
            body.len()
        );
        exchange(server.address(), &[head.as_bytes(), body.as_bytes()].concat())
    };
    assert!(!refused("unknown", "").expect(401).message().is_empty());
    assert!(!refused(&suite.upload_token, "Content-Encoding: br\r\n").expect(415).message().is_empty());
    assert!(!refused(&suite.upload_token, "").expect(400).message().is_empty());
}

fn other_content_types_and_encodings_are_415(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let body = good().body().to_string();
    for content_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "json", ""] {
        let reply = send(&suite, &[("Content-Type", content_type)], body.as_str());
        assert!(!reply.expect(415).message().is_empty(), "{content_type}");
    }
    assert!(!send(&suite, &[], body.as_str()).expect(415).message().is_empty());
    for encoding in ["br", "deflate", "zstd", "gzip, gzip", "utf-8"] {
        let headers = [("Content-Type", "application/json"), ("Content-Encoding", encoding)];
        assert!(!send(&suite, &headers, body.as_str()).expect(415).message().is_empty(), "{encoding}");
    }
    suite.assert_empty();
    for content_type in ["application/json; charset=utf-8", "Application/JSON", "application/json;v=1 ; q=a"]
    {
        let reply = send(&suite, &[("Content-Type", content_type)], body.as_str());
        assert_eq!(reply.expect(202).json()["queued"], 1, "{content_type}");
    }
}

fn unreadable_bodies_are_400(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let whole = good().body().to_string();
    let truncated = &whole[..whole.len() - 1];
    let not_utf8: &[u8] = b"{\"format\":\"json\",\"run_env\":{\"key\":\"\xff\"},\"data\":[]}";
    for body in [&b""[..], b"no json", b"{", b"{]", b"\xff\xfe", truncated.as_bytes(), not_utf8] {
        let reply = send_json(&suite, body);
        assert!(!reply.expect(400).message().is_empty(), "{}", String::from_utf8_lossy(body));
    }
    let form = Form::junit("k1", "<testsuite/>");
    let content_type = Form::content_type();
    let cut = form.body()[..form.body().len() - 30].to_vec();
    for body in [&b""[..], b"no form at all", &cut] {
        let reply = send(&suite, &[("Content-Type", &content_type)], body);
        assert!(!reply.expect(400).message().is_empty(), "{}", String::from_utf8_lossy(body));
    }
    let reply = send(&suite, &[("Content-Type", "multipart/form-data")], form.body());
    assert!(!reply.expect(400).message().is_empty());

    // `data` that is no JSON or no XML.
    let reports: [(&str, &str); 8] = [
        ("json", "[{"),
        ("json", ""),
        ("junit", ""),
        ("junit", "no xml"),
        ("junit", "<testsuite><testcase classname='a' name='b'></testsuite>"),
        ("junit", "<testsuite><testcase classname='a' name='b'/>"),
        ("junit", "<testsuite><testcase classname='a' name='&nothing;'/></testsuite>"),
        ("jest-json", "{"),
    ];
    for (format, report) in reports {
        let form = Form::new().file("data", "r", report).field("format", format).field("run_env[key]", "k1");
        let reply = form.send(&server, &suite.upload_token);
        assert!(!reply.expect(400).message().is_empty(), "{format} {report:?}");
    }
    suite.assert_empty();
}

fn wrong_shapes_are_422(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let body = good().body();
    let with = |name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        body
    };
    let without = |name: &str| {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let bodies = [
        json!(null),
        json!(1),
        json!("text"),
        json!([]),
        json!([good().body()]),
        json!({}),
        without("format"),
        with("format", json!(null)),
        with("format", json!(1)),
        with("format", json!("")),
        with("format", json!("JSON")),
        with("format", json!("xunit")),
        without("run_env"),
        with("run_env", json!(null)),
        with("run_env", json!("k1")),
        with("run_env", json!([["key", "k1"]])),
        with("run_env", json!({})),
        with("run_env", json!({ "Key": "k1" })),
        with("run_env", json!({ "key": null })),
        with("run_env", json!({ "key": "" })),
        with("run_env", json!({ "key": 7 })),
        with("run_env", json!({ "key": ["k1"] })),
        with("run_env", json!({ "key": true })),
        without("data"),
        with("data", json!(null)),
        with("data", json!({})),
        with("data", json!("[]")),
        with("data", json!(5)),
    ];
    for body in bodies {
        let reply = send_json(&suite, body.to_string());
        assert_eq!(reply.status, 422, "{body}: {}", reply.text());
        assert!(!reply.message().is_empty());
    }
    let data = |format: &str| Form::new().file("data", "r.json", "[]").field("format", format);
    let forms = [
        Form::new().file("data", "r.json", "[]").field("run_env[key]", "k1"),
        data("").field("run_env[key]", "k1"),
        data("xunit").field("run_env[key]", "k1"),
        data("json"),
        data("json").field("run_env[branch]", "main"),
        data("json").field("run_env[key]", ""),
        Form::new().field("format", "json").field("run_env[key]", "k1"),
        Form::new().file("data", "r.json", "{}").field("format", "json").field("run_env[key]", "k1"),
        Form::new().file("data", "r.json", "null").field("format", "json").field("run_env[key]", "k1"),
    ];
    for form in forms {
        let reply = form.send(&server, &suite.upload_token);
        let body = String::from_utf8_lossy(&form.body()).into_owned();
        assert_eq!(reply.status, 422, "{body}: {}", reply.text());
        assert!(!reply.message().is_empty());
    }
    suite.assert_empty();
}

fn refused_uploads_leave_nothing_behind(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let accepted = suite.upload(&good());
    let run = suite.run(&accepted["run_id"]);
    // The same run, but too many results, of which the first ones are good.
    let mut upload = Upload::new("k1").branch("other").env("CI", "buildkite");
    for number in 0..5001 {
        upload = upload.result("Cart", &format!("case {number}"), "failed");
    }
    let reply = upload.send(&server, &suite.upload_token).expect(422);
    assert!(reply.message().contains("5000"), "{}", reply.text());
    assert_eq!(suite.run(&accepted["run_id"]), run);
    assert_eq!(suite.tests().len(), 1);
    assert_eq!(suite.failed(&accepted["run_id"]), Vec::<Value>::new());
}

fn five_thousand_results_and_no_more(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let mut upload = Upload::new("many");
    for number in 0..4999 {
        upload = upload.result("Cart", &format!("case {number}"), "passed");
    }
    // Counted before they are validated: this one cannot be used.
    let full = upload.push(json!({}));
    let too_many = full.clone().push(json!({}));
    assert_eq!(too_many.send(&server, &suite.upload_token).expect(422).status, 422);
    let cases = "<testcase classname='Cart' name='a'/>".repeat(5001);
    let xml = format!("<testsuite>{cases}</testsuite>");
    let reply = Form::junit("many", &xml).send(&server, &suite.upload_token);
    assert!(!reply.expect(422).message().is_empty());
    suite.assert_empty();

    let answer = suite.upload(&full);
    assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(4999), &json!(1)));
    assert_eq!(suite.tests().len(), 4999);
}

fn bodies_may_be_chunked_and_packed(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let body = good().body().to_string();
    let authorization = format!("Token token=\"{}\"", suite.upload_token);
    let chunked =
        server.post("/v1/uploads").header("Authorization", &authorization).json(&good().body()).chunked();
    assert_eq!(chunked.send().expect(202).json()["queued"], 1);

    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    let whole = gzip(body.as_bytes());
    assert_eq!(send(&suite, &headers, whole).expect(202).json()["queued"], 1);

    let (head, tail) = body.as_bytes().split_at(body.len() / 2);
    let members = [gzip(head), gzip(b""), gzip(tail)].concat();
    assert_eq!(send(&suite, &headers, members).expect(202).json()["queued"], 1);

    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "identity")];
    assert_eq!(send(&suite, &headers, body).expect(202).json()["queued"], 1);

    let packed_form = gzip(&Form::junit("k1", "<testsuite/>").body());
    let headers = [("Content-Type", &*Form::content_type()), ("Content-Encoding", "gzip")];
    assert_eq!(send(&suite, &headers, packed_form).expect(202).json()["queued"], 0);

    assert_eq!(suite.counts("Cart", "starts empty"), json!({ "passed": 4, "failed": 0 }));
}

fn damaged_gzip_is_400(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let body = good().body().to_string();
    let whole = gzip(body.as_bytes());
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let mut wrong_sum = whole.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    let cut = whole[..whole.len() - 5].to_vec();
    let second_broken = [whole, b"\x1f\x8b broken".to_vec()].concat();
    for (what, body) in [
        ("flipped", flipped),
        ("wrong sum", wrong_sum),
        ("cut", cut),
        ("second member broken", second_broken),
        ("not packed at all", body.into_bytes()),
        ("empty", Vec::new()),
    ] {
        let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
        let reply = send(&suite, &headers, body);
        assert_eq!(reply.status, 400, "{what}: {}", reply.text());
        assert!(!reply.message().is_empty());
    }
    suite.assert_empty();
}

fn forms_may_have_any_order_and_empty_fields(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let data = json!([{ "name": "a", "result": "failed", "history": {} }]).to_string();
    let file = |form: Form| form.file("data", "r.json", &data);
    let format = |form: Form| form.field("format", "json");
    let environment = |form: Form, key: &str| {
        form.field("run_env[key]", key)
            .field("run_env[branch]", "")
            .field("run_env[commit_sha]", "")
            .field("run_env[job_id]", "")
            .field("run_env[message]", "first line\r\n\r\nDana Käfer")
            .field("tags[team]", "checkout")
            .field("tags[language.version]", "1.19")
            .field("tags[empty]", "")
    };
    let forms = [
        ("data first", environment(format(file(Form::new())), "data first")),
        ("data last", file(environment(format(Form::new()), "data last"))),
        ("format last", format(environment(file(Form::new()), "format last"))),
    ];
    for (key, form) in forms {
        let answer = form.send(&server, &suite.upload_token).expect(202).json();
        assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(1), &json!(0)), "{key}");
        let run = suite.run(&answer["run_id"]);
        assert_eq!((&run["branch"], &run["commit_sha"]), (&json!(null), &json!(null)), "{key}");
        let failed = suite.failed(&answer["run_id"]);
        assert_eq!(failed[0]["tags"], json!({ "team": "checkout", "language.version": "1.19" }), "{key}");
    }
    // `data` as a plain field, and fields that nobody knows.
    let form = Form::new().field("data", &data).field("format", "json").field("run_env[key]", "plain");
    let answer = form.field("unknown", "x").field("run_env", "x").field("tags[", "x");
    assert_eq!(answer.send(&server, &suite.upload_token).expect(202).json()["queued"], 1);
    assert_eq!(suite.runs().len(), 4);
}

fn members_may_have_any_order_and_company(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let format = r#""format": "json""#;
    let run_env = r#""run_env": {"key": "k1", "branch": "b"}"#;
    let tags = r#""tags": {"team": "a"}"#;
    let data = r#""data": [{"name": "a", "result": "failed", "history": {"duration": 1}}]"#;
    let unknown = r#""unknown": {"data": [1], "format": 2}"#;
    for members in [
        [format, run_env, tags, data, unknown],
        [data, unknown, tags, run_env, format],
        [run_env, data, format, unknown, tags],
        [unknown, tags, data, format, run_env],
    ] {
        let body = format!("\n {{ {} }} \n", members.join(" , "));
        let answer = send_json(&suite, body.as_str()).expect(202).json();
        assert_eq!(answer["queued"], 1, "{body}");
    }
    let runs = suite.runs();
    assert_eq!(runs.len(), 1);
    let failed = suite.failed(&runs[0]["id"]);
    let told: Vec<_> = failed.iter().map(|failed| (&failed["branch"], &failed["tags"]["team"])).collect();
    assert_eq!(told, vec![(&json!("b"), &json!("a")); 4]);
}

fn the_run_environment_may_hold_anything(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let upload = Upload::new("0199a3c1-5d1e-4b7e-9a3c-2f1d6f0a7b11")
        .env("CI", Value::Null)
        .env("ci", "buildkite")
        .env("number", 1042)
        .env("job_id", 7.5)
        .env("debug", true)
        .env("message", json!(["a", { "b": null }]))
        .env("url", json!({ "nested": { "deeper": [1, 2] } }))
        .env("", "no name")
        .env("anything else", "Käse 空 \u{1F34B}")
        .branch("feature/a b\nc");
    let answer = suite.upload(&upload.result("", "a", "failed"));
    let run = suite.run(&answer["run_id"]);
    assert_eq!(text(&run, "branch"), "feature/a b\nc");
    assert_eq!(text(&run, "build_id"), "0199a3c1-5d1e-4b7e-9a3c-2f1d6f0a7b11");
    assert_eq!(suite.failed(&answer["run_id"])[0]["tags"]["build.job_id"], "7.5");
}

fn reports_may_come_inside_json(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let xml = "<testsuite><testcase classname='Cart' name='starts &amp; ends' time='0.5'/></testsuite>";
    let body = json!({ "format": "junit", "run_env": { "key": "k1" }, "data": xml });
    assert_eq!(send_json(&suite, body.to_string()).expect(202).json()["queued"], 1);
    let test = suite.test("Cart", "starts & ends");
    assert_eq!((&test["duration_avg"], &test["executions_count"]), (&json!(0.5), &json!(1)));
}
