//! JUnit XML cut between testcases, with the suites around them opened again in every part.
//!
//! What the server reads is kept: testcases byte by byte, the start tags of their suites, the suites' properties, and the
//! file that Mocha names in a "Root Suite" before the others. A suite that is cut in two loses its counter `tests`, which
//! would be wrong in each part. Which elements count is what `casebook_formats` reads (`docs/formats.md`).

use super::markup::{Markup, Piece as Markings, Stop, Tag};
use super::{Limits, Piece, Remarks, Unreadable};
use std::io::Read;

/// Deepest nesting that the server reads.
const DEEPEST: usize = 64;

/// Most bytes of properties that are repeated for a suite in every part.
const MOST_PROPERTIES: usize = 64 * 1024;

/// Output in a testcase beyond this many bytes is left out: it is the only thing in one that may be without bounds.
const MOST_OUTPUT: usize = 1 << 20;

/// The testcases of a report, in parts.
pub(super) struct Cases<R> {
    markup: Markup<R>,
    walk: Walk,
    ended: bool,
    pub(super) remarks: Remarks,
}

impl<R: Read> Cases<R> {
    pub(super) fn new(source: R, limits: Limits) -> Result<Self, Unreadable> {
        let mut markup = Markup::new(source);
        let head = markup.head()?;
        Ok(Self { markup, walk: Walk::new(head, limits), ended: false, remarks: Remarks::default() })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn next_piece(&mut self, number: &str) -> Result<Option<Piece>, Unreadable> {
        if self.ended {
            return Ok(None);
        }
        self.walk.begin_part(number);
        loop {
            let taken = match self.markup.next() {
                Ok(Some(markings)) => self.walk.take(&markings, &mut self.remarks),
                Ok(None) => break,
                Err(Stop::Broken(why)) => Err(why.to_owned()),
                Err(Stop::Io(error)) => return Err(error.into()),
            };
            match taken {
                Ok(false) => {}
                Ok(true) => return Ok(Some(self.walk.cut())),
                Err(why) if self.walk.roots == 0 => {
                    return Err(Unreadable::Malformed(format!("not XML: {why}")));
                }
                Err(why) => {
                    self.remarks.break_off(why);
                    return Ok(Some(self.end()));
                }
            }
        }
        if self.walk.roots == 0 {
            return Err(Unreadable::Malformed("not XML: it holds no element".to_owned()));
        }
        if !self.walk.open.is_empty() {
            self.remarks.break_off("it ends before all of its elements are closed");
        }
        Ok(Some(self.end()))
    }

    fn end(&mut self) -> Piece {
        self.ended = true;
        self.walk.close_part(self.walk.open.len())
    }
}

/// An element around testcases.
struct Open {
    name: Vec<u8>,
    tag: Vec<u8>,
    /// Where its start tag stands in the current part.
    at: usize,
    /// To be repeated, whole elements.
    properties: Vec<u8>,
    /// A testcase in it has been put into a part.
    holds_cases: bool,
}

/// What is being read inside of the innermost [`Open`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Suites and testcases.
    Suite,
    Case,
    Properties,
    /// Something that does not count.
    Ignored,
}

/// Where the reader is, and the part being made.
struct Walk {
    limits: Limits,
    head: Vec<u8>,
    roots: usize,
    open: Vec<Open>,
    inside: Inside,
    /// Names of the open elements from the testcase, the properties or what is ignored inwards.
    names: Names,
    /// The element that is being read.
    element: Vec<u8>,
    /// Where output began in `element`, and at which depth.
    output: Option<(usize, usize)>,
    is_too_large: bool,
    /// The last start tag of a "Root Suite" in this root.
    root_suite: Option<Vec<u8>>,
    /// A testcase that had no room in the part before.
    carried: Option<Vec<u8>>,
    part: Vec<u8>,
    results: usize,
}

impl Walk {
    fn new(head: Vec<u8>, limits: Limits) -> Self {
        Self {
            limits,
            head,
            roots: 0,
            open: Vec::new(),
            inside: Inside::Suite,
            names: Names::default(),
            element: Vec::new(),
            output: None,
            is_too_large: false,
            root_suite: None,
            carried: None,
            part: Vec::new(),
            results: 0,
        }
    }

    /// Opens a part. Its number makes parts with equal testcases different reports.
    fn begin_part(&mut self, number: &str) {
        let Self { head, part, open, root_suite, .. } = self;
        part.extend_from_slice(head);
        part.extend_from_slice(format!("<!-- part {number} -->\n").as_bytes());
        for (depth, element) in open.iter_mut().enumerate() {
            element.at = part.len();
            part.extend_from_slice(&element.tag);
            part.extend_from_slice(&element.properties);
            if let (0, Some(suite)) = (depth, &root_suite) {
                part.extend_from_slice(suite);
                part.extend_from_slice(b"</");
                part.extend_from_slice(name_of(suite));
                part.push(b'>');
            }
        }
        if let Some(case) = self.carried.take() {
            self.add(&case);
        }
    }

    /// Takes a piece of the document; whether the part is full and has to be cut here.
    fn take(&mut self, markings: &Markings<'_>, remarks: &mut Remarks) -> Result<bool, String> {
        match (self.inside, markings) {
            (Inside::Suite, Markings::Start(tag)) => return self.start(tag, remarks),
            (Inside::Suite, Markings::End(_, name)) => self.end_suite(name)?,
            (Inside::Suite, Markings::Text(text)) if self.open.is_empty() => {
                let blank = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii().is_empty();
                if !blank {
                    return Err("there is text outside of any element".to_owned());
                }
            }
            (Inside::Suite, Markings::Cdata(_)) if self.open.is_empty() => {
                return Err("there is text outside of any element".to_owned());
            }
            (Inside::Suite, _) => {}
            (_, Markings::Start(tag)) => {
                self.keep(tag.bytes);
                if !tag.is_empty {
                    self.enter(tag)?;
                }
            }
            (_, Markings::End(bytes, name)) => {
                self.keep(bytes);
                self.leave(name)?;
                if self.names.is_empty() {
                    return Ok(self.end_element(remarks));
                }
            }
            (_, Markings::Text(bytes) | Markings::Cdata(bytes) | Markings::Aside(bytes)) => self.keep(bytes),
        }
        Ok(false)
    }

    fn start(&mut self, tag: &Tag<'_>, remarks: &mut Remarks) -> Result<bool, String> {
        let name = tag.local_name();
        if self.open.is_empty() {
            if name != b"testsuites" && name != b"testsuite" {
                let name = String::from_utf8_lossy(&name[..name.len().min(60)]).into_owned();
                return Err(format!("the root element is <{name}>, not <testsuites> or <testsuite>"));
            }
            self.roots += 1;
            self.root_suite = None;
        }
        let inside = match name {
            b"testcase" => Inside::Case,
            b"properties" => Inside::Properties,
            b"system-out" | b"system-err" => Inside::Ignored,
            _ => Inside::Suite,
        };
        if inside != Inside::Suite {
            return self.start_element(tag, inside, remarks);
        }
        let is_root_suite = tag.attribute(b"name").is_some_and(|range| {
            let value = &tag.bytes[range];
            value.ends_with(b"\"Root Suite\"") || value.ends_with(b"'Root Suite'")
        });
        if is_root_suite && self.open.len() == 1 {
            let mut suite = tag.bytes.to_vec();
            blank_counter(&mut suite);
            if tag.is_empty {
                let end = suite.len() - 2;
                suite[end] = b' ';
            }
            self.root_suite = Some(suite);
        }
        let at = self.part.len();
        self.part.extend_from_slice(tag.bytes);
        if !tag.is_empty {
            if self.open.len() >= DEEPEST {
                return Err(too_deep());
            }
            let (name, tag) = (tag.name.to_vec(), tag.bytes.to_vec());
            self.open.push(Open { name, tag, at, properties: Vec::new(), holds_cases: false });
        }
        Ok(false)
    }

    fn end_suite(&mut self, name: &[u8]) -> Result<(), String> {
        match self.open.pop() {
            Some(open) if open.name == name => {
                close(&open.name, &mut self.part);
                Ok(())
            }
            // It is closed where the part ends.
            Some(open) => {
                self.open.push(open);
                Err(wrong_end(name))
            }
            None => Err(wrong_end(name)),
        }
    }

    /// Begins to read a testcase, or what does not hold any.
    fn start_element(
        &mut self,
        tag: &Tag<'_>,
        inside: Inside,
        remarks: &mut Remarks,
    ) -> Result<bool, String> {
        self.inside = inside;
        self.element.clear();
        self.keep(tag.bytes);
        if tag.is_empty {
            return Ok(self.end_element(remarks));
        }
        self.enter(tag)?;
        Ok(false)
    }

    fn enter(&mut self, tag: &Tag<'_>) -> Result<(), String> {
        if self.open.len() + self.names.depth() >= DEEPEST {
            return Err(too_deep());
        }
        self.names.push(tag.name);
        let is_output = matches!(tag.local_name(), b"system-out" | b"system-err");
        if self.inside == Inside::Case && is_output && self.output.is_none() {
            self.output = Some((self.element.len() - tag.bytes.len(), self.names.depth()));
        }
        Ok(())
    }

    fn leave(&mut self, name: &[u8]) -> Result<(), String> {
        let depth = self.names.depth();
        if !self.names.pop(name) {
            return Err(wrong_end(name));
        }
        if let Some((start, _)) = self.output.take_if(|(_, output)| *output == depth)
            && self.element.len().saturating_sub(start) > MOST_OUTPUT
        {
            self.element.truncate(start);
        }
        Ok(())
    }

    /// Keeps bytes of the element that is being read, as far as they may be needed.
    fn keep(&mut self, bytes: &[u8]) {
        let is_needed = match (self.inside, self.output) {
            (Inside::Case, Some((start, _))) => self.element.len() - start <= MOST_OUTPUT,
            (Inside::Case, None) => {
                self.is_too_large |= self.element.len() + bytes.len() > self.limits.record;
                !self.is_too_large
            }
            (Inside::Properties, _) => self.element.len() <= MOST_PROPERTIES,
            _ => false,
        };
        if is_needed {
            self.element.extend_from_slice(bytes);
        }
    }

    /// Ends the testcase, or what else was being read; whether the part is full.
    fn end_element(&mut self, remarks: &mut Remarks) -> bool {
        let inside = std::mem::replace(&mut self.inside, Inside::Suite);
        let is_too_large = std::mem::take(&mut self.is_too_large);
        self.output = None;
        let element = std::mem::take(&mut self.element);
        match inside {
            Inside::Case if is_too_large => {
                remarks.leave_out(format!("a testcase is larger than {} bytes", self.limits.record));
            }
            Inside::Case if self.has_room(element.len()) => {
                self.add(&element);
                self.element = element;
            }
            Inside::Case => {
                self.carried = Some(element);
                return true;
            }
            Inside::Properties if element.len() <= MOST_PROPERTIES => {
                self.part.extend_from_slice(&element);
                if let Some(open) = self.open.last_mut()
                    && open.properties.len() + element.len() <= MOST_PROPERTIES
                {
                    open.properties.extend_from_slice(&element);
                }
            }
            Inside::Properties | Inside::Ignored | Inside::Suite => {}
        }
        false
    }

    fn has_room(&self, length: usize) -> bool {
        let closing: usize = self.open.iter().map(|open| open.name.len() + 4).sum();
        let is_within = self.results < self.limits.results
            && self.part.len().saturating_add(length + closing) <= self.limits.bytes;
        self.results == 0 || is_within
    }

    fn add(&mut self, case: &[u8]) {
        self.part.extend_from_slice(case);
        self.part.push(b'\n');
        self.results += 1;
        for open in &mut self.open {
            open.holds_cases = true;
        }
    }

    /// Ends the part in the middle of the open suites. Those that have not begun to hold testcases begin in the next part.
    fn cut(&mut self) -> Piece {
        let begun = self.open.iter().take_while(|open| open.holds_cases).count();
        if let Some(open) = self.open.get(begun) {
            self.part.truncate(open.at);
        }
        for open in &mut self.open[..begun] {
            let end = open.at + open.tag.len();
            blank_counter(&mut self.part[open.at..end]);
            blank_counter(&mut open.tag);
        }
        self.close_part(begun)
    }

    /// Closes as many suites as are open in the part.
    fn close_part(&mut self, open: usize) -> Piece {
        for open in self.open[..open].iter().rev() {
            close(&open.name, &mut self.part);
        }
        let piece = Piece { bytes: std::mem::take(&mut self.part), results: self.results };
        self.results = 0;
        piece
    }
}

fn too_deep() -> String {
    format!("elements are nested deeper than {DEEPEST} levels")
}

fn wrong_end(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(&name[..name.len().min(60)]).into_owned();
    format!("</{name}> closes nothing that is open")
}

fn close(name: &[u8], part: &mut Vec<u8>) {
    part.extend_from_slice(b"</");
    part.extend_from_slice(name);
    part.extend_from_slice(b">\n");
}

/// The name in a start tag.
fn name_of(tag: &[u8]) -> &[u8] {
    let end = tag.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'));
    tag.get(1..end.unwrap_or(tag.len())).unwrap_or_default()
}

/// Blanks out how many tests a suite says it holds.
fn blank_counter(tag: &mut [u8]) {
    let found = Tag { bytes: tag, name: name_of(tag), is_empty: false }.attribute(b"tests");
    if let Some(range) = found {
        tag[range].fill(b' ');
    }
}

/// A stack of names in one allocation.
#[derive(Default)]
struct Names {
    text: Vec<u8>,
    starts: Vec<usize>,
}

impl Names {
    fn push(&mut self, name: &[u8]) {
        self.starts.push(self.text.len());
        self.text.extend_from_slice(name);
    }

    /// Takes the innermost name away if it is this one.
    fn pop(&mut self, name: &[u8]) -> bool {
        let Some(start) = self.starts.last().copied() else { return false };
        let is_innermost = &self.text[start..] == name;
        if is_innermost {
            self.starts.pop();
            self.text.truncate(start);
        }
        is_innermost
    }

    fn depth(&self) -> usize {
        self.starts.len()
    }

    fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }
}
