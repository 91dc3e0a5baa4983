//! Buildkite's result objects (`format=json`): the hot path.
//!
//! The array is read in one pass that leaves every member as text; each record is then looked into member by member,
//! so that a wrong one costs this record alone and can be named. Only what that one pass cannot read at all (a record
//! that is, say, a number beyond all bounds) sends the report through a second, slower pass.

mod resources;
mod row;

use crate::gathering::{Gathering, MOST_FAILURES};
use crate::json::{self, Raw};
use crate::lines;
use crate::{Malformed, Options};
use casebook_model::execution::{Outcome, duration_from_seconds};
use casebook_model::failure::FailureDetail;
use casebook_model::report::{Report, ReportedResult};
use row::{Detail, Row, Shape, Span};
use serde::Deserializer as _;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use std::borrow::Cow;

pub(crate) fn parse(bytes: &[u8], options: &Options) -> Result<Report, Malformed> {
    let text = json::characters(bytes)?;
    let nul_possible = json::may_hold_nul(text);
    let mut gathering = Gathering::new(options, nul_possible);
    let mut reader = serde_json::Deserializer::from_str(text);
    if reader.deserialize_seq(Rows(&mut gathering)).is_ok() && reader.end().is_ok() {
        return gathering.finish();
    }
    parse_one_by_one(json::document(text)?, Gathering::new(options, nul_possible))
}

/// The slow pass, which reads every record on its own.
fn parse_one_by_one(document: Raw<'_>, mut gathering: Gathering) -> Result<Report, Malformed> {
    let records = json::array(document).ok_or_else(|| {
        Malformed::WrongShape(format!(
            "the results must be an array of objects, found {}",
            json::kind(document)
        ))
    })?;
    for record in records {
        if gathering.next_record() {
            take(Row::read(record), &mut gathering);
        }
    }
    gathering.finish()
}

struct Rows<'g>(&'g mut Gathering);

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of result objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(row) = records.next_element()? {
            if !self.0.next_record() {
                break;
            }
            take(row, self.0);
        }
        while records.next_element::<IgnoredAny>()?.is_some() {
            self.0.next_record();
        }
        Ok(())
    }
}

/// Adds the record to the report, or says why not.
fn take(row: Shape<Row<'_>>, gathering: &mut Gathering) {
    let row = match row {
        Shape::Object(row) => row,
        Shape::Other(kind) => return gathering.reject(format!("a result must be an object, found {kind}")),
    };
    let (tags, resources) = (row.tags, row.resources);
    match result_of(row) {
        Ok(mut result) => {
            if let Some(dropped) = tags.and_then(|tags| add_tags(tags, &mut result)) {
                gathering.repaired(dropped);
            }
            if let Some(left_out) = resources.and_then(|resources| resources::add(resources, &mut result)) {
                gathering.repaired(left_out);
            }
            if result.outcome == Outcome::Failed && tells_collection_error(&result) {
                result.outcome = Outcome::Error;
            }
            gathering.keep(result);
        }
        Err(sentence) => gathering.reject(sentence),
    }
}

fn result_of(row: Row<'_>) -> Result<ReportedResult, String> {
    let name = text(row.name, "name")?.filter(|name| !name.is_empty()).ok_or_else(|| match row.name {
        Some(raw) => format!("`name` must be a non-empty string, found {}", shown(raw)),
        None => "`name` is missing".to_owned(),
    })?;
    let history = match row.history {
        Some(Shape::Object(history)) => history,
        Some(Shape::Other(kind)) => return Err(format!("`history` must be an object, found {kind}")),
        None => return Err("`history` is missing".to_owned()),
    };
    let (outcome, pending) = outcome(row.result)?;
    let mut result = ReportedResult::new(text(row.scope, "scope")?.unwrap_or_default(), name, outcome);
    result.pending = pending;
    result.location = not_empty(text(row.location, "location")?);
    result.file = not_empty(text(row.file_name, "file_name")?);
    let own_id = id(row.id);
    result.external_id = own_id.or_else(|| id(row.external_id));
    let reason = not_empty(text(row.failure_reason, "failure_reason")?);
    result.failure = lines::failure(reason, details(row.failure_expanded)?);
    (result.duration_us, result.spans) = duration_and_spans(&history)?;
    match row.tags.filter(|raw| !json::is_null(raw) && !raw.get().starts_with('{')) {
        Some(raw) => Err(format!("`tags` must be an object or null, found {}", json::kind(raw))),
        None => Ok(result),
    }
}

fn outcome(word: Option<Raw<'_>>) -> Result<(Outcome, bool), String> {
    let Some(raw) = word.filter(|raw| !json::is_null(raw)) else { return Ok((Outcome::Unknown, false)) };
    match json::text(raw).as_deref() {
        Some("passed") => Ok((Outcome::Passed, false)),
        Some("failed") => Ok((Outcome::Failed, false)),
        Some("skipped") => Ok((Outcome::Skipped, false)),
        Some("pending") => Ok((Outcome::Skipped, true)),
        Some("unknown") => Ok((Outcome::Unknown, false)),
        _ => Err(format!(
            "`result` must be one of passed, failed, skipped, pending, unknown, or null, found {}",
            shown(raw)
        )),
    }
}

fn duration_and_spans(history: &Span<'_>) -> Result<(Option<i64>, Option<String>), String> {
    let numbers =
        [("start_at", history.start_at), ("end_at", history.end_at), ("duration", history.duration)];
    for (name, value) in numbers {
        if let Some(raw) = value.filter(|raw| !json::is_null(raw) && !json::is_number(raw)) {
            return Err(format!("`history.{name}` must be a number or null, found {}", json::kind(raw)));
        }
    }
    let duration = history.duration.and_then(json::number).and_then(duration_from_seconds);
    let Some(children) = history.children.filter(|raw| !json::is_null(raw)) else {
        return Ok((duration, None));
    };
    let Some(spans) = children.get().strip_prefix('[') else {
        return Err(format!("`history.children` must be an array or null, found {}", json::kind(children)));
    };
    let empty = spans.trim_start() == "]";
    Ok((duration, (!empty).then(|| children.get().to_owned())))
}

/// The failures in order; line lists that are missing are empty.
fn details(expanded: Option<Raw<'_>>) -> Result<Vec<FailureDetail>, String> {
    let Some(raw) = expanded.filter(|raw| !json::is_null(raw)) else { return Ok(Vec::new()) };
    if raw.get() == "[]" {
        return Ok(Vec::new());
    }
    let objects = json::array(raw).ok_or_else(|| {
        format!("`failure_expanded` must be an array of objects, found {}", json::kind(raw))
    })?;
    objects.into_iter().take(MOST_FAILURES + 1).map(detail).collect()
}

fn detail(raw: Raw<'_>) -> Result<FailureDetail, String> {
    match serde_json::from_str(raw.get()) {
        Ok(Shape::Object(Detail { expanded, backtrace })) => Ok(FailureDetail {
            expanded: line_list(expanded, "expanded")?,
            backtrace: line_list(backtrace, "backtrace")?,
        }),
        _ => Err(format!("`failure_expanded` must be an array of objects, but holds {}", json::kind(raw))),
    }
}

/// A list of lines. What is no string in it is kept as its text: a line is for reading only.
fn line_list(raw: Option<Raw<'_>>, name: &str) -> Result<Vec<String>, String> {
    let Some(raw) = raw.filter(|raw| !json::is_null(raw) && raw.get() != "[]") else { return Ok(Vec::new()) };
    let items = json::array(raw).ok_or_else(|| {
        format!("`{name}` in `failure_expanded` must be an array of strings, found {}", json::kind(raw))
    })?;
    let line = |item| json::text(item).map_or_else(|| item.get().to_owned(), Cow::into_owned);
    Ok(items.into_iter().map(line).collect())
}

/// Adds the tags; returns a sentence on those that could not be.
fn add_tags(raw: Raw<'_>, result: &mut ReportedResult) -> Option<String> {
    let mut dropped = Vec::new();
    for (key, value) in json::object(raw)?.0 {
        if let Some(text) = json::text(value) {
            result.tags.push((key.into_owned(), text.into_owned()));
        } else if value.get().starts_with(['{', '[']) {
            dropped.push(format!("`{}`", excerpt(&key)));
        } else if !json::is_null(value) {
            result.tags.push((key.into_owned(), value.get().to_owned()));
        }
    }
    let (last, others) = dropped.split_last()?;
    let names = if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) };
    Some(format!("the value of tag {names} was left out, because it is no text"))
}

/// Whether this stands for a file that pytest could not import, not for a test.
fn tells_collection_error(result: &ReportedResult) -> bool {
    result.tags.iter().any(|(key, value)| key == "test.pytest_collection_error" && value == "true")
}

/// The text of a member that may be missing or null.
fn text(raw: Option<Raw<'_>>, name: &str) -> Result<Option<String>, String> {
    match raw.filter(|raw| !json::is_null(raw)) {
        None => Ok(None),
        Some(raw) => match json::text(raw) {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(format!("`{name}` must be a string, found {}", json::kind(raw))),
        },
    }
}

/// An id, which may be anything, but counts only if it is a string.
fn id(raw: Option<Raw<'_>>) -> Option<String> {
    not_empty(raw.and_then(json::text).map(Cow::into_owned))
}

fn not_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A wrong value for a sentence: a string as it is, of others their kind.
fn shown(raw: Raw<'_>) -> String {
    if json::is_string(raw) { excerpt(raw.get()) } else { json::kind(raw).to_owned() }
}

fn excerpt(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
