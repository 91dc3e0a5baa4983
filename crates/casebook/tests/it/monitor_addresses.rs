//! Addresses of monitor-server's API: names with slashes, pages, methods, descriptions.

use crate::monitor_setup::{Monitor, metrics};
use crate::setup::{program, start};
use casebook_testkit::{TestDatabase, TestServer, both_engines};
use serde_json::json;

both_engines!(
    names_with_slashes_and_other_addresses,
    pages_from_both_ends,
    the_size_of_a_page_comes_from_the_originals_variable,
    methods_and_descriptions,
);

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
    for prefix in ["//api/v1", "/api//v1", "//api//v1//"] {
        let counted = server.get(&format!("{prefix}/metrics//count")).token(&monitor.token).send();
        assert_eq!(counted.expect(200).json()["count"], 15, "{prefix}");
    }
    let builds = monitor.get("/pipelines/p/builds/builds/sessions").expect(200).json();
    assert_eq!((&builds["pipeline"], &builds["build"]), (&json!("p"), &json!("builds")));
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

    // Names that are words of the addresses.
    for field in ["component", "item", "item_variant"] {
        metric[field] = json!("items");
    }
    let _ = monitor.post("/metrics", &metric).expect(201);
    for path in ["/components/items/items/items/metrics", "/components/items/variants/items/metrics"] {
        assert_eq!(monitor.get(path).expect(200).json()["metrics"], json!([metric]), "{path}");
    }

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
    let front = server.get("/index.html").send().expect(200);
    assert!(front.header("content-type").is_some_and(|form| form.starts_with("text/html")));
    // A client glues our links to its base address.
    assert_eq!(monitor.count("/api/v1/metrics/count"), 15);
}

fn the_size_of_a_page_comes_from_the_originals_variable(database: &TestDatabase) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    for (value, arguments, pages) in [
        ("4", &[][..], 4),
        // What is said on the command line wins; what is no size says nothing.
        ("4", &["--monitor-page-size", "2"], 8),
        ("none", &[], 1),
        ("0", &[], 1),
    ] {
        let script = folder.path().join("casebook");
        let text = format!(
            "#!/bin/sh\nMONITOR_SERVER_PAGINATION_COUNT={value} exec {} \"$@\"\n",
            program().display()
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let server = TestServer::start_with(&script, database, arguments);
        let monitor = Monitor::new(&server);
        if monitor.get("/metrics/").status == 204 {
            monitor.record();
        }
        assert_eq!(monitor.get("/metrics/").expect(200).json()["total_page"], pages, "{value} {arguments:?}");
    }
}
