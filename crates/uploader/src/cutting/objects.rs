//! Buildkite's result objects, cut between the members of their array.
//!
//! Members are copied byte by byte. The server tells a repetition by the id of a result (Buildkite's contract, 4.3), so one
//! without a UUID gets an id that is made of the report up to it.

use super::{Ids, Limits, Piece, Remarks, Unreadable};
use casebook_model::public_id::parse_uuid;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{self, Read};

/// Bytes read at a time.
const STEP: usize = 64 * 1024;

/// The members of an array, in parts.
pub(super) struct Objects<R> {
    array: Array<R>,
    ids: Ids,
    limits: Limits,
    /// A member that had no room in the part before.
    carried: Option<Vec<u8>>,
    ended: bool,
    pub(super) remarks: Remarks,
}

impl<R: Read> Objects<R> {
    pub(super) fn new(source: R, origin: &str, limits: Limits) -> Result<Self, Unreadable> {
        let mut array = Array { source, buffer: Vec::new(), at: 0 };
        array.skip_mark()?;
        if array.skip_blanks()? != Some(b'[') {
            return Err(Unreadable::Malformed("the results must be an array of objects".to_owned()));
        }
        array.at += 1;
        let ids = Ids::new(origin);
        Ok(Self { array, ids, limits, carried: None, ended: false, remarks: Remarks::default() })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended && self.carried.is_none()
    }

    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>, Unreadable> {
        if self.has_ended() {
            return Ok(None);
        }
        let (mut bytes, mut results) = (b"[".to_vec(), 0);
        if let Some(member) = self.carried.take() {
            bytes.extend_from_slice(&member);
            results = 1;
        }
        while !self.ended {
            let mut member = Vec::new();
            match self.array.member(&mut member, self.limits.record)? {
                Found::Member => {}
                Found::Gap => {
                    self.remarks.changed = true;
                    continue;
                }
                Found::TooLarge => {
                    self.remarks.leave_out(format!("a result is larger than {} bytes", self.limits.record));
                    continue;
                }
                Found::End => {
                    self.ended = true;
                    if self.array.skip_blanks()?.is_some() {
                        self.remarks.leave_out("there is text after the array");
                    }
                    break;
                }
                Found::Broken => {
                    self.ended = true;
                    self.remarks.break_off("it ends inside of the array");
                    break;
                }
            }
            if !self.complete(&mut member) {
                continue;
            }
            let has_room = results < self.limits.results
                && bytes.len().saturating_add(member.len() + 2) <= self.limits.bytes;
            if results > 0 && !has_room {
                self.carried = Some(member);
                break;
            }
            if results > 0 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(&member);
            results += 1;
        }
        bytes.push(b']');
        Ok(Some(Piece { bytes, results }))
    }

    /// Gives a member an id if it needs one; whether it can be sent at all.
    fn complete(&mut self, member: &mut Vec<u8>) -> bool {
        let id = self.ids.after(member);
        // The server takes UTF-8 alone.
        if let Cow::Owned(repaired) = String::from_utf8_lossy(member) {
            *member = repaired.into_bytes();
            self.remarks.changed = true;
        }
        let text = String::from_utf8_lossy(member);
        let known: Option<Known<'_>> =
            if text.starts_with('{') { serde_json::from_str(&text).ok() } else { None };
        match known {
            Some(known) if known.has_uuid() => {}
            Some(_) => {
                let is_empty = text.trim_matches(['{', '}']).trim().is_empty();
                let separator = if is_empty { "" } else { "," };
                let end = member.len() - 1;
                member.truncate(end);
                member.extend_from_slice(format!("{separator}\"id\":\"{id}\"}}").as_bytes());
                self.remarks.changed = true;
            }
            // The server says what is wrong with it, and takes the others.
            None if serde_json::from_str::<&RawValue>(&text).is_ok() => {}
            None => {
                self.remarks.leave_out("a result is not JSON");
                return false;
            }
        }
        true
    }
}

/// The members by which the server tells a repetition.
#[derive(Deserialize)]
struct Known<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    external_id: Option<&'a RawValue>,
}

impl Known<'_> {
    fn has_uuid(&self) -> bool {
        let text =
            |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok().filter(|id| !id.is_empty());
        let id = self.id.and_then(text).or_else(|| self.external_id.and_then(text));
        id.as_deref().and_then(parse_uuid).is_some()
    }
}

/// What was found in the array.
enum Found {
    Member,
    /// A comma without a member before it.
    Gap,
    TooLarge,
    End,
    /// The source ends inside of the array.
    Broken,
}

/// The inside of an array as bytes.
struct Array<R> {
    source: R,
    buffer: Vec<u8>,
    at: usize,
}

impl<R: Read> Array<R> {
    /// Reads the next member, without blanks around it and the comma behind it.
    fn member(&mut self, out: &mut Vec<u8>, most: usize) -> io::Result<Found> {
        match self.skip_blanks()? {
            None => return Ok(Found::Broken),
            Some(b']') => {
                self.at += 1;
                return Ok(Found::End);
            }
            Some(b',') => {
                self.at += 1;
                return Ok(Found::Gap);
            }
            Some(_) => {}
        }
        let (mut depth, mut in_text, mut escaped, mut too_large) = (0usize, false, false, false);
        loop {
            let chunk = &self.buffer[self.at..];
            let end = chunk.iter().position(|byte| {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_text => escaped = true,
                    b'"' => in_text = !in_text,
                    _ if in_text => {}
                    b'{' | b'[' => depth += 1,
                    b',' | b']' if depth == 0 => return true,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                false
            });
            let length = end.unwrap_or(chunk.len());
            too_large |= out.len() + length > most;
            if too_large {
                out.clear();
            } else {
                out.extend_from_slice(&chunk[..length]);
            }
            self.at += length;
            if end.is_some() {
                break;
            }
            if !self.fill()? {
                return Ok(Found::Broken);
            }
        }
        if self.buffer[self.at] == b',' {
            self.at += 1;
            // One comma stands between two members.
            if self.skip_blanks()? == Some(b']') {
                self.buffer.insert(self.at, b',');
            }
        }
        while out.last().is_some_and(u8::is_ascii_whitespace) {
            out.pop();
        }
        Ok(if too_large { Found::TooLarge } else { Found::Member })
    }

    fn skip_mark(&mut self) -> io::Result<()> {
        while self.buffer.len() < 3 && self.fill()? {}
        if self.buffer.starts_with(b"\xEF\xBB\xBF") {
            self.at = 3;
        }
        Ok(())
    }

    /// The next byte that is not blank.
    fn skip_blanks(&mut self) -> io::Result<Option<u8>> {
        loop {
            let chunk = &self.buffer[self.at..];
            if let Some(blanks) = chunk.iter().position(|byte| !byte.is_ascii_whitespace()) {
                self.at += blanks;
                return Ok(Some(self.buffer[self.at]));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Replaces what has been read by more; false at the end of the source.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let before = self.buffer.len();
        self.source.by_ref().take(STEP as u64).read_to_end(&mut self.buffer)?;
        Ok(self.buffer.len() > before)
    }
}
