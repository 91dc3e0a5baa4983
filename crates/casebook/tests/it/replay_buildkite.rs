//! Every recorded upload of a real client, sent again byte for byte.

use crate::model::{self, Expected, Failure, Sent, web_url};
use crate::setup::{Suite, sample, start, text};
use casebook_testkit::{Reply, TestDatabase, both_engines, exchange};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;

both_engines!(
    every_upload_is_stored_as_sent,
    uploads_of_one_run_are_joined,
    every_upload_is_harmless_the_second_time,
);

/// The recorded uploads; what is beside them in the folder goes to other addresses.
const UPLOADS: [&str; 25] = [
    "bktec-upload-jest-json-1.multipart",
    "bktec-upload-jest-json-2.multipart",
    "curl-json-buildkite.multipart",
    "curl-json-circleci.multipart",
    "curl-json-github-actions.multipart",
    "curl-junit-tags.multipart",
    "js-cypress-reporter-on-mocha.json",
    "js-jasmine.json",
    "js-jest-buildkite.json",
    "js-jest-github-prefix.json",
    "js-mocha-circleci.json",
    "js-playwright.json",
    "js-vitest.json",
    "plugin-test-collector-junit.multipart",
    "python-pytest-buildkite.json",
    "python-pytest-circleci.json",
    "python-pytest-generic-empty.json",
    "python-pytest-github-actions.json",
    "python-pytest-retry-1.json",
    "python-pytest-retry-2.json",
    "python-pytest-xdist-1of2.json",
    "python-pytest-xdist-2of2.json",
    "ruby-minitest-local.json.gz",
    "ruby-rspec.json.gz",
    "rust-cargo-test.json",
];

/// Uploads that belong to one run.
const JOINED: [&[&str]; 4] = [
    &["python-pytest-retry-1.json", "python-pytest-retry-2.json"],
    &["python-pytest-xdist-1of2.json", "python-pytest-xdist-2of2.json"],
    &["bktec-upload-jest-json-1.multipart", "bktec-upload-jest-json-2.multipart"],
    &["js-jest-buildkite.json", "js-vitest.json", "ruby-rspec.json.gz", "curl-junit-tags.multipart"],
];

fn every_upload_is_stored_as_sent(database: &TestDatabase) {
    let server = start(database);
    let first = Suite::new(&server, "first");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/buildkite");
    let mut recorded: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| !file.ends_with(".request.json") && !file.ends_with(".md"))
        .filter(|file| recording(file)["path"] == "/v1/uploads")
        .collect();
    recorded.sort();
    assert_eq!(recorded, UPLOADS);
    for file in UPLOADS {
        let suite = first.sibling(stem(file));
        let sent = sent(file);
        let answer = check_answer(&suite, replay(&suite, file), &sent);
        assert_eq!(answer["queued"], sent.results.len(), "{file}");
        model::check(&suite, &answer["run_id"], &[sent]);
    }
}

fn uploads_of_one_run_are_joined(database: &TestDatabase) {
    let server = start(database);
    let first = Suite::new(&server, "first");
    for files in JOINED {
        let suite = first.sibling(stem(files[0]));
        let uploads: Vec<Sent> = files.iter().map(|file| sent(file)).collect();
        let mut runs = Vec::new();
        for (file, sent) in files.iter().zip(&uploads) {
            let answer = check_answer(&suite, replay(&suite, file), sent);
            assert_eq!(answer["queued"], sent.results.len(), "{file}");
            runs.push(answer["run_id"].clone());
        }
        assert!(runs.iter().all(|run| *run == runs[0]), "{files:?}: {runs:?}");
        model::check(&suite, &runs[0], &uploads);
    }
}

/// Results with a UUID of their own, and reports without ids, are known again; only other ids and none are not (4.3).
fn every_upload_is_harmless_the_second_time(database: &TestDatabase) {
    let server = start(database);
    let first = Suite::new(&server, "first");
    for file in UPLOADS {
        let suite = first.sibling(stem(file));
        let once = sent(file);
        let answer = check_answer(&suite, replay(&suite, file), &once);
        let again = check_answer(&suite, replay(&suite, file), &once);
        assert_eq!(again["run_id"], answer["run_id"], "{file}");
        let known = |result: &Expected| once.is_report || result.id.as_deref().is_some_and(model::is_uuid);
        let repeated: Vec<Expected> = once.results.iter().filter(|result| !known(result)).cloned().collect();
        assert_eq!(again["queued"], repeated.len(), "{file}");
        let twice = Sent { results: repeated, ..sent(file) };
        model::check(&suite, &answer["run_id"], &[once, twice]);
    }
}

fn stem(file: &str) -> &str {
    file.split_once('.').unwrap().0
}

fn recording(file: &str) -> Value {
    serde_json::from_slice(&sample(&format!("buildkite/{}.request.json", stem(file)))).unwrap()
}

/// Sends the recorded request; only host, length and token are others.
fn replay(suite: &Suite<'_>, file: &str) -> Reply {
    let recording = recording(file);
    let body = sample(&format!("buildkite/{file}"));
    let mut request = format!("{} {} HTTP/1.1\r\n", text(&recording, "method"), text(&recording, "path"));
    for header in recording["headers"].as_array().unwrap() {
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
        let value = match name.to_ascii_lowercase().as_str() {
            "host" => suite.server.address().to_owned(),
            "content-length" => body.len().to_string(),
            "authorization" => value.replace("dev-suite-token", &suite.upload_token),
            _ => value.to_owned(),
        };
        request += &format!("{name}: {value}\r\n");
    }
    exchange(suite.server.address(), &[request.as_bytes(), b"\r\n", &body].concat())
}

/// The eight members of an answer (section 5).
#[track_caller]
fn check_answer(suite: &Suite<'_>, reply: Reply, sent: &Sent) -> Value {
    let answer = reply.expect(202).json();
    assert_eq!(answer.as_object().unwrap().len(), 8, "{answer:#}");
    let (run, upload) = (text(&answer, "run_id"), text(&answer, "upload_id"));
    assert!(model::is_uuid(&run) && model::is_uuid(&upload) && run != upload, "{answer:#}");
    assert_eq!(answer["id"], upload);
    assert_eq!(answer["errors"], json!([]));
    assert_eq!(answer["run_url"], web_url(suite, &format!("/runs/{run}")));
    assert_eq!(answer["upload_url"], web_url(suite, &format!("/uploads/{upload}")));
    let count = |name: &str| answer[name].as_u64().unwrap_or_else(|| panic!("{name} in {answer:#}"));
    assert_eq!(count("queued") + count("skipped"), sent.results.len() as u64, "{answer:#}");
    answer
}

/// What a recorded upload says.
fn sent(file: &str) -> Sent {
    let mut body = sample(&format!("buildkite/{file}"));
    if file.ends_with(".gz") {
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut unpacked).unwrap();
        body = unpacked;
    }
    if !file.ends_with(".multipart") {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let results = body["data"].as_array().unwrap().iter().map(result_object).collect();
        return Sent {
            run_env: texts(&body["run_env"]),
            tags: texts(&body["tags"]),
            results,
            is_report: false,
        };
    }
    let fields = form_fields(&String::from_utf8(body).unwrap());
    let inner = |prefix: &str| {
        let entry = |(name, value): (&String, &String)| {
            Some((name.strip_prefix(prefix)?.strip_suffix(']')?.to_owned(), value.clone()))
        };
        fields.iter().filter_map(entry).collect::<BTreeMap<_, _>>()
    };
    let (run_env, tags) = (inner("run_env["), inner("tags["));
    let results = match fields["format"].as_str() {
        "json" => {
            let data: Vec<Value> = serde_json::from_str(&fields["data"]).unwrap();
            data.iter().map(result_object).collect()
        }
        "jest-json" => jest_results(&fields["data"], &run_env),
        "junit" => gotestsum_results(),
        other => panic!("{other}"),
    };
    Sent { run_env, tags, results, is_report: fields["format"] != "json" }
}

fn texts(object: &Value) -> BTreeMap<String, String> {
    let entries = object.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn form_fields(body: &str) -> BTreeMap<String, String> {
    let boundary = body.lines().next().unwrap();
    let parts = body.split(boundary).filter_map(|part| part.split_once("\r\n\r\n"));
    let field = |(head, value): (&str, &str)| {
        let name = head.split_once(" name=\"").unwrap().1.split_once('"').unwrap().0;
        (name.to_owned(), value.strip_suffix("\r\n").unwrap().to_owned())
    };
    parts.map(field).collect()
}

fn lines(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// A result object of section 3.
fn result_object(object: &Value) -> Expected {
    let optional = |name: &str| object[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let details = object["failure_expanded"].as_array().into_iter().flatten();
    let details = details.map(|detail| (lines(&detail["expanded"]), lines(&detail["backtrace"])));
    Expected {
        // Ruby sends no id, but an id of the execution under another name, the same when it tries again.
        id: optional("id").or_else(|| optional("external_id")),
        scope: optional("scope").unwrap_or_default(),
        name: text(object, "name"),
        location: optional("location"),
        file: optional("file_name"),
        result: optional("result").unwrap_or("unknown".to_owned()),
        seconds: object["history"]["duration"].as_f64(),
        failure: Failure { reason: optional("failure_reason"), details: details.collect() },
        tags: texts(&object["tags"]),
        earlier: Vec::new(),
    }
}

/// Jest's own report by section 9; each invocation before the last one failed.
fn jest_results(data: &str, run_env: &BTreeMap<String, String>) -> Vec<Expected> {
    let report: Value = serde_json::from_str(data).unwrap();
    let mut results = Vec::new();
    for file in report["testResults"].as_array().unwrap() {
        let path = text(file, "name");
        let path = path.strip_prefix(&format!("{}/", run_env["cwd"])).expect("below cwd").to_owned();
        for assertion in file["assertionResults"].as_array().unwrap() {
            let messages = lines(&assertion["failureMessages"]);
            let message = messages.first().and_then(|message| message.split_once('\n'));
            let attempts = assertion["invocations"].as_u64().unwrap_or(1);
            results.push(Expected {
                scope: lines(&assertion["ancestorTitles"]).join(" "),
                name: text(assertion, "title"),
                location: Some(format!("{path}:{}", assertion["location"]["line"])),
                file: Some(path.clone()),
                result: match assertion["status"].as_str().unwrap() {
                    "todo" => "skipped".to_owned(),
                    status => status.to_owned(),
                },
                seconds: assertion["duration"].as_f64().map(|milliseconds| milliseconds / 1000.0),
                failure: Failure {
                    reason: message.map(|(reason, _)| reason.to_owned()),
                    details: message
                        .map(|(_, rest)| (rest.lines().map(str::to_owned).collect(), Vec::new()))
                        .into_iter()
                        .collect(),
                },
                earlier: vec![(None, Failure::default()); attempts as usize - 1],
                ..Expected::default()
            });
        }
    }
    results
}

/// The report in the two JUnit uploads, read by eye.
fn gotestsum_results() -> Vec<Expected> {
    let case = |scope: &str, name: &str, result: &str, text: &[&str]| Expected {
        scope: scope.to_owned(),
        name: name.to_owned(),
        result: result.to_owned(),
        seconds: Some(0.0),
        failure: Failure {
            reason: Some("Failed".to_owned()),
            details: vec![(text.iter().map(|line| (*line).to_owned()).collect(), Vec::new())],
        },
        ..Expected::default()
    };
    let cart = "acme.example/cart";
    vec![
        case(
            cart,
            "TestSumsWronglyOnPurpose",
            "failed",
            &[
                "=== RUN   TestSumsWronglyOnPurpose",
                "    cart_test.go:6: got 6, want 5",
                "--- FAIL: TestSumsWronglyOnPurpose (0.00s)",
            ],
        ),
        case(
            cart,
            "TestHolds/two_words",
            "failed",
            &[
                "=== RUN   TestHolds/two_words",
                "    cart_test.go:12: names must be one word",
                "    --- FAIL: TestHolds/two_words (0.00s)",
            ],
        ),
        case(cart, "TestHolds", "failed", &["=== RUN   TestHolds", "--- FAIL: TestHolds (0.00s)"]),
        case(cart, "TestConvertsCurrencies", "skipped", &[]),
        case(cart, "TestStartsEmpty", "passed", &[]),
        case(cart, "TestHolds/pear", "passed", &[]),
        case(cart, "TestHolds/Käse", "passed", &[]),
        case(
            "acme.example/cart/broken",
            "TestPanics",
            "failed",
            &[
                "=== RUN   TestPanics",
                "--- FAIL: TestPanics (0.00s)",
                "panic: assignment to entry in nil map [recovered]",
                "\tpanic: assignment to entry in nil map",
                "",
                "goroutine 6 [running]:",
                "testing.tRunner.func1.2({0x508ec0, 0x551c90})",
                "\t/usr/lib/go-1.19/src/testing/testing.go:1396 +0x24e",
                "testing.tRunner.func1()",
                "\t/usr/lib/go-1.19/src/testing/testing.go:1399 +0x39f",
                "panic({0x508ec0, 0x551c90})",
                "\t/usr/lib/go-1.19/src/runtime/panic.go:884 +0x212",
                "acme.example/cart/broken.TestPanics(0x0?)",
                "\t/builds/acme/junit-go/broken/broken_test.go:5 +0x2e",
                "testing.tRunner(0xc000007860, 0x52f290)",
                "\t/usr/lib/go-1.19/src/testing/testing.go:1446 +0x10b",
                "created by testing.(*T).Run",
                "\t/usr/lib/go-1.19/src/testing/testing.go:1493 +0x35f",
            ],
        ),
    ]
}
