//! Pages: which one is asked for, and the links to its neighbours.

use crate::address::{Path, decode_form, encode};
use bytes::Bytes;
use serde::Serialize;

/// The page that is asked for, and the query that links carry on.
pub(crate) struct Asked {
    pub(crate) page: i64,
}

impl Asked {
    /// The page of a query, else of the body of the GET, else the first.
    pub(crate) async fn of<F: Future<Output = Option<Bytes>>>(query: &str, body: impl FnOnce() -> F) -> Self {
        let named = parameters(query).find(|(name, _)| name == "page").and_then(|(_, value)| number(&value));
        let page = match named {
            Some(page) => Some(page),
            None => body().await.and_then(|bytes| of_body(&bytes)),
        };
        Self { page: page.unwrap_or(1) }
    }
}

fn of_body(bytes: &[u8]) -> Option<i64> {
    let body: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    match body.get("page")? {
        serde_json::Value::String(text) => number(text),
        page => number(&page.to_string()),
    }
}

/// A whole number; one that is too large is the largest.
fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}

/// The parameters of a query, decoded.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_form(name), decode_form(value))
    })
}

/// The neighbours of a page.
#[derive(Serialize)]
pub(crate) struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prev_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_url: Option<String>,
    pub(crate) total_page: i64,
}

/// The same with `null` where there is no neighbour.
#[derive(Serialize)]
pub(crate) struct NullLinks {
    prev_url: Option<String>,
    next_url: Option<String>,
    total_page: i64,
}

impl NullLinks {
    /// A listing of so many pages that is not continued.
    pub(crate) const fn none(total_page: i64) -> Self {
        Self { prev_url: None, next_url: None, total_page }
    }
}

impl From<Links> for NullLinks {
    fn from(Links { prev_url, next_url, total_page }: Links) -> Self {
        Self { prev_url, next_url, total_page }
    }
}

impl Links {
    /// The links of page `page` of `pages`.
    pub(crate) fn of(path: &Path, query: &str, page: i64, pages: i64) -> Self {
        Self {
            prev_url: (page > 1).then(|| link(path, query, page - 1)),
            next_url: (page < pages).then(|| link(path, query, page + 1)),
            total_page: pages,
        }
    }
}

/// The same address with another page.
fn link(path: &Path, query: &str, page: i64) -> String {
    let mut link = path.link();
    let mut sign = '?';
    let mut add = |name: &str, value: &str| {
        link.push(sign);
        link.push_str(&encode(name, b"", true));
        link.push('=');
        link.push_str(&encode(value, b"", true));
        sign = '&';
    };
    let mut named = false;
    for (name, value) in parameters(query) {
        if name != "page" {
            add(&name, &value);
        } else if !std::mem::replace(&mut named, true) {
            add("page", &page.to_string());
        }
    }
    if !named {
        add("page", &page.to_string());
    }
    link
}
