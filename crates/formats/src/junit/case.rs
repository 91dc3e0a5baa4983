//! A testcase and the elements in it that tell its outcome, as they stand in the file.

use super::bounded::Bounded;
use super::characters::{self, Repairs};
use super::seconds::Time;
use super::told::Told;
use crate::Malformed;
use crate::gathering::MOST_FAILURES;
use casebook_model::failure::{LONGEST_TEXT, cut_middle};
use casebook_model::time::{DAY_US, Timestamp};
use quick_xml::events::BytesStart;
use std::borrow::Cow;

/// Bytes of text after which the further children of a testcase are told in short.
const TEXT_OF_CASE: usize = 1024 * 1024;

/// Bytes that are kept of a text that is told in short.
const SHORT_TEXT: usize = 2 * 1024;

/// Bytes that the note of a cut takes, so that what was cut while it was read is not cut again.
const ROOM_FOR_NOTE: usize = 128;

/// Characters that are kept of the type of a failure.
const LONGEST_SORT: usize = 200;

/// A testcase.
#[derive(Default)]
pub(super) struct Case {
    pub(super) scope: Option<String>,
    pub(super) name: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<String>,
    pub(super) time: Time,
    pub(super) started_at: Option<Timestamp>,
    pub(super) status: Option<String>,
    pub(super) result: Option<String>,
    pub(super) children: Vec<Child>,
    /// What our plugin tells of it.
    pub(super) told: Told,
    /// How many children of each kind there are, read or not.
    counts: [usize; 7],
    /// Bytes of text that its children hold.
    text: usize,
    pub(super) repairs: Repairs,
}

impl Case {
    pub(super) fn read(element: &BytesStart<'_>) -> Result<Self, Malformed> {
        let mut case = Self::default();
        for attribute in attributes(element) {
            let (name, raw) = attribute?;
            let value = match name {
                "classname" | "name" => identity(&raw, &mut case.repairs)?,
                _ => characters::value(&raw, &mut case.repairs)?,
            };
            match name {
                "classname" => case.scope = Some(value.into_owned()),
                "name" => case.name = Some(value.into_owned()),
                "file" if !value.is_empty() => case.file = Some(value.into_owned()),
                "line" if !value.is_empty() => case.line = Some(value.into_owned()),
                "time" => case.time = Time::read(&value),
                "timestamp" => case.started_at = timestamp(&value),
                "status" => case.status = Some(value.into_owned()),
                "result" => case.result = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(case)
    }

    /// Reads a property.
    pub(super) fn property(&mut self, element: &BytesStart<'_>) -> Result<(), Malformed> {
        let (mut name, mut value) = (None, None);
        for attribute in attributes(element) {
            let (key, raw) = attribute?;
            match key {
                "name" => name = Some(characters::value(&raw, &mut self.repairs)?.into_owned()),
                "value" => value = Some(characters::value(&raw, &mut self.repairs)?.into_owned()),
                _ => {}
            }
        }
        if let (Some(name), Some(value)) = (name, value) {
            self.told.take(&name, &value);
        }
        Ok(())
    }

    /// Counts a child, and says whether it is one too many of its kind.
    pub(super) fn is_too_many(&mut self, kind: Kind) -> bool {
        let count = &mut self.counts[kind as usize];
        *count += 1;
        *count > MOST_FAILURES
    }

    /// Begins with a child that is to be read.
    pub(super) fn start_child(&mut self, kind: Kind, element: &BytesStart<'_>) -> Result<(), Malformed> {
        // A testcase may have hundreds of children; after the first long ones the others are told in short.
        let most = TEXT_OF_CASE.saturating_sub(self.text).clamp(SHORT_TEXT, LONGEST_TEXT - ROOM_FOR_NOTE);
        let child = Child::read(kind, element, most, &mut self.repairs)?;
        self.children.push(child);
        Ok(())
    }

    /// Ends with the child that was begun last.
    pub(super) fn end_child(&mut self) {
        let Some(child) = self.children.last_mut() else { return };
        let (text, cut) = std::mem::take(&mut child.collected).finish();
        self.repairs.cut += usize::from(cut);
        self.text += text.len() + child.message.as_ref().map_or(0, String::len);
        child.text = text;
    }

    /// Why it cannot be used, if it cannot.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        match (&self.scope, self.name.as_deref()) {
            (None, _) => Some("the testcase has no `classname`"),
            (_, None) => Some("the testcase has no `name`"),
            (_, Some("")) => Some("the `name` of the testcase is empty"),
            _ => None,
        }
    }
}

/// An element that tells an outcome.
pub(super) struct Child {
    pub(super) kind: Kind,
    pub(super) message: Option<String>,
    pub(super) sort: Option<String>,
    pub(super) text: String,
    /// Its text while it is being read.
    pub(super) collected: Bounded,
    pub(super) duration_us: Option<i64>,
    pub(super) started_at: Option<Timestamp>,
}

impl Child {
    fn read(
        kind: Kind,
        element: &BytesStart<'_>,
        most: usize,
        repairs: &mut Repairs,
    ) -> Result<Self, Malformed> {
        let mut child = Self {
            kind,
            message: None,
            sort: None,
            text: String::new(),
            collected: Bounded::new(most),
            duration_us: None,
            started_at: None,
        };
        for attribute in attributes(element) {
            let (name, raw) = attribute?;
            let value = characters::value(&raw, repairs)?;
            match name {
                "message" => {
                    let mut message = value.into_owned();
                    repairs.cut += usize::from(cut_middle(&mut message, most));
                    child.message = Some(message);
                }
                "type" => child.sort = Some(value.chars().take(LONGEST_SORT).collect()),
                "time" => child.duration_us = Time::read(&value).duration_us(),
                "timestamp" => child.started_at = timestamp(&value),
                _ => {}
            }
        }
        Ok(child)
    }
}

/// What an element in a testcase tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Failure,
    Error,
    Skipped,
    FlakyFailure,
    FlakyError,
    RerunFailure,
    RerunError,
}

impl Kind {
    pub(super) fn from_element(name: &str) -> Option<Self> {
        Some(match name {
            "failure" => Self::Failure,
            "error" => Self::Error,
            "skipped" | "ignored" => Self::Skipped,
            "flakyFailure" => Self::FlakyFailure,
            "flakyError" => Self::FlakyError,
            "rerunFailure" => Self::RerunFailure,
            "rerunError" => Self::RerunError,
            _ => return None,
        })
    }

    /// The testcase ended with this.
    pub(super) fn is_plain(self) -> bool {
        matches!(self, Self::Failure | Self::Error)
    }

    /// An attempt failed before one that passed.
    pub(super) fn is_flaky(self) -> bool {
        matches!(self, Self::FlakyFailure | Self::FlakyError)
    }

    /// An attempt failed after one that had failed already.
    pub(super) fn is_rerun(self) -> bool {
        matches!(self, Self::RerunFailure | Self::RerunError)
    }

    pub(super) fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::FlakyError | Self::RerunError)
    }
}

/// The attributes of an element: names, and values still to be decoded.
pub(super) fn attributes<'a>(
    element: &'a BytesStart<'_>,
) -> impl Iterator<Item = Result<(&'a str, Cow<'a, str>), Malformed>> {
    let mut attributes = element.attributes();
    // Of two attributes of one name the last one counts; producers that write properties as attributes have them.
    attributes.with_checks(false);
    attributes.map(|attribute| match attribute {
        Ok(attribute) => Ok((attribute.key.into_inner(), attribute.value)),
        Err(error) => Err(Malformed::NotXml(format!("an attribute is broken: {error}"))),
    })
}

/// The value of an attribute that identifies. Line breaks in an attribute are blanks in XML, unless they are written as
/// references; messages may keep their lines all the same.
fn identity<'a>(raw: &'a str, repairs: &mut Repairs) -> Result<Cow<'a, str>, Malformed> {
    if !raw.bytes().fold(false, |found, byte| found | (byte < b' ')) {
        return characters::value(raw, repairs);
    }
    let flat = raw.replace("\r\n", " ").replace(['\n', '\t', '\r'], " ");
    Ok(Cow::Owned(characters::value(&flat, repairs)?.into_owned()))
}

/// When something began. A time of the year in which computers start counting means that nobody knew.
fn timestamp(text: &str) -> Option<Timestamp> {
    Timestamp::parse_lenient(text).ok().filter(|time| time.as_microseconds() > 365 * DAY_US)
}
