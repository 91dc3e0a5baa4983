//! XML as a stream of pieces, with memory for one tag: enough to find elements, without understanding their texts.
//!
//! Markup is the same in every encoding that extends ASCII, so bytes are not decoded.

use memchr::memmem;
use std::io::{self, Read};

/// Bytes read at a time.
const STEP: usize = 64 * 1024;

/// Longest tag; a message in an attribute may be long.
const LONGEST_TAG: usize = 16 << 20;

/// A piece of the document.
pub(super) enum Piece<'a> {
    /// A start tag, or an empty element.
    Start(Tag<'a>),
    /// An end tag: its bytes and the name in it.
    End(&'a [u8], &'a [u8]),
    /// Part of a text.
    Text(&'a [u8]),
    /// Part of a CDATA section, with its delimiters.
    Cdata(&'a [u8]),
    /// Part of a comment, a processing instruction or a document type.
    Aside(&'a [u8]),
}

/// A start tag or an empty element.
#[derive(Clone, Copy)]
pub(super) struct Tag<'a> {
    /// From `<` to `>`.
    pub(super) bytes: &'a [u8],
    /// With its prefix.
    pub(super) name: &'a [u8],
    /// It ends with `/>`.
    pub(super) is_empty: bool,
}

impl<'a> Tag<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let is_empty = bytes.ends_with(b"/>");
        let inner = &bytes[1..bytes.len() - if is_empty { 2 } else { 1 }];
        let end = inner.iter().position(u8::is_ascii_whitespace).unwrap_or(inner.len());
        Self { bytes, name: &inner[..end], is_empty }
    }

    /// The name without its prefix.
    pub(super) fn local_name(&self) -> &'a [u8] {
        local(self.name)
    }

    /// Where the attribute `name` stands, value included.
    pub(super) fn attribute(&self, name: &[u8]) -> Option<std::ops::Range<usize>> {
        let bytes = self.bytes;
        let mut at = 1 + self.name.len();
        while at < bytes.len() {
            at += bytes[at..].iter().position(|byte| !byte.is_ascii_whitespace())?;
            let start = at;
            at += bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\'' | b'>'))?;
            let quote = bytes[at];
            if quote == b'>' {
                return None;
            }
            let named = bytes[start..at].split(|byte| byte.is_ascii_whitespace() || *byte == b'=').next()?;
            at += 1;
            at += memchr::memchr(quote, &bytes[at..])? + 1;
            if named == name {
                return Some(start..at);
            }
        }
        None
    }
}

fn local(name: &[u8]) -> &[u8] {
    name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..])
}

/// What stands in the way of reading on.
#[derive(Debug)]
pub(super) enum Stop {
    /// The source cannot be read.
    Io(io::Error),
    /// The document is not well-formed from here on.
    Broken(&'static str),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Inside of what the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Text,
    Cdata,
    Comment,
    Instruction,
    /// A document type, with this many open brackets.
    DocumentType(usize),
}

/// Reads a document piece by piece.
pub(super) struct Markup<R> {
    source: R,
    buffer: Vec<u8>,
    /// Everything before has been given out.
    at: usize,
    ended: bool,
    mode: Mode,
}

impl<R: Read> Markup<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), at: 0, ended: false, mode: Mode::Text }
    }

    /// Byte order mark and XML declaration, if the document begins with them.
    pub(super) fn head(&mut self) -> io::Result<Vec<u8>> {
        while self.waiting().len() < 1024 && self.fill()? {}
        let waiting = self.waiting();
        let mark = if waiting.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        let blanks = waiting[mark..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let rest = &waiting[mark + blanks..];
        let declaration = if rest.starts_with(b"<?xml") && rest.get(5).is_some_and(u8::is_ascii_whitespace) {
            memmem::find(rest, b"?>").map_or(0, |end| end + 2)
        } else {
            0
        };
        let head = [&waiting[..mark], &rest[..declaration]].concat();
        self.at += mark + blanks + declaration;
        Ok(head)
    }

    /// The next piece, or none at the end of the source.
    pub(super) fn next(&mut self) -> Result<Option<Piece<'_>>, Stop> {
        if self.waiting().is_empty() && !self.fill()? {
            return match self.mode {
                Mode::Text => Ok(None),
                Mode::Cdata => Err(Stop::Broken("it ends inside of a CDATA section")),
                Mode::Comment => Err(Stop::Broken("it ends inside of a comment")),
                Mode::Instruction => Err(Stop::Broken("it ends inside of a processing instruction")),
                Mode::DocumentType(_) => Err(Stop::Broken("it ends inside of a document type")),
            };
        }
        match self.mode {
            Mode::Text if self.waiting()[0] == b'<' => self.markup(),
            Mode::Text => {
                let length = memchr::memchr(b'<', self.waiting()).unwrap_or(self.waiting().len());
                Ok(Some(Piece::Text(self.take(length))))
            }
            Mode::Cdata => Ok(Some(Piece::Cdata(self.until(b"]]>")?))),
            Mode::Comment => Ok(Some(Piece::Aside(self.until(b"-->")?))),
            Mode::Instruction => Ok(Some(Piece::Aside(self.until(b"?>")?))),
            Mode::DocumentType(open) => Ok(Some(Piece::Aside(self.document_type(open)))),
        }
    }

    /// What begins with `<`.
    fn markup(&mut self) -> Result<Option<Piece<'_>>, Stop> {
        while self.waiting().len() < 9 && self.fill()? {}
        let (mode, opening) = match self.waiting() {
            [b'<', b'!', b'[', ..] if self.waiting().starts_with(b"<![CDATA[") => (Mode::Cdata, 9),
            [b'<', b'!', b'-', b'-', ..] => (Mode::Comment, 4),
            [b'<', b'!', ..] => (Mode::DocumentType(0), 2),
            [b'<', b'?', ..] => (Mode::Instruction, 2),
            _ => return self.tag().map(Some),
        };
        self.mode = mode;
        let opening = self.take(opening);
        Ok(Some(if mode == Mode::Cdata { Piece::Cdata(opening) } else { Piece::Aside(opening) }))
    }

    fn tag(&mut self) -> Result<Piece<'_>, Stop> {
        // Where to go on looking, and the quote that has to come first.
        let (mut looked, mut quote) = (1, None);
        let length = loop {
            let rest = &self.waiting()[looked.min(self.waiting().len())..];
            let found = match quote {
                Some(quote) => memchr::memchr(quote, rest),
                None => memchr::memchr3(b'>', b'"', b'\'', rest),
            };
            match found {
                Some(found) => {
                    let byte = rest[found];
                    looked += found + 1;
                    quote = match (quote, byte) {
                        (None, b'>') => break looked,
                        (None, opened) => Some(opened),
                        (Some(_), _) => None,
                    };
                }
                None => {
                    looked = self.waiting().len();
                    if looked > LONGEST_TAG {
                        return Err(Stop::Broken("it holds a tag that does not end"));
                    }
                    if !self.fill()? {
                        return Err(Stop::Broken("it ends inside of a tag"));
                    }
                }
            }
        };
        let bytes = self.take(length);
        let piece = match bytes {
            [b'<', b'/', name @ .., b'>'] => Piece::End(bytes, name.trim_ascii()),
            _ => Piece::Start(Tag::new(bytes)),
        };
        // What is taken over into a part must be a tag for every reader.
        let (Piece::End(_, name) | Piece::Start(Tag { name, .. })) = piece else { return Ok(piece) };
        let is_name = name
            .first()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | 0x80..))
            && !name.iter().any(|byte| byte.is_ascii_whitespace() || b"<>\"'=&/".contains(byte));
        if is_name { Ok(piece) } else { Err(Stop::Broken("it holds a tag without a name")) }
    }

    /// What is there of a section that ends with `mark`.
    fn until(&mut self, mark: &[u8]) -> Result<&[u8], Stop> {
        loop {
            if let Some(found) = memmem::find(self.waiting(), mark) {
                self.mode = Mode::Text;
                return Ok(self.take(found + mark.len()));
            }
            // The mark may be cut in two by the end of the buffer.
            let length = self.waiting().len().saturating_sub(mark.len() - 1);
            if length > 0 {
                return Ok(self.take(length));
            }
            if !self.fill()? {
                let length = self.waiting().len();
                return Ok(self.take(length));
            }
        }
    }

    fn document_type(&mut self, mut open: usize) -> &[u8] {
        let mut length = self.waiting().len();
        for (index, byte) in self.buffer[self.at..].iter().enumerate() {
            match byte {
                b'[' => open += 1,
                b']' => open = open.saturating_sub(1),
                b'>' if open == 0 => {
                    length = index + 1;
                    self.mode = Mode::Text;
                    return self.take(length);
                }
                _ => {}
            }
        }
        self.mode = Mode::DocumentType(open);
        self.take(length)
    }

    fn waiting(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn take(&mut self, length: usize) -> &[u8] {
        let start = self.at;
        self.at += length;
        &self.buffer[start..self.at]
    }

    /// Reads more behind what is waiting; false at the end of the source.
    fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let before = self.buffer.len();
        self.source.by_ref().take(STEP as u64).read_to_end(&mut self.buffer)?;
        self.ended = self.buffer.len() == before;
        Ok(!self.ended)
    }
}
