//! JUnit XML by the rules of `buildkite.md` 8, one report per rule.

use crate::setup::{Suite, start, text};
use casebook_testkit::{Form, TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(
    reports_of_any_shape_are_read,
    testcases_without_a_name_or_class_are_skipped,
    results_of_testcases,
    durations_of_testcases,
    places_of_testcases,
    entities_are_never_expanded,
    any_encoding_is_answered,
);

fn case(name: &str) -> String {
    format!("<testcase classname=\"c\" name=\"{name}\"/>")
}

/// Uploads a report to a suite of its own and returns the answer.
fn upload<'s>(first: &Suite<'s>, number: usize, xml: impl AsRef<[u8]>) -> (Suite<'s>, Value) {
    let suite = first.sibling(&format!("suite-{number}"));
    let answer = suite.upload_junit("k1", xml);
    (suite, answer)
}

fn names(suite: &Suite<'_>) -> Vec<String> {
    suite.tests().iter().map(|test| text(test, "name")).collect()
}

fn reports_of_any_shape_are_read(database: &TestDatabase) {
    let server = start(database);
    let first = Suite::new(&server, "first");
    let (a, b, c) = (case("a"), case("b"), case("c"));
    let reports = [
        (format!("<testsuites><testsuite>{a}</testsuite><testsuite>{b}{c}</testsuite></testsuites>"), "abc"),
        (format!("<testsuite>{a}{b}</testsuite>"), "ab"),
        (
            format!(
                "<testsuites><testsuite>{a}<testsuite><testsuite>{b}</testsuite></testsuite>{c}</testsuite></testsuites>"
            ),
            "abc",
        ),
        (
            format!(
                "<testsuites>{a}<properties><property name='x'/></properties><system-out>x</system-out>{b}</testsuites>"
            ),
            "ab",
        ),
        (
            format!(
                "<?xml version='1.0'?><!DOCTYPE testsuite><!-- a --><?pi x?><testsuite tests='99'>{a}<!-- {b} --></testsuite>"
            ),
            "a",
        ),
        (
            format!(
                "<j:testsuite xmlns:j='urn:j' xmlns='urn:k'><j:testcase classname='c' name='a'/>{b}</j:testsuite>"
            ),
            "ab",
        ),
        ("<testsuite/>".to_owned(), ""),
        ("<testsuites></testsuites>".to_owned(), ""),
        ("<testsuite tests='5'><properties/></testsuite>".to_owned(), ""),
    ];
    for (number, (xml, expected)) in reports.iter().enumerate() {
        let (suite, answer) = upload(&first, number, xml);
        assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(expected.len()), &json!(0)), "{xml}");
        assert_eq!(names(&suite).concat(), *expected, "{xml}");
        assert_eq!(suite.runs().len(), 1, "{xml}");
    }
}

fn testcases_without_a_name_or_class_are_skipped(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let xml = "<testsuite><testcase name='no class'/><testcase classname='no name'/><testcase/>\
               <testcase classname='' name='kept'/><testcase classname='c' name='kept too'/></testsuite>";
    let answer = suite.upload_junit("k1", xml);
    assert_eq!((&answer["queued"], &answer["skipped"]), (&json!(2), &json!(3)));
    assert_eq!(answer["errors"].as_array().unwrap().len(), 3, "{answer:#}");
    let found: Vec<_> = suite.tests().iter().map(|test| (text(test, "scope"), text(test, "name"))).collect();
    assert_eq!(found, [(String::new(), "kept".to_owned()), ("c".to_owned(), "kept too".to_owned())]);
}

fn results_of_testcases(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let passed = json!({ "passed": 1, "failed": 0 });
    let failed = json!({ "passed": 0, "failed": 1 });
    let skipped = json!({ "passed": 0, "failed": 0, "skipped": 1 });
    let cases = [
        ("", "", &passed),
        ("", "<system-out>failure</system-out><properties><property name='x'/></properties>", &passed),
        ("", "<failure/>", &failed),
        ("", "<error message='m'/>", &failed),
        ("", "<skipped/>", &skipped),
        ("", "<skipped/><failure/>", &failed),
        ("", "<error/><skipped/>", &failed),
        ("status='notrun'", "", &skipped),
        ("status='notrun' result='suppressed'", "", &skipped),
        ("status='run' result='completed'", "", &passed),
        ("status='run'", "<failure/>", &failed),
        ("", "<failure>1</failure><failure>2</failure><error>3</error>", &failed),
    ];
    let mut xml = String::from("<testsuite>");
    for (number, (attributes, content, _)) in cases.iter().enumerate() {
        xml += &format!("<testcase classname='c' name='{number:02}' {attributes}>{content}</testcase>");
    }
    // Twice the same testcase: two executions of one test.
    xml += "<testcase classname='c' name='twice'/><testcase classname='c' name='twice'/></testsuite>";
    let answer = suite.upload_junit("k1", &xml);
    assert_eq!(answer["queued"], cases.len() + 2);
    let tests = suite.tests();
    for (test, (attributes, content, expected)) in tests.iter().zip(&cases) {
        assert_eq!(test["executions_count_by_result"], **expected, "{attributes} {content}");
    }
    assert_eq!(suite.counts("c", "twice"), json!({ "passed": 2, "failed": 0 }));
    let failed = suite.failed(&answer["run_id"]);
    let details = failed.iter().map(|failed| failed["failure_expanded"].as_array().unwrap().len());
    assert_eq!(details.max(), Some(3));
}

fn durations_of_testcases(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let times = [
        ("time='0.25'", Some(0.25)),
        ("time='1,234.5'", Some(1234.5)),
        ("time='1,234,567.5'", Some(1_234_567.5)),
        ("time='2.5e-3'", Some(0.0025)),
        ("time='1E1'", Some(10.0)),
        ("time='0'", Some(0.0)),
        ("time=' 3 '", Some(3.0)),
        ("", None),
        ("time=''", None),
        ("time='-1'", None),
        ("time='NaN'", None),
        ("time='soon'", None),
        ("time='inf'", None),
    ];
    let mut xml = String::from("<testsuite time='77'>");
    for (number, (time, _)) in times.iter().enumerate() {
        xml += &format!("<testcase classname='c' name='{number:02}' {time}/>");
    }
    let answer = suite.upload_junit("k1", xml + "</testsuite>");
    assert_eq!(answer["queued"], times.len());
    for (test, (time, seconds)) in suite.tests().iter().zip(times) {
        assert_eq!(test["duration_avg"].as_f64(), seconds, "{time}");
    }
}

fn places_of_testcases(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let xml = "<testsuites><testsuite file='suite.js'>\
        <testcase classname='c' name='1' file='a.py' line='5'/><testcase classname='c' name='2' file='a.py'/>\
        <testcase classname='c' name='3' line='5'/></testsuite>\
        <testsuite><testcase classname='c' name='4' line='5'/><testcase classname='c' name='5'/></testsuite></testsuites>";
    let _ = suite.upload_junit("k1", xml);
    let tests = suite.tests();
    let places: Vec<_> =
        tests.iter().map(|test| (test["location"].as_str(), test["file_name"].as_str())).collect();
    assert_eq!(places[..2], [(Some("a.py:5"), Some("a.py")), (Some("a.py"), Some("a.py"))]);
    assert_eq!(places[2].1, Some("suite.js"));
    assert_eq!(places[3..], [(None, None), (None, None)]);
}

fn entities_are_never_expanded(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "the secret").unwrap();
    let external = format!(
        "<!DOCTYPE t [<!ENTITY x SYSTEM 'file://{}'>]><testsuite><testcase classname='c' name='a'>\
         <failure message='m'>&x;</failure></testcase></testsuite>",
        secret.path().display()
    );
    let mut bomb = String::from("<!DOCTYPE t [<!ENTITY a 'aaaaaaaaaa'>");
    for (name, of) in ('b'..='k').zip('a'..) {
        bomb += &format!("<!ENTITY {name} '{}'>", format!("&{of};").repeat(10));
    }
    bomb += "]><testsuite><testcase classname='c' name='a'><failure>&k;</failure></testcase></testsuite>";
    for (number, xml) in [external, bomb].iter().enumerate() {
        let reply = Form::junit(&format!("k{number}"), xml).send(&server, &suite.upload_token);
        assert!(matches!(reply.status, 202 | 400), "{}", reply.text());
        if reply.status == 202 {
            let failed = suite.failed(&reply.json()["run_id"]);
            assert!(!json!(failed).to_string().contains("the secret"));
            assert!(json!(failed).to_string().len() < 10_000);
        }
    }
    // The five that XML knows, and numbers.
    let xml = "<testsuite><testcase classname='&lt;&#75;&#xE4;se&gt;' name='&amp;&quot;&apos;'>\
               <failure>a &lt;&amp;&gt; <![CDATA[&lt;]]> b</failure></testcase></testsuite>";
    let answer = suite.upload_junit("good", xml);
    let _ = suite.test("<Käse>", "&\"'");
    let failed = suite.failed(&answer["run_id"]);
    assert_eq!(failed[0]["failure_expanded"][0]["expanded"], json!(["a <&> &lt; b"]));
    assert_eq!(failed[0]["failure_reason"], "a <&> &lt; b");
}

fn any_encoding_is_answered(database: &TestDatabase) {
    let server = start(database);
    let first = Suite::new(&server, "first");
    let xml = |declaration: &str| {
        format!("{declaration}<testsuite><testcase classname='c' name='Käse'/></testsuite>")
    };
    let latin1: Vec<u8> =
        xml("<?xml version='1.0' encoding='ISO-8859-1'?>").chars().map(|c| c as u8).collect();
    for (number, bytes) in
        [xml("").into_bytes(), [b"\xef\xbb\xbf", xml("<?xml version='1.0'?>").as_bytes()].concat(), latin1]
            .into_iter()
            .enumerate()
    {
        let (suite, answer) = upload(&first, number, bytes);
        assert_eq!(answer["queued"], 1);
        assert_eq!(names(&suite), ["Käse"], "report {number}");
    }
    let utf16: Vec<u8> =
        xml("<?xml version='1.0' encoding='UTF-16'?>").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let odd = [
        [&b"\xff\xfe"[..], &utf16].concat(),
        xml("<?xml version='1.0' encoding='Shift_JIS'?>").into_bytes(),
        xml("<?xml version='1.0' encoding='no such thing'?>").into_bytes(),
        b"<testsuite><testcase classname='c' name='\xff\xfe'/></testsuite>".to_vec(),
        b"<testsuite><testcase classname='c' name='a\x00b\x0bc'><failure>\x1b[31m</failure></testcase></testsuite>".to_vec(),
        b"<testsuite><testcase classname='c' name='&#0;&#x1b;'/></testsuite>".to_vec(),
    ];
    for (number, bytes) in odd.iter().enumerate() {
        let reply = Form::junit(&format!("k{number}"), bytes).send(&server, &first.upload_token);
        assert!(reply.status == 202 || (400..500).contains(&reply.status), "{number}: {}", reply.text());
    }
}
