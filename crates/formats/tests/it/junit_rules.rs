//! One test or more per rule of reading JUnit XML. By the numbers of JUnit rules, D.2:
//!
//! 1 `roots`, `suites_at_any_depth_and_in_any_order`, `truncated_files_keep_what_had_closed_if_allowed`,
//! `reports_of_other_tools_are_named`; 2 the module `junit_text`; 3 `text_is_everything_in_the_element`;
//! 4 `outcomes_by_element`, `failure_texts`, `attempts_before_a_pass`, `attempts_before_a_failure_end_with_the_last_rerun`,
//! `failed_or_error`; 5 `outcomes_by_attribute_only_without_an_element`; 6 `repeated_names_are_attempts_unless_they_are_written_elsewhere`,
//! `shards_of_one_file_are_told_apart_only_by_place`; 7 the tests of times and durations;
//! 8 `timestamps_without_a_zone_are_utc_and_nobody_believes_1970`; 9 `suite_paths_keep_what_says_where_a_test_belongs`;
//! 10 `names_decide`, and in `junit_text` `hostile_names_are_kept_byte_by_byte`; 11 there `long_texts_lose_their_middle`, and `memory_is_bounded_by_what_is_kept`,
//! `failures_without_number_are_limited`; 12 the module `redaction`; 13 `suite_counters_are_hints`; 14 `every_result_is_counted_once`;
//! 15 the modules `junit_producers` and `robustness`.

use crate::{Format, Malformed, Options, parse, problems, read, refused, table};
use casebook_model::execution::Outcome;
use casebook_model::failure::Failure;
use casebook_model::report::{Report, ReportedResult};
use casebook_model::time::Timestamp;

/// A file with one suite around `content`.
pub(crate) fn suite(content: &str) -> String {
    format!("<testsuites><testsuite name=\"s\">{content}</testsuite></testsuites>")
}

pub(crate) fn cases(content: &str) -> Report {
    read(Format::Junit, &suite(content))
}

pub(crate) fn case(content: &str) -> ReportedResult {
    let mut results = cases(content).results;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

fn inside(children: &str) -> ReportedResult {
    case(&format!("<testcase classname=\"c\" name=\"n\">{children}</testcase>"))
}

fn duration(time: &str) -> Option<i64> {
    case(&format!("<testcase classname=\"c\" name=\"n\" time=\"{time}\"/>")).duration_us
}

pub(crate) fn not_xml(text: &str) {
    assert!(matches!(refused(Format::Junit, text), Malformed::NotXml(_)), "{text}");
}

fn wrong_shape(text: &str) {
    assert!(matches!(refused(Format::Junit, text), Malformed::WrongShape(_)), "{text}");
}

#[test]
fn suites_at_any_depth_and_in_any_order() {
    let text = r#"<testsuites>
        <testsuite name="outer"><properties><property name="p" value="v"/></properties>
            <testsuite><testsuite><testcase name="deep" classname="a"/></testsuite><testcase name="up" classname="a"/></testsuite>
            <testcase name="after" classname="a"/><system-out>done</system-out></testsuite>
        <group><testcase name="elsewhere" classname="a"/></group>
        <testcase name="bare" classname="a"/>
    </testsuites>"#;
    let report = read(Format::Junit, text);
    let names: Vec<_> = report.results.iter().map(|result| result.name.as_str()).collect();
    assert_eq!(names, ["deep", "up", "after", "elsewhere", "bare"]);
}

#[test]
fn roots() {
    assert_eq!(
        read(Format::Junit, "<testsuite><testcase classname='c' name='n'/></testsuite>").results.len(),
        1
    );
    assert_eq!(read(Format::Junit, "<testsuites/>").total(), 0);
    let several = "<?xml version='1.0'?><testsuite><testcase classname='c' name='a'/></testsuite>\n\u{FEFF}\
                   <?xml version='1.0'?><testsuites><testsuite><testcase classname='c' name='b'/></testsuite></testsuites>\n";
    assert_eq!(read(Format::Junit, several).results.len(), 2);
    wrong_shape("<test-run><test-suite/></test-run>");
    wrong_shape("<!DOCTYPE html><html></html>");
    wrong_shape("<testcase classname='c' name='n'/>");
}

#[test]
fn not_well_formed() {
    for text in [
        "",
        "  \n",
        "hello",
        "{\"data\": []}",
        "<!-- nothing -->",
        "<testsuites>",
        "<testsuites><testsuite></testsuites>",
        "<testsuites></testsuite>",
        "<testsuites/>trailing",
        "<testsuites/>&amp;",
        "<testsuite><testcase classname=c name='n'/></testsuite>",
        "<testsuite><testcase classname='c' name='n'",
        "<testsuite><![CDATA[ </testsuite>",
    ] {
        not_xml(text);
    }
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| format!("{}{}", "<testsuite>".repeat(depth), "</testsuite>".repeat(depth));
    assert_eq!(read(Format::Junit, &nested(64)).total(), 0);
    wrong_shape(&nested(65));
    let within =
        format!("<testcase classname='c' name='n'>{}{}</testcase>", "<a>".repeat(70), "</a>".repeat(70));
    wrong_shape(&suite(&within));
}

#[test]
fn truncated_files_keep_what_had_closed_if_allowed() {
    let options = Options { allow_truncated: true, ..Options::default() };
    let text = "<testsuites><testsuite name='s' tests='3'><testcase classname='c' name='a'/>\
                <testcase classname='c' name='b'><failure message='x'/></testcase>\
                <testcase classname='c' name='c'><failure mess";
    let report = parse(Format::Junit, text.as_bytes(), &options).unwrap();
    assert!(report.truncated);
    assert_eq!(table(&report), ["passed | c | a | - | -", "failed | c | b | - | - | x []"]);
    assert_eq!(report.problems.len(), 1);
    not_xml(text);
    let whole = parse(Format::Junit, b"<testsuites/>", &options).unwrap();
    assert!(!whole.truncated);
    let nothing = parse(Format::Junit, b"<!-- cut", &options);
    assert!(matches!(nothing, Err(Malformed::NotXml(_))));
}

#[test]
fn names_decide() {
    let report = cases(
        "<testcase name='no class'/><testcase classname='c'/><testcase classname='c' name=''/>\
         <testcase classname='' name='empty class'/><testcase classname='c' name=' blank '/>",
    );
    assert_eq!(table(&report), ["passed |  | empty class | - | -", "passed | c |  blank  | - | -"]);
    assert_eq!(report.rejected, 3);
    assert_eq!(
        problems(&report),
        [
            "result 1: the testcase has no `classname`",
            "result 2: the testcase has no `name`",
            "result 3: the `name` of the testcase is empty"
        ]
    );
    assert!(report.problems.iter().all(|problem| problem.rejected));
}

#[test]
fn too_many() {
    let options = Options { most_results: Some(2), ..Options::default() };
    let text = suite(&"<testcase classname='c' name='n'/><testcase/>".repeat(2));
    let refusal = parse(Format::Junit, text.as_bytes(), &options).unwrap_err();
    assert_eq!(refusal, Malformed::TooManyResults { count: 4, most: 2 });
    let broken = format!("{text}<");
    assert!(matches!(parse(Format::Junit, broken.as_bytes(), &options), Err(Malformed::NotXml(_))));
    let just = Options { most_results: Some(4), ..Options::default() };
    assert_eq!(parse(Format::Junit, text.as_bytes(), &just).unwrap().total(), 4);
}

#[test]
fn outcomes_by_element() {
    let outcome = |children: &str| inside(children).outcome;
    assert_eq!(outcome(""), Outcome::Passed);
    assert_eq!(outcome("<system-out>x</system-out><properties/>"), Outcome::Passed);
    assert_eq!(outcome("<failure/>"), Outcome::Failed);
    assert_eq!(outcome("<error/>"), Outcome::Failed);
    assert_eq!(outcome("<skipped/>"), Outcome::Skipped);
    assert_eq!(outcome("<skipped/><failure/>"), Outcome::Failed);
    assert_eq!(outcome("<failure/><skipped/>"), Outcome::Failed);
    assert_eq!(outcome("<flakyFailure/>"), Outcome::Passed);
    assert_eq!(outcome("<flakyFailure/><failure/>"), Outcome::Failed);
    assert_eq!(outcome("<flakyFailure/><skipped/>"), Outcome::Skipped);
    assert_eq!(outcome("<rerunFailure/>"), Outcome::Failed);
    assert_eq!(outcome("<x:failure xmlns:x='urn:x'/>"), Outcome::Failed);
}

#[test]
fn outcomes_by_attribute_only_without_an_element() {
    let outcome = |attributes: &str, children: &str| {
        case(&format!("<testcase classname='c' name='n' {attributes}>{children}</testcase>")).outcome
    };
    for (attributes, expected) in [
        ("status='run' result='completed'", Outcome::Passed),
        ("status='notrun' result='suppressed'", Outcome::Skipped),
        ("status='run' result='skipped'", Outcome::Skipped),
        ("result='suppressed'", Outcome::Skipped),
        ("status='disabled'", Outcome::Skipped),
        ("status='Failed'", Outcome::Failed),
        ("status='errored'", Outcome::Failed),
        ("status='fail' result='skipped'", Outcome::Failed),
        ("status='whatever'", Outcome::Passed),
    ] {
        assert_eq!(outcome(attributes, ""), expected, "{attributes}");
    }
    assert_eq!(outcome("status='notrun'", "<failure/>"), Outcome::Failed);
    assert_eq!(outcome("status='failed'", "<flakyFailure/>"), Outcome::Passed);
}

#[test]
fn failed_or_error() {
    let outcome = |class: &str, name: &str, child: &str| {
        case(&format!("<testcase classname='{class}' name='{name}'>{child}</testcase>")).outcome
    };
    for (class, name, child) in [
        ("", "tests.test_x", "<error message='collection failure'/>"),
        ("c", "n", "<error message='collection failure'/>"),
        (
            "c",
            "n",
            "<error message='failed on setup with \"worker &apos;gw0&apos; crashed while running &apos;t&apos;\"'/>",
        ),
        ("//pkg:target", "target", "<error message='exited with error code 3'/>"),
        ("Test suite failed to run", "a.test.js", "<error>SyntaxError</error>"),
        ("c", "Cart Test suite failed to run", "<error>SyntaxError</error>"),
        ("com.acme.CartTest", "initializationError", "<error message='no methods'/>"),
        (
            "com.acme.CartTest",
            "n",
            "<error>The forked VM terminated without saying properly goodbye.</error>",
        ),
        ("cart", "n", "<error type='execution failure'/>"),
        ("acme/cart", "[build failed]", "<failure message='Failed'/>"),
        ("", "TestMain", "<failure message='Failed'>FAIL acme/cart [build failed]</failure>"),
    ] {
        assert_eq!(outcome(class, name, child), Outcome::Error, "{class} {name} {child}");
    }
    for (class, name, child) in [
        ("c", "n", "<error message='failed on setup with \"RuntimeError: x\"'/>"),
        ("c", "n", "<error message='failed on teardown with \"RuntimeError: x\"'/>"),
        ("", "n", "<error message='failed on setup with \"RuntimeError: x\"'/>"),
        ("com.acme.CartTest", "n", "<error type='java.lang.IllegalStateException'>boom</error>"),
        ("cart.spec.js", "n", "<error message='Test timeout of 200ms exceeded.'/>"),
        ("", "n", "<failure message='x'/>"),
        ("", "TestMain", "<failure message='Failed'>panic: test timed out</failure>"),
        ("c", "n", "<error message='collection failure'/><failure message='and the test'/>"),
    ] {
        assert_eq!(outcome(class, name, child), Outcome::Failed, "{class} {name} {child}");
    }
}

#[test]
fn failure_texts() {
    let failure = |children: &str| inside(children).failure;
    assert_eq!(failure("<failure/>"), None);
    assert_eq!(failure("<failure message=' '>  \n</failure>"), None);

    let both = failure("<failure message='short'>\nline 1\n\n  line 3\n  </failure>").unwrap();
    assert_eq!(both.reason.as_deref(), Some("short"));
    assert_eq!(both.details[0].expanded, ["line 1", "", "  line 3"]);
    assert!(both.details[0].backtrace.is_empty());

    let text_only = failure("<failure>\n\n  first  \nsecond</failure>").unwrap();
    assert_eq!(text_only.reason.as_deref(), Some("first"));

    let several =
        failure("<failure message='a'>text a</failure><failure message='b'/><error>text c</error>").unwrap();
    assert_eq!(several.reason.as_deref(), Some("a"));
    let lines: Vec<_> = several.details.iter().map(|detail| detail.expanded.join("|")).collect();
    assert_eq!(lines, ["text a", "b", "text c"]);

    let skipped = inside("<skipped message='later' type='pytest.skip'>f.py:3: later</skipped>");
    assert_eq!(
        (skipped.outcome, skipped.failure.unwrap().reason.as_deref()),
        (Outcome::Skipped, Some("later"))
    );
    let skipped = failure("<skipped>no warehouse</skipped>").unwrap();
    assert_eq!((skipped.reason.as_deref(), skipped.details.len()), (Some("no warehouse"), 0));
}

#[test]
fn text_is_everything_in_the_element() {
    let parts = "<failure>a &lt; b<![CDATA[ <&amp;> ]]]]><![CDATA[> ]]><!-- no -->&#x41;&#66;<b>c</b>\
                 <stackTrace>at d</stackTrace><system-out>not this</system-out></failure>";
    let failure = inside(parts).failure.unwrap();
    assert_eq!(failure.details[0].expanded, ["a < b <&amp;> ]]> ABcat d"]);
}

#[test]
fn attempts_before_a_pass() {
    let result = case(
        "<testcase classname='c' name='n' time='0.5' timestamp='2026-01-01T00:00:10Z'>\
         <flakyFailure message='one' time='0.1' timestamp='2026-01-01T00:00:01Z'><stackTrace>at 1</stackTrace></flakyFailure>\
         <flakyError message='two' type='E'><stackTrace><![CDATA[at 2]]></stackTrace><system-err>x</system-err></flakyError>\
         </testcase>",
    );
    assert_eq!(result.outcome, Outcome::Passed);
    assert_eq!(result.failure, None);
    assert_eq!(result.duration_us, Some(500_000));
    let [one, two] = &result.earlier[..] else { panic!() };
    assert_eq!((one.outcome, one.duration_us), (Outcome::Failed, Some(100_000)));
    assert_eq!(one.started_at.unwrap().to_rfc3339_millis(), "2026-01-01T00:00:01.000Z");
    assert_eq!(one.failure.details[0].expanded, ["at 1"]);
    assert_eq!((two.outcome, two.duration_us, two.started_at), (Outcome::Failed, None, None));
    assert_eq!(two.failure.reason.as_deref(), Some("two"));
    assert_eq!(two.failure.details[0].expanded, ["at 2"]);
}

#[test]
fn attempts_before_a_failure_end_with_the_last_rerun() {
    let timed = case(
        "<testcase classname='c' name='n' time='0.5'><failure message='1'/>\
         <rerunFailure message='2' time='0.2'/><rerunError message='3' time='0.3'/></testcase>",
    );
    assert_eq!((timed.outcome, timed.duration_us), (Outcome::Failed, Some(300_000)));
    assert_eq!(timed.failure.unwrap().reason.as_deref(), Some("3"));
    let before: Vec<_> =
        timed.earlier.iter().map(|a| (a.failure.reason.as_deref().unwrap(), a.duration_us)).collect();
    assert_eq!(before, [("1", Some(500_000)), ("2", Some(200_000))]);

    let untimed = case(
        "<testcase classname='c' name='n' time='0.5'><error message='1'/><rerunError message='2'/></testcase>",
    );
    assert_eq!(untimed.duration_us, Some(500_000));
    assert_eq!(untimed.earlier[0].duration_us, None);
}

/// What our plugin writes: one testcase a test, and properties that tell of its attempts.
#[test]
fn attempts_told_by_properties() {
    let property = |name: &str, value: &str| format!("<property name='casebook.{name}' value='{value}'/>");
    let told = |attempts: &str, others: &[(&str, &str)], children: &str| {
        let others: String = others.iter().map(|(name, value)| property(name, value)).collect();
        let properties = [property("attempts", attempts), others].concat();
        inside(&format!("<properties>{properties}</properties>{children}"))
    };
    let attempts = |result: &ReportedResult| {
        let said = |failure: Option<&Failure>| failure.and_then(|failure| failure.reason.clone());
        let earlier = result.earlier.iter().map(|attempt| (attempt.outcome, said(Some(&attempt.failure))));
        earlier.chain([(result.outcome, said(result.failure.as_ref()))]).collect::<Vec<_>>()
    };
    let (passed, failed) =
        ((Outcome::Passed, None), |reason: &str| (Outcome::Failed, Some(reason.to_owned())));

    let flaky = told("failed,passed", &[("attempt.1.failure", "E: 1"), ("mode", "rerun")], "");
    assert_eq!(attempts(&flaky), [failed("E: 1"), passed.clone()]);
    assert_eq!(flaky.tags, [("casebook.mode".to_owned(), "rerun".to_owned())]);
    let element = "<flakyFailure message='E: 1'>where it was</flakyFailure>";
    let with_text = told("failed,passed", &[("attempt.1.failure", "E: 1")], element);
    assert_eq!(attempts(&with_text), attempts(&flaky));
    assert_eq!(with_text.earlier[0].failure.details[0].expanded, ["where it was"]);

    let reasons = [("attempt.2.failure", "E: 2"), ("attempt.3.failure", "E: 3")];
    let shown = "<failure message='E: 3'>line</failure>";
    let broken = told("passed,failed,failed", &reasons, shown);
    assert_eq!(attempts(&broken), [passed.clone(), failed("E: 2"), failed("E: 3")]);
    let both = told("passed,failed,failed", &reasons, &format!("{shown}<rerunFailure message='E: 2'/>"));
    assert_eq!(attempts(&both), attempts(&broken));
    let in_vain = told("failed,failed,passed", &[("attempt.1.failure", "E: 1")], "<failure message='E: 2'/>");
    assert_eq!(attempts(&in_vain), [failed("E: 1"), failed("E: 2"), passed]);

    let quarantine = "<skipped type='pytest.xfail' message='quarantined: E: 1'/>";
    let quarantined =
        told("failed", &[("attempt.1.failure", "E: 1"), ("verdict", "quarantined")], quarantine);
    assert_eq!(attempts(&quarantined), [failed("E: 1")]);
    let skipped = told("skipped", &[], "<skipped message='not today'/>");
    assert_eq!(attempts(&skipped), [(Outcome::Skipped, Some("not today".to_owned()))]);
    // What is no list of outcomes says nothing.
    assert_eq!(attempts(&told("maybe", &[], "<failure message='E'/>")), [failed("E")]);
}

#[test]
fn times() {
    for (text, expected) in [
        ("0.012", Some(12_000)),
        ("0", Some(0)),
        (" 1 ", Some(1_000_000)),
        ("1,234.5", Some(1_234_500_000)),
        ("2,120.532", Some(2_120_532_000)),
        ("1.234,5", Some(1_234_500_000)),
        ("1 234.5", Some(1_234_500_000)),
        ("1,234,567", Some(1_234_567_000_000)),
        ("1,5", Some(1_500_000)),
        ("0,123", Some(123_000)),
        ("1,234", Some(1_234_000_000)),
        ("4.5e-05", Some(45)),
        ("1E2", Some(100_000_000)),
        ("999638317", Some(999_638)),
        ("", None),
        ("-0.5", None),
        ("NaN", None),
        ("inf", None),
        ("1e400", None),
        ("soon", None),
        ("1:02", None),
        (".", None),
        (",", None),
    ] {
        assert_eq!(duration(text), expected, "{text:?}");
    }
    let without = read(Format::Junit, "<testsuite time='9'><testcase classname='c' name='n'/></testsuite>");
    assert_eq!(without.results[0].duration_us, None);
}

#[test]
fn a_lone_comma_is_decimal_where_that_adds_up() {
    let durations = |text: &str| -> Vec<i64> {
        read(Format::Junit, text).results.iter().map(|result| result.duration_us.unwrap()).collect()
    };
    let cases =
        "<testcase classname='c' name='a' time='1,250'/><testcase classname='c' name='b' time='2,250'/>";
    let in_suite =
        |time: &str, more: &str| format!("<testsuite name='s' time='{time}'>{cases}{more}</testsuite>");
    assert_eq!(durations(&in_suite("3.5", "")), [1_250_000, 2_250_000]);
    assert_eq!(durations(&in_suite("3500", "")), [1_250_000_000, 2_250_000_000]);
    assert_eq!(durations(&in_suite("", "")), [1_250_000_000, 2_250_000_000]);
    let other = "<testcase classname='c' name='d' time='0,004'/>";
    assert_eq!(durations(&in_suite("3,504", other)), [1_250_000, 2_250_000, 4_000]);
    let cut = format!("<testsuite name='s' time='3,504'>{cases}{other}");
    let options = Options { allow_truncated: true, ..Options::default() };
    let cut = parse(Format::Junit, cut.as_bytes(), &options).unwrap();
    assert_eq!(cut.results[0].duration_us, Some(1_250_000));
    let point = "<testcase classname='c' name='d' time='0.004'/>";
    assert_eq!(durations(&in_suite("", point)), [1_250_000_000, 2_250_000_000, 4_000]);
}

#[test]
fn timestamps_without_a_zone_are_utc_and_nobody_believes_1970() {
    let started = |attributes: &str| {
        case(&format!("<testcase classname='c' name='n' {attributes}/>"))
            .started_at
            .map(Timestamp::to_rfc3339_millis)
    };
    for (attributes, expected) in [
        ("timestamp='2026-11-20T12:10:56.5+01:00'", Some("2026-11-20T11:10:56.500Z")),
        ("timestamp='2026-11-20T12:10:56'", Some("2026-11-20T12:10:56.000Z")),
        ("timestamp='Sat, 03 Dec 2022 23:10:07 GMT'", Some("2022-12-03T23:10:07.000Z")),
        ("timestamp='1970-01-01T00:00:00Z'", None),
        ("timestamp='1970-01-01T01:00:00'", None),
        ("timestamp='2026-11-20'", None),
        ("timestamp='yesterday'", None),
        ("", None),
    ] {
        assert_eq!(started(attributes).as_deref(), expected, "{attributes}");
    }
    let suite = "<testsuite timestamp='2026-11-20T12:10:56Z'><testcase classname='c' name='n'/></testsuite>";
    assert_eq!(read(Format::Junit, suite).results[0].started_at, None);
}

#[test]
fn places() {
    let place = |text: &str| {
        let result = read(Format::Junit, text).results.remove(0);
        (result.file, result.location)
    };
    let some = |file: &str, location: &str| (Some(file.to_owned()), Some(location.to_owned()));
    let case = |attributes: &str| format!("<testcase classname='c' name='n' {attributes}/>");
    assert_eq!(place(&suite(&case("file='a.py' line='3'"))), some("a.py", "a.py:3"));
    assert_eq!(place(&suite(&case("file='a.py'"))), some("a.py", "a.py"));
    assert_eq!(place(&suite(&case("line='3'"))), (None, None));
    let outer = |inner: &str| format!("<testsuite file='s.js'><testsuite>{inner}</testsuite></testsuite>");
    assert_eq!(place(&outer(&case(""))), some("s.js", "s.js"));
    assert_eq!(place(&outer(&case("file='a.py' line='3'"))), some("a.py", "a.py:3"));
    let cypress = format!(
        "<testsuites><testsuite name='Root Suite' file='e2e/a.cy.js'/><testsuite name='A'>{}</testsuite></testsuites>",
        case("")
    );
    assert_eq!(place(&cypress), some("e2e/a.cy.js", "e2e/a.cy.js"));
}

#[test]
fn repeated_names_are_attempts_unless_they_are_written_elsewhere() {
    let instances = |cases: &[(&str, &str)]| -> Vec<u16> {
        let text: String = cases
            .iter()
            .map(|(attributes, child)| {
                format!("<testcase classname='c' name='n' {attributes}>{child}</testcase>")
            })
            .collect();
        self::cases(&text).results.iter().map(|result| result.instance).collect()
    };
    assert_eq!(instances(&[("", "<failure/>"), ("", "")]), [0, 0]);
    assert_eq!(instances(&[("", ""), ("", "")]), [0, 0]);
    assert_eq!(instances(&[("file='a' line='1'", "<failure/>"), ("file='a' line='1'", "")]), [0, 0]);
    assert_eq!(instances(&[("file='a'", ""), ("file='b'", ""), ("file='a'", ""), ("", "")]), [0, 1, 0, 0]);
    assert_eq!(instances(&[("file='a' line='1'", ""), ("file='a' line='9'", "<failure/>")]), [0, 1]);
}

#[test]
fn suite_counters_are_hints() {
    let hint = |attributes: &str, content: &str| {
        let text = format!("<testsuite name='s' {attributes}>{content}</testsuite>");
        problems(&read(Format::Junit, &text))
    };
    let case = "<testcase classname='c' name='n'/>";
    assert_eq!(hint("tests='3'", case), ["the suite \"s\" says 3 tests, the file holds 1"]);
    assert!(hint("tests='0'", case).is_empty());
    assert!(hint("tests='3'", "").is_empty());
    assert!(hint("tests='3'", "<testsuite><testcase classname='c' name='n'/></testsuite>").is_empty());
    let retried = "<testcase classname='c' name='n'><flakyFailure/><flakyFailure/></testcase>";
    assert!(hint("tests='3'", retried).is_empty(), "surefire counts attempts");
    let several = "<testcase classname='c' name='n'><failure/><failure/><error/></testcase>";
    assert!(hint("tests='3'", several).is_empty(), "some count failures");
    let pytest = "<testsuite name='pytest' tests='9'><testcase classname='c' name='n'/></testsuite>";
    assert!(problems(&read(Format::Junit, pytest)).is_empty(), "pytest counts subtests");

    let pending = |skipped: usize, seen: &str| {
        let suites = format!(
            "<testsuite name='a' tests='3'>{case}</testsuite><testsuite name='b' tests='2'>{case}{seen}</testsuite>"
        );
        problems(&read(Format::Junit, &format!("<testsuites skipped='{skipped}'>{suites}</testsuites>")))
            .len()
    };
    assert_eq!(pending(3, ""), 0, "Mocha counts pending tests and leaves them out");
    assert_eq!(pending(2, ""), 2);
    assert_eq!(pending(2, "<testcase classname='c' name='m'><skipped/></testcase>"), 1);
    let two_roots = format!("<testsuites skipped='5'/><testsuite name='s' tests='2'>{case}</testsuite>");
    assert_eq!(problems(&read(Format::Junit, &two_roots)).len(), 1);
}

#[test]
fn properties_are_no_tags() {
    let result = inside("<properties><property name='owner' value='checkout'/></properties>");
    assert!(result.tags.is_empty());
}

#[test]
fn failures_without_number_are_limited() {
    for (child, outcome, told) in [
        ("<failure>x</failure>", Outcome::Failed, 100),
        ("<flakyFailure message='x'/>", Outcome::Passed, 100),
        ("<rerunError message='x'/>", Outcome::Failed, 99),
    ] {
        let report = cases(&format!("<testcase classname='c' name='n'>{}</testcase>", child.repeat(5000)));
        let result = &report.results[0];
        let details = result.failure.as_ref().map_or(0, |failure| failure.details.len());
        assert_eq!((result.earlier.len().max(details), result.outcome), (told, outcome));
        assert_eq!(problems(&report), ["result 1: failures after a hundred of one kind were left out: 4900"]);
    }
}

#[test]
fn suite_paths_keep_what_says_where_a_test_belongs() {
    let path = |names: &[&str]| {
        let open: String = names.iter().map(|name| format!("<testsuite name='{name}'>")).collect();
        let text = format!("{open}<testcase classname='c' name='n'/>{}", "</testsuite>".repeat(names.len()));
        read(Format::Junit, &text).results.remove(0).suite_path
    };
    assert_eq!(path(&["Cart", "checkout", "with a voucher"]), ["Cart", "checkout", "with a voucher"]);
    assert_eq!(path(&["acme.cart", "acme.cart", "c"]), ["acme.cart"]);
    assert_eq!(
        path(&["unit tests 2", "v1.2", "chromium", "e2e/run.spec.ts"]),
        ["unit tests 2", "v1.2", "chromium", "e2e/run.spec.ts"]
    );
    for volatile in [
        "",
        "Root Suite",
        "pytest",
        "nextest-run",
        "rspec",
        "0190c1d2-3e4f-7a5b-8c6d-9e0f1a2b3c4d",
        "run 0190c1d2-3e4f-7a5b-8c6d-9e0f1a2b3c4d",
        "4711",
        "2026-11-20",
        "2026-11-20T12:10:56Z",
        "job-2026-11-20T12.10-1a2b3c4",
        "c576a61d26f72ad335660bdaefa4d63306c5752c",
        "pid 4711",
        "Job #12",
        "Randomized with seed 4711",
        "12:10:56",
    ] {
        assert_eq!(path(&[volatile, "Cart"]), ["Cart"], "{volatile}");
    }
}

#[test]
fn shards_of_one_file_are_told_apart_only_by_place() {
    let case = |shard: &str, child: &str| {
        format!(
            "<testsuite name='s' hostname='{shard}'><testcase classname='c' name='n'>{child}</testcase></testsuite>"
        )
    };
    let text = format!("<testsuites>{}{}</testsuites>", case("shard-1", "<failure/>"), case("shard-2", ""));
    let instances: Vec<u16> =
        read(Format::Junit, &text).results.iter().map(|result| result.instance).collect();
    assert_eq!(instances, [0, 0]);
}

#[test]
fn memory_is_bounded_by_what_is_kept() {
    let element = "<failure>".to_owned() + &"text of a failure\n".repeat(20_000) + "</failure>";
    let report = cases(&format!("<testcase classname='c' name='n'>{}</testcase>", element.repeat(50)));
    let details = &report.results[0].failure.as_ref().unwrap().details;
    let kept: usize = details.iter().flat_map(|detail| &detail.expanded).map(|line| line.len() + 1).sum();
    assert!(details.len() == 50 && kept < 80 * 1024, "{} {kept}", details.len());
}

#[test]
fn reports_of_other_tools_are_named() {
    for (text, word) in [
        ("<test-run id='2' testcasecount='1'><test-suite/></test-run>", "NUnit 3"),
        (
            "<TestRun xmlns='http://microsoft.com/schemas/VisualStudio/TeamTest/2010'><Results/></TestRun>",
            "TRX",
        ),
        ("<test-results name='a.dll' total='1'><test-suite/></test-results>", "NUnit 2"),
        ("<assemblies><assembly/></assemblies>", "xUnit.net"),
        ("<!DOCTYPE html><html></html>", "HTML"),
    ] {
        let Malformed::WrongShape(sentence) = refused(Format::Junit, text) else { panic!("{text}") };
        assert!(sentence.contains(word), "{sentence}");
    }
}

#[test]
fn every_result_is_counted_once() {
    let report = cases(
        "<testcase classname='c' name='a'/><testcase name='no class'/><testcase classname='c' name='a\u{1}'/>\
         <testcase classname='c' name='b'><flakyFailure message='m'/></testcase><testcase classname='c'/>",
    );
    assert_eq!((report.total(), report.results.len(), report.rejected), (5, 3, 2));
    let records: Vec<usize> = report.results.iter().map(|result| result.record).collect();
    assert_eq!(records, [1, 3, 4]);
    let repaired: Vec<_> =
        report.problems.iter().filter(|problem| !problem.rejected).map(|problem| problem.record).collect();
    assert_eq!(repaired, [Some(3)]);
    assert_eq!(report.results[2].earlier.len(), 1);
}
