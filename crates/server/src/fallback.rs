//! Addresses that are not there.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// 404: in JSON where programs ask, below `/api/` under both names that the clients there read; elsewhere as a page.
pub(crate) async fn not_found(uri: Uri) -> Response {
    let message = "there is nothing at this address";
    let path = uri.path();
    let body = if path.starts_with("/api/") {
        json!({ "error": message, "message": message })
    } else if matches!(path.split('/').nth(1), Some("v1" | "v2")) {
        json!({ "message": message })
    } else if path.split('/').find(|part| !part.is_empty()).is_some_and(casebook_monitor::is_namespace) {
        json!({ "message": "there is nothing at this address: pytest-monitor's API begins with /api/v1" })
    } else {
        return casebook_avocado::unknown_address(path);
    };
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// 405 in JSON.
pub(crate) async fn method_not_allowed() -> Response {
    let body = json!({ "message": "this address does not take that method" });
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
