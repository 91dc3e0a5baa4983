//! What an address and a body say, with refusals as problem documents.

use super::error::ApiError;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The named parts of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0))
            .map_err(|_| ApiError::BadRequest("the address is no UTF-8 text".to_owned()))
    }
}

/// The query.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|rejection| {
            ApiError::BadRequest(format!("the query of the address cannot be read: {rejection}"))
        })
    }
}

/// Longest body, in bytes.
const LONGEST_BODY: usize = 64 << 10;

/// Reads a body, whatever content type it is said to have. Called when the credential has been looked at.
pub(crate) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let body = axum::body::to_bytes(body, LONGEST_BODY).await;
    let body =
        body.map_err(|_| ApiError::TooLarge(format!("the body is larger than {LONGEST_BODY} bytes")))?;
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::BadRequest(format!("the body cannot be read: {error}")))
}
