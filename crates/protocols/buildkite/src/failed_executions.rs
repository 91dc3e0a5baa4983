//! Failed executions of a run (`buildkite.md` 11.3).

use crate::address::Address;
use crate::error::ApiError;
use crate::pagination::{Pager, Query};
use crate::runs::run_in;
use crate::{State, readable_suite, suite_url, suite_web_url};
use axum::extract;
use axum::response::Response;
use casebook_app::runs::FailedExecution;
use casebook_app::tests::ShownTest;
use casebook_app::{App, Listed};
use casebook_http::Caller;
use casebook_model::execution::seconds_from_us;
use casebook_model::public_id::Subject;
use casebook_model::run::Protocol;
use casebook_model::suite::Suite;
use serde::Serialize;
use std::collections::BTreeMap;

/// A failed execution on the wire.
#[derive(Serialize)]
pub(crate) struct FailedExecutionJson {
    execution_id: String,
    run_id: String,
    test_id: String,
    run_name: String,
    commit_sha: Option<String>,
    created_at: String,
    branch: Option<String>,
    failure_reason: Option<String>,
    duration: Option<f64>,
    location: Option<String>,
    test_name: String,
    run_url: String,
    test_url: String,
    test_execution_url: String,
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_expanded: Option<Vec<FailureDetailJson>>,
}

/// One of the failures of an execution.
#[derive(Serialize)]
struct FailureDetailJson {
    expanded: Vec<String>,
    backtrace: Vec<String>,
}

/// `GET .../runs/{run}/failed_executions`: retries included.
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite, run)): Address<(String, String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    let suite = readable_suite(&state.app, &caller, &organization, &suite).await?;
    let pager = Pager::from_query(&query)?;
    let url = format!("{}/runs/{run}/failed_executions", suite_url(&state.app, &suite));
    let run = run_in(&state.app, suite.id, &run).await?;
    let listed = state.app.failed_executions(run, Protocol::Buildkite, pager.page()).await?;
    let expanded = query.get("include_failure_expanded") == Some("true");
    let rows = listed.items.into_iter();
    let items =
        rows.map(|(execution, shown)| to_json(&state.app, &suite, execution, shown.as_ref(), expanded));
    let listed = Listed { items: items.collect(), total: listed.total };
    Ok(pager.answer(&url, &query, &listed))
}

fn to_json(
    app: &App,
    suite: &Suite,
    execution: FailedExecution,
    shown: Option<&ShownTest>,
    expanded: bool,
) -> FailedExecutionJson {
    let id = execution.id;
    let execution_id = app.public_id(Subject::Execution(suite.id, id));
    let run_id = app.public_id(Subject::Run(suite.id, id.run));
    let test_id = app.public_id(Subject::Test(suite.id, id.test));
    let api = suite_url(app, suite);
    let test_url = format!("{api}/tests/{test_id}");
    let mut tags: BTreeMap<String, String> =
        execution.tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    for hidden in ["result", "scm.branch", "scm.commit_sha"] {
        tags.remove(hidden);
    }
    // Core tags of an execution (4.6); what was sent as a tag wins.
    for key in ["code.file.path", "test.selector.primary"] {
        if let Some(file) = &execution.file {
            tags.entry(key.to_owned()).or_insert_with(|| file.clone());
        }
    }
    let details = execution.failure.details.into_iter();
    let details =
        details.map(|detail| FailureDetailJson { expanded: detail.expanded, backtrace: detail.backtrace });
    FailedExecutionJson {
        run_name: run_id.clone(),
        commit_sha: execution.commit.map(|commit| commit.to_string()),
        created_at: execution.at.to_rfc3339_millis(),
        branch: execution.branch.map(|branch| branch.to_string()),
        failure_reason: execution.failure.reason,
        duration: execution.duration_us.map(seconds_from_us),
        location: execution.location,
        test_name: shown
            .map(|shown| format!("{} {}", shown.scope, shown.name).trim().to_owned())
            .unwrap_or_default(),
        run_url: format!("{}/runs/{run_id}", suite_web_url(app, suite)),
        test_execution_url: format!("{test_url}?execution_id={execution_id}"),
        failure_expanded: expanded.then(|| details.collect()),
        execution_id,
        run_id,
        test_id,
        test_url,
        tags,
    }
}
