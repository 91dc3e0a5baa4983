//! The root, and addresses that are not there.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// `GET /`: what this is.
pub(crate) async fn root() -> Response {
    Json(json!({ "product": "casebook", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// 404 in JSON; below `/api/` under both names that the clients there read.
pub(crate) async fn not_found(uri: Uri) -> Response {
    let message = "there is nothing at this address";
    let body = if uri.path().starts_with("/api/") {
        json!({ "error": message, "message": message })
    } else {
        json!({ "message": message })
    };
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// 405 in JSON.
pub(crate) async fn method_not_allowed() -> Response {
    let body = json!({ "message": "this address does not take that method" });
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
