//! Results that cannot be used cost nobody but themselves; odd ones are kept (`buildkite.md` 4.2).

use crate::setup::{Suite, start, text};
use casebook_testkit::{TestDatabase, Upload, both_engines};
use serde_json::{Value, json};

both_engines!(
    bad_records_are_skipped_and_named,
    an_upload_of_bad_records_alone_makes_the_run,
    odd_records_are_kept,
    odd_texts_never_fail_the_server,
    identities_are_kept_byte_by_byte,
    tags_against_the_rules_are_dropped,
);

/// A usable result with one member changed.
fn with(name: &str, value: Value) -> Value {
    let mut result = json!({ "name": "bad", "scope": "S", "result": "failed", "history": { "duration": 1 } });
    result[name] = value;
    result
}

fn with_history(name: &str, value: Value) -> Value {
    let mut result = with("result", json!("passed"));
    result["history"][name] = value;
    result
}

fn without(name: &str) -> Value {
    let mut result = with("result", json!("passed"));
    result.as_object_mut().unwrap().remove(name);
    result
}

/// Records that must be skipped, each with a word that the sentence about it must have.
fn bad_records() -> Vec<(Value, &'static str)> {
    let mut records = Vec::new();
    for other in [json!(null), json!(1), json!("text"), json!([]), json!(true)] {
        records.push((other, "object"));
    }
    records.push((without("name"), "name"));
    for value in [json!(null), json!(""), json!(7), json!(["a"]), json!({})] {
        records.push((with("name", value), "name"));
    }
    records.push((without("history"), "history"));
    for value in [json!(null), json!([]), json!("1"), json!(3)] {
        records.push((with("history", value), "history"));
    }
    for name in ["scope", "location", "file_name", "failure_reason"] {
        for value in [json!(1), json!(true), json!(["a"]), json!({})] {
            records.push((with(name, value), name));
        }
    }
    for value in [json!({}), json!("a"), json!(1), json!([1]), json!(["a"]), json!([null]), json!([[]])] {
        records.push((with("failure_expanded", value), "failure_expanded"));
    }
    for lines in [json!("a"), json!(1), json!({}), json!(false)] {
        records.push((with("failure_expanded", json!([{ "expanded": lines }])), "expanded"));
        records.push((with("failure_expanded", json!([{}, { "backtrace": lines }])), "backtrace"));
    }
    for name in ["start_at", "end_at", "duration"] {
        for value in [json!("1.5"), json!(true), json!([]), json!({})] {
            records.push((with_history(name, value), name));
        }
    }
    for value in [json!({}), json!("a"), json!(1), json!(false)] {
        records.push((with_history("children", value), "children"));
    }
    for value in [json!([]), json!("a"), json!(1), json!(false)] {
        records.push((with("tags", value), "tags"));
    }
    for value in ["Passed", "PASSED", "", " passed", "error", "broken", "todo"] {
        records.push((with("result", json!(value)), "result"));
    }
    for value in [json!(1), json!(true), json!([]), json!({})] {
        records.push((with("result", value), "result"));
    }
    records
}

fn bad_records_are_skipped_and_named(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let records = bad_records();
    // Fewer an upload than there are sentences in an answer.
    for (number, chunk) in records.chunks(20).enumerate() {
        let mut upload = Upload::new(&format!("k{number}"));
        for (record, _) in chunk {
            upload = upload.result("good", &format!("{number}"), "passed").push(record.clone());
        }
        let answer = suite.upload(&upload.result("good", &format!("{number}"), "passed"));
        assert_eq!(answer["queued"], chunk.len() + 1, "{answer:#}");
        assert_eq!(answer["skipped"], chunk.len(), "{answer:#}");
        let errors: Vec<String> = serde_json::from_value(answer["errors"].clone()).expect("texts");
        assert_eq!(errors.len(), chunk.len(), "{errors:#?}");
        for (index, ((record, word), error)) in chunk.iter().zip(&errors).enumerate() {
            let place = (index * 2 + 2).to_string();
            let numbers: Vec<&str> = error.split(|c: char| !c.is_ascii_digit()).collect();
            assert!(numbers.contains(&place.as_str()), "record {place} {record}: {error}");
            assert!(error.contains(word), "{record}: {error}");
        }
        let counts = suite.counts("good", &number.to_string());
        assert_eq!(counts, json!({ "passed": chunk.len() + 1, "failed": 0 }));
        assert_eq!(suite.run(&answer["run_id"])["result"], "passed");
    }
    let scopes: Vec<String> = suite.tests().iter().map(|test| text(test, "scope")).collect();
    assert_eq!(scopes, vec!["good"; records.len().div_ceil(20)]);
}

fn an_upload_of_bad_records_alone_makes_the_run(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let answer = suite.upload(&Upload::new("k1").push(json!(1)).push(json!({ "name": "a" })));
    assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(0), &json!(2)));
    let run = suite.run(&answer["run_id"]);
    assert_eq!((&run["result"], &run["branch"]), (&json!("pending"), &json!("main")));
    assert_eq!(suite.tests(), Vec::<Value>::new());
}

fn odd_records_are_kept(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let spans = json!([
        1, null, "text", [], {}, { "section": "weird" }, { "section": "sql", "detail": "plain text" },
        { "section": "http", "start_at": null, "end_at": "x", "duration": [], "detail": null },
        { "section": "top", "children": [{ "section": "sleep", "children": [{ "children": 7 }] }] },
    ]);
    let odd = [
        json!({ "history": {} }),
        without("scope"),
        without("result"),
        with("result", json!(null)),
        with("id", json!(null)),
        with("id", json!("")),
        with("id", json!("no uuid")),
        with("id", json!(7)),
        with("id", json!({ "a": [] })),
        with("scope", json!(null)),
        with("location", json!(null)),
        with("location", json!("com.acme.CartTest")),
        with("location", json!("cart.spec.js:5:3")),
        with("file_name", json!(null)),
        with("failure_reason", json!("a\n\nb")),
        with("failure_expanded", json!(null)),
        with("failure_expanded", json!([])),
        with("failure_expanded", json!([{}, { "expanded": [] }, { "backtrace": ["a", ""] }])),
        with("tags", json!(null)),
        with("tags", json!({})),
        with("tags", json!({ "a": 1, "b": null, "c": {}, "d": [], "mut.x": "y", "1": "z", "": "" })),
        with("identifier", json!([1])),
        with("external_id", json!(1.5)),
        with("trace_id", json!({})),
        with("unknown", json!({ "name": 1, "history": null })),
        with_history("start_at", json!(null)),
        with_history("end_at", json!(null)),
        with_history("start_at", json!(1.8e18)),
        with_history("duration", json!(null)),
        with_history("duration", json!(-1)),
        with_history("duration", json!(1e300)),
        with_history("children", json!(null)),
        with_history("children", json!([])),
        with_history("children", spans),
        with_history("section", json!(5)),
        with_history("detail", json!("text")),
        with_history("unknown", json!([])),
    ];
    let mut upload = Upload::new("k1");
    for (number, record) in odd.iter().enumerate() {
        let mut record = record.clone();
        record["name"] = json!(format!("odd {number:02}"));
        upload = upload.push(record);
    }
    let answer = suite.upload(&upload);
    assert_eq!(answer["errors"], json!([]), "{answer:#}");
    assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(odd.len()), &json!(0)));
    let tests = suite.all("/tests?period=1day");
    let mut names: Vec<String> = tests.iter().map(|test| text(test, "name")).collect();
    names.sort();
    let expected: Vec<String> = (0..odd.len()).map(|number| format!("odd {number:02}")).collect();
    assert_eq!(names, expected);
    for test in tests {
        let number: usize = text(&test, "name")[4..].parse().unwrap();
        let expected = match odd[number].get("result") {
            None | Some(Value::Null) => json!({ "passed": 0, "failed": 0, "unknown": 1 }),
            Some(Value::String(word)) if word == "passed" => json!({ "passed": 1, "failed": 0 }),
            Some(_) => json!({ "passed": 0, "failed": 1 }),
        };
        assert_eq!(test["executions_count_by_result"], expected, "{test:#}");
        let duration =
            odd[number]["history"]["duration"].as_f64().filter(|seconds| (0.0..1e9).contains(seconds));
        assert_eq!(test["duration_sum"].as_f64(), duration, "{test:#}");
    }
}

fn odd_texts_never_fail_the_server(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let record = |name: &str| {
        format!(
            r#"{{"name": "{name}", "scope": "{name}", "result": "failed", "history": {{}},
        "failure_reason": "{name}", "location": "{name}", "failure_expanded": [{{"expanded": ["{name}"]}}]}}"#
        )
    };
    for (name, stored) in [
        ("a\\u0000b", Some("a\u{fffd}b")),
        ("\\ud83c\\udf4b", Some("\u{1f34b}")),
        ("\\ud83c", None),
        ("\\u001b[31m\\u0001\\u007f\u{feff}\u{202e}", Some("\u{1b}[31m\u{1}\u{7f}\u{feff}\u{202e}")),
        ("'; drop table test; --", Some("'; drop table test; --")),
    ] {
        let body = format!(r#"{{"format": "json", "run_env": {{"key": "k1"}}, "data": [{}]}}"#, record(name));
        let authorization = format!("Token token=\"{}\"", suite.upload_token);
        let request = server.post("/v1/uploads").header("Authorization", &authorization);
        let reply = request.header("Content-Type", "application/json").bytes(body).send();
        assert!(reply.status < 500, "{name}: {}", reply.text());
        let Some(stored) = stored else { continue };
        assert_eq!(reply.expect(202).json()["queued"], 1, "{name}");
        let test = suite.test(stored, stored);
        assert_eq!(test["location"], stored, "{test:#}");
    }
}

fn identities_are_kept_byte_by_byte(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    // Sorted as the answer is; no two of them are the same test.
    let mut identities = [
        ("", "Cart starts"),
        ("Cart", "starts"),
        ("Cart ", "starts"),
        (" Cart", "starts"),
        ("Cart", " starts"),
        ("Cart", "starts "),
        ("Cart", "Starts"),
        ("cart", "starts"),
        ("Cart starts", ""),
        ("Ca", "rtstarts"),
        ("K\u{e4}se", "a"),
        ("Ka\u{308}se", "a"),
        ("a\nb\t", "c\r\n"),
    ]
    .map(|(scope, name)| (scope, if name.is_empty() { " " } else { name }));
    identities.sort_unstable();
    let send = |key: &str| {
        let uploads = identities
            .iter()
            .fold(Upload::new(key), |upload, (scope, name)| upload.result(scope, name, "passed"));
        suite.upload(&uploads)
    };
    let _ = (send("k1"), send("k2"));
    let tests = suite.tests();
    let found: Vec<(String, String)> =
        tests.iter().map(|test| (text(test, "scope"), text(test, "name"))).collect();
    let expected: Vec<(String, String)> =
        identities.iter().map(|(scope, name)| ((*scope).to_owned(), (*name).to_owned())).collect();
    assert_eq!(found, expected);
    assert!(tests.iter().all(|test| test["executions_count"] == 2));
}

fn tags_against_the_rules_are_dropped(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let result = |tags: Value| json!({ "name": "a", "result": "failed", "history": {}, "tags": tags });
    let key_63 = "k".repeat(63);
    let value_127 = "v".repeat(127);
    let cases = [
        (json!({ "team": "own" }), json!({ "team": "own", "Team": "upload", "region": "eu" })),
        (json!({ "a": "1", "a_b-c.D9": "2" }), json!({ "a": "1", "a_b-c.D9": "2" })),
        (json!({ &key_63: &value_127, "k".repeat(64): "v" }), json!({ &key_63: &value_127 })),
        (json!({ "v": "v".repeat(128), "ü": "v", "1a": "v", "a b": "v", "": "v", "a:b": "v" }), json!({})),
        (json!({ "blank": " \t", "empty": "" }), json!({})),
        (
            json!({ "mut": "v", "mut.x": "v", "mutable": "v", "x.mut": "v" }),
            json!({ "mutable": "v", "x.mut": "v" }),
        ),
        (json!({ "b": "1", "b.c": "2" }), json!({ "b": "1" })),
    ];
    for (number, (own, expected)) in cases.iter().enumerate() {
        let upload = Upload::new(&format!("k{number}")).tag("Team", "upload").tag("region", "eu");
        let upload =
            upload.tag("team", "upload").tag("mut.reason", "x").tag("9", "x").push(result(own.clone()));
        let answer = suite.upload(&upload);
        assert_eq!((&answer["queued"], &answer["errors"]), (&json!(1), &json!([])), "{own}");
        let failed = suite.failed(&answer["run_id"]);
        let mut all = json!({ "Team": "upload", "region": "eu", "team": "upload" });
        for (key, value) in expected.as_object().unwrap() {
            all[key] = value.clone();
        }
        assert_eq!(failed[0]["tags"], all, "{own}");
    }
    // Ten of an upload and ten of an execution.
    let many = |letter: char| {
        (0..12).fold(json!({}), |mut tags, n| {
            tags[format!("{letter}{n:02}")] = json!("v");
            tags
        })
    };
    let mut upload = Upload::new("many").push(result(many('e')));
    for (key, _) in many('u').as_object().unwrap() {
        upload = upload.tag(key, "v");
    }
    let answer = suite.upload(&upload);
    let tags = suite.failed(&answer["run_id"])[0]["tags"].clone();
    let count = |letter: char| tags.as_object().unwrap().keys().filter(|key| key.starts_with(letter)).count();
    assert_eq!((count('e'), count('u')), (10, 10), "{tags}");
}
