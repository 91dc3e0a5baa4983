//! Casebook's own API, `/api/casebook/v1`: one file for each resource. The pages use only what is here.

mod error;
mod executions;
mod extract;
mod failures;
mod machines;
mod marks;
mod openapi;
mod policy;
mod scope;
mod shifts;
mod tests;
mod uploads;
mod webhooks;

use axum::Router;
use axum::http::Method;
use axum::routing::{delete, get, patch, post, put};
use casebook_app::App;
use casebook_http::{Caller, Needs, Route, Routes};
use casebook_model::suite::Suite;
use error::ApiError;
use std::sync::Arc;

pub use openapi::document;
pub(crate) use tests::find_by_number as test_of_number;

/// Every address of the API.
pub(crate) fn router(app: &Arc<App>) -> Router {
    routes().router().method_not_allowed_fallback(error::method_not_allowed).with_state(Arc::clone(app))
}

/// The addresses and what each needs.
pub(crate) fn surface() -> impl Iterator<Item = Route> {
    routes().table()
}

fn routes() -> Routes<Arc<App>> {
    let suite = "/api/casebook/v1/suites/{organization}/{suite}";
    Routes::new()
        .with(Needs::Nothing, Method::GET, "/api/casebook/v1/openapi.json", get(openapi::serve))
        .with(Needs::Read, Method::GET, format!("{suite}/tests"), get(tests::list))
        .with(Needs::Read, Method::GET, format!("{suite}/tests/{{test}}"), get(tests::find))
        .with(Needs::Read, Method::GET, format!("{suite}/tests/{{test}}/executions"), get(executions::list))
        .with(Needs::Read, Method::GET, format!("{suite}/tests/{{test}}/baselines"), get(shifts::find))
        .with(Needs::Read, Method::GET, format!("{suite}/shifts"), get(shifts::list))
        .with(Needs::Read, Method::GET, format!("{suite}/machines"), get(machines::list))
        .with(Needs::Write, Method::POST, format!("{suite}/tests/{{test}}/marks"), post(marks::create))
        .with(Needs::Write, Method::PUT, format!("{suite}/tests/{{test}}/policy"), put(policy::set_of_test))
        .with(
            Needs::Write,
            Method::DELETE,
            format!("{suite}/tests/{{test}}/policy"),
            delete(policy::clear_of_test),
        )
        .with(Needs::Any, Method::GET, "/api/casebook/v1/policy", get(policy::find))
        .with(Needs::Any, Method::GET, "/api/casebook/v1/policy/known-tests", get(policy::find_known))
        .with(Needs::Read, Method::GET, format!("{suite}/policy"), get(policy::find_of_suite))
        .with(Needs::Write, Method::PUT, format!("{suite}/policy"), put(policy::set_of_suite))
        .with(Needs::Write, Method::DELETE, format!("{suite}/policy"), delete(policy::clear_of_suite))
        .with(Needs::Read, Method::GET, format!("{suite}/runs/{{run}}/failures"), get(failures::list))
        .with(Needs::Read, Method::GET, format!("{suite}/uploads"), get(uploads::list))
        .with(Needs::Read, Method::GET, format!("{suite}/uploads/{{upload}}"), get(uploads::find))
        .with(Needs::Read, Method::GET, format!("{suite}/webhooks"), get(webhooks::list))
        .with(Needs::Write, Method::POST, format!("{suite}/webhooks"), post(webhooks::create))
        .with(Needs::Read, Method::GET, format!("{suite}/webhooks/{{webhook}}"), get(webhooks::find))
        .with(Needs::Write, Method::PATCH, format!("{suite}/webhooks/{{webhook}}"), patch(webhooks::change))
        .with(Needs::Write, Method::DELETE, format!("{suite}/webhooks/{{webhook}}"), delete(webhooks::remove))
        .with(Needs::Write, Method::POST, format!("{suite}/webhooks/{{webhook}}/test"), post(webhooks::test))
        .with(
            Needs::Read,
            Method::GET,
            format!("{suite}/webhooks/{{webhook}}/deliveries"),
            get(webhooks::deliveries),
        )
        .with(
            Needs::Read,
            Method::GET,
            format!("{suite}/deliveries/{{delivery}}"),
            get(webhooks::find_delivery),
        )
        .with(
            Needs::Write,
            Method::POST,
            format!("{suite}/deliveries/{{delivery}}/redeliver"),
            post(webhooks::redeliver),
        )
}

const DEFAULT_LIMIT: i64 = 50;
const LARGEST_LIMIT: i64 = 200;

/// Items in one answer.
fn limit(wanted: Option<i64>) -> Result<i64, ApiError> {
    let limit = wanted.unwrap_or(DEFAULT_LIMIT);
    if (1..=LARGEST_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(ApiError::BadRequest(format!("limit must be a whole number from 1 to {LARGEST_LIMIT}")))
}

fn wrong_cursor() -> ApiError {
    ApiError::BadRequest("after must be what an earlier answer gave as next".to_owned())
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
