//! One report of each producer; each table was checked by eye against its file. `samples/README.md` says who wrote which.

use crate::{Format, Options, parse, problems, table};

/// What a file should give.
struct Expected<'a> {
    results: &'a [&'a str],
    problems: &'a [&'a str],
    /// Paths of suites, without repetitions in a row.
    suites: &'a [&'a str],
    rejected: usize,
    truncated: bool,
}

impl Default for Expected<'_> {
    fn default() -> Self {
        Self { results: &[], problems: &[], suites: &[""], rejected: 0, truncated: false }
    }
}

fn check(file: &str, expected: &Expected<'_>) {
    let bytes = std::fs::read(format!("samples/junit/{file}.xml")).unwrap();
    let options = Options { allow_truncated: true, ..Options::default() };
    let report = parse(Format::Junit, &bytes, &options).unwrap();
    assert_eq!(table(&report), expected.results);
    assert_eq!(problems(&report), expected.problems);
    let mut suites: Vec<String> = report.results.iter().map(|result| result.suite_path.join(" > ")).collect();
    suites.dedup();
    assert_eq!(suites, expected.suites);
    assert_eq!((report.rejected, report.truncated), (expected.rejected, expected.truncated));
}

#[test]
fn ant_ant_junit() {
    check(
        "ant/ant-junit",
        &Expected {
            results: &[
                "passed | com.acme.cart.KaeseTest | waermt | 0.001 | -",
                "error | com.acme.cart.KaeseTest | initializationError | 0 | - | No runnable methods [2]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn avocado_xunit() {
    check(
        "avocado/xunit",
        &Expected {
            results: &[
                "passed | CartTest | cart.py:CartTest.test_empty | 0.094 | -",
                "failed | CartTest | cart.py:CartTest.test_wrong | 0.055 | - | 6 != 5 : three apples <at> two [19]",
                "skipped | CartTest | cart.py:CartTest.test_cancel | 0.055 | -",
                "failed | CartTest | cart.py:CartTest.test_error | 0.052 | - | gateway exploded [15]",
                "passed | CartTest | cart.py:CartTest.test_warn | 0.027 | -",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn bazel_generated() {
    check(
        "bazel/generated",
        &Expected {
            results: &["error | //cart:cart_test | cart/cart_test | 2 | - | exited with error code 3 []"],
            suites: &["cart/cart_test"],
            ..Expected::default()
        },
    );
}

#[test]
fn bazel_generated_without_class() {
    check(
        "bazel/generated-without-class",
        &Expected {
            problems: &["result 1: the testcase has no `classname`"],
            suites: &[],
            rejected: 1,
            ..Expected::default()
        },
    );
}

#[test]
fn catch2_catch2() {
    check(
        "catch2/catch2",
        &Expected {
            results: &[
                "passed | c.global | cart starts empty | 0 | -",
                "passed | c.global | cart sums/one apple | 0 | -",
                "failed | c.global | cart sums/three <apples> | 0 | - | 3 * 2 == 5 [5 3]",
                "failed | c.global | throws | 0 | - | FAILED: [3]",
            ],
            suites: &["c"],
            ..Expected::default()
        },
    );
}

#[test]
fn catch2_crashed() {
    check(
        "catch2/crashed",
        &Expected {
            results: &["passed | c.global | cart starts empty | 0.001 | -"],
            problems: &[
                "the report breaks off, what had closed was kept: syntax error: attribute value not closed: `\"` not found before end of input, at byte 260",
            ],
            suites: &["c"],
            truncated: true,
            ..Expected::default()
        },
    );
}

#[test]
fn container_structure_test_nanoseconds() {
    check(
        "container-structure-test/nanoseconds",
        &Expected {
            results: &[
                "passed | cart:latest | Command Test: cart | 0.999638 | -",
                "failed | cart:latest | File Existence Test: till | 0.025175 | - | File /till should exist but does not [1]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn ctest_ctest() {
    check(
        "ctest/ctest",
        &Expected {
            results: &[
                "passed | cart.empty | cart.empty | 0.011453 | -",
                "failed | cart.sums | cart.sums | 0.006124 | - | Failed []",
                "skipped | cart.skipped | cart.skipped | 0.008659 | - | SKIP_RETURN_CODE=77 []",
                "skipped | cart.disabled | cart.disabled | 0 | -",
                "skipped | cart.missing | cart.missing | 0 | - | Unable to find executable []",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn cunit_states() {
    check(
        "cunit/states",
        &Expected {
            results: &[
                "passed | Cart | empty | 0.000017 | -",
                "failed | Cart | sums | 0.0002 | -",
                "failed | Cart | opens | 0 | -",
                "skipped | Cart | converts | 0 | -",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn cypress_spec() {
    check(
        "cypress/spec",
        &Expected {
            results: &[
                "passed | adds a pear | Cart adds a pear | 0.801 | cypress/e2e/cart.cy.js",
                "failed | \"before each\" hook for \"pays\" | Cart \"before each\" hook for \"pays\" | 0 | cypress/e2e/cart.cy.js | Timed out retrying after 4000ms: Expected to find element: `#till`, but never found it. [2]",
            ],
            suites: &["Cart"],
            ..Expected::default()
        },
    );
}

#[test]
fn doctest_doctest() {
    check(
        "doctest/doctest",
        &Expected {
            results: &[
                "passed | d.cpp | cart starts empty | 0 | -",
                "passed | d.cpp | cart sums/one apple | 0 | -",
                "failed | d.cpp | cart sums/three <apples> | 0.000154 | - | 6 == 5 [3 3]",
            ],
            suites: &["./d"],
            ..Expected::default()
        },
    );
}

#[test]
fn dotnet_junit_logger() {
    check(
        "dotnet/junit-logger",
        &Expected {
            results: &[
                "passed | Acme.Cart.Tests.CartTests | StartsEmpty | 0.003123 | -",
                "passed | Acme.Cart.Tests.CartTests | Adds(x: 1, y: \"a very long pear\"···) | 0.0009 | -",
                "failed | Acme.Cart.Tests.BoxTests`1[System.Int32] | Sums | 0.0121 | - | Assert.Equal() Failure [1]",
                "skipped | Acme.Cart.Tests.CartTests | Converts | 0 | - | no currency service []",
            ],
            suites: &["Acme.Cart.Tests.dll"],
            ..Expected::default()
        },
    );
}

#[test]
fn go_go_junit_report() {
    check(
        "go/go-junit-report",
        &Expected {
            results: &[
                "failed | acme.example/cart | TestHolds/case#01 | 0.001 | - | Failed [1]",
                "failed | acme.example/cart | TestFlaky | 0.002 | - | Failed [1]",
                "passed | acme.example/cart | TestFlaky | 0.001 | -",
                "error | acme.example/broken | [build failed] | 0 | - | Build error [1]",
                "failed | acme.example/slow | TestMain | 0 | - | Failed [1]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn gradle_duplicates() {
    check(
        "gradle/duplicates",
        &Expected {
            results: &[
                "failed | com.acme.cart.CartTest | isFlaky() | 0.011 | - | org.opentest4j.AssertionFailedError: expected: <5> but was: <6> [2]",
                "passed | com.acme.cart.CartTest | isFlaky() | 0.004 | -",
                "passed | com.acme.cart.CartTest | holds(String)[1] | 0.003 | -",
                "passed | com.acme.cart.CartTest | a cart (empty) costs nothing | 0.001 | -",
                "skipped | com.acme.cart.CartTest | convertsCurrencies() | 0 | -",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn gradle_merged_reruns() {
    check(
        "gradle/merged-reruns",
        &Expected {
            results: &[
                "passed | com.acme.cart.CartTest | isFlaky() | 0.004 | - | before: failed - expected: <5> but was: <6> [2]",
                "failed | com.acme.cart.CartTest | fails() | 0.011 | - | java.lang.IllegalStateException: till again [1] | before: failed - java.lang.IllegalStateException: till [2]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn jest_junit_suite_failed_to_run() {
    check(
        "jest-junit/suite-failed-to-run",
        &Expected {
            results: &[
                "error | Test suite failed to run | broken.test.js | 0 | - | ● Test suite failed to run [5]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn perl_tap_formatter_junit() {
    check(
        "perl/tap-formatter-junit",
        &Expected {
            results: &[
                "passed | t_cart_t | 1 - starts empty | 0.000045 | -",
                "failed | t_cart_t | 2 - sums | 0.000017 | - | not ok 2 - sums [3]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn phpunit_nested() {
    check(
        "phpunit/nested",
        &Expected {
            results: &[
                "passed | Acme.Cart.CartTest | testStartsEmpty | 0.004 | /builds/project/tests/CartTest.php:9",
                "skipped | Acme.Cart.CartTest | testConverts | 0.001 | /builds/project/tests/CartTest.php:14",
                "passed | Acme.Cart.CartTest | testHolds with data set #0 | 0.002 | /builds/project/tests/CartTest.php:20",
                "failed | Acme.Cart.CartTest | testHolds with data set \"pear\" | 0.003 | /builds/project/tests/CartTest.php:20 | Acme\\Cart\\CartTest::testHolds with data set \"pear\" (1) [4]",
            ],
            suites: &[
                "/builds/project/phpunit.xml > unit > Acme\\Cart\\CartTest",
                "/builds/project/phpunit.xml > unit > Acme\\Cart\\CartTest > Acme\\Cart\\CartTest::testHolds",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn playwright_include_retries() {
    check(
        "playwright/include-retries",
        &Expected {
            results: &[
                "passed | cart.spec.ts | Cart › is flaky | 0.012 | - | before: failed 0.2 expect(received).toBe(expected) [2]",
                "failed | cart.spec.ts | Cart › fails | 0.3 | - | Error: second [1] | before: failed 0.4 cart.spec.ts:14:5 fails [2]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn prow_flake() {
    check(
        "prow/flake",
        &Expected {
            results: &[
                "failed | Kubernetes e2e suite | [sig-cart] Cart should sum [Suite:acme] | 8.25 | - | fail [cart.go:31]: six is not five [1]",
                "passed | Kubernetes e2e suite | [sig-cart] Cart should sum [Suite:acme] | 4.25 | -",
                "skipped | Kubernetes e2e suite | [sig-cart] Cart should convert | 0 | - | no currency service []",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn pytest_aviator_reruns() {
    check(
        "pytest-aviator/reruns",
        &Expected {
            results: &[
                "passed | test_cart | test_empty | 0.001 | -",
                "failed | test_cart | test_flaky | 0 | - | AssertionError: first attempt [7]",
                "passed | test_cart | test_flaky | 0 | -",
                "failed | test_cart | test_wrong | 0 | - | assert (2 * 3) == 5 [5]",
                "skipped | test_cart | test_xfail | 0 | - | known []",
                "passed | test_cart | test_xpass | 0 | -",
                "failed | test_cart | test_teardown | 0 | - | failed on teardown with \"RuntimeError: could not close the till\" [7]",
                "failed | test_cart | test_teardown_too | 0 | - | assert 1 == 2 [7]",
                "failed | test_cart | test_teardown_too | 0 | - | failed on teardown with \"RuntimeError: could not close the till\" [7]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn pytest_pytest_8_xunit1() {
    check(
        "pytest/pytest-8-xunit1",
        &Expected {
            results: &[
                "passed | test_cart | test_empty | 0.001 | test_cart.py:4",
                "failed | test_cart | test_flaky | 0.001 | test_cart.py:7 | AssertionError: first attempt [7]",
                "failed | test_cart | test_wrong | 0.001 | test_cart.py:11 | assert (2 * 3) == 5 [5]",
                "skipped | test_cart | test_xfail | 0 | test_cart.py:14 | known []",
                "passed | test_cart | test_xpass | 0 | test_cart.py:18",
                "failed | test_cart | test_teardown | 0 | test_cart.py:27 | failed on teardown with \"RuntimeError: could not close the till\" [7]",
                "failed | test_cart | test_teardown_too | 0 | test_cart.py:30 | assert 1 == 2 [7]",
                "failed | test_cart | test_teardown_too | 0 | test_cart.py:30 | failed on teardown with \"RuntimeError: could not close the till\" [7]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn pytest_pytest_8_xunit2() {
    check(
        "pytest/pytest-8-xunit2",
        &Expected {
            results: &[
                "passed | test_cart | test_empty | 0.001 | -",
                "failed | test_cart | test_flaky | 0.001 | - | AssertionError: first attempt [7]",
                "failed | test_cart | test_wrong | 0.001 | - | assert (2 * 3) == 5 [5]",
                "skipped | test_cart | test_xfail | 0 | - | known []",
                "passed | test_cart | test_xpass | 0 | -",
                "failed | test_cart | test_teardown | 0 | - | failed on teardown with \"RuntimeError: could not close the till\" [7]",
                "failed | test_cart | test_teardown_too | 0 | - | assert 1 == 2 [7]",
                "failed | test_cart | test_teardown_too | 0 | - | failed on teardown with \"RuntimeError: could not close the till\" [7]",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn robot_xunit() {
    check(
        "robot/xunit",
        &Expected {
            results: &[
                "passed | Cart.Checkout | Starts Empty | 0.001 | -",
                "failed | Cart.Checkout | Sums Wrongly | 0.001 | - | three apples at two: 6 != 5 []",
                "skipped | Cart.Checkout | Converts Currencies | 0.001 | - | no currency service []",
                "failed | Cart.Checkout | Flaky Setup | 0.001 | - | Setup failed: []",
            ],
            suites: &["Cart > Checkout"],
            ..Expected::default()
        },
    );
}

#[test]
fn surefire_failsafe_properties() {
    check(
        "surefire/failsafe-properties",
        &Expected {
            results: &[
                "passed | com.acme.cart.CartIT | test{int}[1] | 2120.5 | -",
                "failed | com.acme.cart.CartIT | dumps | 0.032 | - | no till [7]",
            ],
            problems: &["result 2: a secret was redacted: Java system properties"],
            ..Expected::default()
        },
    );
}

#[test]
fn tape_tap_xunit() {
    check(
        "tape/tap-xunit",
        &Expected {
            problems: &[
                "result 1: the testcase has no `classname`",
                "result 2: the testcase has no `classname`",
            ],
            suites: &[],
            rejected: 2,
            ..Expected::default()
        },
    );
}

#[test]
fn testmo_properties() {
    check(
        "testmo/properties",
        &Expected {
            results: &["passed | cart | pays | 1 | -", "failed | cart | sums | 0.5 | - | six [1]"],
            suites: &["Cart"],
            ..Expected::default()
        },
    );
}

#[test]
fn testng_testng() {
    check(
        "testng/testng",
        &Expected {
            results: &[
                "passed | com.acme.cart.CartTest | opensTheTill | 0.01 | -",
                "failed | com.acme.cart.CartTest | sums | 0.012 | - | expected [5] but found [6] [2]",
                "skipped | com.acme.cart.CartTest | converts | 0 | -",
            ],
            ..Expected::default()
        },
    );
}

#[test]
fn xcode_trainer() {
    check(
        "xcode/trainer",
        &Expected {
            results: &[
                "passed | CartTests | testStartsEmpty() | 0.0021 | -",
                "failed | CartTests | testSums() | 0.012 | - | XCTAssertEqual failed: (\"6\") is not equal to (\"5\") [1]",
                "failed | CartTests | testSums() | 0.01 | - | XCTAssertEqual failed: (\"7\") is not equal to (\"5\") [1]",
            ],
            ..Expected::default()
        },
    );
}
