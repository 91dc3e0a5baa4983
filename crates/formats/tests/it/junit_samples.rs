//! Files of real JUnit reporters; each table was checked by eye against its file.

use crate::{Format, Options, parse, problems, table};
use casebook_model::report::Report;

fn sample(file: &str) -> Report {
    let bytes = std::fs::read(format!("samples/junit/{file}.xml")).unwrap();
    parse(Format::Junit, &bytes, &Options::default()).unwrap()
}

fn check(file: &str, results: &[&str], expected_problems: &[&str]) {
    let report = sample(file);
    assert_eq!(table(&report), results);
    assert_eq!(problems(&report), expected_problems);
    assert_eq!((report.rejected, report.truncated), (0, false));
}

#[test]
fn cargo_nextest() {
    check(
        "nextest/cargo-nextest",
        &[
            "passed | cart-rs | tests::checkout::pays | 0.019 | -",
            "passed | cart-rs | tests::is_flaky | 0.012 | - | before: failed 0.155 thread 'tests::is_flaky' (24475) panicked at src/lib.rs:35:13 [16]",
            "passed | cart-rs | tests::overflows | 0.152 | -",
            "passed | cart-rs | tests::starts_empty | 0.009 | -",
            "failed | cart-rs | tests::sums_wrongly_on_purpose | 0.106 | - | thread 'tests::sums_wrongly_on_purpose' (24499) panicked at src/lib.rs:17:9 [22] | before: failed 0.08 thread 'tests::sums_wrongly_on_purpose' (24489) panicked at src/lib.rs:17:9 [22] | before: failed 0.072 thread 'tests::sums_wrongly_on_purpose' (24496) panicked at src/lib.rs:17:9 [22]",
        ],
        &[],
    );
}

#[test]
fn gotestsum() {
    check(
        "go/gotestsum",
        &[
            "failed | acme.example/cart | TestSumsWronglyOnPurpose | 0 | - | Failed [3]",
            "failed | acme.example/cart | TestHolds/two_words | 0 | - | Failed [3]",
            "failed | acme.example/cart | TestHolds | 0 | - | Failed [2]",
            "skipped | acme.example/cart | TestConvertsCurrencies | 0 | - | === RUN   TestConvertsCurrencies []",
            "passed | acme.example/cart | TestStartsEmpty | 0 | -",
            "passed | acme.example/cart | TestHolds/pear | 0 | -",
            "passed | acme.example/cart | TestHolds/Käse | 0 | -",
            "failed | acme.example/cart/broken | TestPanics | 0 | - | Failed [18]",
        ],
        &[],
    );
}

#[test]
fn gtest() {
    check(
        "gtest/gtest",
        &[
            "passed | Cart | StartsEmpty | 0 | cart_test.cc:6",
            "failed | Cart | SumsWronglyOnPurpose | 0 | cart_test.cc:7 | cart_test.cc:9 [6 5]",
            "skipped | Cart | DISABLED_ConvertsCurrencies | 0 | cart_test.cc:12",
            "skipped | Cart | SkippedAtRuntime | 0 | cart_test.cc:13 | cart_test.cc:13 []",
            "failed | Cart | Throws | 0 | cart_test.cc:14 | unknown file [2]",
            "passed | Prices/Holds | OneItem/0 | 0 | cart_test.cc:16",
            "passed | Prices/Holds | OneItem/1 | 0 | cart_test.cc:16",
        ],
        &[],
    );
}

#[test]
fn jest_junit_defaults() {
    check(
        "jest-junit/jest-junit-defaults",
        &[
            "passed | Cart starts empty | Cart starts empty | 0.006 | -",
            "failed | Cart sums prices wrongly on purpose | Cart sums prices wrongly on purpose | 0 | - | Error: expect(received).toBe(expected) // Object.is equality [20]",
            "passed | Cart with a bad quantity throws | Cart with a bad quantity throws | 0.001 | -",
            "failed | Cart with a bad quantity throws out of the test | Cart with a bad quantity throws out of the test | 0 | - | RangeError: quantity must be positive, got -1 [20]",
            "skipped | Cart converts currencies | Cart converts currencies | 0 | -",
            "passed | Cart applies vouchers | Cart applies vouchers | 0 | -",
            "passed | Cart holds one pear | Cart holds one pear | 0.001 | -",
            "passed | Cart holds one Käse | Cart holds one Käse | 0.006 | -",
            "passed | Cart holds one 空 | Cart holds one 空 | 0.001 | -",
            "passed | checkout is flaky | checkout is flaky | 0 | -",
            "passed |  a test outside of any describe |  a test outside of any describe | 0.016 | -",
        ],
        &[],
    );
}

#[test]
fn jest_junit() {
    check(
        "jest-junit/jest-junit",
        &[
            "passed | Cart starts empty | Cart starts empty | 0.006 | cart.test.js",
            "failed | Cart sums prices wrongly on purpose | Cart sums prices wrongly on purpose | 0.001 | cart.test.js | Error: expect(received).toBe(expected) // Object.is equality [20]",
            "passed | Cart with a bad quantity throws | Cart with a bad quantity throws | 0.002 | cart.test.js",
            "failed | Cart with a bad quantity throws out of the test | Cart with a bad quantity throws out of the test | 0 | cart.test.js | RangeError: quantity must be positive, got -1 [20]",
            "skipped | Cart converts currencies | Cart converts currencies | 0 | cart.test.js",
            "passed | Cart applies vouchers | Cart applies vouchers | 0 | cart.test.js",
            "passed | Cart holds one pear | Cart holds one pear | 0.001 | cart.test.js",
            "passed | Cart holds one Käse | Cart holds one Käse | 0 | cart.test.js",
            "passed | Cart holds one 空 | Cart holds one 空 | 0.001 | cart.test.js",
            "passed | checkout is flaky | checkout is flaky | 0 | cart.test.js",
            "passed |  a test outside of any describe |  a test outside of any describe | 0.016 | cart.test.js",
        ],
        &[],
    );
}

#[test]
fn mocha_junit_reporter() {
    check(
        "mocha/mocha-junit-reporter",
        &[
            "passed | starts empty | Cart starts empty | 0 | /builds/acme/cart-js/mocha/cart.spec.js",
            "failed | sums prices wrongly on purpose | Cart sums prices wrongly on purpose | 0.002 | /builds/acme/cart-js/mocha/cart.spec.js | Expected values to be strictly equal: [11]",
            "failed | has several failures | Cart has several failures | 0 | /builds/acme/cart-js/mocha/cart.spec.js | first of two [3]",
            "passed | is flaky | Cart checkout is flaky | 0 | /builds/acme/cart-js/mocha/cart.spec.js",
            "passed | waits a little | Cart checkout waits a little | 0.013 | /builds/acme/cart-js/mocha/cart.spec.js",
            r#"failed | "before all" hook for "never starts" | Cart broken hook "before all" hook for "never starts" | 0 | /builds/acme/cart-js/mocha/cart.spec.js | no database [3]"#,
        ],
        &[],
    );
}

#[test]
fn playwright_junit() {
    check(
        "playwright/playwright-junit",
        &[
            "passed | cart.spec.js | Cart › starts empty | 0.011 | -",
            "failed | cart.spec.js | Cart › sums prices wrongly on purpose | 0.029 | - | expect(received).toBe(expected) // Object.is equality [35]",
            "skipped | cart.spec.js | Cart › converts currencies | - | -",
            "passed | cart.spec.js | Cart › is flaky | 0.012 | -",
            "failed | cart.spec.js | Cart › times out | 0.413 | - | Test timeout of 200ms exceeded. [11]",
        ],
        &[],
    );
}

#[test]
fn pytest_xunit1() {
    check(
        "pytest/pytest-xunit1",
        &[
            "passed | tests.test_cart | test_empty_cart_costs_nothing | 0 | tests/test_cart.py:14",
            "failed | tests.test_cart | test_total_is_wrong_on_purpose | 0.001 | tests/test_cart.py:18 | AssertionError: three apples at 0.50 [11]",
            "passed | tests.test_cart | test_rejects_zero_quantity | 0 | tests/test_cart.py:23",
            "failed | tests.test_cart | test_unexpected_exception | 0 | tests/test_cart.py:28 | ValueError: quantity must be positive, got -1 [17]",
            "skipped | tests.test_cart | test_currency_conversion | 0 | tests/test_cart.py:32 | waiting for the currency service []",
            "skipped | tests.test_cart | test_runtime_skip | 0 | tests/test_cart.py:37 | no warehouse here []",
            "passed | tests.test_cart | test_rounding | 0 | tests/test_cart.py:41",
            "passed | tests.test_cart | test_single_item[pear-1.25] | 0 | tests/test_cart.py:47",
            r#"passed | tests.test_cart | test_single_item[K\xe4se-3.0] | 0 | tests/test_cart.py:47"#,
            r#"passed | tests.test_cart | test_single_item[\u7a7a-7.5] | 0 | tests/test_cart.py:47"#,
            "passed | tests.test_cart | test_flaky_checkout | 0 | tests/test_cart.py:53",
            "passed | tests.test_cart | test_flaky_checkout | 0 | tests/test_cart.py:53",
            "passed | tests.test_cart.TestCheckout | test_pays | 0 | tests/test_cart.py:69",
            r#"failed | tests.test_cart.TestCheckout | test_setup_error | 0 | tests/test_cart.py:74 | failed on setup with "RuntimeError: gateway fixture exploded" [8]"#,
            r#"failed | tests.test_cart.TestCheckout | test_teardown_error | 0 | tests/test_cart.py:77 | failed on teardown with "RuntimeError: could not close the till" [9]"#,
        ],
        &[],
    );
}

#[test]
fn pytest_xunit2() {
    check(
        "pytest/pytest-xunit2",
        &[
            "error |  | tests.test_broken_import | 0 | - | collection failure [10]",
            "failed | tests.test_subtests | test_many_prices | 0.005 | - | assert 2 != 2 [9 1]",
            "passed | tests.test_cart | test_empty_cart_costs_nothing | 0 | -",
            "failed | tests.test_cart | test_total_is_wrong_on_purpose | 0 | - | AssertionError: three apples at 0.50 [11]",
            "passed | tests.test_cart | test_rejects_zero_quantity | 0 | -",
            "failed | tests.test_cart | test_unexpected_exception | 0 | - | ValueError: quantity must be positive, got -1 [17]",
            "skipped | tests.test_cart | test_currency_conversion | 0 | - | waiting for the currency service []",
            "skipped | tests.test_cart | test_runtime_skip | 0 | - | no warehouse here []",
            "passed | tests.test_cart | test_rounding | 0.004 | -",
            "passed | tests.test_cart | test_single_item[pear-1.25] | 0 | -",
            r#"passed | tests.test_cart | test_single_item[K\xe4se-3.0] | 0 | -"#,
            r#"passed | tests.test_cart | test_single_item[\u7a7a-7.5] | 0 | -"#,
            "passed | tests.test_cart | test_flaky_checkout | 0 | -",
            "passed | tests.test_cart | test_flaky_checkout | 0 | -",
            "passed | tests.test_cart.TestCheckout | test_pays | 0 | -",
            r#"failed | tests.test_cart.TestCheckout | test_setup_error | 0 | - | failed on setup with "RuntimeError: gateway fixture exploded" [8]"#,
            r#"failed | tests.test_cart.TestCheckout | test_teardown_error | 0 | - | failed on teardown with "RuntimeError: could not close the till" [9]"#,
        ],
        &[],
    );
}

#[test]
fn rspec_junit() {
    check(
        "rspec/rspec-junit",
        &[
            "passed | cart_spec | Cart starts empty | 0.004366 | ./cart_spec.rb",
            "failed | cart_spec | Cart sums prices wrongly on purpose | 0.017329 | ./cart_spec.rb | expected: 5 [7]",
            "failed | cart_spec | Cart raises out of the example | 0.000095 | ./cart_spec.rb | till is closed <&> [5]",
            "skipped | cart_spec | Cart converts currencies | 0.000015 | ./cart_spec.rb",
            "passed | cart_spec | Cart with a warehouse asks | 0.000514 | ./cart_spec.rb",
        ],
        &[],
    );
}

#[test]
fn surefire() {
    check(
        "surefire/surefire",
        &[
            "failed | com.acme.cart.CartTest | throwsOutOfTheTest | 0.022 | - | till is closed <&> &#27;[31mred&#27;[0m [2] | before: failed - till is closed <&> &#27;[31mred&#27;[0m [2]",
            "passed | com.acme.cart.CartTest | startsEmpty | 0.001 | -",
            "passed | com.acme.cart.CartTest | printsToBothStreams | 0.001 | -",
            "failed | com.acme.cart.CartTest | sumsWronglyOnPurpose | 0 | - | three apples at two expected:<5> but was:<6> [2] | before: failed - three apples at two expected:<5> but was:<6> [2]",
            "skipped | com.acme.cart.CartTest | convertsCurrencies | 0 | - | waiting for the currency service []",
            "passed | com.acme.cart.CartTest | wärmtDieKäseplatte | 0 | -",
            "passed | com.acme.cart.CartTest | isFlaky | 0 | - | before: failed - attempt 1 [2]",
        ],
        &[],
    );
}

#[test]
fn vitest_junit() {
    check(
        "vitest/vitest-junit",
        &[
            "passed | cart.test.mjs | Cart > starts empty | 0.001999 | -",
            "failed | cart.test.mjs | Cart > sums prices wrongly on purpose | 0.003869 | - | expected 6 to be 5 // Object.is equality [9]",
            "skipped | cart.test.mjs | Cart > converts currencies | 0 | -",
            "skipped | cart.test.mjs | Cart > applies vouchers | 0 | -",
            "passed | cart.test.mjs | Cart > is flaky | 0.001021 | -",
        ],
        &[],
    );
}

#[test]
fn nextest_says_when_each_attempt_began() {
    let report = sample("nextest/cargo-nextest");
    let result = &report.results[4];
    let begun = |at: Option<casebook_model::time::Timestamp>| at.unwrap().to_rfc3339_millis();
    assert_eq!(begun(result.earlier[0].started_at), "2026-11-20T11:10:56.985Z");
    assert_eq!(begun(result.earlier[1].started_at), "2026-11-20T11:10:57.066Z");
    assert_eq!(begun(result.started_at), "2026-11-20T11:10:57.138Z");
}

#[test]
fn texts_are_complete() {
    let gtest = sample("gtest/gtest");
    let failure = gtest.results[1].failure.as_ref().unwrap();
    assert_eq!(failure.reason.as_deref().unwrap().lines().count(), 6);
    assert_eq!(failure.details[1].expanded[0], "cart_test.cc:10");
    assert_eq!(failure.details[1].expanded[4], r#"second failure <tag> & "quotes""#);

    let nextest = sample("nextest/cargo-nextest");
    let text = &nextest.results[4].failure.as_ref().unwrap().details[0].expanded;
    assert_eq!(text[1], "assertion `left == right` failed: left is <really> six & not five");
    assert!(text[19].starts_with("   7: <fn() -> core::result::Result<(), alloc::string::String>"));
    assert!(text.last().unwrap().starts_with("note: Some details are omitted"));

    let rspec = sample("rspec/rspec-junit");
    let reason = rspec.results[1].failure.as_ref().unwrap().reason.as_deref();
    assert_eq!(reason, Some("\nexpected: 5\n     got: 6\n\n(compared using ==)\n"));
}
