//! Characters of XML: references, control characters, and the ampersands that nobody escaped.
//!
//! No entity is ever expanded except the five that XML predefines, so a document type definition has no effect.

use super::bounded::Sink;
use super::tokens::LONGEST_REFERENCE;
use crate::{Malformed, gathering};
use std::borrow::Cow;

/// What had to be repaired in one testcase.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Repairs {
    nul: usize,
    control: usize,
    ampersands: usize,
    /// Failures that were left out.
    pub(super) failures: usize,
    /// Texts that lost their middle.
    pub(super) cut: usize,
}

impl Repairs {
    /// One sentence on each sort of repair.
    pub(super) fn sentences(self) -> impl Iterator<Item = String> {
        let sorts = [
            (self.nul, "NUL characters, which cannot be stored, were replaced by U+FFFD"),
            (self.control, "characters that XML does not allow were left out"),
            (self.ampersands, "unescaped ampersands were kept as they are"),
            (self.failures, "failures after a hundred of one kind were left out"),
        ];
        let cut = (self.cut > 0).then(gathering::cut_sentence);
        let counted = sorts.into_iter().filter(|(count, _)| *count > 0);
        counted.map(|(count, what)| format!("{what}: {count}")).chain(cut)
    }
}

/// What stands between `&` and `;`.
enum Reference {
    Character(char),
    /// A number that is no character.
    NoCharacter,
    Unknown,
    /// No reference, but an ampersand that should have been escaped.
    Ampersand,
}

/// Adds `text` to `out`, with line breaks as XML has them, without characters that XML does not allow.
pub(super) fn add(text: &str, out: &mut impl Sink, repairs: &mut Repairs) {
    if !may_be_odd(text) {
        return out.push_str(text);
    }
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' => out.push('\n'),
            character => add_character(character, out, repairs),
        }
    }
}

/// Whether `text` may hold a carriage return or a character that XML does not allow.
fn may_be_odd(text: &str) -> bool {
    // 0xEF begins the two non-characters U+FFFE and U+FFFF. Looking at every byte is faster than stopping early.
    let odd = |byte: u8| (byte < b' ' && byte != b'\n' && byte != b'\t') || byte == 0xEF;
    text.bytes().fold(false, |found, byte| found | odd(byte))
}

/// Adds text in which an ampersand, if there is one, should have been escaped.
pub(super) fn add_text(text: &str, out: &mut impl Sink, repairs: &mut Repairs) {
    repairs.ampersands += text.matches('&').count();
    add(text, out, repairs);
}

/// Adds what the reference `name` stands for.
pub(super) fn add_reference(name: &str, out: &mut impl Sink, repairs: &mut Repairs) -> Result<(), Malformed> {
    match reference(name) {
        Reference::Character(character) => add_character(character, out, repairs),
        Reference::NoCharacter => {
            repairs.control += 1;
            out.push(char::REPLACEMENT_CHARACTER);
        }
        Reference::Ampersand => {
            repairs.ampersands += 1;
            out.push('&');
            add(name, out, repairs);
            out.push(';');
        }
        Reference::Unknown => return Err(unknown(name)),
    }
    Ok(())
}

/// Says no to a reference to an unknown entity, in text that does not count otherwise.
pub(super) fn check_reference(name: &str) -> Result<(), Malformed> {
    match reference(name) {
        Reference::Unknown => Err(unknown(name)),
        _ => Ok(()),
    }
}

/// The value of an attribute.
pub(super) fn value<'a>(raw: &'a str, repairs: &mut Repairs) -> Result<Cow<'a, str>, Malformed> {
    if !raw.contains('&') && !may_be_odd(raw) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(ampersand) = rest.find('&') {
        add(&rest[..ampersand], &mut out, repairs);
        rest = &rest[ampersand + 1..];
        match name_of_reference(rest) {
            Some(name) => {
                add_reference(name, &mut out, repairs)?;
                rest = &rest[name.len() + 1..];
            }
            None => {
                repairs.ampersands += 1;
                out.push('&');
            }
        }
    }
    add(rest, &mut out, repairs);
    Ok(Cow::Owned(out))
}

/// Says no to references to unknown entities in attributes that do not count otherwise.
pub(super) fn check(attributes: &str) -> Result<(), Malformed> {
    let mut rest = attributes;
    while let Some(ampersand) = rest.find('&') {
        rest = &rest[ampersand + 1..];
        if let Some(name) = name_of_reference(rest) {
            check_reference(name)?;
        }
    }
    Ok(())
}

fn unknown(name: &str) -> Malformed {
    Malformed::NotXml(format!("unknown entity &{};", name.chars().take(40).collect::<String>()))
}

/// The name of the reference that `text` goes on with after an ampersand.
fn name_of_reference(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '#' | '_' | ':' | '.' | '-')))?;
    (end > 0 && text[end..].starts_with(';')).then(|| &text[..end])
}

fn reference(name: &str) -> Reference {
    match name {
        "lt" => Reference::Character('<'),
        "gt" => Reference::Character('>'),
        "amp" => Reference::Character('&'),
        "quot" => Reference::Character('"'),
        "apos" => Reference::Character('\''),
        _ => match name.strip_prefix('#') {
            Some(number) if name.len() <= LONGEST_REFERENCE => numbered(number),
            None if name.len() <= LONGEST_REFERENCE && is_name(name) => Reference::Unknown,
            _ => Reference::Ampersand,
        },
    }
}

fn numbered(number: &str) -> Reference {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Reference::Ampersand;
    }
    let code = u32::from_str_radix(digits, radix).ok();
    code.and_then(char::from_u32).map_or(Reference::NoCharacter, Reference::Character)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | ':'))
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '-'))
}

fn add_character(character: char, out: &mut impl Sink, repairs: &mut Repairs) {
    match character {
        '\0' => {
            repairs.nul += 1;
            out.push(char::REPLACEMENT_CHARACTER);
        }
        '\t' | '\n' | '\r' => out.push(character),
        '\u{1}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => repairs.control += 1,
        _ => out.push(character),
    }
}
