//! monitor-server's API, operation by operation, on the recorded calls of pytest-monitor.

use crate::setup::{Suite, program, sample, start, token};
use casebook_testkit::{Reply, TestDatabase, TestServer, both_engines};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;

both_engines!(
    recorded_calls_get_the_recorded_answers,
    every_listing_and_count,
    every_listing_of_names,
    heads_and_tails_of_resources,
    names_with_slashes_and_other_addresses,
    tag_filters_under_both_names,
    pages_from_both_ends,
    wrong_metrics_name_every_wrong_field,
    wrong_sessions_and_contexts_leave_nothing,
    the_same_again_is_taken_and_something_else_is_not,
    a_session_may_come_after_its_metrics,
    doubles_come_back_bit_by_bit,
    methods_and_descriptions,
);

const CONTEXT: &str = "03176e33498557db7bcd2be22700fc3c";
const FIRST: &str = "67b0bbee27deb1c2bfb9908690458da1";
const SECOND: &str = "050f8748668c719ed94b7e68f7c961a2";

/// A suite, and a token that may do everything in it.
struct Monitor<'s> {
    server: &'s TestServer,
    token: String,
}

impl<'s> Monitor<'s> {
    fn new(server: &'s TestServer) -> Self {
        let suite = Suite::new(server, "cart");
        Self { server, token: token(server, &["--suite", &suite.name, "--scope", "write"]) }
    }

    /// One into which the recorded calls went.
    fn recorded(server: &'s TestServer) -> Self {
        let monitor = Self::new(server);
        for call in calls().iter().filter(|call| call.method == "POST") {
            let _ = monitor.send(&call.path, &call.body).expect(201);
        }
        monitor
    }

    fn get(&self, path: &str) -> Reply {
        self.server.get(&format!("/api/v1{path}")).token(&self.token).send()
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(path, &body.to_string())
    }

    /// Posts a text as it is: the order of its members counts.
    fn send(&self, path: &str, body: &str) -> Reply {
        let request = self.server.post(&format!("/api/v1{path}")).token(&self.token);
        request.header("Content-Type", "application/json").bytes(body).send()
    }

    #[track_caller]
    fn count(&self, path: &str) -> Value {
        self.get(path).expect(200).json()["count"].clone()
    }
}

/// A recorded call, below the prefix.
struct Call {
    method: String,
    path: String,
    body: String,
    status: Value,
    answer: Value,
}

fn calls() -> Vec<Call> {
    let text = String::from_utf8(sample("pytest-monitor/calls.jsonl")).unwrap();
    let call = |line: &str| {
        let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
        let text = |name: &str| serde_json::from_str::<String>(raw[name].get()).unwrap();
        let answer: Value = serde_json::from_str(raw["answer"].get()).unwrap();
        Call {
            method: text("method"),
            path: text("path").strip_prefix("/api/v1").unwrap().to_owned(),
            body: raw["body"].get().to_owned(),
            status: answer["status"].clone(),
            answer: answer["body"].clone(),
        }
    };
    text.lines().map(call).collect()
}

/// What is shown of one kind after the recorded calls.
fn expected(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_slice(&sample("pytest-monitor/expected.json")).unwrap();
    all[kind].as_array().unwrap().clone()
}

/// The recorded metrics with these numbers, counted from 0.
fn metrics(numbers: &[usize]) -> Vec<Value> {
    let all = expected("metrics");
    numbers.iter().map(|number| all[*number].clone()).collect()
}

fn recorded_calls_get_the_recorded_answers(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::new(&server);
    for Call { method, path, body, status, answer } in calls() {
        let reply = if method == "GET" { monitor.get(&path) } else { monitor.send(&path, &body) };
        assert_eq!(json!(reply.status), status, "{path} {body}: {}", reply.text());
        if reply.status == 204 {
            assert!(reply.body.is_empty());
            continue;
        }
        let mut shown = reply.json();
        // Listed contexts have their identifier under a second name, too.
        if let Some(context) = shown.pointer_mut("/contexts/0").and_then(Value::as_object_mut) {
            assert_eq!(context.remove("context_h"), Some(json!(CONTEXT)));
        }
        assert_eq!(shown, answer, "{path}");
    }
}

fn every_listing_and_count(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::recorded(&server);
    let all: Vec<usize> = (0..15).collect();
    let none: &[usize] = &[];
    let (first, second): (Vec<usize>, Vec<usize>) = ((0..12).collect(), (12..15).collect());
    let functions = &[0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14];
    for (path, numbers) in [
        ("/metrics/", all.as_slice()),
        (&format!("/contexts/{CONTEXT}/metrics"), &all),
        ("/contexts/03176e/metrics", none),
        (&format!("/sessions/{FIRST}/metrics"), &first),
        (&format!("/sessions/{SECOND}/metrics"), &second),
        ("/sessions/67b0/metrics", none),
        ("/items/test_open/metrics", &[0, 1, 12, 13]),
        ("/items/test_OPEN/metrics", none),
        ("/items/like/TEST_P/metrics", &[4, 5, 6, 7, 11]),
        ("/items/like/t%25t_SU_/metrics", &[10]),
        ("/items/like/nothing/metrics", none),
        ("/variants/test_prime%5B2%5D/metrics", &[4]),
        ("/variants/test_open[c::d,%20rw,%20x]/metrics", &[1, 13]),
        ("/variants/like/_prime%5B%25%5D/metrics", &[4, 5, 6, 7, 8, 9]),
        ("/variants/like/%5B2/metrics", &[4, 8]),
        ("/variants/like/%5B2/", &[4, 8]),
        ("/filters/scope/function/metrics", functions),
        ("/filters/scope/module/metrics", &[3, 11]),
        ("/filters/scope/Function/metrics", none),
        ("/filters/scm/FC3D/metrics", &all),
        ("/filters/scm/0000/metrics", none),
        ("/components/math.prime/metrics", &[4, 5, 6, 7, 8, 9, 10, 11]),
        ("/components/math/metrics", none),
        ("/components/metrics", &[0, 1, 2, 3]),
        ("/components/lib/items/test_open/metrics", &[12, 13]),
        ("/components/math.prime/items/test_open/metrics", none),
        ("/components/items/test_open/metrics", &[0, 1]),
        ("/components/lib/variants/test_memory/metrics", &[14]),
        ("/components/variants/test_memory/metrics", &[2]),
    ] {
        let reply = monitor.get(path);
        if numbers.is_empty() {
            assert_eq!((reply.status, reply.text()), (204, String::new()), "{path}");
        } else {
            let expected = json!({ "metrics": metrics(numbers), "total_page": 1 });
            assert_eq!(reply.expect(200).json(), expected, "{path}");
        }
        let counted = !path.starts_with("/components/") && !path.contains("/like/");
        if counted {
            let path = path.replace("/metrics", "/metrics/count").replace("//", "/");
            assert_eq!(monitor.count(&path.replace("count/", "count")), numbers.len(), "{path}");
        }
    }
    assert_eq!(monitor.count("/contexts/count"), 1);
    assert_eq!(monitor.count("/sessions/count"), 2);
    // The name for none is listed, but not counted.
    assert_eq!(monitor.count("/components/count"), 2);
    // There is no count for patterns: this counts the test named like.
    assert_eq!(monitor.count("/items/like/metrics/count"), 0);
}

fn every_listing_of_names(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::new(&server);
    let empty = |kind: &str| json!({ "pipeline": "p", kind: [], "prev_url": null, "next_url": null, "total_page": 0 });
    for path in ["/metrics/", "/contexts/", "/sessions/", "/components/", "/pipelines/"] {
        assert_eq!(monitor.get(path).status, 204, "{path}");
    }
    assert_eq!(monitor.get("/pipelines/p/builds").expect(200).json(), empty("builds"));
    let monitor = Monitor::recorded(&server);
    let sessions = expected("sessions");
    let mut context = expected("contexts")[0].clone();
    context["context_h"] = json!(CONTEXT);
    let links = |mut body: Value, key: &str, names: &[&str]| {
        body[key] = json!(names);
        body["prev_url"] = Value::Null;
        body["next_url"] = Value::Null;
        body["total_page"] = json!(i32::from(!names.is_empty()));
        body
    };
    let component = || json!({ "component": "math.prime" });
    let in_pipeline = |mut body: Value| {
        body["pipeline"] = json!("unit-tests");
        body
    };
    let in_build = |body: Value| {
        let mut body = in_pipeline(body);
        body["build"] = json!("314");
        body
    };
    for (path, expected) in [
        ("/contexts/", json!({ "contexts": [context], "total_page": 1 })),
        ("/contexts/03176E", json!({ "contexts": [context], "total_page": 1 })),
        ("/sessions/", json!({ "sessions": sessions, "total_page": 1 })),
        ("/sessions/67B0bb", json!({ "sessions": [sessions[0]], "total_page": 1 })),
        (&format!("/sessions/{SECOND}"), json!({ "sessions": [sessions[1]], "total_page": 1 })),
        ("/filters/scm/fc3d/sessions", json!({ "sessions": sessions, "total_page": 1 })),
        ("/components/", json!({ "components": ["", "math.prime", "lib"], "total_page": 1 })),
        ("/components/MATH", json!({ "components": ["math.prime"], "total_page": 1 })),
        ("/pipelines/", json!({ "pipelines": ["unit-tests"] })),
        ("/pipelines/unit-tests/builds", links(in_pipeline(json!({})), "builds", &["314"])),
        ("/pipelines/unit-tests/builds/314/sessions", links(in_build(json!({})), "sessions", &[FIRST])),
        ("/components/math.prime/pipelines", links(component(), "pipelines", &["unit-tests"])),
        ("/components/lib/pipelines", links(json!({ "component": "lib" }), "pipelines", &[])),
        (
            "/components/math.prime/pipelines/unit-tests/builds",
            links(in_pipeline(component()), "builds", &["314"]),
        ),
        (
            "/components/math.prime/pipelines/unit-tests/builds/314/sessions",
            links(in_build(component()), "sessions", &[FIRST]),
        ),
    ] {
        assert_eq!(monitor.get(path).expect(200).json(), expected, "{path}");
    }
    for path in ["/contexts/zz", "/sessions/zz", "/components/zz", "/filters/scm/zz/sessions"] {
        let reply = monitor.get(path);
        assert_eq!((reply.status, reply.text()), (204, String::new()), "{path}");
    }
}

fn heads_and_tails_of_resources(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::recorded(&server);
    for (path, numbers) in [
        ("/resources/memory/head/3/metrics", &[14, 2, 11][..]),
        ("/resources/total_time/head/2/metrics", &[11, 3]),
        ("/resources/total_time/tail/2/metrics", &[13, 8]),
        // Equal values in the order of their arrival, at both ends.
        ("/resources/memory/components/math.prime/head/metrics", &[11, 8, 9, 10, 4, 5, 6, 7]),
        ("/resources/memory/components/math.prime/tail/5/metrics", &[4, 5, 6, 7, 8]),
        ("/resources/memory/pipelines/unit-tests/head/1/metrics", &[2]),
        ("/resources/memory/pipelines/unit-tests/builds/314/tail/2/metrics", &[0, 1]),
        ("/resources/memory/pipelines/unit-tests/builds/315/tail/metrics", &[]),
        ("/resources/memory/head/0/metrics", &[]),
        ("/resources/memory/head/1/metrics?page=7", &[14]),
    ] {
        let expected =
            json!({ "metrics": metrics(numbers), "prev_url": null, "next_url": null, "total_page": 1 });
        assert_eq!(monitor.get(path).expect(200).json(), expected, "{path}");
    }
    for (path, rows) in [
        ("/resources/cpu/head/metrics", 10),
        ("/resources/user_time/tail/metrics", 10),
        ("/resources/kernel_time/tail/501/metrics", 15),
        ("/resources/cpu/components/lib/head/99999999999999999999/metrics", 3),
    ] {
        assert_eq!(
            monitor.get(path).expect(200).json()["metrics"].as_array().map(Vec::len),
            Some(rows),
            "{path}"
        );
    }
    for path in [
        "/resources/foo/head/metrics",
        "/resources/memory/head/-1/metrics",
        "/resources/memory/head/+1/metrics",
        "/resources/memory/head/x/metrics",
        "/resources/Memory/head/metrics",
    ] {
        assert!(!monitor.get(path).expect(404).message().is_empty(), "{path}");
    }
}

fn names_with_slashes_and_other_addresses(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::recorded(&server);
    for path in [
        "/variants/test_open%5Ba%2Fb.txt%2C%20r%5D/metrics",
        "/variants/test_open[a/b.txt,%20r]/metrics",
        "/variants/test_open[a/b.txt,%20r]/metrics/",
        "//variants//test_open%5Ba%2Fb.txt%2C%20r%5D//metrics",
        "/api/v1/variants/test_open[a/b.txt,%20r]/metrics",
    ] {
        let expected = json!({ "metrics": metrics(&[0, 12]), "total_page": 1 });
        assert_eq!(monitor.get(path).expect(200).json(), expected, "{path}");
    }
    let tags = json!({ "pipeline_branch": "feature/x", "pipeline_build_no": "b/1" });
    let session =
        json!({ "session_h": "s/1", "run_date": "2026-01-01", "scm_ref": "r/1", "description": tags });
    let _ = monitor.post("//sessions//", &session).expect(201);
    let mut metric = metrics(&[0])[0].clone();
    for (field, value) in
        [("session_h", "s/1"), ("context_h", "c/1"), ("component", "a/b"), ("item", "i+%41")]
    {
        metric[field] = json!(value);
    }
    let _ = monitor.post("/metrics", &metric).expect(201);
    let found = json!({ "metrics": [metric], "total_page": 1 });
    for path in [
        "/sessions/s%2F1/metrics",
        "/sessions/s/1/metrics",
        "/contexts/c%2F1/metrics",
        "/contexts/c/1/metrics",
        "/components/a%2Fb/metrics",
        "/components/a/b/metrics",
        "/components/a/b/items/i+%2541/metrics",
        "/filters/scm/r/1/metrics",
    ] {
        assert_eq!(monitor.get(path).expect(200).json(), found, "{path}");
    }
    assert_eq!(monitor.count("/sessions/s/1/metrics/count"), 1);
    for path in [
        "/pipelines/feature%2Fx/builds",
        "/pipelines/feature/x/builds",
        "/components/a/b/pipelines/feature/x/builds",
    ] {
        assert_eq!(monitor.get(path).expect(200).json()["builds"], json!(["b/1"]), "{path}");
    }
    let path = "/components/a%2Fb/pipelines/feature/x/builds/b/1/sessions";
    assert_eq!(monitor.get(path).expect(200).json()["sessions"], json!(["s/1"]));
    let path = "/resources/memory/pipelines/feature/x/builds/b/1/head/metrics";
    assert_eq!(monitor.get(path).expect(200).json()["metrics"], json!([metric]));

    // Names that are hard to write, as they are and back.
    for name in ["[ ]", ":,% +&=?#;'\"\\{}<>@$~|^*", "\t", "é — 😀", "100%25", "a//b"] {
        let mut metric = metric.clone();
        metric["item"] = json!(name);
        let _ = monitor.post("/metrics/", &metric).expect(201);
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let listed = monitor.get(&format!("/items/{encoded}/metrics")).expect(200).json();
        assert_eq!(listed["metrics"], json!([metric]), "{name}");
    }
    for path in ["/nothing", "/metrics/nothing", "/variants", "/resources/memory/metrics", "/filters/scope/x"]
    {
        let reply = monitor.get(path).expect(404).json();
        assert!(!reply["message"].as_str().unwrap().is_empty(), "{path}");
        assert_eq!(reply.get("error").is_some(), path == "/nothing", "{path}");
    }
    let root = server.get("/contexts/").token(&monitor.token).send().expect(404);
    assert!(!root.message().is_empty());
}

fn tag_filters_under_both_names(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::new(&server);
    let tags = [
        json!({ "a.b": "1", "c": "x y", "n": 7, "t": true, "z": null }),
        json!({ "c": "x y", "e": "" }),
        json!({ "a.b": "2" }),
    ];
    for (number, description) in tags.iter().enumerate() {
        let session = json!({ "session_h": format!("s{number}"), "run_date": "2026-01-01T00:00:00.5Z", "description": description });
        let shown = monitor.post("/sessions/", &session).expect(201).json();
        assert_eq!(
            (shown["run_date"].as_str(), &shown["scm_ref"]),
            (Some("2026-01-01T00:00:00.500000+00:00"), &json!(""))
        );
    }
    let shown = monitor.get("/sessions/s0").expect(200).json()["sessions"][0]["tags"].clone();
    let tag = |name: &str, value: Value| json!({ "name": name, "value": value });
    let expected = [
        tag("a.b", json!("1")),
        tag("c", json!("x y")),
        tag("n", json!("7")),
        tag("t", json!("True")),
        tag("z", Value::Null),
    ];
    assert_eq!(shown, json!(expected));
    for (query, expected) in [
        ("", &["s0", "s1", "s2"][..]),
        ("with_flags=", &["s0", "s1", "s2"]),
        ("restrict_flags=1", &["s0", "s1", "s2"]),
        ("with_flags=a.b", &["s0", "s2"]),
        ("with_tags=a.b", &["s0", "s2"]),
        ("with_tags=a.b,c", &["s0", "s1", "s2"]),
        ("with_tags=a.b,c&method=match_any", &["s0", "s1", "s2"]),
        ("with_tags=a.b,c&method=match_all", &["s0"]),
        ("with_tags=a.b%2Cc&method=anything", &["s0"]),
        ("with_flags=a.b,c&restrict_flags=2,x+y", &["s0", "s1", "s2"]),
        ("with_flags=a.b,c&restrict_flags=1,x%20y,9&method=match_all", &["s0"]),
        ("with_flags=a.b,c&restrict_flags=,x+z", &["s0", "s2"]),
        ("with_flags=e", &[]),
        ("with_flags=z", &[]),
        ("with_flags=n&restrict_flags=7", &["s0"]),
        ("with_flags=t&restrict_flags=True&per_page=1", &["s0"]),
    ] {
        let reply = monitor.get(&format!("/sessions/?{query}"));
        if expected.is_empty() {
            assert_eq!(reply.status, 204, "{query}");
            continue;
        }
        let listed = reply.expect(200).json();
        let keys: Vec<&Value> =
            listed["sessions"].as_array().unwrap().iter().map(|s| &s["session_h"]).collect();
        assert_eq!(json!(keys), json!(expected), "{query}");
    }
    let listed = monitor.get("/sessions/S2?with_flags=a.b").expect(200).json();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(monitor.get("/sessions/s1?with_flags=a.b").status, 204);
}

fn pages_from_both_ends(database: &TestDatabase) {
    let server = TestServer::start_with(program(), database, &["--monitor-page-size", "2"]);
    let monitor = Monitor::recorded(&server);
    let variant = "/variants/like/test_p/metrics";
    let numbers = [4, 5, 6, 7];
    for (path, rows, prev, next) in [
        (format!("{variant}?x=a+b,c"), &numbers[..2], None, Some("?x=a+b%2Cc&page=2")),
        (format!("{variant}?page=2"), &numbers[2..], Some("?page=1"), None),
        (format!("{variant}?page=-1&y=1"), &numbers[2..], Some("?page=1&y=1"), None),
        (format!("{variant}?page=-2"), &numbers[..2], None, Some("?page=2")),
        (format!("{variant}?page=1.5"), &numbers[..2], None, Some("?page=2")),
        (format!("{variant}?page=2&page=1"), &numbers[2..], Some("?page=1"), None),
    ] {
        let mut expected = json!({ "metrics": metrics(rows), "total_page": 2 });
        for (key, link) in [("prev_url", prev), ("next_url", next)] {
            if let Some(link) = link {
                expected[key] = json!(format!("/api/v1{variant}{link}"));
            }
        }
        assert_eq!(monitor.get(&path).expect(200).json(), expected, "{path}");
    }
    for page in ["0", "3", "-3", "99999999999999999999"] {
        assert!(!monitor.get(&format!("{variant}?page={page}")).expect(404).message().is_empty(), "{page}");
    }
    let in_body =
        server.get(&format!("/api/v1{variant}")).token(&monitor.token).json(&json!({ "page": -1 })).send();
    assert_eq!(in_body.expect(200).json()["metrics"], json!(metrics(&numbers[2..])));
    let empty = server
        .get("/api/v1/metrics/")
        .token(&monitor.token)
        .header("Content-Type", "application/json")
        .send();
    assert_eq!(empty.expect(200).json()["total_page"], 8);
    let path = "/variants/like/t%5B1%2C%20x%5D:/metrics";
    assert_eq!(monitor.get(path).status, 204);
    assert_eq!(monitor.get(&format!("{path}?page=-1")).status, 404);
    assert_eq!(monitor.get("/filters/scm/zz/metrics?page=4").status, 204);
    assert_eq!(monitor.get("/pipelines/?page=4").status, 200);

    let link = monitor.get("/contexts/?page=-1").expect(200).json();
    assert_eq!(link, json!({ "contexts": link["contexts"], "total_page": 1 }));
    for number in 0..5 {
        let tags = json!({ "pipeline_branch": "circleci:monitor", "pipeline_build_no": number });
        let session =
            json!({ "h": format!("n{number}"), "run_date": "2026-01-01", "description": tags.to_string() });
        let _ = monitor.post("/sessions/", &session).expect(201);
    }
    let builds = monitor.get("/api/v1/pipelines/circleci:monitor/builds?page=2").expect(200).json();
    let page = |number: i32| format!("/api/v1/pipelines/circleci:monitor/builds?page={number}");
    let expected = json!({ "pipeline": "circleci:monitor", "builds": ["2", "3"], "prev_url": page(1), "next_url": page(3), "total_page": 3 });
    assert_eq!(builds, expected);
    let variant = "/variants/like/t%25_o%25%5B%25%2C%20r/metrics";
    let listed = monitor.get(&format!("{variant}?page=1")).expect(200).json();
    assert_eq!(listed["total_page"], 2, "{listed}");
    assert_eq!(listed["next_url"], json!(format!("/api/v1{variant}?page=2")));
}

fn wrong_metrics_name_every_wrong_field(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::new(&server);
    let good = metrics(&[0])[0].clone();
    let refused = |body: &Value| {
        let answer = monitor.post("/metrics/", body).expect(400).json();
        assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
        let mut fields: Vec<String> = answer["errors"].as_object().unwrap().keys().cloned().collect();
        fields.sort();
        fields
    };
    let mut all: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
    all.sort();
    assert_eq!(refused(&json!({})), all);
    for field in &all {
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().remove(field);
        assert_eq!(refused(&missing), [field.as_str()]);
        let is_number = good[field].is_number();
        let wrong =
            [json!(null), json!(true), json!([]), json!({}), if is_number { json!("1") } else { json!(1) }];
        for value in wrong {
            let mut body = good.clone();
            body[field] = value.clone();
            assert_eq!(refused(&body), [field.as_str()], "{value}");
        }
    }
    let mut several = good.clone();
    several["cpu_usage"] = json!(null);
    several["item"] = json!(7);
    assert_eq!(refused(&several), ["cpu_usage", "item"]);
    for body in [json!([good]), json!("x"), json!(null)] {
        assert_eq!(refused(&body), [""], "{body}");
    }
    for text in ["", "{", "{\"cpu_usage\": NaN}", "nonsense"] {
        let request =
            server.post("/api/v1/metrics/").token(&monitor.token).header("Content-Type", "application/json");
        assert!(!request.bytes(text).send().expect(400).message().is_empty(), "{text}");
    }
    let infinite = good.to_string().replace("\"mem_usage\":0.3671875", "\"mem_usage\":1e999");
    let request =
        server.post("/api/v1/metrics/").token(&monitor.token).header("Content-Type", "application/json");
    assert_eq!(
        request.bytes(infinite).send().expect(400).json()["errors"].as_object().map(serde_json::Map::len),
        Some(1)
    );
    let request = server.post("/api/v1/metrics/").token(&monitor.token).header("Content-Type", "text/plain");
    assert_eq!(request.bytes(good.to_string()).send().status, 400);
    assert_eq!(monitor.count("/metrics/count"), 0);

    // Names of the documentation, unknown members, and other types of JSON are taken.
    let mut documented = good.clone();
    for (name, documented_name) in
        [("context_h", "ctx_h"), ("total_time", "wall_time"), ("kernel_time", "krnl_time")]
    {
        let value = documented.as_object_mut().unwrap().remove(name).unwrap();
        documented[documented_name] = value;
    }
    documented["unknown"] = json!({});
    let request = server.post("/api/v1/metrics/").token(&monitor.token);
    let request = request.header("Content-Type", "application/vnd.x+json; charset=utf-8");
    assert_eq!(request.bytes(documented.to_string()).send().expect(201).json(), good);
    assert_eq!(monitor.post("/metrics/", &good).expect(201).json(), good);
    assert_eq!(monitor.count("/metrics/count"), 2);
}

fn wrong_sessions_and_contexts_leave_nothing(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::new(&server);
    let session = json!({ "session_h": "s", "run_date": "2026-01-01", "scm_ref": "r", "description": {} });
    let context = json!({ "h": "c", "cpu_count": 2, "cpu_frequency": 2399.98, "cpu_type": "", "ram_total": 1, "machine_node": "n",
        "machine_type": "t", "machine_arch": "a", "system_info": "s", "python_info": "p\nq" });
    for (path, good, field, wrong) in [
        (
            "/sessions/",
            &session,
            "description",
            vec![json!([]), json!(1), json!(true), json!(null), json!("text"), json!("[1]")],
        ),
        ("/sessions/", &session, "run_date", vec![json!("soon"), json!("2026-02-30"), json!(1), json!(null)]),
        ("/sessions/", &session, "session_h", vec![json!(""), json!(1), json!(null)]),
        ("/sessions/", &session, "scm_ref", vec![json!(1), json!([])]),
        ("/contexts/", &context, "cpu_count", vec![json!("many"), json!(null), json!(true)]),
        ("/contexts/", &context, "cpu_frequency", vec![json!("fast"), json!([])]),
        ("/contexts/", &context, "machine_node", vec![json!(1), json!(null)]),
        ("/contexts/", &context, "h", vec![json!(""), json!(null)]),
    ] {
        let mut bodies: Vec<Value> = wrong
            .into_iter()
            .map(|value| {
                let mut body = good.clone();
                body[field] = value;
                body
            })
            .collect();
        if field != "scm_ref" {
            let mut missing = good.clone();
            missing.as_object_mut().unwrap().remove(field);
            bodies.push(missing);
        }
        for body in bodies {
            let answer = monitor.post(path, &body).expect(400).json();
            assert!(answer["message"].is_string() && answer["errors"][field].is_string(), "{body}: {answer}");
        }
    }
    assert_eq!((monitor.count("/sessions/count"), monitor.count("/contexts/count")), (json!(0), json!(0)));

    let shown = monitor.post("/contexts/ignored", &context).expect(201).json();
    assert_eq!(
        (&shown["h"], &shown["cpu_frequency"], &shown["cpu_vendor"]),
        (&json!("c"), &json!(2399), &json!(""))
    );
    let mut unnamed = session.clone();
    unnamed.as_object_mut().unwrap().remove("session_h");
    assert_eq!(monitor.post("/sessions/of-path", &unnamed).expect(201).json()["session_h"], "of-path");
    assert_eq!(monitor.post("/sessions/of-path", &session).expect(201).json()["session_h"], "s");
}

fn the_same_again_is_taken_and_something_else_is_not(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::recorded(&server);
    let before = (monitor.get("/contexts/").json(), monitor.get("/sessions/").json());
    for Call { method, path, body, answer, .. } in calls() {
        if method != "POST" || path == "/metrics/" {
            continue;
        }
        assert_eq!(monitor.send(&path, &body).expect(201).json(), answer);
        let mut other: Value = serde_json::from_str(&body).unwrap();
        if path == "/contexts/" {
            other["cpu_frequency"] = json!(2596.9);
            let _ = monitor.post(&path, &other).expect(201);
            other["machine_node"] = json!("other");
        } else {
            other["scm_ref"] = json!("other");
        }
        assert!(!monitor.post(&path, &other).expect(409).message().is_empty());
    }
    assert_eq!((monitor.get("/contexts/").json(), monitor.get("/sessions/").json()), before);
}

fn a_session_may_come_after_its_metrics(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::new(&server);
    let mut metric = metrics(&[4])[0].clone();
    metric["session_h"] = json!("later");
    let _ = monitor.post("/metrics/", &metric).expect(201);
    assert_eq!(monitor.count("/sessions/later/metrics/count"), 1);
    let through_session = [
        "/filters/scm/abc/metrics",
        "/resources/memory/pipelines/main/head/metrics",
        "/resources/memory/pipelines/main/builds/7/head/metrics",
    ];
    for path in through_session {
        let reply = monitor.get(path);
        assert!(reply.status == 204 || reply.json()["metrics"] == json!([]), "{path}");
    }
    let tags = json!({ "pipeline_branch": "main", "pipeline_build_no": "7" });
    let session =
        json!({ "session_h": "later", "run_date": "2026-01-01", "scm_ref": "abc", "description": tags });
    let _ = monitor.post("/sessions/", &session).expect(201);
    for path in through_session {
        assert_eq!(monitor.get(path).expect(200).json()["metrics"], json!([metric]), "{path}");
    }
    let builds = monitor.get("/components/math.prime/pipelines/main/builds").expect(200).json();
    assert_eq!(builds["builds"], json!(["7"]));
}

fn doubles_come_back_bit_by_bit(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::new(&server);
    let texts = [
        "0.1",
        "5e-324",
        "1.7976931348623157e308",
        "2.2250738585072011e-308",
        "0.30000000000000004",
        "-0.0",
        "9007199254740993",
        "1",
        "123456789.12345679",
        "8.41e21",
        "7.2057594037927933e16",
        "0.000001",
    ];
    for text in texts {
        let metric =
            metrics(&[0])[0].to_string().replace("\"mem_usage\":0.3671875", &format!("\"mem_usage\":{text}"));
        let request =
            server.post("/api/v1/metrics/").token(&monitor.token).header("Content-Type", "application/json");
        let posted = request.bytes(metric).send().expect(201).text();
        let listed = monitor.get("/metrics/?page=-1").expect(200).text();
        for answer in [posted, listed] {
            let shown = answer.rsplit("\"mem_usage\":").next().unwrap();
            let shown: String = shown.chars().take_while(|c| !",}".contains(*c)).collect();
            let (sent, shown): (f64, f64) = (text.parse().unwrap(), shown.parse().unwrap());
            assert_eq!(sent.to_bits(), shown.to_bits(), "{text}");
        }
    }
}

fn methods_and_descriptions(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::recorded(&server);
    let head = server.request("HEAD", "/api/v1/metrics/count").token(&monitor.token).send();
    assert_eq!((head.status, head.body.len()), (200, 0));
    let options = server.request("OPTIONS", "/api/v1/metrics/").send();
    assert_eq!((options.status, options.header("allow")), (200, Some("GET, HEAD, OPTIONS, POST")));
    let wrong = server.request("DELETE", "/api/v1/items/x/metrics").token(&monitor.token).send();
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    assert_eq!(wrong.message(), "The method is not allowed for the requested URL.");

    let document = server.get("/api/v1/swagger.json").send().expect(200).json();
    assert_eq!((&document["swagger"], &document["basePath"]), (&json!("2.0"), &json!("/api/v1")));
    let operations: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|path| path.as_object().unwrap().keys().filter(|key| *key != "parameters").count())
        .sum();
    assert_eq!(operations, 59 + 2);
    let page = server.get("/api/v1/docs").send().expect(200);
    assert!(page.header("content-type").is_some_and(|form| form.starts_with("text/html")));
    // A client glues our links to its base address.
    assert_eq!(monitor.count("/api/v1/metrics/count"), 15);
}
