//! Resources: what the attempts of a test took.

use super::error::ApiError;
use super::extract::{Path, Query};
use super::openapi::SuitePath;
use super::readable_suite;
use axum::Json;
use axum::extract::State;
use casebook_api::{Measurement, Page, ProblemDocument};
use casebook_app::App;
use casebook_app::resources::Measured;
use casebook_http::Caller;
use casebook_model::public_id::Subject;
use casebook_model::resources::Resources;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// How many.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Items in the answer: 50 unless told, at most 200.
    limit: Option<i64>,
}

/// What the newest attempts of a test took, in the newest 400 runs of its suite.
#[utoipa::path(
    get,
    operation_id = "listResources",
    path = "/api/casebook/v1/suites/{organization}/{suite}/tests/{test}/resources",
    tag = "tests",
    params(SuitePath, ("test" = String, Path, description = "Id of the test."), Wanted),
    responses((status = 200, body = Page<Measurement>), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, test)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Measurement>>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let limit = super::limit(wanted.limit)?;
    let test = match app.subject(&test) {
        Some(Subject::Test(of, test)) if of == suite.id => test,
        _ => return Err(ApiError::NotFound("there is no such test")),
    };
    let found = app.resources_of_test(suite.id, test, limit).await?;
    let to_json = |measured: Measured| {
        let Measured { run, run_key, number, commit, started_at, attempt, resources } = measured;
        let Resources { wall_seconds, user_seconds, system_seconds, cpu_share, memory_mib } = resources;
        Measurement {
            run_id: app.public_id(Subject::Run(suite.id, run)),
            run_key,
            number,
            commit_sha: commit,
            run_started_at: started_at.to_rfc3339_millis(),
            attempt,
            wall_seconds,
            user_seconds,
            system_seconds,
            cpu_share,
            memory_mib,
        }
    };
    Ok(Json(Page { items: found.into_iter().map(to_json).collect(), next: None }))
}
