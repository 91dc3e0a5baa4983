//! JUnit XML in every dialect: events in, results out, without a tree.
//!
//! The names of elements are compared without their namespace prefix. Outside of a testcase any element may hold suites
//! and testcases; inside of one only the elements that tell its outcome are looked at.

mod bounded;
mod case;
mod characters;
mod elements;
mod encoding;
mod seconds;
mod suite;
#[cfg(test)]
mod tests;
mod tokens;
mod told;
mod verdict;
mod volatile;

use crate::gathering::Gathering;
use crate::instances::Names;
use crate::sniffing::{self, Sniffed};
use crate::{Malformed, Options, ReadError};
use case::{Case, Child};
use casebook_model::execution::Outcome;
use casebook_model::report::Report;
use elements::Elements;
use encoding::Decoder;
use quick_xml::events::{BytesStart, Event};
use std::io::Read;
use suite::{Counters, Durations, Suite};
use tokens::LongTag;

/// Deepest nesting of elements that is read.
const DEEPEST: usize = 64;

/// Longest tag that is read as it is; longer ones lose the middle of their longest values.
const LONGEST_TAG: usize = 1024 * 1024;

/// Longest name of an element.
const LONGEST_ELEMENT: usize = 1024;

/// Bytes of a report that are looked at together.
const WINDOW: usize = 128 * 1024;

pub(crate) fn parse(bytes: &[u8], options: &Options) -> Result<Report, Malformed> {
    let Some(text) = encoding::plain(bytes) else {
        return match parse_from(bytes, options) {
            Ok(report) => Ok(report),
            Err(ReadError::Malformed(refusal)) => Err(refusal),
            Err(ReadError::Io(error)) => Err(Malformed::NotXml(error.to_string())),
        };
    };
    let mut walk = Walk::new(options);
    let read = tokens::read_text(&mut walk, text, 0, true);
    walk.conclude(read.map(|_| ()), None)
}

pub(crate) fn parse_from<R: Read>(reader: R, options: &Options) -> Result<Report, ReadError> {
    parse_in_pieces(reader, options, WINDOW)
}

/// Reads a report through a window that begins with `size` bytes.
fn parse_in_pieces<R: Read>(reader: R, options: &Options, size: usize) -> Result<Report, ReadError> {
    let mut decoder = Decoder::new(reader);
    let mut walk = Walk::new(options);
    let read = match tokens::read_pieces(&mut walk, &mut decoder, size) {
        Ok(()) => Ok(()),
        Err(ReadError::Malformed(refusal)) => Err(refusal),
        Err(error) => return Err(error),
    };
    Ok(walk.conclude(read, decoder.problem())?)
}

/// The beginning of a report as text, whatever its encoding.
pub(crate) fn decoded_head(bytes: &[u8]) -> String {
    let mut text = String::new();
    // Bytes in memory can always be read.
    let _ended = Decoder::new(bytes).fill(&mut text, usize::MAX);
    text
}

/// What an open element is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// May hold suites and testcases.
    Container,
    /// Likewise, with a name and counters of its own.
    Suite,
    /// A testcase.
    Case,
    /// The properties of a testcase.
    Properties,
    /// An element that tells an outcome, or one inside of it: its text counts.
    Outcome,
    /// Its content does not count.
    Ignored,
}

/// Where the reader is, and what it has found.
struct Walk {
    gathering: Gathering,
    names: Names,
    durations: Durations,
    counters: Counters,
    open: Vec<Place>,
    elements: Elements,
    suites: Vec<Suite>,
    /// File of the last "Root Suite", which Mocha's reporters name there for the suites that follow.
    root_file: Option<String>,
    case: Option<Case>,
    roots: usize,
    allow_truncated: bool,
    allow_no_class_name: bool,
}

impl Walk {
    fn new(options: &Options) -> Self {
        Self {
            gathering: Gathering::new(options, false),
            names: Names::default(),
            durations: Durations::default(),
            counters: Counters::default(),
            open: Vec::new(),
            elements: Elements::default(),
            suites: Vec::new(),
            root_file: None,
            case: None,
            roots: 0,
            allow_truncated: options.allow_truncated,
            allow_no_class_name: options.allow_no_class_name,
        }
    }

    /// The report, after everything was handed in up to the end or to what is not well-formed.
    fn conclude(mut self, read: Result<(), Malformed>, problem: Option<String>) -> Result<Report, Malformed> {
        self.settle_counters();
        if let Some(problem) = problem {
            self.gathering.noticed(problem);
        }
        match read.and_then(|()| self.is_complete()) {
            Ok(()) => {}
            Err(Malformed::NotXml(sentence)) if self.allow_truncated && self.roots > 0 => {
                let kept = "the report breaks off, what had closed was kept";
                self.gathering.truncated(format!("{kept}: {sentence}"));
            }
            Err(refusal) => return Err(refusal),
        }
        self.durations.settle(self.suites, self.gathering.results());
        self.names.number(self.gathering.results());
        self.gathering.finish()
    }

    fn is_complete(&self) -> Result<(), Malformed> {
        if !self.open.is_empty() {
            return Err(Malformed::NotXml("it ends before all of its elements are closed".to_owned()));
        }
        if self.roots == 0 {
            return Err(Malformed::NotXml("it holds no element".to_owned()));
        }
        Ok(())
    }

    /// Takes the next event. Character data may come in several pieces.
    fn event(&mut self, event: Event<'_>) -> Result<(), Malformed> {
        match event {
            Event::Start(element) => {
                self.open_element(&element)?;
                self.elements.open(element.name().into_inner());
                Ok(())
            }
            Event::Empty(element) => {
                self.open_element(&element)?;
                self.end();
                Ok(())
            }
            Event::End(element) => {
                self.elements.close(element.name().into_inner())?;
                self.end();
                Ok(())
            }
            Event::Text(text) => self.text(&text.into_inner()),
            Event::CData(text) => self.cdata(&text.into_inner()),
            Event::GeneralRef(name) => self.reference(&name.into_inner()),
            Event::DocType(text) if text.len() > LONGEST_TAG => Err(tokens::too_long("a declaration")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) | Event::Eof => Ok(()),
        }
    }

    fn open_element(&mut self, element: &BytesStart<'_>) -> Result<(), Malformed> {
        let name = element.name().into_inner().len();
        if name > LONGEST_ELEMENT {
            return Err(Malformed::WrongShape(format!("the name of an element is {name} bytes long")));
        }
        if name + element.attributes_raw().len() > LONGEST_TAG {
            return self.start(&tokens::tag(&LongTag::shortened(element)?));
        }
        self.start(element)
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), Malformed> {
        if self.open.len() >= DEEPEST {
            return Err(Malformed::WrongShape(format!("elements are nested deeper than {DEEPEST} levels")));
        }
        let name = element.local_name();
        let place = match (self.open.last(), name.as_ref()) {
            (None, "testsuites") => {
                self.root(Suite::read(element)?.skipped);
                Place::Container
            }
            (None, "testsuite") => {
                self.root(0);
                self.start_suite(element)?
            }
            (None, other) => {
                return Err(Malformed::WrongShape(match sniffing::of_root(other) {
                    Some(Sniffed::Unsupported(sentence)) => sentence.to_owned(),
                    _ => format!("the root element is <{other}>, not <testsuites> or <testsuite>"),
                }));
            }
            (Some(Place::Container | Place::Suite), "testsuite") => self.start_suite(element)?,
            (Some(Place::Container | Place::Suite), "testcase") => self.start_case(element)?,
            (Some(Place::Container | Place::Suite), "properties" | "system-out" | "system-err") => {
                characters::check(element.attributes_raw())?;
                Place::Ignored
            }
            (Some(Place::Container | Place::Suite), _) => {
                characters::check(element.attributes_raw())?;
                Place::Container
            }
            (Some(Place::Case), "properties") => {
                characters::check(element.attributes_raw())?;
                Place::Properties
            }
            (Some(Place::Case), name) => self.start_child(element, name)?,
            (Some(Place::Properties), _) => self.property(element, name.as_ref())?,
            (Some(Place::Outcome), "system-out" | "system-err") | (Some(Place::Ignored), _) => {
                characters::check(element.attributes_raw())?;
                Place::Ignored
            }
            (Some(Place::Outcome), _) => Place::Outcome,
        };
        self.open.push(place);
        Ok(())
    }

    fn root(&mut self, skipped: usize) {
        self.roots += 1;
        self.root_file = None;
        self.settle_counters();
        self.counters = Counters::begin(skipped);
    }

    /// Tells what the counters of the root that was read last say.
    fn settle_counters(&mut self) {
        for sentence in self.counters.sentences() {
            self.gathering.noticed(sentence);
        }
    }

    fn start_suite(&mut self, element: &BytesStart<'_>) -> Result<Place, Malformed> {
        let mut suite = Suite::read(element)?;
        if suite.name == "Root Suite" {
            self.root_file.clone_from(&suite.file);
        }
        if suite.file.is_none() {
            let outer = self.suites.last().and_then(|outer| outer.file.as_ref());
            suite.file = outer.or(self.root_file.as_ref()).cloned();
        }
        self.durations.saw(suite.time);
        self.suites.push(suite);
        Ok(Place::Suite)
    }

    fn start_case(&mut self, element: &BytesStart<'_>) -> Result<Place, Malformed> {
        if let Some(suite) = self.suites.last_mut() {
            suite.direct += 1;
            suite.held += 1;
        }
        if !self.gathering.next_record() {
            return Ok(Place::Ignored);
        }
        let mut case = Case::read(element)?;
        if self.allow_no_class_name {
            case.scope.get_or_insert_default();
        }
        match case.flaw() {
            Some(flaw) => {
                self.gathering.reject(flaw);
                Ok(Place::Ignored)
            }
            None => {
                self.case = Some(case);
                Ok(Place::Case)
            }
        }
    }

    fn start_child(&mut self, element: &BytesStart<'_>, name: &str) -> Result<Place, Malformed> {
        let (Some(case), Some(kind)) = (&mut self.case, case::Kind::from_element(name)) else {
            characters::check(element.attributes_raw())?;
            return Ok(Place::Ignored);
        };
        if case.is_too_many(kind) {
            case.repairs.failures += 1;
            return Ok(Place::Ignored);
        }
        case.start_child(kind, element)?;
        Ok(Place::Outcome)
    }

    fn property(&mut self, element: &BytesStart<'_>, name: &str) -> Result<Place, Malformed> {
        characters::check(element.attributes_raw())?;
        if let Some(case) = self.case.as_mut().filter(|_| name == "property") {
            case.property(element)?;
        }
        Ok(Place::Ignored)
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Place::Case) => self.end_case(),
            Some(Place::Suite) => self.end_suite(),
            Some(Place::Outcome) if self.open.last() == Some(&Place::Case) => {
                if let Some(case) = &mut self.case {
                    case.end_child();
                }
            }
            _ => {}
        }
    }

    fn end_case(&mut self) {
        let Some(case) = self.case.take() else { return };
        for problem in case.repairs.sentences() {
            self.gathering.repaired(problem);
        }
        let path = volatile::path(&self.suites, &case);
        let mut suite = self.suites.last_mut();
        let (time, told) = (case.time, case.children.len());
        let mut result = verdict::conclude(case, suite.as_ref().and_then(|suite| suite.file.as_ref()));
        result.suite_path = path;
        if let Some(suite) = &mut suite {
            // Some producers count attempts, or each failure of a test.
            suite.held += result.earlier.len().max(told.saturating_sub(1));
        }
        if result.outcome == Outcome::Skipped {
            self.counters.saw_skipped();
        }
        if !self.gathering.keep(result) {
            return;
        }
        if let Some(kept) = self.gathering.results().last() {
            self.names.saw(kept);
        }
        self.durations.add(self.gathering.results().len() - 1, time, suite);
    }

    fn end_suite(&mut self) {
        let Some(suite) = self.suites.pop() else { return };
        self.counters.close(&suite);
        if let Some(outer) = self.suites.last_mut() {
            outer.held += suite.held;
        }
        self.durations.settle_suite(suite, self.gathering.results());
    }

    fn text(&mut self, text: &str) -> Result<(), Malformed> {
        match self.open.last() {
            None if text.chars().all(|c| c.is_whitespace() || c == '\u{FEFF}') => Ok(()),
            None => Err(Malformed::NotXml("there is text outside of any element".to_owned())),
            Some(Place::Outcome) => {
                if let Some((child, repairs)) = self.child() {
                    characters::add_text(text, &mut child.collected, repairs);
                }
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    fn cdata(&mut self, text: &str) -> Result<(), Malformed> {
        match self.open.last() {
            None => Err(Malformed::NotXml("there is text outside of any element".to_owned())),
            Some(Place::Outcome) => {
                if let Some((child, repairs)) = self.child() {
                    characters::add(text, &mut child.collected, repairs);
                }
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    fn reference(&mut self, name: &str) -> Result<(), Malformed> {
        match self.open.last() {
            None => Err(Malformed::NotXml("there is text outside of any element".to_owned())),
            Some(Place::Outcome) => match self.child() {
                Some((child, repairs)) => characters::add_reference(name, &mut child.collected, repairs),
                None => Ok(()),
            },
            Some(_) => characters::check_reference(name),
        }
    }

    /// The element that is telling an outcome, and what has been repaired in its testcase.
    fn child(&mut self) -> Option<(&mut Child, &mut characters::Repairs)> {
        let case = self.case.as_mut()?;
        Some((case.children.last_mut()?, &mut case.repairs))
    }
}
