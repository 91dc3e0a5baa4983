//! Failures of a run, each with what is to be thought of it.

use super::error::ApiError;
use super::extract::{Path, Query};
use super::openapi::SuitePath;
use super::readable_suite;
use axum::Json;
use axum::extract::State;
use casebook_api::{Failure, Judgement, Page, ProblemDocument};
use casebook_app::App;
use casebook_app::runs::FailedExecution;
use casebook_app::tests::ShownTest;
use casebook_http::Caller;
use casebook_model::public_id::Subject;
use casebook_model::run::Protocol;
use casebook_model::suite::Suite;
use serde::Deserialize;
use std::fmt::Write as _;
use std::sync::Arc;
use utoipa::IntoParams;

/// Which failures.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// What an earlier answer gave as `next`: what comes behind it.
    after: Option<String>,
    /// Items in one answer: 50 unless told, at most 200.
    limit: Option<i64>,
}

/// The failing executions of a run by test and attempt, retries included.
#[utoipa::path(
    get,
    operation_id = "listFailures",
    path = "/api/casebook/v1/suites/{organization}/{suite}/runs/{run}/failures",
    tag = "runs",
    params(SuitePath, ("run" = String, Path, description = "Id of the run."), Wanted),
    responses((status = 200, body = Page<Failure>), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, run)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Failure>>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let run = app.run(suite.id, &run).await?.ok_or(ApiError::NotFound("there is no such run"))?;
    let offset = match wanted.after.as_deref() {
        None => 0,
        Some(text) => text.parse().ok().filter(|offset| *offset >= 0).ok_or_else(super::wrong_cursor)?,
    };
    let limit = super::limit(wanted.limit)?;
    let page = casebook_app::Page { offset, limit };
    let found = app.failed_executions(run, Protocol::Buildkite, page).await?;
    let next = (offset + limit < found.total).then(|| (offset + limit).to_string());
    let items = found.items.into_iter().map(|(execution, test)| to_json(&app, &suite, execution, test));
    Ok(Json(Page { items: items.collect(), next }))
}

fn to_json(app: &App, suite: &Suite, execution: FailedExecution, test: Option<ShownTest>) -> Failure {
    let identity = test.map(|test| test.test.identity);
    let (class_name, name) =
        identity.map_or_else(Default::default, |identity| (identity.class_name, identity.name));
    Failure {
        id: app.public_id(Subject::Execution(suite.id, execution.id)),
        test_id: app.public_id(Subject::Test(suite.id, execution.id.test)),
        class_name,
        name,
        attempt: execution.id.attempt,
        outcome: execution.outcome.to_string(),
        at: execution.at.to_rfc3339_millis(),
        location: execution.location,
        message: execution.failure.reason,
        signature: execution.signature.map(|key| {
            key.iter().fold(String::with_capacity(32), |mut text, byte| {
                // Writing to a text does not fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        }),
        judgement: execution.judgement.map(|[flake, regression, incident]| Judgement {
            flake,
            regression,
            incident,
        }),
    }
}
