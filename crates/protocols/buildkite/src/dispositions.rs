//! Mute, skip, enable, and labels (`buildkite.md` 11, 11.4 and 13.5).

use crate::address::Address;
use crate::error::ApiError;
use crate::pagination::{Pager, Query};
use crate::tests::{TestJson, to_json};
use crate::{State, question, suite_url, writable_suite};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::response::Response;
use casebook_app::Listed;
use casebook_app::dispositions::LabelChange;
use casebook_http::Caller;
use casebook_model::disposition::Disposition;
use casebook_model::run::Protocol;
use serde::Deserialize;

/// Labels in one request at most, and the bytes of each.
const MOST_LABELS: usize = 50;
const LONGEST_LABEL: usize = 255;

/// Organization, suite and test of an address.
type TestAddress = Address<(String, String, String)>;

/// `PUT .../tests/{test}/mute`
pub(crate) async fn mute(
    state: extract::State<State>,
    caller: Caller,
    address: TestAddress,
) -> Result<Json<TestJson>, ApiError> {
    decide(state, caller, address, Disposition::Muted).await
}

/// `PUT .../tests/{test}/skip`
pub(crate) async fn skip(
    state: extract::State<State>,
    caller: Caller,
    address: TestAddress,
) -> Result<Json<TestJson>, ApiError> {
    decide(state, caller, address, Disposition::Skipped).await
}

/// `PUT .../tests/{test}/enable`
pub(crate) async fn enable(
    state: extract::State<State>,
    caller: Caller,
    address: TestAddress,
) -> Result<Json<TestJson>, ApiError> {
    decide(state, caller, address, Disposition::Active).await
}

async fn decide(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite, test)): TestAddress,
    disposition: Disposition,
) -> Result<Json<TestJson>, ApiError> {
    let suite = writable_suite(&state.app, &caller, &organization, &suite).await?;
    let shown = state.app.decide(suite.id, &test, Protocol::Buildkite, disposition).await?;
    let shown = shown.ok_or(ApiError::NotFound("no such test"))?;
    Ok(Json(to_json(&state.app, &suite, shown, false, None)))
}

/// `GET .../tests/muted` (and `PUT`, as the public page shows it)
pub(crate) async fn muted(
    state: extract::State<State>,
    caller: Caller,
    address: Address<(String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    list(state, caller, address, query, Disposition::Muted).await
}

/// `GET .../tests/skipped` (and `PUT`, as the public page shows it)
pub(crate) async fn skipped(
    state: extract::State<State>,
    caller: Caller,
    address: Address<(String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    list(state, caller, address, query, Disposition::Skipped).await
}

async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite)): Address<(String, String)>,
    query: Query,
    disposition: Disposition,
) -> Result<Response, ApiError> {
    let suite = crate::readable_suite(&state.app, &caller, &organization, &suite).await?;
    let pager = Pager::from_query(&query)?;
    let listed = state.app.tests_with(suite.id, Protocol::Buildkite, disposition, pager.page()).await?;
    let rows = listed.items.into_iter();
    let items = rows.map(|shown| to_json(&state.app, &suite, shown, false, None)).collect();
    let url = format!("{}/tests/{disposition}", suite_url(&state.app, &suite));
    Ok(pager.answer(&url, &query, &Listed { items, total: listed.total }))
}

/// What `PATCH .../labels` takes.
#[derive(Deserialize)]
struct LabelsWanted {
    operator: String,
    labels: Vec<String>,
}

/// `PATCH .../tests/{test}/labels`
pub(crate) async fn labels(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite, test)): TestAddress,
    body: Body,
) -> Result<Json<TestJson>, ApiError> {
    let suite = writable_suite(&state.app, &caller, &organization, &suite).await?;
    let wanted: LabelsWanted = question::read(body, "operator and labels").await?;
    let good =
        |label: &String| !label.trim().is_empty() && label.len() <= LONGEST_LABEL && !label.contains('\0');
    if wanted.labels.is_empty() || wanted.labels.len() > MOST_LABELS || !wanted.labels.iter().all(good) {
        return Err(ApiError::Unprocessable(format!(
            "labels must be 1 to {MOST_LABELS} texts that are not blank and have at most {LONGEST_LABEL} bytes"
        )));
    }
    let change = match wanted.operator.as_str() {
        "add" => LabelChange::Add(wanted.labels),
        "remove" => LabelChange::Remove(wanted.labels),
        _ => return Err(ApiError::Unprocessable("operator must be add or remove".to_owned())),
    };
    let shown = state.app.change_labels(suite.id, &test, Protocol::Buildkite, change).await?;
    let shown = shown.ok_or(ApiError::NotFound("no such test"))?;
    Ok(Json(to_json(&state.app, &suite, shown, true, None)))
}
