//! The format of a report is found by its content.

use casebook_formats::{Format, Sniffed, sniff};

fn files(folder: &str) -> Vec<std::path::PathBuf> {
    let mut folders = vec![std::path::PathBuf::from(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind != "md") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn every_sample_is_recognised() {
    for format in Format::ALL {
        for path in files(&format!("samples/{format}")) {
            let bytes = std::fs::read(&path).unwrap();
            let name = path.display();
            assert_eq!(sniff(&bytes), Some(Sniffed::Known(*format)), "{name}");
            let text = String::from_utf8_lossy(&bytes);
            assert_eq!(
                sniff(format!("\u{FEFF}\n {text}").as_bytes()),
                Some(Sniffed::Known(*format)),
                "{name}"
            );
            let units = || format!("\u{FEFF}{text}").encode_utf16().collect::<Vec<_>>();
            let little: Vec<u8> = units().into_iter().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = units().into_iter().flat_map(u16::to_be_bytes).collect();
            assert_eq!(sniff(&little), Some(Sniffed::Known(*format)), "{name}");
            assert_eq!(sniff(&big), Some(Sniffed::Known(*format)), "{name}");
        }
    }
}

#[test]
fn small_reports_are_recognised() {
    for (text, format) in [
        ("<testsuites/>", Format::Junit),
        (
            "<?xml version='1.0'?><!-- <html> --><!DOCTYPE t [<!ENTITY a 'b'>]>\n<x:testsuite xmlns:x='y'>",
            Format::Junit,
        ),
        ("[]", Format::Json),
        ("[{\"name\": \"n\", \"history\": {}}]", Format::Json),
        ("{\"testResults\":[]}", Format::JestJson),
        ("{\"debuglog\":\"job.log\",\"job_id\":\"a\",\"tests\":[]}", Format::AvocadoJson),
        ("{\"version\":\"3.13\",\"examples\":[]}", Format::RspecJson),
        ("{\"config\":{\"rootDir\":\"/\"},\"suites\":[]}", Format::PlaywrightJson),
        ("[{\"uri\":\"a.feature\",\"keyword\":\"Feature\",\"elements\":[]}]", Format::CucumberJson),
        ("{\"Time\":\"2026-01-01T00:00:00Z\",\"Action\":\"start\",\"Package\":\"p\"}", Format::GoJsonl),
        ("# acme/cart\n./a.go:1: syntax error\n{\"Action\":\"fail\",\"Package\":\"p\"}", Format::GoJsonl),
    ] {
        assert_eq!(sniff(text.as_bytes()), Some(Sniffed::Known(format)), "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    for (text, word) in [
        ("\u{FEFF}<?xml version='1.0'?><test-run id='2'/>", "NUnit 3"),
        ("<TestRun id='x'>", "TRX"),
        ("<test-results>", "NUnit 2"),
        ("<assemblies>", "xUnit.net"),
        ("<robot generator='Robot 7'>", "rebot"),
        ("<!DOCTYPE html>\n<html>", "HTML"),
        ("<HTML>", "HTML"),
        ("TAP version 13\nok 1", "TAP"),
        ("1..3\nok 1 - a", "TAP"),
        ("not ok 1 - a", "TAP"),
        ("<coverage line-rate='1'>", "coverage"),
    ] {
        let Some(Sniffed::Unsupported(sentence)) = sniff(text.as_bytes()) else { panic!("{text}") };
        assert!(sentence.contains(word), "{sentence}");
    }
    for text in [
        "",
        "  ",
        "hello",
        "{}",
        "{\"a\":1}",
        "[1,2]",
        "<svg>",
        "<",
        "<!",
        "<!DOCTYPE",
        "\0\0",
        "\u{FFFD}",
        "ok then",
    ] {
        assert_eq!(sniff(text.as_bytes()), None, "{text:?}");
    }
}
