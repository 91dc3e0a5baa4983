//! A report gives the same results whichever way its bytes arrive.

use super::{LONGEST_TAG, parse, parse_from, parse_in_pieces};
use crate::{Malformed, Options, ReadError};
use casebook_model::report::Report;
use std::io::{self, Read};

/// Bytes that arrive a few at a time.
struct Slow<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let step = self.step.min(buffer.len());
        self.bytes.read(&mut buffer[..step])
    }
}

fn in_pieces(bytes: &[u8], step: usize, options: &Options) -> Result<Report, Malformed> {
    parse_in_pieces(Slow { bytes, step }, options, step).map_err(|error| match error {
        ReadError::Malformed(refusal) => refusal,
        ReadError::Io(error) => panic!("{error}"),
    })
}

fn same_in_pieces(bytes: &[u8]) {
    for allow_truncated in [false, true] {
        let options = Options { allow_truncated, ..Options::default() };
        let whole = parse(bytes, &options);
        for step in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(in_pieces(bytes, step, &options), whole, "{step} bytes at a time");
        }
    }
}

fn samples() -> Vec<Vec<u8>> {
    let mut folders = vec![std::path::PathBuf::from("samples/junit")];
    let mut samples = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|kind| kind == "xml") => {
                    samples.push(std::fs::read(path).unwrap());
                }
                false => {}
            }
        }
    }
    samples
}

#[test]
fn samples_are_read_alike_in_pieces_and_whole() {
    for bytes in samples() {
        same_in_pieces(&bytes);
        same_in_pieces(&bytes[..bytes.len() * 2 / 3]);
        let text = String::from_utf8_lossy(&bytes);
        let wide: Vec<u8> =
            "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        same_in_pieces(&wide);
    }
}

#[test]
fn odd_text_is_read_alike_in_pieces_and_whole() {
    let case = |inside: &str| {
        format!(
            "<testsuite><testcase classname='c' name='n'><failure>{inside}</failure></testcase></testsuite>"
        )
    };
    for text in [
        case("a\r\nb\r\r\nc\u{FEFF}d\u{FEFF}\u{FEFF}"),
        case("<![CDATA[a\r\n]]]]><![CDATA[>b]]>&amp;&#x41; & b;c & && &"),
        case("<!-- a -- b --><?pi a?>x<b>y</b>&lt;z"),
        case(&format!("&{};", "long".repeat(600))),
        case(&format!("&{}", "long".repeat(600))),
        case("<![CDATA[not closed"),
        case("<!-- not closed"),
        case("&unknown;"),
        case("</testcase>"),
        "<!x><testsuite/>".to_owned(),
        "<!DOCTYPE a [<!ENTITY b 'c'>]><testsuite/>".to_owned(),
        "\u{FEFF}\u{FEFF}<testsuite/>\u{FEFF}<testsuite/>".to_owned(),
        "<testsuite/><".to_owned(),
        "<testsuite a='b".to_owned(),
        "<testsuite a=\"b".to_owned(),
    ] {
        same_in_pieces(text.as_bytes());
    }
    same_in_pieces(b"<testsuite><testcase classname='c' name='K\xE4se \xC3\xBC'/></testsuite>\xC3");
    same_in_pieces(b"<?xml version='1.0' encoding='latin1'?><testsuite><testcase classname='\xE4' name='n'/></testsuite>");
}

/// Much longer than any window: every sort of token.
#[test]
fn long_tokens_are_read_alike_and_lose_their_middle() {
    let long = "0123456789 ü\r\n".repeat(LONGEST_TAG / 4);
    let value = long.replace(['\r', '\n'], "_");
    let case = |attributes: &str, inside: &str| {
        format!(
            "<testsuite><testcase classname='c' name='n'{attributes}>{inside}</testcase>\
             <testcase classname='c' name='after'/></testsuite>"
        )
    };
    for text in [
        case("", &format!("<failure message='m'>{long}</failure>")),
        case("", &format!("<failure><![CDATA[{long}]]></failure>")),
        case("", &format!("<failure message=\"{value}>\" type='{value}'>text</failure>")),
        case("", &format!("<system-out a='{value}'>{long}</system-out><!--{long}--><?pi {long}?><failure/>")),
        case(&format!(" other='{value}' time='1.5'"), "<failure/>"),
    ] {
        let options = Options::default();
        let whole = parse(text.as_bytes(), &options).unwrap();
        assert_eq!(parse_from(text.as_bytes(), &options).unwrap(), whole);
        assert_eq!(in_pieces(text.as_bytes(), 5000, &options).unwrap(), whole);
        let failure = whole.results[0].failure.clone().unwrap_or_default();
        let kept: usize = failure.details.iter().flat_map(|detail| &detail.expanded).map(String::len).sum();
        let kept = kept + failure.reason.map_or(0, |reason| reason.len());
        assert!(kept < 2 * 64 * 1024, "{kept}");
        assert_eq!((whole.results.len(), whole.results[1].name.as_str()), (2, "after"));
    }
    let cut = case("", &format!("<failure><![CDATA[{long}"));
    assert_eq!(
        in_pieces(cut.as_bytes(), 5000, &Options::default()),
        parse(cut.as_bytes(), &Options::default())
    );
}

#[test]
fn tokens_that_never_end_are_refused() {
    let long = "x".repeat(2 * LONGEST_TAG);
    for text in
        [format!("<!DOCTYPE {long}>"), format!("<{long}/>"), format!("<a></{long}>"), format!("<a {long}/>")]
    {
        let whole = parse(text.as_bytes(), &Options::default());
        assert!(whole.is_err());
        assert!(in_pieces(text.as_bytes(), 5000, &Options::default()).is_err());
    }
}

#[test]
fn an_error_of_the_reader_is_not_the_reports_fault() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let error = parse_from(Broken, &Options { allow_truncated: true, ..Options::default() }).unwrap_err();
    assert_eq!(error.to_string(), "the report could not be read: the disk is gone");
}

/// Twenty megabytes in one failure are cut while they are read.
#[test]
fn a_failure_is_cut_while_it_is_read() {
    let (begin, end) = (
        "<testsuite><testcase classname='c' name='n'><failure><![CDATA[",
        "]]></failure></testcase></testsuite>",
    );
    let reader = begin.as_bytes().chain(io::repeat(b'x').take(20_000_000)).chain(end.as_bytes());
    let report = parse_from(reader, &Options::default()).unwrap();
    let text = report.results[0].failure.as_ref().unwrap().details[0].expanded.join("\n");
    assert!(text.len() < 64 * 1024 && text.contains("[... 19934592 bytes left out ...]"), "{}", text.len());
}
