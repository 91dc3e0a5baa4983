//! `/flaky/test_case/{number}`: the address of a test that protocols with whole numbers for ids give.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use casebook_app::App;
use casebook_app::access::Denied;
use casebook_http::Caller;
use casebook_model::public_id::Subject;
use std::sync::Arc;

/// Leads to the test, for those who may read it.
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(number): Path<String>,
) -> Response {
    let access = match caller.authenticate(&app).await {
        Ok(access) => access,
        Err(denied) => return refusal(&denied),
    };
    let known = number.parse().ok().and_then(|number| app.test_of_number(number));
    let Some((suite, test)) = known else { return refusal(&Denied::NotFound) };
    match app.readable_suite_by_id(&access, suite).await {
        Ok(suite) => {
            let id = app.public_id(Subject::Test(suite.id, test));
            let place = format!(
                "{}/api/casebook/v1/suites/{}/{}/tests/{id}",
                app.public_url(),
                suite.organization.slug,
                suite.slug
            );
            (StatusCode::FOUND, [(LOCATION, place)]).into_response()
        }
        Err(denied) => refusal(&denied),
    }
}

fn refusal(denied: &Denied) -> Response {
    let (status, message) = match denied {
        Denied::Unknown => (StatusCode::UNAUTHORIZED, denied.to_string()),
        Denied::Scope(_) => (StatusCode::FORBIDDEN, denied.to_string()),
        Denied::Busy | Denied::TooOften => (StatusCode::TOO_MANY_REQUESTS, denied.to_string()),
        Denied::Storage(error) => {
            tracing::error!(error = error as &dyn std::error::Error, "a request failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "the server could not answer: try again".to_owned())
        }
        _ => (StatusCode::NOT_FOUND, "there is no such test".to_owned()),
    };
    (status, axum::Json(serde_json::json!({ "message": message }))).into_response()
}
