//! Activities of jobs and of tests (`avocado.md` 4.8, 4.9 and 5.4).

use crate::State;
use crate::error::ApiError;
use crate::fields::{Blank, Fields, Forms, as_text};
use crate::job_tests;
use crate::jobs::{self, JobActivityRow};
use crate::time;
use crate::visit::{Address, Visit};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::HeaderMap;
use axum::response::Response;
use casebook_app::Listed;
use casebook_app::avocado::records::{Batch, Of, Record};
use casebook_app::avocado::tests::Test;
use casebook_app::avocado::{Db, Ending, notes};
use casebook_model::avocado::TestStatus;
use serde::Serialize;
use serde_json::{Value, json};

/// Longest activity below a collection, in characters; the releases do not check it.
const LONGEST: usize = 255;

/// Longest activity of the two actions, in characters.
pub(crate) const LONGEST_OF_ACTION: usize = 20;

pub(crate) const UNIQUE_OF_TEST: &str = "test, activity, time, status";
const UNIQUE_OF_JOB: &str = "job, activity, time";

/// An activity of a test.
#[derive(Serialize)]
pub(crate) struct TestActivityRow {
    test: i64,
    activity: String,
    time: String,
    status: Option<&'static str>,
}

/// `GET /jobs/{job}/activities/`
pub(crate) async fn of_job(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    let list = move |db: &mut Db<'_>, page| {
        let job = jobs::named(db, suite, &key)?;
        let listed = notes::activities(db, suite, job.no, None, page)?;
        let row = |note: notes::Note| JobActivityRow {
            job: job.key.clone(),
            activity: note.activity,
            time: time::write(note.at),
        };
        Ok(Listed { items: listed.items.into_iter().map(row).collect(), total: listed.total })
    };
    state.collection(visit, list, |row: JobActivityRow| row).await
}

/// `POST /jobs/{job}/activities/`
pub(crate) async fn add_to_job(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let fields = Fields::receive(&state.bodies, &headers, body, Forms::Allowed).await?;
    keep_with_job(&state, visit, key, fields, LONGEST).await
}

/// `POST /jobs/{job}/activity/`: the body names the job.
pub(crate) async fn add_to_named_job(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let mut fields = Fields::receive(&state.bodies, &headers, body, Forms::Allowed).await?;
    let suite = visit.suite.id;
    let told = if fields.has("job") { fields.require("job") } else { None };
    let mut job = None;
    if let Some(told) = &told {
        let name = as_text(told).unwrap_or_default();
        job = state.read(move |db| jobs::referred_to(db, suite, &name)).await?;
        if job.is_none() {
            fields.refuse_reference("job", told);
        }
    }
    keep_with_job(&state, visit, job.map_or(key, |job| job.key), fields, LONGEST_OF_ACTION).await
}

async fn keep_with_job(
    state: &State,
    visit: Visit,
    key: String,
    mut fields: Fields,
    longest: usize,
) -> Result<Json<Value>, ApiError> {
    let suite = visit.suite.id;
    let activity = fields.text("activity", longest, Blank::Refused);
    let at = fields.time("time", &state.zone);
    let (Some(activity), Some(at)) = (activity, at) else {
        // An unknown job weighs more than wrong fields.
        state.read(move |db| jobs::named(db, suite, &key)).await?;
        fields.finish()?;
        return Err(ApiError::not_found());
    };
    fields.finish()?;
    let records = vec![Record::Activity { of: Of::Job, activity, at, status: None }];
    state.keep(&visit, key, records, false, None, UNIQUE_OF_JOB).await?;
    Ok(Json(json!({ "status": "job activity added" })))
}

/// `GET /jobs/{job}/tests/{test}/activities/`
pub(crate) async fn of_test(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address((key, test)): Address<(String, String)>,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    let list = move |db: &mut Db<'_>, page| {
        let (job, test) = job_tests::named(db, suite, &key, &test)?;
        let listed = notes::activities(db, suite, job.no, Some(test.no), page)?;
        let row = |note: notes::Note| TestActivityRow {
            test: test.no,
            activity: note.activity,
            time: time::write(note.at),
            status: note.status.map(TestStatus::as_str),
        };
        Ok(Listed { items: listed.items.into_iter().map(row).collect(), total: listed.total })
    };
    state.collection(visit, list, |row: TestActivityRow| row).await
}

/// `POST /jobs/{job}/tests/{test}/activities/`
pub(crate) async fn add_to_test(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address((key, test)): Address<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let mut fields = Fields::receive(&state.bodies, &headers, body, Forms::Allowed).await?;
    let suite = visit.suite.id;
    let (job, test) = state.read(move |db| job_tests::named(db, suite, &key, &test)).await?;
    let activity = fields.text("activity", LONGEST, Blank::Refused);
    let at = fields.time("time", &state.zone);
    let word = fields.raw("status").filter(|word| !word.is_null()).cloned();
    fields.finish()?;
    let status = match word {
        Some(word) => Some(word.as_str().and_then(TestStatus::from_word).ok_or_else(ApiError::not_found)?),
        None => None,
    };
    let (Some(activity), Some(at)) = (activity, at) else { return Err(ApiError::not_found()) };
    let record = Record::Activity { of: Of::Test(test.no), activity, at, status };
    keep_with_test(&state, &visit, job.key, &test, record).await
}

/// Keeps an activity of a test that was just read.
pub(crate) async fn keep_with_test(
    state: &State,
    visit: &Visit,
    job: String,
    test: &Test,
    record: Record,
) -> Result<Json<Value>, ApiError> {
    let ending = match &record {
        // A test without a status gets the one that the activity tells.
        Record::Activity { status: Some(status), at, .. } if test.status.is_none() => {
            Some(Ending { tag: test.tag.clone(), status: *status, at: Some(*at), duration_us: None })
        }
        _ => None,
    };
    let batch = Batch { job, records: vec![record], repeatable: false };
    let kept =
        state.app.keep(&visit.suite, visit.branches.as_deref(), batch, ending.into_iter().collect()).await;
    kept.map_err(|error| job_tests::refusal(error, UNIQUE_OF_TEST))?;
    Ok(Json(json!({ "status": "test activity added" })))
}
