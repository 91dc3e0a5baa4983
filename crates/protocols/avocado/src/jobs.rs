//! Jobs (`avocado.md` 4).

use crate::State;
use crate::error::ApiError;
use crate::fields::{Blank, Fields, Forms};
use crate::job_tests::TestRow;
use crate::pagination::ordering;
use crate::time;
use crate::visit::{Address, Visit};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use casebook_app::avocado::jobs::{self, Found, Job, JobAttributes, JobField, WholeJob};
use casebook_app::avocado::records::{self, Batch, NewJob, Record};
use casebook_app::avocado::{Db, Refusal, Summary};
use casebook_app::secrets;
use casebook_app::uploads::NotRecorded;
use casebook_model::avocado::{JobStatus, Priority};
use casebook_model::id::SuiteId;
use serde::Serialize;

/// Longest id and `uniqueident`, in characters.
const LONGEST_ID: usize = 40;

/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 255;

/// No job can have this id: its address is that of the summary.
const SUMMARY: &str = "summary";

const TAKEN: &str = "This field must be unique.";

/// A job, with what clients of every generation read.
#[derive(Serialize)]
pub(crate) struct JobRow {
    id: String,
    description: Option<String>,
    time: String,
    elapsed_time: f64,
    status: Option<&'static str>,
    activities: Vec<JobActivityRow>,
    tests: Vec<TestRow>,
    name: Option<String>,
    uniqueident: String,
    timeout: i64,
    priority: Option<&'static str>,
}

/// An activity of a job.
#[derive(Serialize)]
pub(crate) struct JobActivityRow {
    pub(crate) job: String,
    pub(crate) activity: String,
    pub(crate) time: String,
}

/// How jobs or tests stand.
#[derive(Serialize)]
pub(crate) struct SummaryRow {
    passed: i64,
    failed: i64,
    other: i64,
}

impl From<Summary> for SummaryRow {
    fn from(Summary { passed, failed, other }: Summary) -> Self {
        Self { passed, failed, other }
    }
}

impl From<WholeJob> for JobRow {
    fn from(WholeJob { job, activities, tests }: WholeJob) -> Self {
        let JobAttributes { description, status, elapsed_seconds, timeout, priority } = job.attributes;
        let activity = |note: casebook_app::avocado::notes::Note| JobActivityRow {
            job: job.key.clone(),
            activity: note.activity,
            time: time::write(note.at),
        };
        Self {
            activities: activities.into_iter().map(activity).collect(),
            tests: tests.into_iter().map(|test| TestRow::new(&job.key, test)).collect(),
            id: job.key,
            name: description.clone(),
            description,
            time: time::write(job.created_at),
            elapsed_time: elapsed_seconds,
            status: status.map(JobStatus::as_str),
            uniqueident: job.unique_ident,
            timeout,
            priority: priority.map(Priority::as_str),
        }
    }
}

/// The job that a key in an address stands for.
pub(crate) fn named(db: &mut Db<'_>, suite: SuiteId, key: &str) -> Result<Job, ApiError> {
    match jobs::find(db, suite, key)? {
        Found::One(job) => Ok(*job),
        Found::Several => Err(ApiError::conflict()),
        Found::Nothing => Err(ApiError::not_found()),
    }
}

/// The job that a field of a body refers to; none if nothing, or several, could be meant.
pub(crate) fn referred_to(db: &mut Db<'_>, suite: SuiteId, key: &str) -> Result<Option<Job>, ApiError> {
    match jobs::find(db, suite, key)? {
        Found::One(job) => Ok(Some(*job)),
        Found::Several | Found::Nothing => Ok(None),
    }
}

/// `GET /jobs/`
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    let order = ordering(&visit, |name| match name {
        "time" => Some(JobField::Time),
        "status" => Some(JobField::Status),
        "elapsed_time" => Some(JobField::ElapsedTime),
        "description" => Some(JobField::Description),
        _ => None,
    });
    let list = move |db: &mut Db<'_>, page| Ok(jobs::list(db, suite, &order, page)?);
    state.collection(visit, list, JobRow::from).await
}

/// `GET /jobs/summary/`
pub(crate) async fn summary(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Json<SummaryRow>, ApiError> {
    let suite = visit.suite.id;
    let summary = state.read(move |db| Ok(jobs::summary(db, suite)?)).await?;
    Ok(Json(summary.into()))
}

/// `GET /jobs/{job}/`. The body is written out on a thread that may wait: it holds every test.
pub(crate) async fn find(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    let body = state.read(move |db| {
        let job = named(db, suite, &key)?;
        Ok(serde_json::to_vec(&JobRow::from(jobs::whole(db, suite, job)?)).unwrap_or_default())
    });
    let json = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, json)], body.await?).into_response())
}

/// `GET /jobs/{job}/passrate/`
pub(crate) async fn pass_rate(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let suite = visit.suite.id;
    let job = state.read(move |db| named(db, suite, &key)).await?;
    let rate = match job.tests() {
        0 => 0.0,
        all => (job.summary().passed as f64 / all as f64 * 10_000.0).round() / 100.0,
    };
    Ok(Json(serde_json::json!({ "passrate": rate })))
}

/// `GET /jobs/{job}/testcount/`
pub(crate) async fn test_count(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let suite = visit.suite.id;
    let job = state.read(move |db| named(db, suite, &key)).await?;
    Ok(Json(serde_json::json!({ "testcount": job.tests() })))
}

/// `POST /jobs/`
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    visit: Visit,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<JobRow>), ApiError> {
    let mut fields = Fields::receive(&state.bodies, &headers, body, Forms::Allowed).await?;
    let is_old_way = fields.has("name") || fields.has("uniqueident");
    let id = fields.text_if_given("id", LONGEST_ID, Blank::Refused);
    let unique_ident = fields.text_if_given("uniqueident", LONGEST_ID, Blank::Refused);
    let mut attributes =
        JobAttributes { description: None, status: None, elapsed_seconds: 0.0, timeout: 0, priority: None };
    read_attributes(&mut fields, &mut attributes, !is_old_way);
    if [&id, &unique_ident].into_iter().flatten().next().is_some_and(|id| id == SUMMARY) {
        fields.refuse(if id.is_some() { "id" } else { "uniqueident" }, TAKEN);
    }
    fields.finish()?;
    let made_up = || secrets::random::<20>().iter().map(|byte| format!("{byte:02x}")).collect();
    let from_ident = id.is_none() && unique_ident.is_some();
    let id = id.or_else(|| unique_ident.clone()).unwrap_or_else(made_up);
    let created_at = state.app.now();
    let job = NewJob { unique_ident: unique_ident.clone(), attributes: attributes.clone(), created_at };
    let batch = Batch { job: id.clone(), records: vec![Record::Job(job)], repeatable: false };
    let kept = state.app.keep(&visit.suite, visit.branches.as_deref(), batch, Vec::new()).await;
    kept.map_err(|error| match error {
        NotRecorded::Refused(Refusal::Avocado(records::Refusal::IdTaken)) if !from_ident => {
            ApiError::field("id", TAKEN)
        }
        NotRecorded::Refused(_) => ApiError::field("uniqueident", TAKEN),
        error => error.into(),
    })?;
    let ident = unique_ident.unwrap_or_else(|| id.clone());
    let job = Job::fresh(id, ident, attributes, created_at);
    let whole = WholeJob { job, activities: Vec::new(), tests: Vec::new() };
    Ok((StatusCode::CREATED, Json(whole.into())))
}

/// `PUT /jobs/{job}/`
pub(crate) async fn replace(
    state: extract::State<State>,
    visit: Visit,
    address: Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<JobRow>, ApiError> {
    update(state, visit, address, headers, body, Method::PUT).await
}

/// `PATCH /jobs/{job}/`
pub(crate) async fn change(
    state: extract::State<State>,
    visit: Visit,
    address: Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<JobRow>, ApiError> {
    update(state, visit, address, headers, body, Method::PATCH).await
}

async fn update(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
    headers: HeaderMap,
    body: Body,
    method: Method,
) -> Result<Json<JobRow>, ApiError> {
    let mut fields = Fields::receive(&state.bodies, &headers, body, Forms::Refused).await?;
    let suite = visit.suite.id;
    state
        .write(move |db| {
            let job = named(db, suite, &key)?;
            let changed = jobs::change(db, suite, &job.key, |attributes| {
                read_attributes(&mut fields, attributes, method == Method::PUT);
                fields.finish()
            })?;
            changed.map(|whole| Json(whole.into())).ok_or_else(ApiError::not_found)
        })
        .await
}

/// Takes over what the fields say; what they do not say stays.
fn read_attributes(fields: &mut Fields, attributes: &mut JobAttributes, needs_status: bool) {
    if needs_status || fields.raw("status").is_some_and(|status| !status.is_null()) {
        attributes.status = fields.named("status", JobStatus::from_word);
    } else if fields.has("status") && attributes.status.is_some() {
        fields.refuse("status", "This field may not be null.");
    }
    // Old clients call it a name.
    let name = if fields.has("description") { "description" } else { "name" };
    if let Some(description) = fields.text_or_null(name, LONGEST_DESCRIPTION) {
        attributes.description = description;
    }
    if let Some(seconds) = fields.number_if_given("elapsed_time") {
        attributes.elapsed_seconds = seconds;
    }
    if let Some(timeout) = fields.integer_if_given("timeout") {
        attributes.timeout = timeout.max(0);
    }
    if fields.raw("priority").is_some_and(|priority| !priority.is_null()) {
        attributes.priority = fields.named("priority", Priority::from_word);
    }
}

/// `DELETE /jobs/{job}/`
pub(crate) async fn remove(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
) -> Result<StatusCode, ApiError> {
    let suite = visit.suite.id;
    state
        .write(move |db| {
            let job = named(db, suite, &key)?;
            let removed = jobs::remove(db, suite, &job.key)?;
            removed.then_some(StatusCode::NO_CONTENT).ok_or_else(ApiError::not_found)
        })
        .await
}
