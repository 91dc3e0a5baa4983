//! How fast reports are read. Budgets: 200 MB/s for JUnit XML, 250 MB/s for Buildkite's result objects; secrets are looked
//! for at 500 MB/s where there are none.

#![expect(clippy::unwrap_used, reason = "writing to a text does not fail")]

use casebook_formats::redaction::{Found, redact};
use casebook_formats::{Format, Options, parse, parse_junit_from};
use divan::counter::BytesCount;
use std::fmt::Write as _;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// About 20 MB of JUnit XML: mostly passing, one failure in fifty, some output.
#[divan::bench(sample_count = 20)]
fn junit(bencher: divan::Bencher<'_, '_>) {
    run(bencher, Format::Junit, &junit_report(60_000, 50, true));
}

/// About 20 MB of testcases that passed and wrote nothing.
#[divan::bench(sample_count = 20)]
fn junit_passed_only(bencher: divan::Bencher<'_, '_>) {
    run(bencher, Format::Junit, &junit_report(150_000, usize::MAX, false));
}

/// The report with failures and output, from a reader.
#[divan::bench(sample_count = 20)]
fn junit_reader(bencher: divan::Bencher<'_, '_>) {
    from_reader(bencher, &junit_report(60_000, 50, true));
}

/// The testcases that passed, from a reader.
#[divan::bench(sample_count = 20)]
fn junit_passed_only_reader(bencher: divan::Bencher<'_, '_>) {
    from_reader(bencher, &junit_report(150_000, usize::MAX, false));
}

/// A real file of each dialect, over and over.
#[divan::bench(args = ["nextest/cargo-nextest", "pytest/pytest-xunit2", "surefire/surefire", "go/gotestsum", "jest-junit/jest-junit"])]
fn junit_dialect(bencher: divan::Bencher<'_, '_>, file: &str) {
    let sample = std::fs::read_to_string(format!("samples/junit/{file}.xml")).unwrap();
    run(bencher, Format::Junit, &sample.repeat(1 + 2_000_000 / sample.len()));
}

/// Stack traces and log lines without a secret.
#[divan::bench]
fn redaction_clean(bencher: divan::Bencher<'_, '_>) {
    let text = "\tat com.acme.cart.checkout.CartTest.pays(CartTest.java:123)\n\
                2026-11-20 11:10:56 INFO https://cart.test/orders/7?page=2 answered 200 in 12 ms\n\
                AssertionError: expected [5] but found [6] & so on\n"
        .repeat(400);
    redacting(bencher, &text);
}

/// The same with words that secrets have in common with code, in every third line.
#[divan::bench]
fn redaction_suspicious(bencher: divan::Bencher<'_, '_>) {
    let text = "\tat com.acme.cart.token.TokenTest.issuesToken(TokenTest.java:123)\n\
                2026-11-20 11:10:56 INFO https://cart.test/orders/7?page=2 answered 200 in 12 ms\n\
                AssertionError: expected token: 'EOF' but found [6] & so on\n"
        .repeat(400);
    redacting(bencher, &text);
}

/// A secret in every third line.
#[divan::bench]
fn redaction_dirty(bencher: divan::Bencher<'_, '_>) {
    let text = "\tat com.acme.cart.checkout.CartTest.pays(CartTest.java:123)\n\
                Authorization: Bearer aB3dE5gH7aB3dE5gH7aB3dE5gH7\n\
                connecting to postgres://app:hunter2@db.test/cart failed\n"
        .repeat(400);
    redacting(bencher, &text);
}

fn redacting(bencher: divan::Bencher<'_, '_>, text: &str) {
    bencher
        .counter(BytesCount::of_str(text))
        .bench(|| redact(divan::black_box(text), &mut Found::default()).len());
}

fn from_reader(bencher: divan::Bencher<'_, '_>, report: &str) {
    let options = Options { most_text: Some(usize::MAX), ..Options::default() };
    bencher
        .counter(BytesCount::of_str(report))
        .bench(|| parse_junit_from(divan::black_box(report.as_bytes()), &options).unwrap());
}

/// One full upload of a collector: 5,000 results, one failure in fifty.
#[divan::bench(sample_count = 100)]
fn buildkite_json(bencher: divan::Bencher<'_, '_>) {
    run(bencher, Format::Json, &buildkite_report(50, 4));
}

/// The same with a failure in every third result.
#[divan::bench(sample_count = 100)]
fn buildkite_json_many_failures(bencher: divan::Bencher<'_, '_>) {
    run(bencher, Format::Json, &buildkite_report(3, 4));
}

fn run(bencher: divan::Bencher<'_, '_>, format: Format, report: &str) {
    // All of a report counts here, also of those that are longer than one upload may be.
    let options = Options { most_text: Some(usize::MAX), ..Options::default() };
    bencher
        .counter(BytesCount::of_str(report))
        .bench(|| parse(format, divan::black_box(report.as_bytes()), &options).unwrap());
}

fn junit_report(cases: usize, failure_every: usize, output: bool) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for index in 0..cases {
        if index % 100 == 0 {
            if index > 0 {
                text.push_str("</testsuite>\n");
            }
            writeln!(text, "<testsuite name=\"suite {index}\" tests=\"100\" time=\"1.234\">").unwrap();
        }
        write!(
            text,
            "  <testcase classname=\"com.acme.cart.checkout.CartTest{}\" name=\"pays[{index} &lt; max]\" \
             file=\"src/test/java/com/acme/cart/CartTest.java\" line=\"{}\" time=\"0.{:03}\">",
            index / 100,
            index % 1000,
            index % 1000
        )
        .unwrap();
        if index % failure_every == failure_every - 1 {
            text.push_str("<failure message=\"expected:&lt;5&gt; but was:&lt;6&gt;\" type=\"java.lang.AssertionError\"><![CDATA[");
            for frame in 0..25 {
                writeln!(text, "\tat com.acme.cart.CartTest.pays(CartTest.java:{frame})").unwrap();
            }
            text.push_str("]]></failure>");
        }
        if output && index % 10 == 0 {
            text.push_str("<system-out>");
            for line in 0..20 {
                writeln!(text, "2026-11-20 11:10:56 INFO checkout &amp; cart: step {line} done").unwrap();
            }
            text.push_str("</system-out>");
        }
        text.push_str("</testcase>\n");
    }
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

fn buildkite_report(failure_every: usize, span_every: usize) -> String {
    let mut text = String::from("[");
    for index in 0..5000 {
        if index > 0 {
            text.push(',');
        }
        write!(
            text,
            r#"{{"id":"72dd0b34-b673-412d-a330-{index:012}","scope":"Cart with a bad quantity {}","name":"sums prices of order {index}","location":"services/cart/cart.test.js:{index}","file_name":"services/cart/cart.test.js","#,
            index / 50
        )
        .unwrap();
        if index % failure_every == failure_every - 1 {
            text.push_str(r#""result":"failed","failure_reason":"Error: expect(received).toBe(expected) // \"Object.is\" equality","failure_expanded":[{"expanded":["","Expected: 5","Received: 6""#);
            for frame in 0..18 {
                write!(text, r#","    at Object.toBe (/builds/acme/cart-js/node_modules/jest-circus/build/jestAdapterInit.js:{frame}:51)""#).unwrap();
            }
            text.push_str("]}],");
        } else {
            text.push_str(r#""result":"passed","failure_expanded":[{"expanded":[]}],"#);
        }
        text.push_str(r#""history":{"section":"top","start_at":1795173650291.25,"end_at":1795173650541.5,"duration":0.007321,"children":["#);
        if index % span_every == span_every - 1 {
            text.push_str(r#"{"section":"sql","start_at":347611.734956,"end_at":347611.735647,"duration":0.00069,"detail":{"query":"SELECT * FROM carts WHERE id = 7"}}"#);
        }
        text.push_str(r#"]},"tags":{"test.framework.name":"jest"}}"#);
    }
    text.push(']');
    text
}
