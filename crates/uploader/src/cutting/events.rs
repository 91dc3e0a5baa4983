//! Events of `go test -json`, cut so that all events of one test stay together.

use super::{Limits, Piece, Remarks, Unreadable};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};

/// The tests of a report, in parts.
pub(super) struct Events<R> {
    lines: BufReader<R>,
    limits: Limits,
    /// Events of tests that have not ended, by package and test.
    running: BTreeMap<String, Vec<u8>>,
    /// Packages in which a test failed, and whether that is told in the current part.
    failed: BTreeMap<String, bool>,
    /// A test that had no room in the part before, and the package in which it failed.
    carried: Option<(Vec<u8>, Option<String>)>,
    events: usize,
    ended: bool,
    pub(super) remarks: Remarks,
}

/// The members of an event that matter, still as text.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "Action", borrow)]
    action: &'a RawValue,
    #[serde(rename = "Package", borrow)]
    package: Option<&'a RawValue>,
    #[serde(rename = "Test", borrow)]
    test: Option<&'a RawValue>,
}

impl<R: Read> Events<R> {
    pub(super) fn new(source: R, limits: Limits) -> Self {
        Self {
            lines: BufReader::with_capacity(64 * 1024, source),
            limits,
            running: BTreeMap::new(),
            failed: BTreeMap::new(),
            carried: None,
            events: 0,
            ended: false,
            remarks: Remarks::default(),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended && self.carried.is_none()
    }

    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>, Unreadable> {
        if self.has_ended() {
            return Ok(None);
        }
        let mut piece = Piece { bytes: Vec::new(), results: 0 };
        for told in self.failed.values_mut() {
            *told = false;
        }
        if let Some((test, failed_in)) = self.carried.take() {
            piece.bytes = test;
            piece.results = 1;
            self.failed.extend(failed_in.map(|package| (package, true)));
        }
        let mut line = Vec::new();
        while !self.ended {
            line.clear();
            // A line that is longer than any record may be is none that can be read.
            let most = self.limits.record.saturating_add(1) as u64;
            self.lines.by_ref().take(most).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                self.end(&mut piece);
                break;
            }
            if self.take(&line, &mut piece) {
                break;
            }
        }
        if self.events == 0 && self.ended {
            return Err(Unreadable::Malformed("it holds no event of go test -json".to_owned()));
        }
        Ok(Some(piece))
    }

    /// Takes a line; whether the part is full.
    fn take(&mut self, line: &[u8], piece: &mut Piece) -> bool {
        // The server takes UTF-8 alone.
        let text = String::from_utf8_lossy(line);
        self.remarks.changed |= matches!(text, Cow::Owned(_));
        let line = text.as_bytes();
        let event: Event<'_> = match serde_json::from_str(&text) {
            Ok(event) => event,
            Err(error)
                if error.is_eof() && !text.trim().is_empty() && !line.ends_with(b"\n") && self.events > 0 =>
            {
                self.remarks.break_off("its last line breaks off");
                return false;
            }
            // The server counts lines that are no events.
            Err(_) => {
                add(line, &mut piece.bytes);
                return false;
            }
        };
        self.events += 1;
        let package = event.package.map_or("", RawValue::get);
        let Some(test) = event.test.map(RawValue::get).filter(|test| !matches!(*test, "null" | "\"\""))
        else {
            // Without the test that failed, it would look like a package that failed without one.
            if event.action.get() != "\"fail\"" || self.failed.get(package).is_none_or(|told| *told) {
                add(line, &mut piece.bytes);
            }
            return false;
        };
        let name = format!("{package} {test}");
        let lines = self.running.entry(name.clone()).or_default();
        let is_output = event.action.get() == "\"output\"";
        if is_output && lines.len() + line.len() > self.limits.record / 2 {
            self.remarks.changed = true;
            return false;
        }
        add(line, lines);
        let is_result = matches!(event.action.get(), "\"pass\"" | "\"fail\"" | "\"skip\"");
        if !is_result && event.action.get() != "\"bench\"" {
            return false;
        }
        let lines = self.running.remove(&name).unwrap_or_default();
        let failed_in = (event.action.get() == "\"fail\"").then(|| package.to_owned());
        let has_room = piece.results < self.limits.results
            && piece.bytes.len().saturating_add(lines.len()) <= self.limits.bytes;
        if is_result && piece.results > 0 && !has_room {
            self.carried = Some((lines, failed_in));
            return true;
        }
        piece.bytes.extend_from_slice(&lines);
        piece.results += usize::from(is_result);
        self.failed.extend(failed_in.map(|package| (package, true)));
        false
    }

    /// Adds what is left of tests that never ended.
    fn end(&mut self, piece: &mut Piece) {
        self.ended = true;
        for lines in std::mem::take(&mut self.running).into_values() {
            piece.bytes.extend_from_slice(&lines);
        }
    }
}

fn add(line: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(line);
    if !line.ends_with(b"\n") {
        bytes.push(b'\n');
    }
}
