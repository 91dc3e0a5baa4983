//! Runs (`buildkite.md` 11.2).

use crate::address::Address;
use crate::error::ApiError;
use crate::pagination::{Pager, Query};
use crate::{State, readable_suite, suite_url, suite_web_url};
use axum::Json;
use axum::extract;
use axum::response::Response;
use casebook_app::{App, Listed};
use casebook_http::Caller;
use casebook_model::id::SuiteId;
use casebook_model::public_id::{Subject, parse_uuid};
use casebook_model::run::{Protocol, Run};
use casebook_model::suite::Suite;
use serde::Serialize;

/// A run on the wire.
#[derive(Serialize)]
pub(crate) struct RunJson {
    id: String,
    branch: Option<String>,
    commit_sha: Option<String>,
    state: &'static str,
    result: &'static str,
    url: String,
    web_url: String,
    build_id: Option<String>,
    created_at: String,
}

impl RunJson {
    fn new(app: &App, suite: &Suite, run: &Run) -> Self {
        let id = app.public_id(Subject::Run(suite.id, run.id));
        Self {
            branch: run.attributes.branch.as_ref().map(ToString::to_string),
            commit_sha: run.attributes.commit.as_ref().map(ToString::to_string),
            // Every upload is processed before it is acknowledged, so no run is ever seen half-way.
            state: "finished",
            result: run.result(app.now()).as_str(),
            url: format!("{}/runs/{id}", suite_url(app, suite)),
            web_url: format!("{}/runs/{id}", suite_web_url(app, suite)),
            build_id: build_id(run).map(str::to_owned),
            created_at: run.started_at.to_rfc3339_millis(),
            id,
        }
    }
}

/// The build whose id is the run's key, as it is with Buildkite itself.
fn build_id(run: &Run) -> Option<&str> {
    let from_buildkite =
        run.protocol == Protocol::Buildkite && run.attributes.provider.as_deref() == Some("buildkite");
    (from_buildkite && parse_uuid(&run.key).is_some()).then_some(run.key.as_str())
}

/// `GET .../runs`: newest first; `build_id` asks for the run of one build.
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite)): Address<(String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    let suite = readable_suite(&state.app, &caller, &organization, &suite).await?;
    let pager = Pager::from_query(&query)?;
    let (id, page) = (suite.id, pager.page());
    let listed = match query.get("build_id") {
        None => state.app.runs(id, page).await?,
        Some(build) => {
            let found = state.app.run_by_key(id, Protocol::Buildkite, build).await?;
            let found: Vec<Run> = found.into_iter().filter(|run| build_id(run).is_some()).collect();
            let total = found.len() as i64;
            Listed { items: if page.offset == 0 { found } else { Vec::new() }, total }
        }
    };
    let items = listed.items.iter().map(|run| RunJson::new(&state.app, &suite, run)).collect();
    let url = format!("{}/runs", suite_url(&state.app, &suite));
    Ok(pager.answer(&url, &query, &Listed { items, total: listed.total }))
}

/// `GET .../runs/{run}`
pub(crate) async fn find(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite, run)): Address<(String, String, String)>,
) -> Result<Json<RunJson>, ApiError> {
    let suite = readable_suite(&state.app, &caller, &organization, &suite).await?;
    let run = run_in(&state.app, suite.id, &run).await?;
    Ok(Json(RunJson::new(&state.app, &suite, &run)))
}

/// The run with that public id, if it belongs to `suite`.
pub(crate) async fn run_in(app: &App, suite: SuiteId, public_id: &str) -> Result<Run, ApiError> {
    app.run(suite, public_id).await?.ok_or(ApiError::NotFound("no such run"))
}
