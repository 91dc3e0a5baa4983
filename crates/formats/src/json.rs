//! JSON that is looked into only where needed: values stay text until somebody asks for them.
//!
//! Looking at one member at a time makes it possible to say which one is wrong, to survive what strict readers refuse
//! (lone surrogates from JavaScript and Python, numbers beyond all bounds), and to nest to any depth without recursion.

use crate::Malformed;
use serde::Deserializer as _;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A JSON value as text.
pub type Raw<'a> = &'a RawValue;

/// The members of an object in order.
pub struct Object<'a>(pub Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Object<'a> {
    /// The value of `key`, unless it is missing or null; of several the last one counts.
    pub fn get(&self, key: &str) -> Option<Raw<'a>> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| *value)
            .filter(|value| !is_null(value))
    }

    /// The text of the member `key`, if it is a string.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(text).map(Cow::into_owned)
    }

    /// The number of the member `key`, if it is one.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(number)
    }

    /// The elements of the member `key`; none if it is no array.
    pub(crate) fn array(&self, key: &str) -> Vec<Raw<'a>> {
        self.get(key).and_then(array).unwrap_or_default()
    }

    /// The objects among the elements of the member `key`.
    pub fn objects(&self, key: &str) -> Vec<Object<'a>> {
        self.array(key).into_iter().filter_map(object).collect()
    }

    /// The strings among the elements of the member `key`.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        self.array(key).into_iter().filter_map(text).map(Cow::into_owned).collect()
    }

    /// The member `key`, if it is an object.
    pub fn object(&self, key: &str) -> Option<Object<'a>> {
        self.get(key).and_then(object)
    }
}

/// The characters of a JSON document.
pub fn characters(bytes: &[u8]) -> Result<&str, Malformed> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Malformed::NotJson(format!("no UTF-8 at byte {}", error.valid_up_to())))?;
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}

/// A whole JSON document, whose syntax is checked by this.
pub fn document(text: &str) -> Result<Raw<'_>, Malformed> {
    serde_json::from_str(text).map_err(|error| Malformed::NotJson(error.to_string()))
}

/// Whether the text of a document can stand for a NUL character.
pub(crate) fn may_hold_nul(text: &str) -> bool {
    text.contains("\\u0000")
}

/// What kind of value this is, with its article.
pub(crate) fn kind(raw: Raw<'_>) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Whether it is `null`.
pub fn is_null(raw: Raw<'_>) -> bool {
    raw.get() == "null"
}

pub(crate) fn is_string(raw: Raw<'_>) -> bool {
    raw.get().starts_with('"')
}

pub(crate) fn is_array(raw: Raw<'_>) -> bool {
    raw.get().starts_with('[')
}

/// Whether it is a number; true, false and null are none.
pub(crate) fn is_number(raw: Raw<'_>) -> bool {
    raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// The number, if it is one; infinite if it is beyond all bounds.
pub(crate) fn number(raw: Raw<'_>) -> Option<f64> {
    is_number(raw).then(|| raw.get().parse().ok()).flatten()
}

/// The text of a string. A lone surrogate, which is no character, becomes U+FFFD.
pub fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let plain: Option<String> = serde_json::from_str(raw.get()).ok();
    plain
        .map(Cow::Owned)
        .or_else(|| serde_json::Deserializer::from_str(raw.get()).deserialize_bytes(LossyText).ok())
}

/// The elements of an array.
pub(crate) fn array(raw: Raw<'_>) -> Option<Vec<Raw<'_>>> {
    serde_json::from_str(raw.get()).ok()
}

/// The members of a document that is an object; none if it is something else. Reads the document once.
///
/// # Errors
/// It is no JSON.
pub fn document_object(text: &str) -> Result<Option<Object<'_>>, Malformed> {
    let mut reader = serde_json::Deserializer::from_str(text);
    match reader.deserialize_map(Members).and_then(|object| reader.end().map(|()| object)) {
        Ok(object) => Ok(Some(object)),
        Err(_) => document(text).map(|_| None),
    }
}

/// The members of an object.
pub fn object(raw: Raw<'_>) -> Option<Object<'_>> {
    serde_json::Deserializer::from_str(raw.get()).deserialize_map(Members).ok()
}

/// Reads the members of an object, also those whose names are no text elsewhere.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key_seed(LossyText)? {
            members.push((key, map.next_value()?));
        }
        Ok(Object(members))
    }
}

/// Reads a string as bytes, where serde_json lets lone surrogates pass.
struct LossyText;

impl<'de> DeserializeSeed<'de> for LossyText {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for LossyText {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(bytes))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        // A lone surrogate arrives as three bytes that are no UTF-8, each of which turns into one replacement.
        Ok(String::from_utf8_lossy(bytes).replace("\u{FFFD}\u{FFFD}\u{FFFD}", "\u{FFFD}").into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(de::Error::custom("an array is no string"))
    }
}
