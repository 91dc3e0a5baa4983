//! A request that was let in: whose records it concerns, and the address it came by.

use crate::error::{ApiError, unknown_address};
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use casebook_model::suite::Suite;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A request that was let in.
#[derive(Clone)]
pub(crate) struct Visit {
    /// The suite of its credential.
    pub(crate) suite: Arc<Suite>,
    /// Branches outside of which results count as a pull request's.
    pub(crate) branches: Option<String>,
    /// Scheme, host, port and prefix by which it came.
    pub(crate) base: String,
    /// The path as sent, with a final slash.
    pub(crate) path: String,
    /// The query, in order.
    pub(crate) query: Vec<(String, String)>,
}

impl Visit {
    /// The last value of `name` in the query.
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // The guard puts it there for every address that concerns a suite.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            ApiError::Detail(StatusCode::INTERNAL_SERVER_ERROR, "the address is not guarded".to_owned())
        })
    }
}

/// The named parts of the path.
pub(crate) struct Address<T>(pub(crate) T);

/// An address whose parts are no text names nothing.
pub(crate) struct NoText(String);

impl IntoResponse for NoText {
    fn into_response(self) -> Response {
        unknown_address(&self.0)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Address<T> {
    type Rejection = NoText;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, NoText> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path)).map_err(|_| NoText(parts.uri.path().to_owned()))
    }
}

/// A number of a row as addresses write it; anything else is no row.
pub(crate) fn row_number(text: &str) -> Result<i64, ApiError> {
    let number = text.parse::<i32>().ok().filter(|number| *number > 0);
    number.map(i64::from).ok_or_else(ApiError::not_found)
}
