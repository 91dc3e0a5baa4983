//! Collections: numbered pages of ten (`avocado.md` 1.5), and how they are ordered (1.6).

use crate::State;
use crate::error::ApiError;
use crate::visit::Visit;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use casebook_app::avocado::{Db, Term};
use casebook_app::{Listed, Page};
use serde::Serialize;

const SIZE: i64 = 10;

/// Which page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Number(i64),
    Last,
}

/// A page as it is answered.
#[derive(Serialize)]
struct Answer<T> {
    count: i64,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<T>,
}

impl State {
    /// The page of a collection that is asked for. Rows are read and written out on a thread that may wait.
    pub(crate) async fn collection<T, J: Serialize>(
        &self,
        visit: Visit,
        list: impl Fn(&mut Db<'_>, Page) -> Result<Listed<T>, ApiError> + Send + 'static,
        row: impl Fn(T) -> J + Send + 'static,
    ) -> Result<Response, ApiError> {
        let wanted = match visit.argument("page").map(str::trim) {
            None | Some("") => Ok(Wanted::Number(1)),
            Some("last") => Ok(Wanted::Last),
            // More pages than that there are never.
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=i64::from(i32::MAX)).contains(number))
                .map(Wanted::Number)
                .ok_or_else(ApiError::not_found),
        };
        let body = self.read(move |db| {
            let number = match wanted? {
                Wanted::Number(number) => number,
                Wanted::Last => pages(list(db, Page { offset: 0, limit: 0 })?.total),
            };
            let listed = list(db, Page { offset: (number - 1) * SIZE, limit: SIZE })?;
            if number > pages(listed.total) {
                return Err(ApiError::not_found());
            }
            let link = |number: i64| (1..=pages(listed.total)).contains(&number).then(|| url(&visit, number));
            let answer = Answer {
                count: listed.total,
                next: link(number + 1),
                previous: link(number - 1),
                results: listed.items.into_iter().map(row).collect(),
            };
            Ok(serde_json::to_vec(&answer).unwrap_or_default())
        });
        let json = HeaderValue::from_static("application/json");
        Ok(([(CONTENT_TYPE, json)], body.await?).into_response())
    }
}

/// How many pages so many rows make; there is always a first one.
fn pages(total: i64) -> i64 {
    ((total + SIZE - 1) / SIZE).max(1)
}

fn url(visit: &Visit, number: i64) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in visit.query.iter().filter(|(name, _)| name != "page") {
        query.append_pair(name, value);
    }
    let query = query.append_pair("page", &number.to_string()).finish();
    format!("{}{}?{query}", visit.base, visit.path)
}

/// The terms of `ordering`; those that `field` does not know are left out.
pub(crate) fn ordering<F>(visit: &Visit, field: impl Fn(&str) -> Option<F>) -> Vec<Term<F>> {
    let terms = visit.argument("ordering").unwrap_or("").split(',');
    let term = |text: &str| {
        let text = text.trim();
        let name = text.strip_prefix('-').unwrap_or(text);
        field(name).map(|field| Term { field, descending: text.starts_with('-') })
    };
    terms.filter_map(term).collect()
}
