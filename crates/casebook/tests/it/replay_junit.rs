//! JUnit files of real tools, uploaded as their users would; every row was checked by eye against its file.

use crate::setup::{Suite, sample, start, text};
use casebook_testkit::{Form, TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(every_file_is_stored_as_written, several_failures_of_one_testcase_are_one_execution);

/// What must be read back of one file.
struct File {
    name: &'static str,
    testcases: i64,
    /// Executions: attempts told inside a testcase are failed ones of their own.
    passed: i64,
    failed: i64,
    skipped: i64,
    /// The tests, which are fewer when a testcase is there twice.
    tests: usize,
    failing: Failing,
    /// Scope, name and seconds of one test; no seconds if its testcase has no time.
    timed: (&'static str, &'static str, Option<f64>),
}

/// One test that failed.
struct Failing {
    scope: &'static str,
    name: &'static str,
    executions: usize,
    location: Option<&'static str>,
    file: Option<&'static str>,
    reason: &'static str,
    /// A line of what is expanded.
    line: &'static str,
}

const FILES: [File; 12] = [
    File {
        name: "cargo-nextest.xml",
        testcases: 5,
        passed: 4,
        failed: 4,
        skipped: 0,
        tests: 5,
        failing: Failing {
            scope: "cart-rs",
            name: "tests::sums_wrongly_on_purpose",
            executions: 3,
            location: None,
            file: None,
            reason: "thread 'tests::sums_wrongly_on_purpose' (24489) panicked at src/lib.rs:17:9",
            line: "assertion `left == right` failed: left is <really> six & not five",
        },
        timed: ("cart-rs", "tests::overflows", Some(0.152)),
    },
    File {
        name: "gotestsum.xml",
        testcases: 8,
        passed: 3,
        failed: 4,
        skipped: 1,
        tests: 8,
        failing: Failing {
            scope: "acme.example/cart/broken",
            name: "TestPanics",
            executions: 1,
            location: None,
            file: None,
            reason: "Failed",
            line: "panic: assignment to entry in nil map [recovered]",
        },
        timed: ("acme.example/cart", "TestHolds/Käse", Some(0.0)),
    },
    File {
        name: "gtest.xml",
        testcases: 7,
        passed: 3,
        failed: 2,
        skipped: 2,
        tests: 7,
        failing: Failing {
            scope: "Cart",
            name: "Throws",
            executions: 1,
            location: Some("cart_test.cc:14"),
            file: Some("cart_test.cc"),
            reason: "unknown file\nC++ exception with description \"till is closed\" thrown in the test body.",
            line: "C++ exception with description \"till is closed\" thrown in the test body.",
        },
        timed: ("Prices/Holds", "OneItem/1", Some(0.0)),
    },
    File {
        name: "jest-junit-defaults.xml",
        testcases: 11,
        passed: 8,
        failed: 2,
        skipped: 1,
        tests: 11,
        failing: Failing {
            scope: "Cart sums prices wrongly on purpose",
            name: "Cart sums prices wrongly on purpose",
            executions: 1,
            location: None,
            file: None,
            reason: "Error: expect(received).toBe(expected) // Object.is equality",
            line: "Expected: 5",
        },
        timed: (" a test outside of any describe", " a test outside of any describe", Some(0.016)),
    },
    File {
        name: "jest-junit.xml",
        testcases: 11,
        passed: 8,
        failed: 2,
        skipped: 1,
        tests: 11,
        failing: Failing {
            scope: "Cart with a bad quantity throws out of the test",
            name: "Cart with a bad quantity throws out of the test",
            executions: 1,
            location: Some("cart.test.js"),
            file: Some("cart.test.js"),
            reason: "RangeError: quantity must be positive, got -1",
            line: "    at Cart.add (/builds/acme/cart-js/cart.js:4:24)",
        },
        timed: ("Cart starts empty", "Cart starts empty", Some(0.006)),
    },
    File {
        name: "mocha-junit-reporter.xml",
        testcases: 6,
        passed: 3,
        failed: 3,
        skipped: 0,
        tests: 6,
        failing: Failing {
            scope: "\"before all\" hook for \"never starts\"",
            name: "Cart broken hook \"before all\" hook for \"never starts\"",
            executions: 1,
            location: Some("/builds/acme/cart-js/mocha/cart.spec.js"),
            file: Some("/builds/acme/cart-js/mocha/cart.spec.js"),
            reason: "no database",
            line: "    at Context.<anonymous> (cart.spec.js:21:32)",
        },
        timed: ("waits a little", "Cart checkout waits a little", Some(0.013)),
    },
    File {
        name: "playwright-junit.xml",
        testcases: 5,
        passed: 2,
        failed: 2,
        skipped: 1,
        tests: 5,
        failing: Failing {
            scope: "cart.spec.js",
            name: "Cart › times out",
            executions: 1,
            location: None,
            file: None,
            reason: "Test timeout of 200ms exceeded.",
            line: "    Error Context: ../test-results/cart-Cart-times-out-api/error-context.md",
        },
        timed: ("cart.spec.js", "Cart › converts currencies", None),
    },
    File {
        name: "pytest-xunit1.xml",
        testcases: 15,
        passed: 9,
        failed: 4,
        skipped: 2,
        tests: 14,
        failing: Failing {
            scope: "tests.test_cart.TestCheckout",
            name: "test_setup_error",
            executions: 1,
            location: Some("tests/test_cart.py:74"),
            file: Some("tests/test_cart.py"),
            reason: "failed on setup with \"RuntimeError: gateway fixture exploded\"",
            line: "E       RuntimeError: gateway fixture exploded",
        },
        timed: ("tests.test_cart", "test_total_is_wrong_on_purpose", Some(0.001)),
    },
    File {
        name: "pytest-xunit2.xml",
        testcases: 17,
        passed: 9,
        failed: 6,
        skipped: 2,
        tests: 16,
        failing: Failing {
            scope: "",
            name: "tests.test_broken_import",
            executions: 1,
            location: None,
            file: None,
            reason: "collection failure",
            line: "E   ModuleNotFoundError: No module named 'module_that_does_not_exist'",
        },
        timed: ("tests.test_cart", "test_rounding", Some(0.004)),
    },
    File {
        name: "rspec-junit.xml",
        testcases: 5,
        passed: 2,
        failed: 2,
        skipped: 1,
        tests: 5,
        failing: Failing {
            scope: "cart_spec",
            name: "Cart raises out of the example",
            executions: 1,
            location: Some("./cart_spec.rb"),
            file: Some("./cart_spec.rb"),
            reason: "till is closed <&>",
            line: "./cart_spec.rb:4:in `block (2 levels) in <top (required)>'",
        },
        timed: ("cart_spec", "Cart converts currencies", Some(0.000015)),
    },
    File {
        name: "surefire.xml",
        testcases: 7,
        passed: 4,
        failed: 5,
        skipped: 1,
        tests: 7,
        failing: Failing {
            scope: "com.acme.cart.CartTest",
            name: "sumsWronglyOnPurpose",
            executions: 2,
            location: None,
            file: None,
            reason: "three apples at two expected:<5> but was:<6>",
            line: "\tat com.acme.cart.CartTest.sumsWronglyOnPurpose(CartTest.java:10)",
        },
        timed: ("com.acme.cart.CartTest", "printsToBothStreams", Some(0.001)),
    },
    File {
        name: "vitest-junit.xml",
        testcases: 5,
        passed: 2,
        failed: 1,
        skipped: 2,
        tests: 5,
        failing: Failing {
            scope: "cart.test.mjs",
            name: "Cart > sums prices wrongly on purpose",
            executions: 1,
            location: None,
            file: None,
            reason: "expected 6 to be 5 // Object.is equality",
            line: " ❯ cart.test.mjs:6:92",
        },
        timed: ("cart.test.mjs", "Cart > starts empty", Some(0.001999)),
    },
];

fn every_file_is_stored_as_written(database: &TestDatabase) {
    let server = start(database);
    let first = Suite::new(&server, "first");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/junit");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(files.filter(|file| file.to_string_lossy().ends_with(".xml")).count(), FILES.len());
    for file in FILES {
        let suite = first.sibling(file.name);
        let form = Form::junit("k1", sample(&format!("junit/{}", file.name)));
        let form = form.field("run_env[branch]", "main").field("run_env[commit_sha]", "c0ffee");
        let answer = form.send(&server, &suite.upload_token).expect(202).json();
        assert_eq!(
            (&answer["queued"], &answer["skipped"]),
            (&json!(file.testcases), &json!(0)),
            "{}",
            file.name
        );
        assert_eq!(answer["errors"], json!([]), "{}", file.name);
        check(&suite, &answer["run_id"], &file);
    }
}

fn check(suite: &Suite<'_>, run: &Value, file: &File) {
    let tests = suite.tests();
    assert_eq!(tests.len(), file.tests, "{}", file.name);
    let sum = |word: &str| {
        tests.iter().filter_map(|test| test["executions_count_by_result"][word].as_i64()).sum::<i64>()
    };
    let sums = ["passed", "failed", "skipped", "pending", "unknown"].map(sum);
    assert_eq!(sums, [file.passed, file.failed, file.skipped, 0, 0], "{}", file.name);

    let (scope, name, seconds) = file.timed;
    let timed = suite.test(scope, name);
    assert_eq!(timed["duration_max"].as_f64(), seconds, "{}: {timed:#}", file.name);

    let run = suite.run(run);
    assert_eq!((&run["result"], &run["branch"]), (&json!("failed"), &json!("main")), "{}", file.name);
    let all = suite.failed(&run["id"]);
    assert_eq!(all.len() as i64, file.failed, "{}", file.name);
    let failing = &file.failing;
    let test = suite.test(failing.scope, failing.name);
    assert_eq!(test["location"].as_str(), failing.location, "{}", file.name);
    assert_eq!(test["file_name"].as_str(), failing.file, "{}", file.name);
    let executions: Vec<&Value> = all.iter().filter(|failed| failed["test_id"] == test["id"]).collect();
    assert_eq!(executions.len(), failing.executions, "{}", file.name);
    assert!(executions.iter().all(|failed| failed["commit_sha"] == "c0ffee"), "{}", file.name);
    assert!(executions.iter().all(|failed| failed["location"] == test["location"]), "{}", file.name);
    let first = executions.iter().find(|failed| failed["failure_reason"] == failing.reason);
    let first = first.unwrap_or_else(|| panic!("{}: {executions:#?}", file.name));
    let lines = first["failure_expanded"][0]["expanded"].as_array().expect("lines");
    assert!(lines.iter().any(|line| line == failing.line), "{}: {lines:#?}", file.name);
}

fn several_failures_of_one_testcase_are_one_execution(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let answer = suite.upload_junit("k1", sample("junit/gtest.xml"));
    let failed = suite.failed(&answer["run_id"]);
    let named = |name: &str| {
        let mut found = failed.iter().filter(|failed| text(failed, "test_name") == name);
        found.next().cloned().unwrap_or_else(|| panic!("{name}: {failed:#?}"))
    };
    let expected = json!([
        {
            "expanded": [
                "cart_test.cc:9", "Expected equality of these values:", "  total(2, 3)", "    Which is: 6", "  5",
                "three apples",
            ],
            "backtrace": [],
        },
        {
            "expanded": [
                "cart_test.cc:10", "Value of: false", "  Actual: false", "Expected: true",
                "second failure <tag> & \"quotes\"",
            ],
            "backtrace": [],
        },
    ]);
    assert_eq!(named("Cart SumsWronglyOnPurpose")["failure_expanded"], expected);

    let answer = suite.upload_junit("k2", sample("junit/pytest-xunit2.xml"));
    let failed = suite.failed(&answer["run_id"]);
    let subtests = failed.iter().find(|failed| failed["test_name"] == "tests.test_subtests test_many_prices");
    let details = subtests.expect("the test")["failure_expanded"].as_array().expect("details").len();
    assert_eq!(details, 2);
}
