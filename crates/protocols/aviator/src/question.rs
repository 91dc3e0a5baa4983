//! What a GET asks, in its query or its body (`aviator.md` 2.1).

use crate::error::ApiError;
use axum::body::Body;
use axum::http::{HeaderMap, Uri};
use casebook_http::{media_type, small_body};
use serde_json::{Map, Value};

/// Longest body that is read.
const LONGEST: usize = 64 << 10;

/// No list has as many pages.
const LAST_PAGE: usize = 1 << 32;

/// The members that mean something.
const KNOWN: [&str; 6] = ["org", "repo", "github_check_name", "page", "repo_name", "job_name"];

/// The members of a question by name.
#[derive(Debug, Default)]
pub(crate) struct Question(Vec<(String, String)>);

impl Question {
    /// Reads query and body. What is in the query wins.
    pub(crate) async fn read(uri: &Uri, headers: &HeaderMap, body: Body) -> Result<Self, ApiError> {
        let mut members = form(uri.query().unwrap_or("").as_bytes());
        let bytes = small_body(body, LONGEST).await?;
        // An empty body is none: clients send a content type without one, or that of a form with JSON.
        if !bytes.trim_ascii().is_empty() {
            let is_form = media_type(headers) == "application/x-www-form-urlencoded"
                && !bytes.trim_ascii_start().starts_with(b"{");
            members.extend(if is_form { form(&bytes) } else { object(&bytes)? });
        }
        Ok(Self(members))
    }

    /// The value of a member; an empty one is none.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A member that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.find(name).ok_or_else(|| ApiError::bad_request(format!("{name} is missing")))
    }

    /// The page that is asked for, from 1.
    pub(crate) fn page(&self) -> Result<usize, ApiError> {
        let Some((_, text)) = self.0.iter().find(|(key, _)| key == "page") else { return Ok(1) };
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that is too long for one is a page after the last.
        let page = is_number.then(|| text.parse().unwrap_or(LAST_PAGE).min(LAST_PAGE));
        page.filter(|page| *page > 0)
            .ok_or_else(|| ApiError::bad_request("page must be a whole number from 1"))
    }
}

fn object(bytes: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let members: Map<String, Value> = serde_json::from_slice(bytes)
        .map_err(|_| ApiError::bad_request("the body must be a JSON object, or left out"))?;
    let mut texts = Vec::new();
    for (key, value) in members {
        match value {
            Value::String(text) => texts.push((key, text)),
            Value::Null => {}
            Value::Number(number) => texts.push((key, number.to_string())),
            _ if !KNOWN.contains(&key.as_str()) => {}
            _ if key == "page" => texts.push((key, String::new())),
            _ => return Err(ApiError::bad_request(format!("{key} must be a text"))),
        }
    }
    Ok(texts)
}

fn form(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).into_owned().collect()
}
