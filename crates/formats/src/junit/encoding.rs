//! Bytes of XML as text: the declared encoding, else UTF-8, else windows-1252.

use std::borrow::Cow;

/// The text, and what was odd about its bytes.
pub(super) struct Decoded<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) problem: Option<String>,
}

pub(super) fn decode(bytes: &[u8]) -> Decoded<'_> {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        _ if declares_western(bytes) => Decoded { text: western(bytes), problem: None },
        _ => utf8(bytes),
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

/// UTF-8. A byte that is none stands for the character it is in windows-1252, so that the text around it survives.
fn utf8(bytes: &[u8]) -> Decoded<'_> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Decoded { text: Cow::Borrowed(text), problem: None },
        Err(error) => error,
    };
    if let (None, Some(whole)) = (error.error_len(), bytes.get(..error.valid_up_to())) {
        // Cut within the last character: nothing can be made of that rest.
        return Decoded { text: String::from_utf8_lossy(whole), problem: None };
    }
    let (mut text, mut strange) = (String::with_capacity(bytes.len()), 0);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        strange += chunk.invalid().len();
        text.extend(chunk.invalid().iter().map(|byte| western_character(*byte)));
    }
    let problem = Some(format!("bytes that are no UTF-8 were read as windows-1252: {strange}"));
    Decoded { text: Cow::Owned(text), problem }
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Decoded<'static> {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Decoded { text: Cow::Owned(text), problem: None }
}

fn western(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|byte| western_character(*byte)).collect()),
    }
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
