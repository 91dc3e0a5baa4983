//! Tests and their metrics (`buildkite.md` 11.4).

use crate::setup::{Suite, start, text};
use casebook_testkit::{Reply, TestDatabase, Upload, both_engines};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

both_engines!(
    metrics_need_the_version,
    wrong_queries_are_refused,
    tests_are_sorted,
    branches_restrict_what_is_counted,
    tests_are_found_by_name,
    one_test_has_two_spellings,
    one_test_is_always_there,
);

fn members(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn names(tests: &Value) -> Vec<String> {
    tests.as_array().expect("a list").iter().map(|test| text(test, "name")).collect()
}

fn metrics_need_the_version(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let _ = suite.upload(&Upload::new("k1").result("Cart", "a", "passed"));
    let id = text(&suite.test("Cart", "a"), "id");
    let plain = ["file_name", "id", "labels", "location", "name", "scope", "url", "web_url"];
    let metrics = [
        "duration_avg",
        "duration_max",
        "duration_min",
        "duration_sum",
        "executions_count",
        "executions_count_by_result",
        "reliability",
    ];
    let mut both = [&plain[..], &metrics].concat();
    both.sort_unstable();
    let read = |rest: &str, version: Option<&str>| {
        let request = server.get(&suite.path(rest)).token(&suite.read_token);
        version
            .into_iter()
            .fold(request, |request, version| request.header("Buildkite-Version", version))
            .send()
    };
    for (version, expected) in [
        (None, &plain[..]),
        (Some(""), &plain),
        (Some("  "), &plain),
        (Some("2024-02-29"), &plain),
        (Some("2026-07-31"), &plain),
        (Some("2026-08-01"), &both),
        (Some("2026-11-20"), &both),
        (Some("2031-01-01"), &both),
    ] {
        let list = read("/tests", version).expect(200).json();
        assert_eq!(members(&list[0]), expected, "{version:?}");
        assert_eq!(
            members(&read(&format!("/tests/{id}"), version).expect(200).json()),
            expected,
            "{version:?}"
        );
    }
    for version in
        ["latest", "2026-8-1", "20260801", "2026-08-01T00:00:00Z", "01-08-2026", "2026-08-01,", "v1"]
    {
        for rest in ["/tests".to_owned(), format!("/tests/{id}")] {
            let message = read(&rest, Some(version)).expect(400).message();
            assert_eq!(message, "Buildkite-Version must be in format YYYY-MM-DD", "{version}");
        }
    }
}

fn wrong_queries_are_refused(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let _ = suite.upload(&Upload::new("k1").result("Cart", "a", "passed"));
    let id = text(&suite.test("Cart", "a"), "id");
    let time = "2026-01-02T03:04:05Z";
    let windows = [
        "period=2days".to_owned(),
        "period=7".to_owned(),
        "period=1DAY".to_owned(),
        format!("period=7days&min_timestamp={time}"),
        format!("period=7days&max_timestamp={time}"),
        "min_timestamp=yesterday".to_owned(),
        "max_timestamp=2026-13-01T00:00:00Z".to_owned(),
    ];
    let list = ["sort_by=name", "sort_by=-duration_avg", "order=up", "order=DESC", "branch=!a*"];
    let of_list =
        list.map(str::to_owned).into_iter().chain(windows.clone()).map(|query| format!("/tests?{query}"));
    for path in of_list.chain(windows.iter().map(|query| format!("/tests/{id}?{query}"))) {
        let reply = suite.read(&path);
        assert!(matches!(reply.status, 400 | 422), "{path}: {} {}", reply.status, reply.text());
        assert!(!reply.message().is_empty());
    }
    for period in ["1hour", "4hours", "1day", "7days", "14days", "28days"] {
        assert_eq!(names(&suite.get(&format!("/tests?period={period}"))), ["a"], "{period}");
        assert_eq!(suite.get(&format!("/tests/{id}?period={period}"))["executions_count"], 1, "{period}");
    }
    for window in [
        format!("min_timestamp={time}"),
        format!("min_timestamp={time}&max_timestamp=2100-01-01T00:00:00%2B02:00"),
    ] {
        assert_eq!(names(&suite.get(&format!("/tests?{window}"))), ["a"], "{window}");
    }
    assert_eq!(names(&suite.get(&format!("/tests?max_timestamp={time}"))), Vec::<String>::new());
}

fn tests_are_sorted(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let untimed =
        |name: &str, result: &str| json!({ "scope": "", "name": name, "result": result, "history": {} });
    let upload = Upload::new("k1")
        .push(untimed("no time", "passed"))
        .timed("", "long once", "passed", 9.0)
        .timed("", "often", "passed", 4.0)
        .timed("", "often", "passed", 4.0)
        .timed("", "often", "failed", 4.0)
        .timed("", "uneven", "failed", 0.5)
        .timed("", "uneven", "failed", 12.5)
        .timed("", "short", "passed", 0.25)
        .timed("", "short", "failed", 0.75)
        .push(untimed("skipped", "skipped"));
    let _ = suite.upload(&upload);
    // Names in ascending order of the value; then those without a value, in any order.
    let orders: [(&str, &[&str], &[&str]); 5] = [
        ("duration_avg", &["short", "often", "uneven", "long once"], &["no time", "skipped"]),
        ("duration_sum", &["short", "long once", "often", "uneven"], &["no time", "skipped"]),
        ("duration_min", &["short", "uneven", "often", "long once"], &["no time", "skipped"]),
        ("duration_max", &["short", "often", "long once", "uneven"], &["no time", "skipped"]),
        ("reliability", &["uneven", "short", "often"], &["skipped"]),
    ];
    for (sort_by, ascending, without) in orders {
        for order in ["asc", "desc"] {
            let mut expected: Vec<&str> = ascending.to_vec();
            if order == "desc" {
                expected.reverse();
            }
            for window in ["", "&period=1hour"] {
                let mut found = names(&suite.get(&format!("/tests?sort_by={sort_by}&order={order}{window}")));
                let mut last = found.split_off(found.len() - without.len());
                last.sort();
                assert_eq!(last, without, "{sort_by} {order}");
                // Two always pass; which of them is first is nobody's business.
                found.retain(|name| {
                    sort_by != "reliability" || !["no time", "long once"].contains(&name.as_str())
                });
                assert_eq!(found, expected, "{sort_by} {order}");
            }
        }
    }
    let longest_first = names(&suite.get("/tests?sort_by=duration_avg&order=desc"));
    assert_eq!(names(&suite.get("/tests")), longest_first);
    assert_eq!(names(&suite.get("/tests?order=desc&per_page=2&page=2"))[0], "often");
    assert_eq!(suite.test("", "often")["reliability"].as_f64().map(|r| (r * 3.0).round()), Some(2.0));
}

fn branches_restrict_what_is_counted(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    for (key, branch, name, result) in [
        ("1", "main", "a", "passed"),
        ("2", "main", "a", "passed"),
        ("3", "feature/x", "a", "failed"),
        ("4", "feature/y", "b", "failed"),
        ("5", "Feature/z", "c", "passed"),
    ] {
        let _ = suite.upload(&Upload::new(key).branch(branch).result("", name, result));
    }
    let counts = |query: &str| {
        let mut tests = suite.all(&format!("/tests?period=1day&branch={query}"));
        tests.sort_by_key(|test| text(test, "name"));
        let count = |test: &Value| {
            let counts = &test["executions_count_by_result"];
            format!("{} {}/{}", text(test, "name"), counts["passed"], counts["failed"])
        };
        tests.iter().map(count).collect::<Vec<_>>()
    };
    assert_eq!(counts(""), ["a 2/1", "b 0/1", "c 1/0"]);
    assert_eq!(counts("main"), ["a 2/0"]);
    assert_eq!(counts("!main"), ["a 0/1", "b 0/1", "c 1/0"]);
    assert_eq!(counts("feature*"), ["a 0/1", "b 0/1"]);
    assert_eq!(counts("feature/x"), ["a 0/1"]);
    assert_eq!(counts("!feature/x"), ["a 2/0", "b 0/1", "c 1/0"]);
    assert_eq!(counts("mai"), Vec::<String>::new());
    assert_eq!(counts("*"), ["a 2/1", "b 0/1", "c 1/0"]);
    // Blanks and wild cards of databases mean nothing.
    assert_eq!(counts("%25*"), Vec::<String>::new());
    assert_eq!(counts("f_ature*"), Vec::<String>::new());
    let id = text(&suite.test("", "a"), "id");
    assert_eq!(suite.get(&format!("/tests/{id}?branch=feature*"))["executions_count"], 1);
}

fn find(suite: &Suite<'_>, body: &Value) -> Reply {
    suite.server.post(&suite.path("/tests/find")).token(&suite.read_token).json(body).send()
}

fn tests_are_found_by_name(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let upload = Upload::new("k1").result("Cart", "a", "passed").result("", "no scope", "passed");
    let _ = suite.upload(&upload.result("Cart a", "b", "passed"));
    let found = find(&suite, &json!({ "scope": "Cart", "name": "a" })).expect(200).json();
    let mut expected = suite.test("Cart", "a");
    let metric = |name: &str| name.starts_with("duration") || name.starts_with("executions");
    expected
        .as_object_mut()
        .unwrap()
        .retain(|name, _| !metric(name) && name != "reliability" && name != "labels");
    assert_eq!(found, expected);
    for scope in [json!({ "scope": "", "name": "no scope" }), json!({ "scope": null, "name": "no scope" })] {
        assert_eq!(find(&suite, &scope).expect(200).json()["name"], "no scope");
    }
    for (scope, name) in
        [("Cart", "A"), ("cart", "a"), ("", "Cart a"), ("Cart", " a"), ("Cart a", "a"), ("", "")]
    {
        let reply = find(&suite, &json!({ "scope": scope, "name": name }));
        assert!(!reply.expect(404).message().is_empty(), "{scope} {name}");
    }
    let other = suite.sibling("other");
    assert!(!find(&other, &json!({ "scope": "Cart", "name": "a" })).expect(404).message().is_empty());
    for body in [json!([]), json!({}), json!({ "scope": "Cart" }), json!({ "scope": 1, "name": "a" })] {
        let reply = find(&suite, &body);
        assert!(matches!(reply.status, 400 | 422), "{body}: {}", reply.text());
        assert!(!reply.message().is_empty());
    }
    let broken = server.post(&suite.path("/tests/find")).token(&suite.read_token).bytes("{").send();
    assert!(!broken.expect(400).message().is_empty());
}

/// pytest writes one test in two ways: as a node path and as a class name.
fn one_test_has_two_spellings(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let id = |scope: &str| {
        let found = find(&suite, &json!({ "scope": scope, "name": "test_pays" })).expect(200).json();
        (text(&found, "id"), text(&found, "scope"))
    };
    let (path, class) = ("tests/test_cart.py::TestCheckout", "tests.test_cart.TestCheckout");
    let _ = suite.upload(&Upload::new("k1").result(path, "test_pays", "passed"));
    let (first, scope) = id(path);
    assert_eq!(scope, path);
    assert_eq!(id(class), (first.clone(), path.to_owned()));
    let xml = format!(
        "<testsuite><testcase classname='{class}' name='test_pays'><failure/></testcase></testsuite>"
    );
    let _ = suite.upload_junit("k2", xml);
    assert_eq!((id(path), id(class)), ((first.clone(), class.to_owned()), (first.clone(), class.to_owned())));
    let tests = suite.tests();
    assert_eq!(tests.len(), 1);
    assert_eq!(tests[0]["executions_count_by_result"], json!({ "passed": 1, "failed": 1 }));
}

fn one_test_is_always_there(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = suite.run(&suite.upload(&Upload::new("clock"))["run_id"]);
    let now: Timestamp = text(&now, "created_at").parse().unwrap();
    let old = (now - SignedDuration::from_hours(20 * 24)).to_string();
    let _ = suite.upload(&Upload::new("k1").env("started_at", old).timed("Cart", "a", "failed", 2.0));
    let id = text(&find(&suite, &json!({ "scope": "Cart", "name": "a" })).expect(200).json(), "id");
    let metrics = |rest: &str| {
        let test = suite.get(&format!("/tests/{id}{rest}"));
        let names = [
            "reliability",
            "duration_avg",
            "duration_sum",
            "duration_min",
            "duration_max",
            "executions_count",
        ];
        assert_eq!((text(&test, "scope"), text(&test, "name")), ("Cart".to_owned(), "a".to_owned()));
        assert_eq!(test["labels"], json!([]));
        (names.map(|name| test[name].clone()), test["executions_count_by_result"].clone())
    };
    let nothing = (
        [json!(null), json!(null), json!(null), json!(null), json!(null), json!(0)],
        json!({ "passed": 0, "failed": 0 }),
    );
    assert_eq!(metrics(""), nothing);
    assert_eq!(metrics("?period=1hour"), nothing);
    let one = (
        [json!(0.0), json!(2.0), json!(2.0), json!(2.0), json!(2.0), json!(1)],
        json!({ "passed": 0, "failed": 1 }),
    );
    assert_eq!(metrics("?period=28days"), one);
    assert_eq!(metrics(&format!("?min_timestamp={}", now - SignedDuration::from_hours(21 * 24))), one);
    assert_eq!(suite.get("/tests"), json!([]));
    // Without the version the list has no window.
    let all = server.get(&suite.path("/tests")).token(&suite.read_token).send().expect(200).json();
    assert_eq!(names(&all), ["a"]);
}
