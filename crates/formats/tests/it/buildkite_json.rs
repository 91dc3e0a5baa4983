//! Buildkite's result objects: what its collectors send, and one test per rule.

use crate::{Format, Malformed, Options, parse, problems, read, refused, table};
use casebook_model::execution::Outcome;
use casebook_model::report::{Report, ReportedResult};
use casebook_model::resources::Resources;

fn sample(tool: &str) -> Report {
    let bytes = std::fs::read(format!("samples/json/{tool}.json")).unwrap();
    parse(Format::Json, &bytes, &Options::default()).unwrap()
}

/// A result object with `members` besides name and history.
fn object(members: &str) -> String {
    format!(
        r#"[{{"name": "n", "history": {{"duration": 1}}{}{members}}}]"#,
        if members.is_empty() { "" } else { ", " }
    )
}

/// The only result of a report without problems.
fn one(text: &str) -> ReportedResult {
    let mut report = read(Format::Json, text);
    assert_eq!(problems(&report), [""; 0], "{text}");
    assert_eq!(report.results.len(), 1, "{text}");
    report.results.remove(0)
}

fn with(members: &str) -> ReportedResult {
    one(&object(members))
}

/// The sentence on the only record, which must have been rejected.
fn rejection(text: &str) -> String {
    let report = read(Format::Json, text);
    assert_eq!((report.results.len(), report.rejected, report.problems.len()), (0, 1, 1), "{text}");
    assert!(report.problems[0].rejected);
    assert_eq!(report.problems[0].record, Some(1));
    report.problems[0].message.clone()
}

#[test]
fn every_sample_is_read_without_a_problem() {
    for (tool, results) in [
        ("cargo-test", 5),
        ("cypress", 7),
        ("documentation", 2),
        ("jasmine", 4),
        ("jest", 11),
        ("jest-prefix", 11),
        ("minitest", 4),
        ("mocha", 7),
        ("playwright", 8),
        ("pytest", 18),
        ("pytest-empty", 0),
        ("rspec", 7),
        ("vitest", 5),
    ] {
        let report = sample(tool);
        assert_eq!((report.results.len(), problems(&report)), (results, Vec::new()), "{tool}");
    }
}

#[test]
fn pytest() {
    let report = sample("pytest");
    let rows = table(&report);
    assert_eq!(
        rows[0],
        "error |  | tests/test_broken_import.py | 0.00006 | tests/test_broken_import.py | ImportError while \
         importing test module '/builds/acme/cart-py/tests/test_broken_import.py'. [9]"
    );
    assert_eq!(
        rows[2],
        "failed | tests/test_cart.py | test_total_is_wrong_on_purpose | 0.00402 | tests/test_cart.py:18 | \
         AssertionError: three apples at 0.50 [11+1]"
    );
    assert_eq!(
        rows[9],
        r"passed | tests/test_cart.py | test_single_item[K\xe4se-3.0] | 0.000432 | tests/test_cart.py:47"
    );
    assert_eq!(
        rows[11],
        "unknown | tests/test_cart.py | test_flaky_checkout | 0.015174 | tests/test_cart.py:53"
    );
    let pays = &report.results[13];
    assert_eq!(pays.scope, "tests/test_cart.py::TestCheckout");
    assert_eq!(pays.external_id.as_deref(), Some("333525d0-722b-4031-b59f-6609e0f6a30e"));
    let tags: Vec<_> = pays.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(tags, ["feature=payment", "team=checkout", "test.framework.name=pytest"]);
    let spans = report.results[16].spans.as_deref().unwrap();
    assert!(spans.starts_with("[{\"section\"") && spans.ends_with("}]"), "{spans}");
}

#[test]
fn ruby() {
    let report = sample("rspec");
    assert_eq!(report.results[0].external_id.as_deref(), Some("53c5d059-0a58-4ffa-89e7-307c85a04d54"));
    assert!(report.results[6].spans.as_deref().unwrap().contains("asking the warehouse"));
    assert_eq!(report.results[0].spans, None);
    let aggregate = report.results[3].failure.as_ref().unwrap();
    assert_eq!(aggregate.details.len(), 2);
    assert_eq!(aggregate.details[1].expanded[2], "  expected: \"b\"");
    assert_eq!(
        table(&sample("minitest"))[1],
        "skipped (pending) | CartTest | test_skipped | 0.000053 | test/cart_test.rb:11 | no warehouse [0+22]"
    );
}

#[test]
fn javascript() {
    assert_eq!(
        table(&sample("mocha"))[2..4],
        [
            "failed | Cart | has several failures | 0 | cart.spec.js | Error: first of two [0+11 0+11 1+3]",
            "skipped (pending) | Cart | converts currencies | - | cart.spec.js"
        ]
    );
    assert_eq!(
        table(&sample("vitest"))[2..],
        [
            "skipped | Cart | converts currencies | - | cart.test.mjs:7",
            "skipped (pending) | Cart | applies vouchers | - | cart.test.mjs:8",
            "passed | Cart | is flaky | 0.005213 | cart.test.mjs:10 | AssertionError: expected 1 to be greater than 1 [10]"
        ]
    );
    assert_eq!(table(&sample("jasmine"))[0], "passed |  | starts empty | 0.001497 | spec/cart.spec.js:5");
    let playwright = sample("playwright");
    assert_eq!(
        table(&playwright)[4],
        "failed |  api cart.spec.js Cart is flaky | is flaky | 0.007 | cart.spec.js:10:3 | Error: attempt 0 [14]"
    );
    assert_eq!(playwright.results[1].tags, [("team".to_owned(), "cart".to_owned())]);
    assert!(playwright.results[0].failure.is_none(), "nothing is said with empty texts");
}

#[test]
fn refused_as_a_whole() {
    for text in ["", "[", "[{]", "[1,]", "[] []", "{", "nothing", "[{\"name\": \"\u{1}\"}]"] {
        let refusal = refused(Format::Json, text);
        assert!(matches!(refusal, Malformed::NotJson(_)), "{text}: {refusal}");
    }
    for text in ["{}", "null", "\"text\"", "1", "true", "{\"data\": []}"] {
        let refusal = refused(Format::Json, text);
        assert!(matches!(refusal, Malformed::WrongShape(_)), "{text}: {refusal}");
    }
    let refusal = parse(Format::Json, b"[\"\xFF\"]", &Options::default()).unwrap_err();
    assert_eq!(refusal, Malformed::NotJson("no UTF-8 at byte 2".to_owned()));
    assert_eq!(read(Format::Json, "\u{FEFF} [ ] ").total(), 0);
}

#[test]
fn too_many_are_counted_before_they_are_validated() {
    let options = Options { most_results: Some(3), ..Options::default() };
    let most = |text: &str| parse(Format::Json, text.as_bytes(), &options);
    assert_eq!(most("[1, 2, 3]").unwrap().rejected, 3);
    assert_eq!(most("[1, {}, 3, 4, []]").unwrap_err(), Malformed::TooManyResults { count: 5, most: 3 });
    assert_eq!(most("[1e999, 1, 2, 3]").unwrap_err(), Malformed::TooManyResults { count: 4, most: 3 });
    assert!(matches!(most("[1, 2, 3, 4, }"), Err(Malformed::NotJson(_))));
}

#[test]
fn a_record_must_be_an_object() {
    for (record, kind) in [
        ("1", "a number"),
        ("-1.5", "a number"),
        ("1e999", "a number"),
        ("null", "null"),
        ("true", "a boolean"),
        ("\"x\"", "a string"),
        ("\"\\ud800\"", "a string"),
        ("[{\"name\": \"n\"}]", "an array"),
    ] {
        assert_eq!(rejection(&format!("[{record}]")), format!("a result must be an object, found {kind}"));
    }
}

#[test]
fn the_name_must_be_a_non_empty_string() {
    assert_eq!(rejection(r#"[{"history": {}}]"#), "`name` is missing");
    assert_eq!(
        rejection(r#"[{"name": null, "history": {}}]"#),
        "`name` must be a non-empty string, found null"
    );
    assert_eq!(
        rejection(r#"[{"name": "", "history": {}}]"#),
        r#"`name` must be a non-empty string, found """#
    );
    assert_eq!(rejection(r#"[{"name": 1, "history": {}}]"#), "`name` must be a string, found a number");
    assert_eq!(with("").name, "n");
    assert_eq!(one(r#"[{"name": " ", "history": {}}]"#).name, " ");
}

#[test]
fn the_history_must_be_an_object() {
    assert_eq!(rejection(r#"[{"name": "n"}]"#), "`history` is missing");
    for (value, kind) in [
        ("null", "null"),
        ("[]", "an array"),
        ("\"x\"", "a string"),
        ("1", "a number"),
        ("1e999", "a number"),
    ] {
        let text = format!(r#"[{{"name": "n", "history": {value}}}]"#);
        assert_eq!(rejection(&text), format!("`history` must be an object, found {kind}"));
    }
    assert_eq!(one(r#"[{"name": "n", "history": {}}]"#).duration_us, None);
}

#[test]
fn wrong_types_are_rejected_and_named() {
    for member in ["scope", "location", "file_name", "failure_reason"] {
        for (value, kind) in
            [("1", "a number"), ("true", "a boolean"), ("{}", "an object"), ("[\"x\"]", "an array")]
        {
            let sentence = rejection(&object(&format!("\"{member}\": {value}")));
            assert_eq!(sentence, format!("`{member}` must be a string, found {kind}"));
        }
    }
    for (members, sentence) in [
        (r#""failure_expanded": "x""#, "`failure_expanded` must be an array of objects, found a string"),
        (r#""failure_expanded": {}"#, "`failure_expanded` must be an array of objects, found an object"),
        (
            r#""failure_expanded": ["x"]"#,
            "`failure_expanded` must be an array of objects, but holds a string",
        ),
        (
            r#""failure_expanded": [{"expanded": "x"}]"#,
            "`expanded` in `failure_expanded` must be an array of strings, found a string",
        ),
        (
            r#""failure_expanded": [{"backtrace": 1}]"#,
            "`backtrace` in `failure_expanded` must be an array of strings, found a number",
        ),
        (r#""tags": ["a"]"#, "`tags` must be an object or null, found an array"),
        (r#""tags": "a""#, "`tags` must be an object or null, found a string"),
    ] {
        assert_eq!(rejection(&object(members)), sentence);
    }
    for member in ["start_at", "end_at", "duration"] {
        for (value, kind) in [("true", "a boolean"), ("\"1\"", "a string"), ("[]", "an array")] {
            let text = format!(r#"[{{"name": "n", "history": {{"{member}": {value}}}}}]"#);
            assert_eq!(
                rejection(&text),
                format!("`history.{member}` must be a number or null, found {kind}")
            );
        }
    }
    let children = r#"[{"name": "n", "history": {"children": {}}}]"#;
    assert_eq!(rejection(children), "`history.children` must be an array or null, found an object");
}

#[test]
fn result_words() {
    for (word, outcome, pending) in [
        ("\"passed\"", Outcome::Passed, false),
        ("\"failed\"", Outcome::Failed, false),
        ("\"skipped\"", Outcome::Skipped, false),
        ("\"unknown\"", Outcome::Unknown, false),
        ("\"pending\"", Outcome::Skipped, true),
        ("null", Outcome::Unknown, false),
        ("\"p\\u0061ssed\"", Outcome::Passed, false),
    ] {
        let result = with(&format!("\"result\": {word}"));
        assert_eq!((result.outcome, result.pending), (outcome, pending), "{word}");
    }
    assert_eq!(with("").outcome, Outcome::Unknown);
    for (value, found) in
        [("\"Passed\"", "\"Passed\""), ("\"\"", "\"\""), ("1", "a number"), ("[]", "an array")]
    {
        let expected = format!(
            "`result` must be one of passed, failed, skipped, pending, unknown, or null, found {found}"
        );
        assert_eq!(rejection(&object(&format!("\"result\": {value}"))), expected);
    }
}

#[test]
fn what_never_costs_a_record() {
    with(r#""id": "no uuid""#);
    with(r#""id": 7, "external_id": [], "trace_id": {}, "identifier": null"#);
    with(r#""scope": null, "location": null, "file_name": null, "failure_reason": null, "tags": null"#);
    with(r#""failure_expanded": null"#);
    with(r#""failure_expanded": [{}]"#);
    with(r#""failure_expanded": [{"expanded": null, "backtrace": null}]"#);
    with(r#""unknown": {"deep": [[[1e999, "\ud800"]]]}, "\ud800": 1"#);
    for history in [
        r#"{"start_at": null, "end_at": null, "duration": null, "children": null}"#,
        r#"{"start_at": 1e999, "section": 5, "detail": "text"}"#,
        r#"{"children": [1, "x", {"section": "odd", "detail": "text"}, [[]]]}"#,
    ] {
        one(&format!(r#"[{{"name": "n", "history": {history}}}]"#));
    }
}

#[test]
fn missing_null_and_empty_are_equal() {
    for members in [
        "",
        r#""scope": null, "location": null, "file_name": null"#,
        r#""scope": "", "location": "", "file_name": """#,
    ] {
        let result = with(members);
        assert_eq!((result.scope.as_str(), result.location, result.file), ("", None, None));
    }
}

#[test]
fn of_two_members_the_last_counts() {
    let result =
        one(r#"[{"name": "a", "scope": 1, "name": "b", "scope": "s", "history": 3, "history": {}}]"#);
    assert_eq!((result.name.as_str(), result.scope.as_str()), ("b", "s"));
}

#[test]
fn ids() {
    let id = |members: &str| with(members).external_id;
    assert_eq!(id(r#""id": "a", "external_id": "b""#).as_deref(), Some("a"));
    assert_eq!(id(r#""external_id": "b""#).as_deref(), Some("b"));
    assert_eq!(id(r#""id": 1, "external_id": "b""#).as_deref(), Some("b"));
    assert_eq!(id(r#""id": "", "external_id": null"#), None);
}

#[test]
fn durations() {
    let duration =
        |value: &str| one(&format!(r#"[{{"name": "n", "history": {{"duration": {value}}}}}]"#)).duration_us;
    for (value, expected) in [
        ("1", Some(1_000_000)),
        ("0.726232000044547", Some(726_232)),
        ("2.263e-06", Some(2)),
        ("3.9E-05", Some(39)),
        ("0", Some(0)),
        ("-1", None),
        ("1e999", None),
        ("null", None),
    ] {
        assert_eq!(duration(value), expected, "{value}");
    }
}

#[test]
fn failures() {
    let failure = |members: &str| with(members).failure;
    assert_eq!(failure(r#""failure_reason": "", "failure_expanded": [{"expanded": []}]"#), None);
    let both = failure(
        r#""failure_reason": "a\nb", "failure_expanded": [{"expanded": ["x", "", "y"]}, {"backtrace": ["z"]}]"#,
    );
    let both = both.unwrap();
    assert_eq!(both.reason.as_deref(), Some("a\nb"));
    assert_eq!((both.details[0].expanded.join("|"), both.details[0].backtrace.len()), ("x||y".to_owned(), 0));
    assert_eq!((both.details[1].expanded.len(), both.details[1].backtrace.join("|")), (0, "z".to_owned()));
    let odd = failure(r#""failure_expanded": [{"expanded": ["x", 1, null, {"a": 1}]}]"#).unwrap();
    assert_eq!(odd.details[0].expanded, ["x", "1", "null", "{\"a\": 1}"]);
    let passed = with(r#""result": "passed", "failure_reason": "flaky""#);
    assert_eq!(passed.failure.unwrap().reason.as_deref(), Some("flaky"));
}

#[test]
fn spans_are_kept_as_they_are() {
    let spans =
        |children: &str| one(&format!(r#"[{{"name": "n", "history": {{"children": {children}}}}}]"#)).spans;
    assert_eq!(spans("[]"), None);
    assert_eq!(spans("[ \n ]"), None);
    assert_eq!(spans("null"), None);
    assert_eq!(
        spans(r#"[ {"section": "\u00e4",  "x": 1.0} ]"#).as_deref(),
        Some(r#"[ {"section": "\u00e4",  "x": 1.0} ]"#)
    );
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(spans(&deep).as_deref(), Some(deep.as_str()));
}

#[test]
fn tags() {
    let text = object(
        r#""tags": {"b": "2", "a": "1", "n": 1.50, "t": true, "none": null, "deep": {"x": 1}, "list": []}"#,
    );
    let report = read(Format::Json, &text);
    let tags: Vec<_> = report.results[0].tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(tags, ["b=2", "a=1", "n=1.50", "t=true"]);
    assert_eq!(
        problems(&report),
        ["result 1: the value of tag `deep` and `list` was left out, because it is no text"]
    );
    assert!(!report.problems[0].rejected);
    let import = r#""result": "failed", "tags": {"test.pytest_collection_error": "true"}"#;
    assert_eq!(with(import).outcome, Outcome::Error);
}

#[test]
fn resources() {
    let of = |text: &str| {
        let report = read(Format::Json, &object(&format!("\"resources\": {text}")));
        (report.results[0].resources, problems(&report))
    };
    let whole =
        r#"{"wall_seconds": 2, "user_seconds": 1.0, "system_seconds": 0.5, "memory_mib": 12.5, "disk": 3}"#;
    let expected = Resources {
        wall_seconds: Some(2.0),
        user_seconds: Some(1.0),
        system_seconds: Some(0.5),
        cpu_share: Some(0.75),
        memory_mib: Some(12.5),
    };
    assert_eq!(of(whole), (Some(expected), Vec::new()));
    let (partly, problems) = of(r#"{"wall_seconds": 0, "user_seconds": -1, "memory_mib": null}"#);
    assert_eq!(partly, Some(Resources { wall_seconds: Some(0.0), ..Resources::default() }));
    assert_eq!(
        problems,
        ["result 1: `resources.user_seconds` was left out: it must be a number of at least 0"]
    );
    assert_eq!(of("{}"), (None, Vec::new()));
    assert_eq!(of("null"), (None, Vec::new()));
    let sentence = "result 1: `resources` was left out: it must be an object, found an array";
    assert_eq!(of("[1]"), (None, vec![sentence.to_owned()]));
}

#[test]
fn characters_that_cannot_be_stored() {
    let text = r#"[{"name": "a\u0000b", "history": {}, "tags": {"k": "\u0000"},
        "failure_expanded": [{"expanded": ["\u0000\u0000"]}]}, {"name": "\\u0000", "history": {}}]"#;
    let report = read(Format::Json, text);
    assert_eq!(report.results[0].name, "a\u{FFFD}b");
    assert_eq!(report.results[0].tags[0].1, "\u{FFFD}");
    assert_eq!(report.results[0].failure.as_ref().unwrap().details[0].expanded, ["\u{FFFD}\u{FFFD}"]);
    assert_eq!(report.results[1].name, "\\u0000");
    assert_eq!(
        problems(&report),
        ["result 1: NUL characters, which cannot be stored, were replaced by U+FFFD"]
    );
    assert_eq!(one(r#"[{"name": "a\ud800b\ud83d\ude00", "history": {}}]"#).name, "a\u{FFFD}b😀");
}

#[test]
fn long_texts_lose_their_middle() {
    let text = object(&format!("\"failure_reason\": \"{}\"", "x".repeat(100_000)));
    let report = read(Format::Json, &text);
    assert_eq!(problems(&report), ["result 1: the failure text was cut to 64 KiB"]);
    assert!(report.results[0].failure.as_ref().unwrap().reason.as_ref().unwrap().len() < 66_000);
}

#[test]
fn one_bad_record_costs_no_other() {
    let report = read(
        Format::Json,
        r#"[{"name": "a", "history": {}}, 5, {"name": "b"}, {"name": "c", "history": {}}]"#,
    );
    assert_eq!(report.results.iter().map(|result| result.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(
        problems(&report),
        ["result 2: a result must be an object, found a number", "result 3: `history` is missing"]
    );
    assert_eq!((report.rejected, report.total()), (2, 4));
}

#[test]
fn failures_without_number_are_limited() {
    let text = object(&format!("\"failure_expanded\": [{}{{}}]", r#"{"expanded": ["x"]},"#.repeat(500)));
    let report = read(Format::Json, &text);
    assert_eq!(problems(&report), ["result 1: failures beyond the first 100 were left out"]);
    assert_eq!(report.results[0].failure.as_ref().unwrap().details.len(), 100);
}
