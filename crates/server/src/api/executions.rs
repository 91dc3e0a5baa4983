//! Executions of a test, with what they took.

use super::error::ApiError;
use super::extract::{Path, Query};
use super::openapi::SuitePath;
use super::scope::WantedScope;
use super::{policy, readable_suite};
use axum::Json;
use axum::extract::State;
use casebook_api::{Execution, Page, ProblemDocument, Resources};
use casebook_app::App;
use casebook_app::resources::{MeasuredExecution, MeasuredRun};
use casebook_http::Caller;
use casebook_model::execution::{ExecutionFlags, seconds_from_us};
use casebook_model::public_id::Subject;
use casebook_model::suite::Suite;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// How far back.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Newest runs of the suite to look into: 50 unless told, at most 200.
    runs: Option<i64>,
}

/// The attempts of a test in the newest runs of its suite, passed and failed ones, with the time and memory they took: of all
/// runs, or of those with metrics of a component, pipeline or build. The latest run comes first, attempts of one run in their
/// order.
#[utoipa::path(
    get,
    operation_id = "listExecutions",
    path = "/api/casebook/v1/suites/{organization}/{suite}/tests/{test}/executions",
    tag = "tests",
    params(SuitePath, ("test" = String, Path, description = "Id of the test."), Wanted, WantedScope),
    responses((status = 200, body = Page<Execution>), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, test)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
    Query(scope): Query<WantedScope>,
) -> Result<Json<Page<Execution>>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let test = policy::test_of(&app, &suite, &test).await?;
    let runs = super::limit(wanted.runs)
        .map_err(|_| ApiError::BadRequest("runs must be a whole number from 1 to 200".to_owned()))?;
    let found = app.measured_executions(suite.id, test, scope.check()?, runs).await?;
    let items = found.into_iter().map(|execution| to_json(&app, &suite, execution));
    Ok(Json(Page { items: items.collect(), next: None }))
}

fn to_json(app: &App, suite: &Suite, execution: MeasuredExecution) -> Execution {
    let MeasuredExecution { id, outcome, flags, at, duration_us, resources, run } = execution;
    let MeasuredRun { key, number, commit } = run;
    Execution {
        id: app.public_id(Subject::Execution(suite.id, id)),
        run_id: app.public_id(Subject::Run(suite.id, id.run)),
        run_key: key,
        number,
        commit_sha: commit,
        attempt: id.attempt,
        outcome: outcome.to_string(),
        from_metric: flags.contains(ExecutionFlags::MEASURED),
        at: at.to_rfc3339_millis(),
        duration: duration_us.map(seconds_from_us),
        resources: resources.map(|taken| Resources {
            wall_seconds: taken.wall_seconds,
            user_seconds: taken.user_seconds,
            system_seconds: taken.system_seconds,
            cpu_share: taken.cpu_share,
            memory_mib: taken.memory_mib,
        }),
    }
}
