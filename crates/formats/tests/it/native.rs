//! Native reports: what they hold, and that they name tests as the collectors of the same runners do.

use crate::{Format, Malformed, Options, parse, problems, read, refused, table};
use casebook_model::report::Report;
use std::collections::BTreeSet;

fn sample(format: Format, file: &str, options: &Options) -> Report {
    let bytes = std::fs::read(format!("samples/{format}/{file}")).unwrap();
    parse(format, &bytes, options).unwrap()
}

fn in_directory(directory: &str) -> Options {
    Options { working_directory: Some(directory.to_owned()), ..Options::default() }
}

/// Scope, name, file and place of each result, the identity and what goes with it.
fn identities(report: &Report) -> BTreeSet<(String, String, Option<String>, Option<String>)> {
    report
        .results
        .iter()
        .map(|result| {
            (result.scope.clone(), result.name.clone(), result.file.clone(), result.location.clone())
        })
        .collect()
}

#[test]
fn jest_names_tests_like_its_collector() {
    let native = sample(Format::JestJson, "jest.json", &in_directory("/builds/acme/cart-js/jest"));
    let collector = sample(Format::Json, "jest.json", &Options::default());
    assert_eq!(identities(&native), identities(&collector));
    for (native, collector) in native.results.iter().zip(&collector.results) {
        assert_eq!(
            (native.outcome, native.pending),
            (collector.outcome, collector.pending),
            "{}",
            native.name
        );
        assert_eq!(native.failure, collector.failure);
    }
    let prefixed = Options {
        location_prefix: Some("services/cart".to_owned()),
        ..in_directory("/builds/acme/cart-js/jest/")
    };
    let native = sample(Format::JestJson, "jest.json", &prefixed);
    assert_eq!(
        identities(&native),
        identities(&sample(Format::Json, "jest-prefix.json", &Options::default()))
    );
}

#[test]
fn jest() {
    let report = sample(Format::JestJson, "jest.json", &in_directory("/builds/acme/cart-js"));
    assert_eq!(
        table(&report),
        [
            "passed | Cart | starts empty | 0.002 | jest/cart.test.js:4",
            "failed | Cart | sums prices wrongly on purpose | 0 | jest/cart.test.js:6 | Error: expect(received).toBe(expected) // Object.is equality [19] | before: failed - - [] | before: failed - - []",
            "passed | Cart with a bad quantity | throws | 0.007 | jest/cart.test.js:11",
            "failed | Cart with a bad quantity | throws out of the test | 0.001 | jest/cart.test.js:12 | RangeError: quantity must be positive, got -1 [19] | before: failed - - [] | before: failed - - []",
            "skipped (pending) | Cart | converts currencies | - | jest/cart.test.js:15",
            "skipped | Cart | applies vouchers | - | jest/cart.test.js:16",
            "passed | Cart | holds one pear | 0.001 | jest/cart.test.js:17",
            "passed | Cart | holds one Käse | 0.007 | jest/cart.test.js:17",
            "passed | Cart | holds one 空 | 0 | jest/cart.test.js:17",
            "passed | checkout | is flaky | 0.004 | jest/cart.test.js:25 | before: failed - - []",
            "passed |  | a test outside of any describe | 0.026 | jest/cart.test.js:28",
        ]
    );
    assert_eq!(report.results[0].started_at.unwrap().as_microseconds(), 1_795_174_018_645_000);
    assert!(problems(&report).is_empty());
}

#[test]
fn vitest_names_tests_like_its_collector() {
    let native = sample(Format::JestJson, "vitest.json", &in_directory("/builds/acme/cart-js/vitest"));
    assert_eq!(
        table(&native),
        [
            "passed | Cart | starts empty | 0.001116 | cart.test.mjs:5",
            "failed | Cart | sums prices wrongly on purpose | 0.002479 | cart.test.mjs:6 | AssertionError: expected 6 to be 5 // Object.is equality [10]",
            "skipped | Cart | converts currencies | - | cart.test.mjs:7",
            "skipped | Cart | applies vouchers | - | cart.test.mjs:8",
            "passed | Cart | is flaky | 0.000531 | cart.test.mjs:10 | AssertionError: expected 1 to be greater than 1 [10]",
            "passed |  | outside | 0.000071 | cart.test.mjs:12",
        ]
    );
    let collector = identities(&sample(Format::Json, "vitest.json", &Options::default()));
    assert!(identities(&native).is_superset(&collector));
}

#[test]
fn jest_paths() {
    let place = |name: &str, directory: Option<&str>, prefix: Option<&str>| {
        let text = format!(
            r#"{{"testResults": [{{"name": {name:?}, "assertionResults": [
                {{"title": "t", "status": "passed", "ancestorTitles": [], "location": {{"line": 3, "column": 1}}}}]}}]}}"#
        );
        let options = Options {
            working_directory: directory.map(str::to_owned),
            location_prefix: prefix.map(str::to_owned),
            ..Options::default()
        };
        parse(Format::JestJson, text.as_bytes(), &options).unwrap().results[0].location.clone().unwrap()
    };
    assert_eq!(place("/a/b/c.js", None, None), "/a/b/c.js:3");
    assert_eq!(place("/a/b/c.js", Some("/a/b"), None), "c.js:3");
    assert_eq!(place("/a/b/c.js", Some("/a/b/"), Some("")), "c.js:3");
    assert_eq!(place("/a/b/c.js", Some("/a/x/y"), None), "../../b/c.js:3");
    assert_eq!(place("/a/b/c.js", Some("/a/x"), Some("p/q/")), "p/q/b/c.js:3".replace("q/", ""));
    assert_eq!(place("b/c.js", Some("/a"), Some("p")), "p/b/c.js:3");
    assert_eq!(place(r"C:\a\b\c.js", Some(r"C:\a"), None), r"b\c.js:3");
}

#[test]
fn jest_oddities() {
    let text = r#"{"testResults": [
        {"name": "/a/broken.test.js", "status": "failed", "assertionResults": [],
         "message": "\n  \u001b[1m● Test suite failed to run\u001b[22m\n\n SyntaxError"},
        {"name": "/a/odd.test.js", "assertionResults": [
            5, {"status": "passed"}, {"title": "no status"}, {"title": "focus", "status": "focused"},
            {"title": "two", "status": "failed", "failureMessages": ["\u001b[31mA\u001b[39m\nb", "C\nd"]}]}]}"#;
    let report = read(Format::JestJson, text);
    assert_eq!(
        table(&report),
        [
            "unknown |  | no status | - | /a/odd.test.js",
            "unknown |  | focus | - | /a/odd.test.js",
            "failed |  | two | - | /a/odd.test.js | A [1 2]"
        ]
    );
    assert_eq!(
        problems(&report),
        [
            "/a/broken.test.js failed to run: ● Test suite failed to run",
            "result 1: a result must be an object, found a number",
            "result 2: `title` must be a non-empty string",
            "result 3: `status` is none that is known, so the outcome is unknown",
            "result 4: `status` is none that is known, so the outcome is unknown"
        ]
    );
    assert_eq!(report.rejected, 2);
}

#[test]
fn rspec() {
    let report = sample(Format::RspecJson, "rspec.json", &Options::default());
    assert_eq!(
        table(&report),
        [
            "passed | Cart | starts empty | 0.000389 | ./spec/cart_spec.rb:7",
            "failed | Cart | sums prices wrongly on purpose | 0.044125 | ./spec/cart_spec.rb:8 | expected: 5 [4+1]",
            "failed | Cart | raises out of the example | 0.000115 | ./spec/cart_spec.rb:9 | quantity must be positive, got 0 [1+2]",
            "skipped | Cart | converts currencies | 0.000005 | ./spec/cart_spec.rb:12 | waiting for the currency service []",
            "passed | Cart | is expected to eq 1 | 0.000085 | ./spec/cart_spec.rb:15",
            "passed | Cart with a slow warehouse | waits and annotates | 0.012392 | ./spec/cart_spec.rb:18",
            "passed | Till | #open | 0.0001 | ./spec/shared/openable.rb:3",
        ]
    );
    assert_eq!(problems(&report), ["errors outside of examples: 1"]);
    assert_eq!(report.results[6].file.as_deref(), Some("./spec/till_spec.rb"));
    let collector = identities(&sample(Format::Json, "rspec.json", &Options::default()));
    let common = identities(&report).intersection(&collector).count();
    assert_eq!(common, 5, "all examples that both samples hold");
    let prefixed = Options { location_prefix: Some("payments".to_owned()), ..Options::default() };
    let prefixed = sample(Format::RspecJson, "rspec.json", &prefixed);
    assert_eq!(prefixed.results[0].location.as_deref(), Some("payments/./spec/cart_spec.rb:7"));
}

#[test]
fn playwright_names_tests_like_its_collector() {
    let collector = sample(Format::Json, "playwright.json", &Options::default());
    let native =
        sample(Format::PlaywrightJson, "playwright.json", &in_directory("/builds/acme/cart-js/playwright"));
    assert!(identities(&native).is_superset(&identities(&collector)));
    let ids = |report: &Report| -> BTreeSet<_> {
        let results = report.results.iter().filter(|result| result.scope.contains(" Cart "));
        results.map(|result| result.external_id.clone()).collect()
    };
    assert_eq!(ids(&native), ids(&collector));
    for (native, collector) in native.results[2..10].iter().zip(&collector.results) {
        assert_eq!((native.outcome, &native.tags), (collector.outcome, &collector.tags));
        assert_eq!(native.failure.as_ref().map(|f| &f.reason), collector.failure.as_ref().map(|f| &f.reason));
    }
}

#[test]
fn playwright() {
    let report = sample(Format::PlaywrightJson, "playwright.json", &in_directory("/builds/acme/cart-js"));
    let wrongly =
        "failed |  api cart.spec.js Cart sums prices wrongly on purpose | sums prices wrongly on purpose";
    let said =
        "playwright/cart.spec.js:6:3 | Error: expect(received).toBe(expected) // Object.is equality [12]";
    assert_eq!(
        table(&report),
        [
            "passed |  api cart.spec.js outside | outside | 0.001 | playwright/cart.spec.js:13:1",
            "skipped |  api cart.spec.js gives up | gives up | 0 | playwright/cart.spec.js:15:1 | no warehouse []",
            "passed |  api cart.spec.js Cart starts empty | starts empty | 0.005 | playwright/cart.spec.js:5:3",
            &format!("{wrongly} | 0.008 | {said}"),
            &format!("{wrongly} | 0.006 | {said}"),
            "skipped |  api cart.spec.js Cart converts currencies | converts currencies | 0 | playwright/cart.spec.js:9:8",
            "failed |  api cart.spec.js Cart is flaky | is flaky | 0.005 | playwright/cart.spec.js:10:3 | Error: attempt 0 [14]",
            "passed |  api cart.spec.js Cart is flaky | is flaky | 0.004 | playwright/cart.spec.js:10:3",
            "failed |  api cart.spec.js Cart times out | times out | 0.207 | playwright/cart.spec.js:11:3 | Test timeout of 200ms exceeded. [1]",
            "failed |  api cart.spec.js Cart times out | times out | 0.202 | playwright/cart.spec.js:11:3 | Test timeout of 200ms exceeded. [1]",
            "passed |  api cart.spec.js in an anonymous group | in an anonymous group | 0 | playwright/cart.spec.js:14:23",
        ]
    );
    assert_eq!(report.results[0].started_at.unwrap().to_rfc3339_millis(), "2026-11-20T13:41:56.156Z");
    assert!(problems(&report).is_empty());
}

#[test]
fn playwright_oddities() {
    let text = r#"{"errors": [{"message": "\u001b[31mno such file\u001b[39m\nx"}], "suites": [{"title": "a.spec.js", "specs": [
        {"title": "t", "tests": [{"projectName": "", "results": [{"status": "interrupted"}, {"status": "?"}, 7]}]},
        {"tests": [{"results": [{"status": "passed"}]}]}]}]}"#;
    let report = read(Format::PlaywrightJson, text);
    assert_eq!(
        table(&report),
        ["unknown |   a.spec.js t | t | - | -", "unknown |   a.spec.js t | t | - | -"]
    );
    assert_eq!(
        problems(&report),
        [
            "result 2: `status` is none that is known, so the outcome is unknown",
            "result 3: a result must be an object, found a number",
            "result 4: `title` must be a non-empty string",
            "an error occurred outside of tests: no such file"
        ]
    );
    let deep = format!("{}{}", r#"{"suites":["#.repeat(65), "]}".repeat(65));
    assert!(matches!(refused(Format::PlaywrightJson, &deep), Malformed::WrongShape(_)));
}

#[test]
fn cucumber() {
    let javascript = sample(Format::CucumberJson, "cucumber-js.json", &Options::default());
    let said = "AssertionError [ERR_ASSERTION]: Expected values to be strictly equal: [10]";
    assert_eq!(
        table(&javascript),
        [
            "passed | Cart | starts empty | 0.000794 | features/cart.feature:6",
            &format!(
                "failed | Cart | sums prices wrongly on purpose | 0.000777 | features/cart.feature:9 | {said}"
            ),
            "skipped | Cart | converts currencies | 0.000048 | features/cart.feature:13 | undefined step: I pay in another currency []",
            "skipped | Cart | applies vouchers | 0.000091 | features/cart.feature:16",
            "passed | Cart | holds | 0.000154 | features/cart.feature:25",
            &format!("failed | Cart | holds #1 | 0.000234 | features/cart.feature:26 | {said}"),
        ]
    );
    let ruby = sample(Format::CucumberJson, "cucumber-ruby.json", &Options::default());
    assert_eq!(
        table(&ruby),
        [
            "passed | Cart | starts empty | 0.000012 | features/cart.feature:6",
            "failed | Cart | sums prices | 0.000003 | features/cart.feature:9 | no till (RuntimeError) [3]",
            "failed | Cart | closes | 0.000004 | features/cart.feature:12 | could not close the till (IOError) [1]",
        ]
    );
    assert_eq!(ruby.results[0].file.as_deref(), Some("features/cart.feature"));
}

#[test]
fn go() {
    let report = sample(Format::GoJsonl, "go-test.jsonl", &Options::default());
    assert_eq!(
        table(&report),
        [
            "passed | acme.example/cart | TestStartsEmpty | 0.02 | -",
            "failed | acme.example/cart | TestSumsWronglyOnPurpose | 0 | - | cart_test.go:6: got 6, want 5 [3]",
            "skipped | acme.example/cart | TestConvertsCurrencies | 0 | - | cart_test.go:7: waiting for the currency service []",
            "failed | acme.example/cart | TestHolds/two_words | 0 | - | cart_test.go:12: names must be one word [2]",
            "failed | acme.example/cart | TestHolds | 0 | - | --- FAIL: TestHolds (0.00s) [2]",
        ]
    );
    assert_eq!(
        problems(&report),
        [
            "package acme.example/cart/unbuildable failed without a test that did",
            "tests that started and never ended: 1, the first is acme.example/cart/stuck TestHangs"
        ]
    );
    assert_eq!(report.results[0].started_at.unwrap().as_microseconds(), 1_795_173_053_100_001);
    let junit = sample(Format::Junit, "go/gotestsum.xml", &Options::default());
    let names = |report: &Report| -> BTreeSet<_> {
        report.results.iter().map(|result| (result.scope.clone(), result.name.clone())).collect()
    };
    assert!(names(&report).is_subset(&names(&junit)), "gotestsum names them the same");
}

#[test]
fn go_reruns_and_broken_lines() {
    let event = |action: &str| format!(r#"{{"Action":"{action}","Package":"p","Test":"T"}}"#);
    let text = format!("# p\n{}\n{}\r\n\n{}\n{{\"Action\":7}}\n", event("fail"), event("run"), event("pass"));
    let report = read(Format::GoJsonl, &text);
    assert_eq!(table(&report), ["failed | p | T | - | -", "passed | p | T | - | -"]);
    assert_eq!(
        problems(&report),
        ["lines that are no events: 2, the first is line 1: expected value at line 1 column 1"]
    );
    let cut = format!("{}\n{}", event("pass"), r#"{"Action":"fa"#);
    assert!(matches!(refused(Format::GoJsonl, &cut), Malformed::NotJson(_)));
    let options = Options { allow_truncated: true, ..Options::default() };
    let report = parse(Format::GoJsonl, cut.as_bytes(), &options).unwrap();
    assert_eq!((report.truncated, report.results.len()), (true, 1));
}

#[test]
fn wrong_shapes() {
    for (format, text) in [
        (Format::JestJson, "[]"),
        (Format::JestJson, "{\"testResults\": {}}"),
        (Format::RspecJson, "{}"),
        (Format::RspecJson, "{\"examples\": null}"),
        (Format::PlaywrightJson, "{\"suites\": 1}"),
        (Format::CucumberJson, "{}"),
        (Format::AvocadoJson, "{\"job_id\": \"j\"}"),
        (Format::AvocadoJson, "{\"job_id\": \"\", \"tests\": []}"),
    ] {
        assert!(matches!(refused(format, text), Malformed::WrongShape(_)), "{format} {text}");
    }
    for format in Format::ALL.iter().filter(|format| **format != Format::Junit) {
        for text in ["", "nothing", "{"] {
            assert!(matches!(refused(*format, text), Malformed::NotJson(_)), "{format} {text:?}");
        }
    }
    assert!(matches!(refused(Format::GoJsonl, "{\"a\": 1}\n[]"), Malformed::NotJson(_)));
}

#[test]
fn too_many_results_in_any_format() {
    let options = Options { most_results: Some(1), ..Options::default() };
    for (format, file, count) in [
        (Format::JestJson, "jest.json", 11),
        (Format::RspecJson, "rspec.json", 7),
        (Format::PlaywrightJson, "playwright.json", 11),
        (Format::CucumberJson, "cucumber-js.json", 6),
        (Format::GoJsonl, "go-test.jsonl", 5),
        (Format::AvocadoJson, "results-113.0.json", 13),
        (Format::Junit, "surefire/surefire.xml", 7),
    ] {
        let bytes = std::fs::read(format!("samples/{format}/{file}")).unwrap();
        assert_eq!(
            parse(format, &bytes, &options).unwrap_err(),
            Malformed::TooManyResults { count, most: 1 }
        );
    }
}

#[test]
fn words_of_formats() {
    let words = [
        "json",
        "junit",
        "jest-json",
        "rspec-json",
        "playwright-json",
        "cucumber-json",
        "go-jsonl",
        "avocado-json",
    ];
    assert_eq!(Format::ALL.iter().map(|format| format.as_str()).collect::<Vec<_>>(), words);
    for word in words {
        assert_eq!(Format::from_word(word).unwrap().as_str(), word);
    }
    assert_eq!(Format::from_word("JSON"), None);
}
