//! Tests with their metrics (`buildkite.md` 11.4).

use crate::address::Address;
use crate::error::ApiError;
use crate::pagination::{Pager, Query};
use crate::window::{self, wants_metrics};
use crate::{State, question, readable_suite, suite_url, suite_web_url};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::response::Response;
use casebook_app::tests::{ShownTest, TestFilter, TestOrder, mean_seconds, reliability};
use casebook_app::{App, Listed};
use casebook_http::Caller;
use casebook_model::disposition::Disposition;
use casebook_model::public_id::Subject;
use casebook_model::rollup::RollupCell;
use casebook_model::run::Protocol;
use casebook_model::suite::Suite;
use casebook_model::test::Spelling;
use serde::Serialize;

/// A test on the wire; `find` leaves the labels out too.
#[derive(Serialize)]
pub(crate) struct TestJson {
    id: String,
    url: String,
    web_url: String,
    scope: String,
    name: String,
    location: Option<String>,
    file_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<String>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics>,
}

/// What happened to a test in the window.
#[derive(Serialize)]
struct Metrics {
    reliability: Option<f64>,
    duration_avg: Option<f64>,
    duration_sum: Option<f64>,
    duration_min: Option<f64>,
    duration_max: Option<f64>,
    executions_count: u64,
    executions_count_by_result: ResultCounts,
}

/// The first two always, the others only when there are any.
#[derive(Serialize)]
struct ResultCounts {
    passed: u64,
    failed: u64,
    #[serde(skip_serializing_if = "is_zero")]
    skipped: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pending: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unknown: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Metrics {
    fn new(cell: &RollupCell) -> Self {
        let timed = cell.timed > 0;
        let seconds = |us: u64| timed.then_some(us as f64 / 1e6);
        Self {
            reliability: reliability(cell),
            duration_avg: mean_seconds(cell),
            duration_sum: seconds(cell.duration_sum_us),
            duration_min: seconds(cell.duration_min_us),
            duration_max: seconds(cell.duration_max_us),
            executions_count: cell.executions(),
            executions_count_by_result: ResultCounts {
                passed: cell.passed,
                failed: cell.failed + cell.error,
                skipped: cell.skipped - cell.pending,
                pending: cell.pending,
                unknown: cell.unknown,
            },
        }
    }
}

pub(crate) fn to_json(
    app: &App,
    suite: &Suite,
    shown: ShownTest,
    labels: bool,
    cell: Option<&RollupCell>,
) -> TestJson {
    let id = app.public_id(Subject::Test(suite.id, shown.test.id));
    TestJson {
        url: format!("{}/tests/{id}", suite_url(app, suite)),
        web_url: format!("{}/tests/{id}", suite_web_url(app, suite)),
        scope: shown.scope,
        name: shown.name,
        location: shown.test.attributes.location,
        file_name: shown.test.attributes.file,
        labels: labels.then_some(shown.labels),
        metrics: cell.map(Metrics::new),
        id,
    }
}

/// `GET .../tests`: every test, or, with the version header, those with executions in the window and their metrics.
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite)): Address<(String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    let suite = readable_suite(&state.app, &caller, &organization, &suite).await?;
    let pager = Pager::from_query(&query)?;
    let url = format!("{}/tests", suite_url(&state.app, &suite));
    let (id, page) = (suite.id, pager.page());
    let label = query.get("label").map(str::to_owned);
    if !wants_metrics(&caller.headers)? {
        let listed = state.app.tests(id, Protocol::Buildkite, label, page).await?;
        let rows = listed.items.into_iter();
        let items = rows.map(|shown| to_json(&state.app, &suite, shown, true, None)).collect();
        return Ok(pager.answer(&url, &query, &Listed { items, total: listed.total }));
    }

    let window = window::from_query(&suite, &query, state.app.now())?;
    let filter = filter_from_query(&query)?;
    let order = order_from_query(&query)?;
    let listed = state.app.tests_in(id, Protocol::Buildkite, window, filter, order, page).await?;
    let rows = listed.items.into_iter();
    let items = rows.map(|(shown, cell)| to_json(&state.app, &suite, shown, true, Some(&cell))).collect();
    Ok(pager.answer(&url, &query, &Listed { items, total: listed.total }))
}

/// `GET .../tests/{test}`
pub(crate) async fn find(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite, test)): Address<(String, String, String)>,
    query: Query,
) -> Result<Json<TestJson>, ApiError> {
    let suite = readable_suite(&state.app, &caller, &organization, &suite).await?;
    let window = match wants_metrics(&caller.headers)? {
        true => Some(window::from_query(&suite, &query, state.app.now())?),
        false => None,
    };
    let found = state.app.test(suite.id, &test, Protocol::Buildkite, window).await?;
    let (shown, cell) = found.ok_or(ApiError::NotFound("no such test"))?;
    Ok(Json(to_json(&state.app, &suite, shown, true, cell.as_ref())))
}

/// What `find` takes.
#[derive(serde::Deserialize)]
struct Wanted {
    #[serde(default)]
    scope: Option<String>,
    name: String,
}

/// `POST .../tests/find`: the test with a scope and name, without labels and metrics.
pub(crate) async fn find_by_name(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite)): Address<(String, String)>,
    body: Body,
) -> Result<Json<TestJson>, ApiError> {
    let suite = readable_suite(&state.app, &caller, &organization, &suite).await?;
    let wanted: Wanted = question::read(body, "scope and name").await?;
    let spelling = Spelling {
        protocol: Protocol::Buildkite,
        scope: wanted.scope.unwrap_or_default().into(),
        name: wanted.name.into(),
    };
    let found = state.app.test_by_spelling(suite.id, spelling).await?;
    let shown = found.ok_or(ApiError::NotFound("no such test"))?;
    Ok(Json(to_json(&state.app, &suite, shown, false, None)))
}

fn filter_from_query(query: &Query) -> Result<TestFilter, ApiError> {
    let mut filter = TestFilter::default();
    match (query.get("label"), query.get("labels")) {
        (Some(_), Some(_)) => return Err(ApiError::BadRequest("give either label or labels".to_owned())),
        (Some(label), None) => filter.with.push(label.to_owned()),
        (None, Some(labels)) => {
            for label in labels.split(',').map(str::trim).filter(|label| !label.is_empty()) {
                match label.strip_prefix('!') {
                    Some(label) => filter.without.push(label.to_owned()),
                    None => filter.with.push(label.to_owned()),
                }
            }
        }
        (None, None) => {}
    }
    for owner in query.get("owners").unwrap_or("").split(',').map(str::trim).filter(|owner| !owner.is_empty())
    {
        match owner.strip_prefix('!') {
            Some(owner) => filter.not_owners.push(owner.to_owned()),
            None => filter.owners.push(owner.to_owned()),
        }
    }
    filter.disposition = match query.get("state") {
        None => None,
        Some("enabled") => Some(Disposition::Active),
        Some("muted") => Some(Disposition::Muted),
        Some("skipped") => Some(Disposition::Skipped),
        Some(_) => return Err(ApiError::BadRequest("state must be enabled, muted or skipped".to_owned())),
    };
    Ok(filter)
}

fn order_from_query(query: &Query) -> Result<TestOrder, ApiError> {
    let by: fn(&RollupCell) -> Option<f64> = match query.get("sort_by").unwrap_or("duration_avg") {
        "duration_avg" => mean_seconds,
        "duration_sum" => |cell| (cell.timed > 0).then_some(cell.duration_sum_us as f64),
        "duration_min" => |cell| (cell.timed > 0).then_some(cell.duration_min_us as f64),
        "duration_max" => |cell| (cell.timed > 0).then_some(cell.duration_max_us as f64),
        "reliability" => reliability,
        _ => {
            let message =
                "sort_by must be duration_avg, duration_sum, duration_min, duration_max or reliability";
            return Err(ApiError::BadRequest(message.to_owned()));
        }
    };
    let ascending = match query.get("order").unwrap_or("desc") {
        "asc" => true,
        "desc" => false,
        _ => return Err(ApiError::BadRequest("order must be asc or desc".to_owned())),
    };
    Ok(TestOrder { by, ascending })
}
