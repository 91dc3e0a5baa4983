//! Buildkite Test Analytics: `POST /v1/uploads` and the REST API of suites, runs, failed executions and tests.

mod address;
mod cors;
mod envelope;
mod error;
mod pagination;
mod question;
mod rate_limit;
mod window;

mod dispositions;
mod failed_executions;
mod ownership;
mod runs;
mod suites;
mod tests;
mod uploads;

use axum::Router;
use axum::extract::FromRef;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, patch, post, put};
use casebook_app::App;
use casebook_http::{Bodies, Caller, Needs, Route, Routes};
use casebook_model::suite::Suite;
use error::ApiError;
use rate_limit::RateLimiter;
use std::sync::Arc;

pub use rate_limit::RateLimits;

/// What the handlers share.
#[derive(Clone)]
struct State {
    app: Arc<App>,
    bodies: Bodies,
    rate_limiter: Arc<RateLimiter>,
}

impl FromRef<State> for Arc<App> {
    fn from_ref(state: &State) -> Self {
        Arc::clone(&state.app)
    }
}

/// Every address of this protocol.
pub fn router(app: Arc<App>, bodies: Bodies, limits: RateLimits) -> Router {
    let state = State { app, bodies, rate_limiter: Arc::new(RateLimiter::new(limits)) };
    let rest = rest().router().method_not_allowed_fallback(error::method_not_allowed);
    let rest = rest.layer(from_fn_with_state(state.clone(), rate_limit::limit));
    uploads()
        .router()
        .method_not_allowed_fallback(error::method_not_allowed)
        .merge(rest.layer(from_fn(cors::allow_any_origin)))
        .with_state(state)
}

/// The addresses and what each needs.
pub fn surface() -> impl Iterator<Item = Route> {
    uploads().table().chain(rest().table())
}

fn uploads() -> Routes<State> {
    Routes::new().with(Needs::Upload, Method::POST, "/v1/uploads", post(uploads::create)).with(
        Needs::Upload,
        Method::POST,
        "/v1/test-ownerships",
        post(ownership::replace),
    )
}

fn rest() -> Routes<State> {
    use Needs::{Admin, Read, Write};
    let suites = "/v2/analytics/organizations/{organization}/suites";
    let suite = &format!("{suites}/{{suite}}");
    let test = &format!("{suite}/tests/{{test}}");
    Routes::new()
        .with(Read, Method::GET, suites, get(suites::list))
        .with(Admin, Method::POST, suites, post(suites::create))
        .with(Read, Method::GET, suite, get(suites::find))
        .with(Admin, Method::PATCH, suite, patch(suites::change))
        .with(Admin, Method::DELETE, suite, delete(suites::remove))
        .with(Read, Method::GET, format!("{suite}/runs"), get(runs::list))
        .with(Read, Method::GET, format!("{suite}/runs/{{run}}"), get(runs::find))
        .with(
            Read,
            Method::GET,
            format!("{suite}/runs/{{run}}/failed_executions"),
            get(failed_executions::list),
        )
        .with(Read, Method::GET, format!("{suite}/tests"), get(tests::list))
        .with(Read, Method::POST, format!("{suite}/tests/find"), post(tests::find_by_name))
        .with(Read, Method::GET, format!("{suite}/tests/muted"), get(dispositions::muted))
        .with(Read, Method::PUT, format!("{suite}/tests/muted"), put(dispositions::muted))
        .with(Read, Method::GET, format!("{suite}/tests/skipped"), get(dispositions::skipped))
        .with(Read, Method::PUT, format!("{suite}/tests/skipped"), put(dispositions::skipped))
        .with(Read, Method::GET, test, get(tests::find))
        .with(Write, Method::PATCH, format!("{test}/labels"), patch(dispositions::labels))
        .with(Write, Method::PUT, format!("{test}/mute"), put(dispositions::mute))
        .with(Write, Method::PUT, format!("{test}/skip"), put(dispositions::skip))
        .with(Write, Method::PUT, format!("{test}/enable"), put(dispositions::enable))
}

/// The suite in the path, if the request may read it.
async fn readable_suite(
    app: &Arc<App>,
    caller: &Caller,
    organization: &str,
    suite: &str,
) -> Result<Suite, ApiError> {
    let access = caller.authenticate(app).await?;
    Ok(app.readable_suite(&access, organization, suite).await?)
}

/// The suite in the path, if the request may decide about its tests.
async fn writable_suite(
    app: &Arc<App>,
    caller: &Caller,
    organization: &str,
    suite: &str,
) -> Result<Suite, ApiError> {
    let access = caller.authenticate(app).await?;
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
