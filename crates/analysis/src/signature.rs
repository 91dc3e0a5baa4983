//! Signatures: what a failure said, without what differs from run to run (detection rules, B.11).
//!
//! Two failures with one signature are taken for the same failure. One pass over the bytes, bounded, never recursive.

use crate::upload::Signature;
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use std::hash::Hasher as _;

/// Version of the rules. Signatures of different versions do not compare.
pub const SIGNATURE_VERSION: i64 = 1;

/// Bytes of the message that take part.
const LONGEST: usize = 4096;
/// Quoted text longer than this is data, not words.
const LONGEST_QUOTED: usize = 40;

/// What a failure said, as far as it takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said<'a> {
    /// Type of the exception, if known.
    pub exception: &'a str,
    /// Innermost function within the project, if known; not its line.
    pub function: &'a str,
    /// The message.
    pub message: &'a str,
}

impl Said<'_> {
    /// The signature.
    #[must_use]
    pub fn signature(&self) -> Signature {
        let mut hasher = SipHasher13::new_with_keys(SIGNATURE_VERSION.cast_unsigned(), 0);
        for part in [normalize(self.exception), normalize(self.function), normalize(self.message)] {
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        Signature(hasher.finish128().as_u128())
    }
}

/// The signature of a text that is a signature already: 32 hexadecimal digits are taken as they are.
#[must_use]
pub fn of_text(text: &str) -> Signature {
    let digits = (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok()).flatten();
    digits.map_or_else(|| Said { message: text, ..Said::default() }.signature(), Signature)
}

/// The text without escape codes, numbers of two digits and more, hexadecimal words, identifiers, times, long quotations,
/// temporary paths and differences in white space.
#[must_use]
pub fn normalize(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(LONGEST)];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = if c == '\u{1b}' {
            escape(rest)
        } else if c.is_whitespace() {
            if !out.ends_with(' ') && !out.is_empty() {
                out.push(' ');
            }
            rest.len() - rest.trim_start().len()
        } else if matches!(c, '"' | '\'' | '`') {
            quoted(rest, c, &mut out)
        } else if let Some(length) = temporary_path(rest) {
            out.push_str("<path>");
            length
        } else if c.is_alphanumeric() || c == '_' {
            word(rest, &mut out)
        } else {
            out.push(c);
            c.len_utf8()
        };
        rest = &rest[taken..];
    }
    out.truncate(out.trim_end().len());
    out
}

/// Length of a terminal's escape code.
fn escape(text: &str) -> usize {
    if text.as_bytes().get(1) != Some(&b'[') {
        return 1;
    }
    let end = text.bytes().skip(2).position(|b| (0x40..=0x7e).contains(&b));
    end.map_or(2, |end| end + 3)
}

/// Copies a quotation if it is short; a lone quotation mark is a character like others.
fn quoted(text: &str, mark: char, out: &mut String) -> usize {
    let inner = &text[1..];
    match inner.find(mark) {
        Some(length) if length > LONGEST_QUOTED => {
            out.push(mark);
            out.push_str("<text>");
            out.push(mark);
            length + 2
        }
        _ => {
            out.push(mark);
            1
        }
    }
}

/// Length of a path below a temporary folder.
fn temporary_path(text: &str) -> Option<usize> {
    const FOLDERS: [&str; 5] = ["/tmp/", "/var/folders/", "/var/tmp/", "/private/tmp/", "/dev/shm/"];
    FOLDERS.iter().any(|folder| text.starts_with(folder)).then(|| {
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ':' | ',' | ')' | ']' | '>');
        text.find(ends).unwrap_or(text.len())
    })
}

/// A run of letters, digits and what joins them in numbers, times and identifiers.
fn word(text: &str, out: &mut String) -> usize {
    let length = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let word = &text[..length];
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if is_hexadecimal(word, digits) || digits == word.len() && digits >= 2 {
        // Times, addresses, versions and UUIDs are such words joined by marks: one stand-in for all of them.
        let mut end = length;
        while let Some(next) = joined(&text[end..]) {
            end += next;
        }
        out.push('#');
        return end;
    }
    if digits == 0 {
        out.push_str(word);
        return length;
    }
    let mut number = 0;
    for c in word.chars() {
        if c.is_ascii_digit() {
            number += 1;
            if number == 2 {
                out.pop();
                out.push('#');
            }
            if number >= 2 {
                continue;
            }
        } else {
            number = 0;
        }
        out.push(c);
    }
    length
}

fn is_hexadecimal(word: &str, digits: usize) -> bool {
    let digits_of = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    match digits_of {
        Some(rest) => !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit()),
        None => word.len() >= 6 && digits > 0 && word.bytes().all(|b| b.is_ascii_hexdigit()),
    }
}

/// Length of a mark and the word after it, if they go on with a time, an address or an identifier.
fn joined(text: &str) -> Option<usize> {
    let rest = text.strip_prefix([':', '.', '-', '/', '+', ','])?;
    let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let word = &rest[..length];
    let is_part = !word.is_empty()
        && word.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'T' | b'Z' | b's' | b'm'))
        && word.bytes().any(|b| b.is_ascii_digit());
    is_part.then_some(length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_from_run_to_run_is_gone() {
        for (one, other) in [
            ("timeout after 1532 ms", "timeout after 48 ms"),
            ("\u{1b}[31mexpected\u{1b}[0m  true", "expected true"),
            ("at 2026-01-02T03:04:05.123Z: gone", "at 2025-11-12T13:14:15Z: gone"),
            ("object at 0x7f3a2b10 is None", "object at 0x55d01c9fe0 is None"),
            (
                "user 123e4567-e89b-12d3-a456-426614174000 missing",
                "user 00000000-e89b-12d3-a456-4266141740ab missing",
            ),
            ("no file /tmp/pytest-of-x/a1.txt: read", "no file /tmp/other: read"),
            ("connect 127.0.0.1:40312 refused", "connect 10.11.12.13:80 refused"),
        ] {
            assert_eq!(normalize(one), normalize(other));
        }
    }

    #[test]
    fn what_tells_failures_apart_stays() {
        assert_ne!(normalize("expected 1 to be 2"), normalize("expected 1 to be 3"));
        assert_ne!(normalize("KeyError: 'name'"), normalize("KeyError: 'email'"));
        assert_eq!(normalize("decade facade"), "decade facade");
        assert_eq!(normalize(&format!("got '{}'", "x".repeat(50))), "got '<text>'");
        let one = Said { exception: "ValueError", ..Said::default() };
        let other = Said { message: "ValueError", ..Said::default() };
        assert_ne!(one.signature(), other.signature());
        assert_eq!(of_text("000102030405060708090a0b0c0d0e0f").0 >> 120, 0);
    }

    proptest! {
        #[test]
        fn hostile_text_is_only_text(text in "(\u{1b}|[ -~]|['\"`/:.]|\\PC|tmp/|0x){0,200}") {
            let once = normalize(&text);
            prop_assert!(once.len() <= text.len() * 6 + 8);
        }
    }
}
