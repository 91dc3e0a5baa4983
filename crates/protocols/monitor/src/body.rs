//! Bodies: JSON objects whose fields are checked one by one, so that a refusal names every wrong one.

use crate::error::ApiError;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

/// Whether the request says that its body is JSON.
pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/").unwrap_or("");
    if subtype == "json" || subtype.ends_with("+json") {
        return Ok(());
    }
    Err(ApiError::NotJson("the body must be JSON: send it with Content-Type: application/json".to_owned()))
}

/// The members of a JSON object in the order of the text; of equal names the last counts, at the place of the first.
pub(crate) struct Object<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members: Vec<(String, &RawValue)> = Vec::with_capacity(16);
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    match members.iter_mut().find(|(other, _)| *other == name) {
                        Some(member) => member.1 = value,
                        None => members.push((name, value)),
                    }
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// What a field holds.
pub(crate) enum Field<'a> {
    Missing,
    Null,
    Text(String),
    Number(f64),
    /// Anything else, as it was written.
    Other(&'a str),
}

/// Reads the fields of a body, and collects what is wrong with them.
pub(crate) struct Fields<'a> {
    object: Object<'a>,
    errors: Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of `bytes`.
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, ApiError> {
        let value: &RawValue = serde_json::from_slice(bytes)
            .map_err(|error| ApiError::NotJson(format!("the body is no JSON: {error}")))?;
        match serde_json::from_str(value.get()) {
            Ok(object) => Ok(Self { object, errors: Map::new() }),
            Err(_) => {
                let told = (String::new(), "the body must be a JSON object".into());
                Err(ApiError::WrongFields(Map::from_iter([told])))
            }
        }
    }

    /// The first of `names` that is there.
    pub(crate) fn find(&self, names: &[&str]) -> Field<'a> {
        let found = names.iter().find_map(|name| self.object.0.iter().find(|(other, _)| other == name));
        found.map_or(Field::Missing, |(_, value)| read(value))
    }

    /// Notes what is wrong with a field.
    pub(crate) fn wrong(&mut self, name: &str, reason: &str) {
        self.errors.insert(name.to_owned(), reason.into());
    }

    /// A text under the first of `names`, which is the one to be told.
    pub(crate) fn text(&mut self, names: &[&'static str]) -> String {
        match self.find(names) {
            Field::Text(text) => return text,
            Field::Missing => self.wrong(names[0], "is missing: send a text"),
            _ => self.wrong(names[0], "must be a text"),
        }
        String::new()
    }

    /// A text that says something.
    pub(crate) fn identifier(&mut self, names: &[&'static str]) -> String {
        let text = self.text(names);
        if text.is_empty() && !self.errors.contains_key(names[0]) {
            self.wrong(names[0], "must not be empty");
        }
        text
    }

    /// A finite number.
    pub(crate) fn number(&mut self, names: &[&'static str]) -> f64 {
        match self.find(names) {
            Field::Number(number) if number.is_finite() => return number,
            Field::Missing => self.wrong(names[0], "is missing: send a number"),
            Field::Number(_) => self.wrong(names[0], "is too large for a number"),
            _ => self.wrong(names[0], "must be a number"),
        }
        0.0
    }

    /// Refuses the body if anything was wrong.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::WrongFields(self.errors)) }
    }
}

/// What a value holds. Numbers are read from their text: the nearest double, whatever it takes.
pub(crate) fn read(value: &RawValue) -> Field<'_> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map_or(Field::Other(text), Field::Text),
        Some(b'n') => Field::Null,
        Some(b'-' | b'0'..=b'9') => text.parse().map_or(Field::Other(text), Field::Number),
        _ => Field::Other(text),
    }
}
