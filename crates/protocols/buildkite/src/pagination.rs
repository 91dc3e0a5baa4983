//! Numbered pages with a `Link` header (`buildkite.md` 11).

use crate::error::ApiError;
use axum::Json;
use axum::http::header::{HeaderValue, LINK};
use axum::response::{IntoResponse, Response};
use casebook_app::{Listed, Page};
use serde::Serialize;

const DEFAULT_SIZE: i64 = 30;
const LARGEST_SIZE: i64 = 100;

/// The query of a request, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first value of `name`; an empty one counts as not given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

/// A page by number and size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pager {
    number: i64,
    size: i64,
}

impl Pager {
    pub(crate) fn from_query(query: &Query) -> Result<Self, ApiError> {
        let number = |name: &str, default: i64| match query.get(name) {
            None => Ok(default),
            Some(text) => text
                .parse::<i64>()
                .ok()
                .filter(|number| (1..=1_000_000_000).contains(number))
                .ok_or_else(|| ApiError::BadRequest(format!("{name} must be a whole number from 1"))),
        };
        Ok(Self { number: number("page", 1)?, size: number("per_page", DEFAULT_SIZE)?.min(LARGEST_SIZE) })
    }

    pub(crate) const fn page(self) -> Page {
        Page { offset: (self.number - 1) * self.size, limit: self.size }
    }

    /// The items as a bare JSON array, with links to the neighbouring, first and last pages of `url`.
    pub(crate) fn answer<T: Serialize>(self, url: &str, query: &Query, listed: &Listed<T>) -> Response {
        let last = (listed.total + self.size - 1) / self.size;
        let mut links = Vec::new();
        let mut link = |number: i64, relation: &str| {
            links.push(format!("<{}>; rel=\"{relation}\"", self.url_of(url, query, number)));
        };
        if self.number < last {
            link(self.number + 1, "next");
            link(last, "last");
        }
        if self.number > 1 {
            link((self.number - 1).min(last.max(1)), "prev");
            link(1, "first");
        }
        let mut response = Json(&listed.items).into_response();
        if let Ok(value) = HeaderValue::from_str(&links.join(", "))
            && !links.is_empty()
        {
            response.headers_mut().insert(LINK, value);
        }
        response
    }

    fn url_of(self, url: &str, query: &Query, number: i64) -> String {
        let mut text = format!("{url}?page={number}&per_page={}", self.size);
        for (key, value) in query.0.iter().filter(|(key, _)| key != "page" && key != "per_page") {
            text.push('&');
            text.push_str(&encoded(key));
            text.push('=');
            text.push_str(&encoded(value));
        }
        text
    }
}

/// Percent-encodes everything but unreserved characters.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(page: &str, total: i64) -> String {
        let query = Query::new(vec![("page".into(), page.into()), ("branch".into(), "a b*".into())]);
        let pager = Pager::from_query(&query).unwrap();
        let response = pager.answer("http://h/x", &query, &Listed { items: vec![1], total });
        response.headers().get(LINK).map_or(String::new(), |link| link.to_str().unwrap().to_owned())
    }

    #[test]
    fn links_lead_to_the_neighbours() {
        assert_eq!(links("1", 30), "");
        assert_eq!(
            links("1", 61),
            "<http://h/x?page=2&per_page=30&branch=a%20b%2A>; rel=\"next\", \
             <http://h/x?page=3&per_page=30&branch=a%20b%2A>; rel=\"last\""
        );
        assert!(links("3", 61).starts_with("<http://h/x?page=2&"), "{}", links("3", 61));
        for bad in ["0", "-1", "x", "1.5"] {
            let query = Query::new(vec![("page".into(), bad.into())]);
            assert!(Pager::from_query(&query).is_err(), "{bad}");
        }
    }
}
