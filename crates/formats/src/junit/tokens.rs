//! From text to events, with a window on the text that does not grow with the report.
//!
//! The window holds whole tokens, which quick-xml tells apart; what is left at its end is read again together with what
//! follows. A token that is longer than the window is read in pieces: character data is handed on, tags lose the middle
//! of their longest values, and what counts for nothing is passed over.

use super::bounded::{Bounded, Sink as _};
use super::encoding::Decoder;
use super::{LONGEST_TAG, Walk};
use crate::{Malformed, ReadError};
use quick_xml::errors::SyntaxError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Error, Reader};
use std::io::Read;

/// Longest attribute value of a tag that is longer than [`LONGEST_TAG`].
const LONGEST_VALUE: usize = 128 * 1024;

/// Longest reference that is waited for when the window ends after an ampersand.
pub(super) const LONGEST_REFERENCE: usize = 1024;

/// Length from which a token that is not closed yet is read in pieces.
const LONGEST_TOKEN: usize = LONGEST_TAG + 4;

/// Hands the tokens of `text` to `walk`; returns how many bytes they take, which is all if it is the `last` text.
pub(super) fn read_text(walk: &mut Walk, text: &str, offset: usize, last: bool) -> Result<usize, Malformed> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    loop {
        let begin = position(&reader);
        match reader.read_event() {
            Ok(Event::Eof) => return Ok(text.len()),
            Ok(Event::Text(piece)) if !last && position(&reader) == text.len() => {
                let piece = piece.into_inner();
                let whole = whole_text(&piece);
                walk.text(&piece[..whole])?;
                return Ok(text.len() - (piece.len() - whole));
            }
            Ok(event) => walk.event(event)?,
            Err(Error::Syntax(_)) if !last => return Ok(begin),
            Err(error) => {
                let at = offset + usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
                return Err(Malformed::NotXml(format!("{error}, at byte {at}")));
            }
        }
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// How much of a text at the window's end is surely text: not half a reference, not half a line break.
fn whole_text(text: &str) -> usize {
    match text.as_bytes() {
        [b'&', ..] if text.len() <= LONGEST_REFERENCE + 2 => 0,
        [.., b'\r'] => text.len() - 1,
        _ => text.len(),
    }
}

/// Hands the tokens of a reader to `walk`. The window begins with `size` bytes.
pub(super) fn read_pieces<R: Read>(
    walk: &mut Walk,
    decoder: &mut Decoder<R>,
    size: usize,
) -> Result<(), ReadError> {
    let mut window = Window { text: String::new(), offset: 0, token: Token::Short, token_at: 0 };
    let mut target = size;
    loop {
        let ended = decoder.fill(&mut window.text, target)?;
        let before = window.text.len();
        while window.read(walk, ended)? {}
        if ended {
            return Ok(());
        }
        // A token that does not fit is read again when twice as much is there.
        let whole = window.text.len();
        target = if whole == before { before.max(target) * 2 } else { size.max(whole + 1) };
    }
}

/// The part of the text that is being looked at.
struct Window {
    text: String,
    /// How much text came before.
    offset: usize,
    /// The token that the window begins in.
    token: Token,
    /// Where that began, in the whole text.
    token_at: usize,
}

/// A token, by how it is read.
enum Token {
    /// It fits into the window.
    Short,
    /// Character data, handed on in pieces.
    Data,
    /// A comment or a processing instruction, passed over up to its end.
    Skipped(&'static str, SyntaxError),
    /// A tag, which gets shorter.
    Tag(LongTag),
}

impl Window {
    /// Reads what can be read; says whether there may be more to read right away.
    fn read(&mut self, walk: &mut Walk, ended: bool) -> Result<bool, Malformed> {
        match &mut self.token {
            Token::Short => self.read_short(walk, ended),
            Token::Data => self.read_until("]]>", SyntaxError::UnclosedCData, ended, |text| walk.cdata(text)),
            Token::Skipped(end, error) => {
                let (end, error) = (*end, *error);
                self.read_until(end, error, ended, |_| Ok(()))
            }
            Token::Tag(tag) => {
                let closed = tag.push(&self.text)?;
                if closed.is_none() && ended {
                    return Err(not_closed(tag.error(), self.token_at));
                }
                let taken = closed.unwrap_or(self.text.len());
                if closed.is_some()
                    && let Token::Tag(tag) = std::mem::replace(&mut self.token, Token::Short)
                {
                    tag.finish(walk)?;
                }
                self.take(taken);
                Ok(closed.is_some())
            }
        }
    }

    fn read_short(&mut self, walk: &mut Walk, ended: bool) -> Result<bool, Malformed> {
        if self.offset > 0 && self.text.starts_with('\u{FEFF}') {
            // The reader would take it for a byte order mark.
            walk.text("\u{FEFF}")?;
            self.take('\u{FEFF}'.len_utf8());
        }
        let taken = read_text(walk, &self.text, self.offset, ended)?;
        self.take(taken);
        if ended || self.text.len() < LONGEST_TOKEN {
            return Ok(false);
        }
        self.token_at = self.offset;
        let (token, begin) = match self.text.as_bytes() {
            [b'<', b'!', b'[', ..] if self.text.starts_with("<![CDATA[") => (Token::Data, 9),
            [b'<', b'!', b'-', b'-', ..] => (Token::Skipped("-->", SyntaxError::UnclosedComment), 4),
            [b'<', b'?', ..] => (Token::Skipped("?>", SyntaxError::UnclosedPI), 2),
            [b'<', b'!', ..] => return Err(too_long("a declaration")),
            [b'<', b'/', ..] => return Err(too_long("an end tag")),
            _ => (Token::Tag(LongTag::new()), 1),
        };
        self.token = token;
        self.take(begin);
        Ok(true)
    }

    /// Hands on text up to `end`, or all but what may be the beginning of `end` or half a line break.
    fn read_until(
        &mut self,
        end: &str,
        error: SyntaxError,
        ended: bool,
        mut add: impl FnMut(&str) -> Result<(), Malformed>,
    ) -> Result<bool, Malformed> {
        if let Some(found) = self.text.find(end) {
            add(&self.text[..found])?;
            self.token = Token::Short;
            self.take(found + end.len());
            return Ok(true);
        }
        if ended {
            return Err(not_closed(error, self.token_at));
        }
        let mut sure = self.text.floor_char_boundary(self.text.len().saturating_sub(end.len() - 1));
        sure -= usize::from(self.text[..sure].ends_with('\r'));
        add(&self.text[..sure])?;
        self.take(sure);
        Ok(false)
    }

    fn take(&mut self, bytes: usize) {
        self.text.drain(..bytes);
        self.offset += bytes;
    }
}

fn not_closed(error: SyntaxError, at: usize) -> Malformed {
    Malformed::NotXml(format!("{}, at byte {at}", Error::Syntax(error)))
}

pub(super) fn too_long(what: &str) -> Malformed {
    Malformed::WrongShape(format!("{what} is longer than {} KiB", LONGEST_TAG / 1024))
}

/// A tag that is too long, without the middle of its longest values.
pub(super) struct LongTag {
    content: String,
    quote: Option<char>,
    value: Bounded,
}

impl LongTag {
    pub(super) fn new() -> Self {
        Self { content: String::new(), quote: None, value: Bounded::new(LONGEST_VALUE) }
    }

    /// Goes on with `text`; returns how much of it belongs to the tag once that is closed.
    pub(super) fn push(&mut self, text: &str) -> Result<Option<usize>, Malformed> {
        let mut rest = text;
        loop {
            let found = match self.quote {
                Some(quote) => rest.find(quote),
                None => rest.find(['"', '\'', '>']),
            };
            let part = &rest[..found.unwrap_or(rest.len())];
            match self.quote {
                Some(_) => self.value.push_str(part),
                None => self.content.push_str(part),
            }
            if self.content.len() > LONGEST_TAG {
                return Err(too_long("a tag"));
            }
            let Some(mark) = found.and_then(|found| rest[found..].chars().next()) else { return Ok(None) };
            rest = &rest[part.len() + mark.len_utf8()..];
            match (self.quote, mark) {
                (None, '>') => return Ok(Some(text.len() - rest.len())),
                (None, quote) => self.quote = Some(quote),
                (Some(_), _) => {
                    self.quote = None;
                    let value = std::mem::replace(&mut self.value, Bounded::new(LONGEST_VALUE));
                    self.content.push_str(&value.finish().0);
                }
            }
            if mark != '>' {
                self.content.push(mark);
            }
        }
    }

    /// What is wrong when the report ends here.
    fn error(&self) -> SyntaxError {
        match self.quote {
            Some('"') => SyntaxError::UnclosedDoubleQuotedAttributeValue,
            Some(_) => SyntaxError::UnclosedSingleQuotedAttributeValue,
            None => SyntaxError::UnclosedTag,
        }
    }

    /// Hands on the tag.
    fn finish(self, walk: &mut Walk) -> Result<(), Malformed> {
        match self.content.strip_suffix('/') {
            Some(content) => walk.event(Event::Empty(tag(content))),
            None => walk.event(Event::Start(tag(&self.content))),
        }
    }

    /// The tag `element` with shorter values.
    pub(super) fn shortened(element: &BytesStart<'_>) -> Result<String, Malformed> {
        let mut shorter = Self::new();
        shorter.push(element.name().into_inner())?;
        shorter.push(element.attributes_raw())?;
        Ok(shorter.content)
    }
}

/// A tag with this content.
pub(super) fn tag(content: &str) -> BytesStart<'_> {
    let name = content.find([' ', '\t', '\r', '\n']).unwrap_or(content.len());
    BytesStart::from_content(content, name)
}
