//! Sessions and contexts of pytest-monitor: what is taken and what is not, and filters by tag.

use crate::monitor_setup::{Call, Monitor, calls, metrics};
use crate::setup::start;
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(
    tag_filters_under_both_names,
    wrong_sessions_and_contexts_leave_nothing,
    the_same_again_is_taken_and_something_else_is_not,
    a_session_may_come_after_its_metrics,
);

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
        ("with_tags=a.b,c&method=", &["s0"]),
        ("with_flags=&with_tags=a.b", &["s0", "s2"]),
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
            let tags = other["description"].as_object().unwrap().iter().rev();
            let tags: Vec<String> = tags.map(|(name, value)| format!("{}:{value}", json!(name))).collect();
            other["description"] = json!(format!("{{{}}}", tags.join(",")));
            let _ = monitor.post(&path, &other).expect(201);
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
