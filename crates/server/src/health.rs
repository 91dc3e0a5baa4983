//! Health of the process and the database, and metrics.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use casebook_app::App;
use casebook_http::Caller;
use serde_json::json;
use std::sync::Arc;

/// The process runs.
pub(crate) async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// The database answers.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    match app.check_database().await {
        Ok(()) => Json(json!({ "status": "ok" })).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the database does not answer");
            let body = json!({ "status": "unavailable", "message": "the database does not answer" });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// Metrics for an admin's token.
pub(crate) async fn metrics(State(app): State<Arc<App>>, caller: Caller) -> Response {
    // What --anonymous opens is not metrics.
    let access = match caller.headers.contains_key(AUTHORIZATION) {
        true => caller.authenticate(&app).await.ok(),
        false => None,
    };
    let (status, message) = match access {
        Some(access) if access.is_admin() => return open_metrics(State(app)).await,
        Some(_) => (StatusCode::FORBIDDEN, "metrics need a credential of scope admin"),
        None => (StatusCode::UNAUTHORIZED, "metrics need a credential of scope admin, or --metrics-listen"),
    };
    (status, Json(json!({ "message": message }))).into_response()
}

/// Metrics on a listener of their own.
pub(crate) async fn open_metrics(State(app): State<Arc<App>>) -> Response {
    let form = [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    (form, app.metrics().encode()).into_response()
}
