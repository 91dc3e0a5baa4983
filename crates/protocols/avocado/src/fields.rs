//! Bodies of requests as fields, and what is wrong with each (`avocado.md` 1.1 and 1.7).

use crate::error::{ApiError, WrongFields};
use crate::time::{self, Zone};
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use bytes::Bytes;
use casebook_http::Bodies;
use casebook_model::time::Timestamp;
use serde_json::{Map, Value};

/// Fields of a form at most.
const MOST_FIELDS: usize = 1_000;

const REQUIRED: &str = "This field is required.";
const NULL: &str = "This field may not be null.";
const BLANK: &str = "This field may not be blank.";
const NO_NUMBER: &str = "A valid number is required.";
const NO_INTEGER: &str = "A valid integer is required.";
const NO_TEXT: &str = "Not a valid string.";
const NUL: &str = "Null characters are not allowed.";

/// How a body may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forms {
    /// JSON or a form.
    Allowed,
    /// JSON alone.
    Refused,
}

/// What a request says, and what is wrong with it so far.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    given: Map<String, Value>,
    wrong: WrongFields,
}

/// Whether a text may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blank {
    Allowed,
    Refused,
}

impl Fields {
    /// Receives a body and takes it apart by its content type.
    pub(crate) async fn receive(
        bodies: &Bodies,
        headers: &HeaderMap,
        body: Body,
        forms: Forms,
    ) -> Result<Self, ApiError> {
        let (bytes, _room) = bodies.incoming(headers, body).await?.collect().await?.into_memory().await?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let given = match (essence.as_str(), forms) {
            ("application/json", _) => from_json(&bytes)?,
            ("application/x-www-form-urlencoded", Forms::Allowed) => from_form(&bytes),
            ("multipart/form-data", Forms::Allowed) => from_multipart(content_type, bytes).await?,
            _ => return Err(ApiError::media_type(content_type)),
        };
        Ok(Self { given, wrong: WrongFields::new() })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&Value> {
        self.given.get(name)
    }

    /// The parts of an object as forms write them: `name.part`.
    pub(crate) fn parts(&self, name: &str) -> Map<String, Value> {
        let part = |key: &str| key.strip_prefix(name)?.strip_prefix('.').map(str::to_owned);
        self.given.iter().filter_map(|(key, value)| Some((part(key)?, value.clone()))).collect()
    }

    /// Notes that a field is wrong.
    pub(crate) fn refuse(&mut self, name: &'static str, text: impl Into<String>) {
        self.wrong.entry(name).or_default().push(text.into());
    }

    /// Whether anything was wrong so far.
    pub(crate) fn is_wrong(&self) -> bool {
        !self.wrong.is_empty()
    }

    /// Whether nothing was wrong.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        if self.wrong.is_empty() { Ok(()) } else { Err(ApiError::Fields(self.wrong)) }
    }

    /// A field that must be there; what is wrong is noted.
    pub(crate) fn require(&mut self, name: &'static str) -> Option<Value> {
        match self.given.get(name) {
            None => self.refuse(name, REQUIRED),
            Some(Value::Null) => self.refuse(name, NULL),
            Some(value) => return Some(value.clone()),
        }
        None
    }

    /// A text that must be there, of at most `most` characters.
    pub(crate) fn text(&mut self, name: &'static str, most: usize, blank: Blank) -> Option<String> {
        let value = self.require(name)?;
        self.check_text(name, &value, most, blank)
    }

    /// A text that must be there unless it stays as it was.
    pub(crate) fn text_or(
        &mut self,
        name: &'static str,
        most: usize,
        kept: Option<&String>,
    ) -> Option<String> {
        match kept {
            Some(kept) if !self.has(name) => Some(kept.clone()),
            _ => self.text(name, most, Blank::Refused),
        }
    }

    /// A text that may be left out; null is none of its values.
    pub(crate) fn text_if_given(&mut self, name: &'static str, most: usize, blank: Blank) -> Option<String> {
        if self.has(name) { self.text(name, most, blank) } else { None }
    }

    /// A text that may be left out or null. The outer value says whether it was given.
    pub(crate) fn text_or_null(&mut self, name: &'static str, most: usize) -> Option<Option<String>> {
        match self.given.get(name)?.clone() {
            Value::Null => Some(None),
            value => self.check_text(name, &value, most, Blank::Allowed).map(Some),
        }
    }

    fn check_text(&mut self, name: &'static str, value: &Value, most: usize, blank: Blank) -> Option<String> {
        let Some(text) = as_text(value) else {
            self.refuse(name, NO_TEXT);
            return None;
        };
        if text.contains('\0') {
            self.refuse(name, NUL);
        } else if blank == Blank::Refused && text.trim().is_empty() {
            self.refuse(name, BLANK);
        } else if text.chars().count() > most {
            self.refuse(name, format!("Ensure this field has no more than {most} characters."));
        } else {
            return Some(text);
        }
        None
    }

    /// A number that may be left out.
    pub(crate) fn number_if_given(&mut self, name: &'static str) -> Option<f64> {
        if !self.has(name) {
            return None;
        }
        let number = match self.require(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            self.refuse(name, NO_NUMBER);
        }
        number
    }

    /// A whole number that may be left out.
    pub(crate) fn integer_if_given(&mut self, name: &'static str) -> Option<i64> {
        if !self.has(name) {
            return None;
        }
        let value = self.require(name)?;
        let number = as_integer(&value);
        if number.is_none() {
            self.refuse(name, NO_INTEGER);
        }
        number
    }

    /// A time stamp that must be there.
    pub(crate) fn time(&mut self, name: &'static str, zone: &Zone) -> Option<Timestamp> {
        let time = self.require(name)?.as_str().and_then(|text| zone.read(text));
        if time.is_none() {
            self.refuse(name, time::WRONG);
        }
        time
    }

    /// Notes that a field refers to something that is not there.
    pub(crate) fn refuse_reference(&mut self, name: &'static str, told: &Value) {
        self.refuse(name, format!("Invalid pk '{}' - object does not exist.", shown(told)));
    }

    /// Something that is referred to by its name and must be there.
    pub(crate) fn named<T>(&mut self, name: &'static str, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = self.require(name)?;
        let text = shown(&value);
        let found = value.as_str().and_then(find);
        if found.is_none() {
            self.refuse(name, format!("Object with name={text} does not exist."));
        }
        found
    }
}

/// A text, or a number as text.
pub(crate) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A whole number, also as text.
pub(crate) fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A value as it is named in a refusal.
fn shown(value: &Value) -> String {
    let text = as_text(value).unwrap_or_else(|| value.to_string());
    text.chars().take(200).collect()
}

fn from_json(bytes: &Bytes) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => {
            let kind = match other {
                Value::Array(_) => "list",
                Value::String(_) => "str",
                Value::Bool(_) => "bool",
                Value::Number(number) if number.is_f64() => "float",
                Value::Number(_) => "int",
                Value::Null | Value::Object(_) => "NoneType",
            };
            let text = format!("Invalid data. Expected a dictionary, but got {kind}.");
            Err(ApiError::field("non_field_errors", text))
        }
        Err(error) => Err(ApiError::bad_request(format!("JSON parse error - {error}"))),
    }
}

/// The last of several values with one name counts.
fn from_form(bytes: &[u8]) -> Map<String, Value> {
    let fields = form_urlencoded::parse(bytes).take(MOST_FIELDS);
    fields.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
}

async fn from_multipart(content_type: &str, bytes: Bytes) -> Result<Map<String, Value>, ApiError> {
    let broken =
        |error: multer::Error| ApiError::bad_request(format!("Multipart form parse error - {error}"));
    let boundary = multer::parse_boundary(content_type).map_err(broken)?;
    let body = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(bytes) });
    let mut form = multer::Multipart::new(body, boundary);
    let mut fields = Map::new();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        let value = field.bytes().await.map_err(broken)?;
        if fields.len() < MOST_FIELDS {
            fields.insert(name, Value::String(String::from_utf8_lossy(&value).into_owned()));
        }
    }
    Ok(fields)
}
