//! monitor-server's listings and counts, on the recorded calls of pytest-monitor.

use crate::monitor_setup::{CONTEXT, Call, FIRST, Monitor, SECOND, calls, expected, metrics};
use crate::setup::start;
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(
    recorded_calls_get_the_recorded_answers,
    every_listing_and_count,
    every_listing_of_names,
    heads_and_tails_of_resources,
);

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
