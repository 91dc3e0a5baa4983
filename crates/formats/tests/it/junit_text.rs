//! How the text of JUnit XML is read, from bytes to names (JUnit rules, D.2: 2, 10 and 11).

use crate::junit_rules::{case, cases, not_xml};
use crate::{Format, Options, parse, problems, read};

#[test]
fn encodings() {
    let names = |bytes: &[u8]| {
        let report = parse(Format::Junit, bytes, &Options::default()).unwrap();
        (report.results.iter().map(|r| r.name.clone()).collect::<Vec<_>>().join(","), problems(&report))
    };
    let with = |declaration: &str, name: &[u8]| {
        let mut bytes = declaration.as_bytes().to_vec();
        bytes.extend(b"<testsuite><testcase classname='c' name='");
        bytes.extend(name);
        bytes.extend(b"'/></testsuite>");
        bytes
    };
    let clean = |name: &str| (name.to_owned(), Vec::new());
    assert_eq!(names(&with("", "Käse".as_bytes())), clean("Käse"));
    assert_eq!(names(&with("\u{FEFF}", "Käse".as_bytes())), clean("Käse"));
    let latin = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>";
    assert_eq!(names(&with(latin, b"K\xE4se \x80")), clean("Käse €"));
    let windows = "<?xml version='1.0' encoding='windows-1252' ?>";
    assert_eq!(names(&with(windows, b"\x93K\xE4se\x94")), clean("“Käse”"));
    let (name, said) = names(&with("", b"K\xE4se \xC3\xBC"));
    assert_eq!((name.as_str(), said.len()), ("Käse ü", 1));
    assert_eq!(said, ["bytes that are no UTF-8 were read as windows-1252: 1"]);

    let text = "\u{FEFF}<testsuite><testcase classname='c' name='Käse'/></testsuite>";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(names(&little), clean("Käse"));
    assert_eq!(names(&big), clean("Käse"));
}

#[test]
fn characters_that_xml_does_not_allow() {
    let report = cases(
        "<testcase classname='c' name='a\u{1}b&#x1B;c'><failure message='x&#0;y\0z'>\u{8}\u{FFFE}t\r\nu</failure></testcase>",
    );
    let result = &report.results[0];
    assert_eq!(result.name, "abc");
    let failure = result.failure.as_ref().unwrap();
    assert_eq!(failure.reason.as_deref(), Some("x\u{FFFD}y\u{FFFD}z"));
    assert_eq!(failure.details[0].expanded, ["t", "u"]);
    assert_eq!(
        problems(&report),
        [
            "result 1: NUL characters, which cannot be stored, were replaced by U+FFFD: 2",
            "result 1: characters that XML does not allow were left out: 4"
        ]
    );
}

#[test]
fn names_keep_line_breaks_that_were_meant_and_messages_keep_all() {
    let result = case("<testcase classname='a\tb' name='c\nd&#10;e'><failure message='f\ng'/></testcase>");
    assert_eq!((result.scope.as_str(), result.name.as_str()), ("a b", "c d\ne"));
    assert_eq!(result.failure.unwrap().reason.as_deref(), Some("f\ng"));
    let result = case("<testcase classname='a' name='x\r\ny&#9;z&#xD;'/>");
    assert_eq!(result.name, "x y\tz\r");
}

#[test]
fn ampersands_that_nobody_escaped() {
    let report = cases(
        "<testcase classname='a & b' name='?x=1&y=2;'><failure message='<tag> & < more'>p && q &x; </failure></testcase>"
            .replace("&x;", "& x;")
            .as_str(),
    );
    let result = &report.results[0];
    assert_eq!((result.scope.as_str(), result.name.as_str()), ("a & b", "?x=1&y=2;"));
    let failure = result.failure.as_ref().unwrap();
    assert_eq!(failure.reason.as_deref(), Some("<tag> & < more"));
    assert_eq!(failure.details[0].expanded, ["p && q & x; "]);
    assert_eq!(problems(&report), ["result 1: unescaped ampersands were kept as they are: 6"]);
}

#[test]
fn entities_are_never_expanded() {
    let dtd =
        "<!DOCTYPE t [<!ENTITY foo SYSTEM 'file:///etc/passwd'><!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>";
    let in_name = "<testsuite><testcase classname='c' name='&foo;'/></testsuite>";
    let in_text = "<testsuite><testcase classname='c' name='n'><failure>&b;</failure></testcase></testsuite>";
    let ignored =
        "<testsuite><testcase classname='c' name='n'><system-out>&b;</system-out></testcase></testsuite>";
    let attribute = "<testsuite><properties><property name='&b;'/></properties></testsuite>";
    for text in [in_name, in_text, ignored, attribute] {
        not_xml(&format!("{dtd}{text}"));
        not_xml(text);
    }
    let unused = format!("{dtd}<testsuite><testcase classname='c' name='&lt;n&gt;&#x26;'/></testsuite>");
    assert_eq!(read(Format::Junit, &unused).results[0].name, "<n>&");
}

#[test]
fn long_texts_lose_their_middle() {
    let text = format!("<failure message='m'>{}</failure>", "0123456789\n".repeat(20_000));
    let report = cases(&format!("<testcase classname='c' name='n'>{text}</testcase>"));
    assert_eq!(problems(&report), ["result 1: the failure text was cut to 64 KiB"]);
    let lines = &report.results[0].failure.as_ref().unwrap().details[0].expanded;
    assert!(lines.iter().any(|line| line.contains("bytes left out")));
}

#[test]
fn hostile_names_are_kept_byte_by_byte() {
    let long = "n".repeat(10_000);
    for name in [
        long.as_str(),
        "../../etc/passwd",
        "x&apos;; drop table tests; --",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "\u{202E}gpj.exe",
        "&quot;quoted&quot; {{7*7}} ${x} %s %n",
        "\u{1F600}\u{200D}\u{0301}",
    ] {
        let plain =
            name.replace("&apos;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        let result = case(&format!("<testcase classname='{name}' name='{name}'/>"));
        assert_eq!((result.scope, result.name), (plain.clone(), plain));
    }
    let report = cases("<testcase classname='c' name='&#x1B;[31mred&#x1B;[0m \0'/>");
    assert_eq!(report.results[0].name, "[31mred[0m \u{FFFD}");
    assert_eq!(report.problems.len(), 2);
}

#[test]
fn laughs_are_refused_before_they_are_a_billion() {
    let entities: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let text = format!(
        "<!DOCTYPE l [<!ENTITY l0 \"ha\">{entities}]><testsuite><testcase classname='c' name='&l9;'/></testsuite>"
    );
    not_xml(&text);
    let unused = text.replace("&l9;'", "n'");
    assert_eq!(read(Format::Junit, &unused).results.len(), 1);
}
