//! What people say of tests.

use super::error::ApiError;
use super::extract::{Path, json};
use super::openapi::SuitePath;
use super::{policy, tests, writable_suite};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use casebook_api::{Mark, ProblemDocument, TestDetail};
use casebook_app::App;
use casebook_http::Caller;
use std::sync::Arc;

/// Says that a test is flaky, which announces it at once, or that it is not, which ends its episode.
#[utoipa::path(
    post,
    operation_id = "markTest",
    path = "/api/casebook/v1/suites/{organization}/{suite}/tests/{test}/marks",
    tag = "tests",
    params(SuitePath, ("test" = String, Path, description = "Id of the test.")),
    request_body = Mark,
    responses((status = 200, body = TestDetail), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, id)): Path<(String, String, String)>,
    body: Body,
) -> Result<Json<TestDetail>, ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    let mark: Mark = json(body).await?;
    let mark = casebook_model::mark::Mark::from_word(&mark.mark)
        .ok_or_else(|| ApiError::BadRequest("mark must be flaky or not_flaky".to_owned()))?;
    let test = policy::test_of(&app, &suite, &id).await?;
    app.mark(suite.id, test, mark).await?;
    tests::detail_of(&app, &suite, &id).await
}
