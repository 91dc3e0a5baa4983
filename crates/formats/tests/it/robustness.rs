//! No bytes make a parser panic.

use casebook_formats::{Format, Options, parse, sniff};
use proptest::prelude::*;
use std::sync::LazyLock;

static SAMPLES: LazyLock<Vec<(Format, Vec<u8>)>> = LazyLock::new(|| {
    let mut samples = Vec::new();
    for format in Format::ALL {
        let mut folders = vec![std::path::PathBuf::from(format!("samples/{format}"))];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    samples.push((*format, std::fs::read(path).unwrap()));
                }
            }
        }
    }
    samples
});

/// Reads with and without leave to break off; what is kept has names, and every rejection has its problem.
fn survives(format: Format, bytes: &[u8]) {
    let recognised = sniff(bytes).is_some();
    assert!(recognised || !bytes.starts_with(b"<testsuites>"));
    for allow_truncated in [false, true] {
        let options = Options {
            allow_truncated,
            allow_no_class_name: allow_truncated,
            working_directory: Some("/builds/acme/cart-js".to_owned()),
            location_prefix: Some("services/cart".to_owned()),
            most_results: None,
            most_text: None,
        };
        if let Ok(report) = parse(format, bytes, &options) {
            assert!(report.results.iter().all(|result| !result.name.is_empty()));
            assert!(report.results.iter().all(|result| !result.name.contains('\0')));
            assert_eq!(report.problems.iter().filter(|problem| problem.rejected).count(), report.rejected);
            assert!(allow_truncated || !report.truncated);
        }
    }
}

#[test]
fn truncation_anywhere() {
    for (format, bytes) in SAMPLES.iter() {
        // Every byte of short samples, some hundred places of long ones.
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 250) {
            survives(*format, &bytes[..end]);
        }
    }
}

/// What had closed before the cut is what a whole file would have given.
#[test]
fn truncated_junit_is_a_prefix_of_the_whole() {
    let bytes = std::fs::read("samples/junit/surefire/surefire.xml").unwrap();
    let options = Options { allow_truncated: true, ..Options::default() };
    let whole = parse(Format::Junit, &bytes, &options).unwrap().results;
    for end in 0..bytes.len() {
        if let Ok(report) = parse(Format::Junit, &bytes[..end], &options) {
            assert_eq!(report.results, whole[..report.results.len()]);
        }
    }
}

/// A report of failing results, each with this much text.
fn wordy(results: usize, bytes: usize) -> String {
    let case = |index: usize| {
        let text = "0123456789 abcde\n".repeat(bytes / 17);
        format!("<testcase classname='c' name='n{index}'><failure message='m'>{text}</failure></testcase>")
    };
    let cases: String = (0..results).map(case).collect();
    format!("<testsuite>{cases}</testsuite>")
}

#[test]
fn text_is_cut_short_when_there_is_very_much_and_refused_when_there_is_too_much() {
    let options = Options { most_text: Some(200_000), ..Options::default() };
    let text = wordy(600, 10_000);
    let report = parse(Format::Junit, text.as_bytes(), &options).unwrap();
    let size = |result: &casebook_model::report::ReportedResult| {
        result.failure.as_ref().unwrap().details[0].expanded.join("\n").len()
    };
    let whole = report.results.iter().filter(|result| size(result) > 9_000).count();
    let short = report.results.iter().filter(|result| size(result) < 1_200).count();
    assert!(whole >= 3 && short >= 40, "{whole} {short}");
    assert_eq!((report.total(), report.results.len()), (600, whole + short));
    assert_eq!(report.rejected, 600 - whole - short);
    assert!(report.results.iter().map(size).sum::<usize>() <= 200_000);
    let cut = format!("result {}: the failure text was cut, for the report holds very much text", whole + 1);
    assert_eq!(report.problems[0].to_string(), cut);
    let last = report.problems.last().unwrap();
    assert_eq!(
        last.to_string(),
        "result 600: the report holds more than 200000 bytes of text: send it in parts"
    );
    assert!(last.rejected);

    let text = wordy(300, 10_000);
    let roomy = parse(Format::Junit, text.as_bytes(), &Options::default()).unwrap();
    assert_eq!((roomy.results.len(), roomy.problems.len()), (300, 0));
}

#[test]
fn spans_are_left_out_when_there_is_very_much_text() {
    let result = |index: usize| {
        let query = "x".repeat(3_000);
        format!(r#"{{"name":"n{index}","history":{{"children":[{{"section":"sql","detail":"{query}"}}]}}}}"#)
    };
    let results: Vec<String> = (0..30).map(result).collect();
    let text = format!("[{}]", results.join(","));
    let options = Options { most_text: Some(40_000), ..Options::default() };
    let report = parse(Format::Json, text.as_bytes(), &options).unwrap();
    let with_spans = report.results.iter().filter(|result| result.spans.is_some()).count();
    assert_eq!((with_spans, report.results.len(), report.rejected), (6, 30, 0));
    assert_eq!(
        report.problems[0].to_string(),
        "result 7: its spans were left out, for the report holds very much text"
    );
}

#[test]
fn the_limit_holds_for_very_many_small_results() {
    let text = format!("<testsuite>{}</testsuite>", "<testcase classname='' name='n'/>".repeat(300_000));
    let report = parse(Format::Junit, text.as_bytes(), &Options::default()).unwrap();
    assert_eq!(report.total(), 300_000);
    assert!(report.results.len() < 260_000 && report.rejected > 40_000);
    let message = &report.problems[0].message;
    assert_eq!(message, "the report holds more than 16 MiB of text: send it in parts");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in Format::ALL {
            survives(*format, &bytes);
        }
    }

    #[test]
    fn any_soup_of_markup(parts in prop::collection::vec(prop::sample::select(vec![
        "<testsuites>", "</testsuites>", "<testsuite name='s' tests='2' time='1,234'>", "</testsuite>",
        "<testcase classname='c' name='n' time='1,234'>", "<testcase classname='c' name='n' file='f' line='1'/>",
        "</testcase>", "<failure message='&amp;'>", "</failure>", "<rerunError/>", "<flakyFailure time='1'/>",
        "<skipped/>", "<system-out>", "</system-out>", "&lt;", "&", "&x;", "&#0;", "<![CDATA[x]]>", "<!-- x -->",
        "<?pi?>", "<!DOCTYPE a>", "text", "\u{1}", "\u{FFFE}", "\u{FEFF}",
    ]), 0..40)) {
        survives(Format::Junit, parts.concat().as_bytes());
    }

    #[test]
    fn any_soup_of_json(parts in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"name\"", "\"n\"", "\"history\"", "{}", "null", "1e999", "-1", "true",
        "\"\\ud800\"", "\"\\u0000\"", "\"tags\"", "\"children\"", "\"testResults\"", "\"suites\"", "\"examples\"",
        "\"Action\":\"pass\"", "\"Test\":\"t\"", "\n", "[{\"name\":\"n\",\"history\":{}}",
    ]), 0..40)) {
        for format in Format::ALL {
            survives(*format, parts.concat().as_bytes());
        }
    }

    #[test]
    fn flipped_bytes(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let (format, bytes) = &SAMPLES[which.index(SAMPLES.len())];
        let mut bytes = bytes.clone();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        survives(*format, &bytes);
    }

    #[test]
    fn any_time_attribute(time in "[0-9,. eE+-]{0,12}") {
        let text = format!("<testsuite time='{time}'><testcase classname='c' name='n' time='{time}'/></testsuite>");
        let report = parse(Format::Junit, text.as_bytes(), &Options::default()).unwrap();
        prop_assert!(report.results[0].duration_us.is_none_or(|duration| duration >= 0));
    }
}

/// The most results of an upload are all kept, however much each of them says.
#[test]
fn five_thousand_wordy_results_are_kept() {
    let report = parse(Format::Junit, wordy(5_000, 10_000).as_bytes(), &Options::default()).unwrap();
    assert_eq!((report.results.len(), report.rejected), (5_000, 0));
    assert!(report.results.iter().all(|result| result.failure.is_some()));
}
