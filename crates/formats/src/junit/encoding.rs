//! Bytes of XML as text: the declared encoding, else UTF-8, else windows-1252.

use std::io::{self, Read};

/// Bytes that are taken from a reader at once.
const READ_SIZE: usize = 64 * 1024;

/// Bytes in which a byte order mark and the XML declaration are looked for.
const HEAD: usize = 256;

/// `bytes` as text without a byte order mark, if they are UTF-8 and do not say otherwise.
pub(super) fn plain(bytes: &[u8]) -> Option<&str> {
    let (Encoding::Utf8, mark) = Encoding::of(bytes) else { return None };
    std::str::from_utf8(bytes.get(mark..)?).ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Big,
    Utf16Little,
    Western,
}

impl Encoding {
    /// What a report is written in by its first bytes, and how long its byte order mark is.
    fn of(head: &[u8]) -> (Self, usize) {
        match head {
            [0xEF, 0xBB, 0xBF, ..] => (Self::Utf8, 3),
            [0xFE, 0xFF, ..] => (Self::Utf16Big, 2),
            [0xFF, 0xFE, ..] => (Self::Utf16Little, 2),
            [0, b'<', ..] => (Self::Utf16Big, 0),
            [b'<', 0, ..] => (Self::Utf16Little, 0),
            _ if declares_western(head) => (Self::Western, 0),
            _ => (Self::Utf8, 0),
        }
    }
}

/// The text of a reader, piece by piece.
pub(super) struct Decoder<R> {
    reader: R,
    encoding: Option<Encoding>,
    /// Bytes that were read and are no text yet: the beginning of a character.
    bytes: Vec<u8>,
    ended: bool,
    /// Bytes that are no UTF-8 where UTF-8 was expected.
    strange: usize,
}

impl<R: Read> Decoder<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, encoding: None, bytes: Vec::new(), ended: false, strange: 0 }
    }

    /// Adds text to `out` until it holds `target` bytes or nothing is left; says whether nothing is left.
    pub(super) fn fill(&mut self, out: &mut String, target: usize) -> io::Result<bool> {
        while !self.ended && out.len() < target {
            let wanted = (target - out.len()).clamp(1, READ_SIZE);
            self.read(wanted)?;
            let encoding = match self.encoding {
                Some(encoding) => encoding,
                None if self.bytes.len() < HEAD && !self.ended => continue,
                None => {
                    let (encoding, mark) = Encoding::of(&self.bytes);
                    self.bytes.drain(..mark);
                    *self.encoding.insert(encoding)
                }
            };
            let taken = match encoding {
                Encoding::Utf8 => self.utf8(out),
                Encoding::Utf16Big => utf16(&self.bytes, u16::from_be_bytes, self.ended, out),
                Encoding::Utf16Little => utf16(&self.bytes, u16::from_le_bytes, self.ended, out),
                Encoding::Western => {
                    out.extend(self.bytes.iter().map(|byte| western_character(*byte)));
                    self.bytes.len()
                }
            };
            self.bytes.drain(..taken);
        }
        Ok(self.ended)
    }

    /// Reads up to `wanted` further bytes.
    fn read(&mut self, wanted: usize) -> io::Result<()> {
        let before = self.bytes.len();
        self.bytes.resize(before + wanted, 0);
        let count = loop {
            match self.reader.read(&mut self.bytes[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                answer => break answer,
            }
        };
        self.bytes.truncate(before + count.as_ref().map_or(0, |count| *count));
        self.ended = count? == 0;
        Ok(())
    }

    /// UTF-8. A byte that is none stands for the character it is in windows-1252, so that the text around it survives.
    fn utf8(&mut self, out: &mut String) -> usize {
        let mut rest = self.bytes.as_slice();
        loop {
            let error = match std::str::from_utf8(rest) {
                Ok(text) => {
                    out.push_str(text);
                    return self.bytes.len();
                }
                Err(error) => error,
            };
            let (valid, odd) = rest.split_at(error.valid_up_to());
            out.push_str(std::str::from_utf8(valid).unwrap_or_default());
            let length = match error.error_len() {
                Some(length) => length,
                // The last character goes on in the next piece.
                None if !self.ended => return self.bytes.len() - odd.len(),
                // Cut within the last character of what is UTF-8 otherwise: nothing can be made of that rest.
                None if self.strange == 0 => return self.bytes.len(),
                None => odd.len(),
            };
            out.extend(odd[..length].iter().map(|byte| western_character(*byte)));
            self.strange += length;
            rest = &odd[length..];
        }
    }

    /// What was odd about the bytes so far.
    pub(super) fn problem(&self) -> Option<String> {
        let strange = self.strange;
        (strange > 0).then(|| format!("bytes that are no UTF-8 were read as windows-1252: {strange}"))
    }
}

/// Whether the XML declaration names ISO-8859-1 or windows-1252, which differ only where the former has no characters.
fn declares_western(bytes: &[u8]) -> bool {
    const NAMES: [&str; 6] = ["iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "windows-1252", "cp1252"];
    let head = bytes.get(..bytes.len().min(200)).unwrap_or_default();
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let declaration = head.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split("?>").next());
    let Some((_, encoding)) = declaration.and_then(|text| text.split_once("encoding")) else { return false };
    let value = encoding.trim_start_matches([' ', '\t', '=', '"', '\'']);
    NAMES.iter().any(|name| value.strip_prefix(name).is_some_and(|rest| rest.starts_with(['"', '\''])))
}

/// UTF-16; returns how many bytes were taken. Half a character at the end waits for its other half.
fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16, ended: bool, out: &mut String) -> usize {
    let mut pairs = bytes.as_chunks::<2>().0;
    if let (false, Some((last, before))) = (ended, pairs.split_last())
        && (0xD800..0xDC00).contains(&unit(*last))
    {
        pairs = before;
    }
    let units = pairs.iter().map(|pair| unit(*pair));
    out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    if ended { bytes.len() } else { pairs.len() * 2 }
}

/// What a byte stands for in windows-1252; the five it leaves open are control characters.
fn western_character(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}
