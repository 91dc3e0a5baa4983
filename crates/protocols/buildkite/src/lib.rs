//! Buildkite Test Analytics: `POST /v1/uploads` and the REST API of suites, runs, failed executions and tests.

mod address;
mod body;
mod cors;
mod envelope;
mod error;
mod pagination;
mod window;

mod dispositions;
mod failed_executions;
mod runs;
mod suites;
mod tests;
mod uploads;

use axum::Router;
use axum::extract::FromRef;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::from_fn;
use axum::routing::{get, patch, post, put};
use casebook_app::App;
use casebook_app::access::{Access, Credential};
use casebook_model::suite::Suite;
use error::ApiError;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Sizes that requests may have.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one request body as sent.
    pub body: usize,
    /// Bytes of one body after unpacking.
    pub unpacked: usize,
    /// Bytes of bodies in memory at one time; others wait.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 64 << 20, unpacked: 256 << 20, in_flight: 64 << 20 }
    }
}

/// What the handlers share.
#[derive(Clone)]
struct State {
    app: Arc<App>,
    limits: Limits,
    /// One permit a KiB.
    in_flight: Arc<Semaphore>,
}

impl FromRef<State> for Arc<App> {
    fn from_ref(state: &State) -> Self {
        Arc::clone(&state.app)
    }
}

/// Every address of this protocol.
pub fn router(app: Arc<App>, limits: Limits) -> Router {
    let in_flight = Arc::new(Semaphore::new(limits.in_flight >> 10));
    let suite = "/v2/analytics/organizations/{organization}/suites/{suite}";
    let rest = Router::new()
        .route("/v2/analytics/organizations/{organization}/suites", get(suites::list))
        .route(suite, get(suites::find))
        .route(&format!("{suite}/runs"), get(runs::list))
        .route(&format!("{suite}/runs/{{run}}"), get(runs::find))
        .route(&format!("{suite}/runs/{{run}}/failed_executions"), get(failed_executions::list))
        .route(&format!("{suite}/tests"), get(tests::list))
        .route(&format!("{suite}/tests/find"), post(tests::find_by_name))
        .route(&format!("{suite}/tests/muted"), get(dispositions::muted).put(dispositions::muted))
        .route(&format!("{suite}/tests/skipped"), get(dispositions::skipped).put(dispositions::skipped))
        .route(&format!("{suite}/tests/{{test}}"), get(tests::find))
        .route(&format!("{suite}/tests/{{test}}/labels"), patch(dispositions::labels))
        .route(&format!("{suite}/tests/{{test}}/mute"), put(dispositions::mute))
        .route(&format!("{suite}/tests/{{test}}/skip"), put(dispositions::skip))
        .route(&format!("{suite}/tests/{{test}}/enable"), put(dispositions::enable))
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn(cors::allow_any_origin));
    Router::new()
        .route("/v1/uploads", post(uploads::create))
        .method_not_allowed_fallback(error::method_not_allowed)
        .merge(rest)
        .with_state(State { app, limits, in_flight })
}

/// The access that the request's credential gives.
async fn authenticate(app: &Arc<App>, headers: &HeaderMap) -> Result<Access, ApiError> {
    let bytes = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let credential = Credential::from_headers(bytes(AUTHORIZATION.as_str()), bytes("x-aviator-api-key"))?;
    Ok(app.authenticate(credential).await?)
}

/// The suite in the path, if the request may read it.
async fn readable_suite(
    app: &Arc<App>,
    headers: &HeaderMap,
    organization: &str,
    suite: &str,
) -> Result<Suite, ApiError> {
    let access = authenticate(app, headers).await?;
    Ok(app.readable_suite(&access, organization, suite).await?)
}

/// The suite in the path, if the request may decide about its tests.
async fn writable_suite(
    app: &Arc<App>,
    headers: &HeaderMap,
    organization: &str,
    suite: &str,
) -> Result<Suite, ApiError> {
    let access = authenticate(app, headers).await?;
    Ok(app.writable_suite(&access, organization, suite).await?)
}

/// The address of a suite in this API.
fn suite_url(app: &App, suite: &Suite) -> String {
    format!(
        "{}/v2/analytics/organizations/{}/suites/{}",
        app.public_url(),
        suite.organization.slug,
        suite.slug
    )
}

/// The address of a suite's page.
fn suite_web_url(app: &App, suite: &Suite) -> String {
    format!("{}/organizations/{}/analytics/suites/{}", app.public_url(), suite.organization.slug, suite.slug)
}
