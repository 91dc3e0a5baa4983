//! What an address and a body say, with refusals as problem documents.

use super::error::ApiError;
use axum::extract::{FromRequestParts, Request};
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

/// Largest JSON body, in bytes.
const LARGEST_BODY: usize = 64 * 1024;

/// The JSON in the body of a request. Read after its credential was checked, so it is no extractor.
pub(crate) async fn json<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let body = axum::body::to_bytes(request.into_body(), LARGEST_BODY).await;
    let body = body.map_err(|_| {
        ApiError::BadRequest(format!("the body cannot be read, or has more than {LARGEST_BODY} bytes"))
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::BadRequest(format!("the body is not the JSON expected here: {error}")))
}
