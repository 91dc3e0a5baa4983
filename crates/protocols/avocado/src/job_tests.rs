//! The tests of a job (`avocado.md` 5.1 to 5.3).

use crate::State;
use crate::error::ApiError;
use crate::fields::{Blank, Fields, Forms, as_text};
use crate::jobs::{self, SummaryRow};
use crate::pagination::ordering;
use crate::visit::{Address, Visit, row_number};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use casebook_app::avocado::jobs::Job;
use casebook_app::avocado::records::{self, Batch, Record};
use casebook_app::avocado::tests::{self, Test, TestField};
use casebook_app::avocado::{Db, Ending, Refusal};
use casebook_app::uploads::NotRecorded;
use casebook_model::avocado::TestStatus;
use casebook_model::id::SuiteId;
use serde::Serialize;
use serde_json::{Value, json};

/// Longest tag, in characters.
const LONGEST_TAG: usize = 255;

/// A test of a job.
#[derive(Serialize)]
pub(crate) struct TestRow {
    id: i64,
    job: String,
    tag: String,
    status: Option<&'static str>,
}

impl TestRow {
    pub(crate) fn new(job: &str, test: Test) -> Self {
        let Test { no, tag, status } = test;
        Self { id: no, job: job.to_owned(), tag, status: status.map(TestStatus::as_str) }
    }
}

/// The test that an address names, and its job.
pub(crate) fn named(db: &mut Db<'_>, suite: SuiteId, job: &str, test: &str) -> Result<(Job, Test), ApiError> {
    let job = jobs::named(db, suite, job)?;
    let test = tests::find(db, suite, job.no, row_number(test)?)?.ok_or_else(ApiError::not_found)?;
    Ok((job, test))
}

impl State {
    /// Keeps records of the job that `key` stands for. It nearly always is the id, so that is looked up only if it is not.
    pub(crate) async fn keep(
        &self,
        visit: &Visit,
        key: String,
        records: Vec<Record>,
        repeatable: bool,
        ending: Option<Ending>,
        unique: &str,
    ) -> Result<(), ApiError> {
        let endings: Vec<Ending> = ending.into_iter().collect();
        let (app, branches) = (&self.app, visit.branches.as_deref());
        let batch = Batch { job: key.clone(), records: records.clone(), repeatable };
        let kept = app.keep(&visit.suite, branches, batch, endings.clone()).await;
        let no_job = Refusal::Avocado(records::Refusal::NoJob);
        if !matches!(&kept, Err(NotRecorded::Refused(refused)) if *refused == no_job) {
            return kept.map(|_| ()).map_err(|error| refusal(error, unique));
        }
        let suite = visit.suite.id;
        let job = self.read(move |db| jobs::named(db, suite, &key)).await?;
        let batch = Batch { job: job.key, records, repeatable };
        let kept = app.keep(&visit.suite, branches, batch, endings).await;
        kept.map(|_| ()).map_err(|error| refusal(error, unique))
    }
}

/// A refusal of what belongs to a job.
pub(crate) fn refusal(error: NotRecorded, unique: &str) -> ApiError {
    let NotRecorded::Refused(Refusal::Avocado(refusal)) = error else { return error.into() };
    match refusal {
        records::Refusal::NoJob | records::Refusal::NoTest => ApiError::not_found(),
        records::Refusal::TagTaken => ApiError::not_unique("job, tag"),
        records::Refusal::Repeated => ApiError::not_unique(unique),
        records::Refusal::IdTaken | records::Refusal::IdentTaken => ApiError::conflict(),
    }
}

/// `GET /jobs/{job}/tests/`
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    let order = ordering(&visit, |name| match name {
        "tag" => Some(TestField::Tag),
        "status" => Some(TestField::Status),
        _ => None,
    });
    let list = move |db: &mut Db<'_>, page| {
        let job = jobs::named(db, suite, &key)?;
        let listed = tests::list(db, suite, &job, &order, page)?;
        let items = listed.items.into_iter().map(|test| TestRow::new(&job.key, test)).collect();
        Ok(casebook_app::Listed { items, total: listed.total })
    };
    state.collection(visit, list, |row: TestRow| row).await
}

/// `POST /jobs/{job}/tests/`
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let mut fields = Fields::receive(&state.bodies, &headers, body, Forms::Allowed).await?;
    let tag = fields.text("tag", LONGEST_TAG, Blank::Refused);
    let word = match fields.raw("status") {
        Some(word) => word.clone(),
        None => {
            let _ = fields.require("status");
            Value::Null
        }
    };
    if fields.is_wrong() {
        // An unknown job weighs more than wrong fields.
        let suite = visit.suite.id;
        state.read(move |db| jobs::named(db, suite, &key)).await?;
        return fields.finish().and(Err(ApiError::not_found()));
    }
    let status = word.as_str().and_then(TestStatus::from_word).ok_or_else(ApiError::not_found)?;
    let tag = tag.unwrap_or_default();
    let ending = Ending { tag: tag.clone(), status, at: None, duration_us: None };
    let records = vec![Record::Test { tag, status: Some(status) }];
    state.keep(&visit, key, records, false, Some(ending), "job, tag").await?;
    Ok(Json(json!({ "status": "test added" })))
}

/// `GET /jobs/{job}/tests/summary/`
pub(crate) async fn summary(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
) -> Result<Json<SummaryRow>, ApiError> {
    let suite = visit.suite.id;
    let job = state.read(move |db| jobs::named(db, suite, &key)).await?;
    Ok(Json(job.summary().into()))
}

/// `GET /jobs/{job}/tests/{test}/`
pub(crate) async fn find(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address((key, test)): Address<(String, String)>,
) -> Result<Json<TestRow>, ApiError> {
    let suite = visit.suite.id;
    let (job, test) = state.read(move |db| named(db, suite, &key, &test)).await?;
    Ok(Json(TestRow::new(&job.key, test)))
}

/// `PUT /jobs/{job}/tests/{test}/`
pub(crate) async fn replace(
    state: extract::State<State>,
    visit: Visit,
    address: Address<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TestRow>, ApiError> {
    update(state, visit, address, headers, body, Method::PUT).await
}

/// `PATCH /jobs/{job}/tests/{test}/`
pub(crate) async fn change(
    state: extract::State<State>,
    visit: Visit,
    address: Address<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TestRow>, ApiError> {
    update(state, visit, address, headers, body, Method::PATCH).await
}

async fn update(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address((key, number)): Address<(String, String)>,
    headers: HeaderMap,
    body: Body,
    method: Method,
) -> Result<Json<TestRow>, ApiError> {
    let mut fields = Fields::receive(&state.bodies, &headers, body, Forms::Refused).await?;
    let suite = visit.suite.id;
    let told = if method == Method::PUT { fields.require("job") } else { fields.raw("job").cloned() };
    let asked = told.clone();
    let (job, test, is_other) = state
        .read(move |db| {
            let (job, test) = named(db, suite, &key, &number)?;
            // A key that stands for no job is told apart from one that stands for another.
            let is_other = match &asked {
                Some(told) => {
                    let told = as_text(told).unwrap_or_default();
                    jobs::referred_to(db, suite, &told)?.map(|other| other.no != job.no)
                }
                None => Some(false),
            };
            Ok((job, test, is_other))
        })
        .await?;
    match is_other {
        Some(false) => {}
        Some(true) => fields.refuse("job", "A test cannot be moved to another job."),
        None => fields.refuse_reference("job", &told.unwrap_or_default()),
    }
    let needed = |fields: &Fields, name: &str| method == Method::PUT || fields.has(name);
    let tag = if needed(&fields, "tag") { fields.text("tag", LONGEST_TAG, Blank::Refused) } else { None };
    let status = if needed(&fields, "status") { fields.named("status", TestStatus::from_word) } else { None };
    fields.finish()?;
    let changed = Test { no: test.no, tag: tag.clone().unwrap_or(test.tag), status: status.or(test.status) };
    // The execution was made when a status was first known; history does not change.
    let ending = status.filter(|_| test.status.is_none()).map(|status| Ending {
        tag: changed.tag.clone(),
        status,
        at: None,
        duration_us: None,
    });
    let records = vec![Record::Change { test: test.no, tag, status }];
    let batch = Batch { job: job.key.clone(), records, repeatable: false };
    let kept =
        state.app.keep(&visit.suite, visit.branches.as_deref(), batch, ending.into_iter().collect()).await;
    kept.map_err(|error| refusal(error, "job, tag"))?;
    Ok(Json(TestRow::new(&job.key, changed)))
}

/// `DELETE /jobs/{job}/tests/{test}/`
pub(crate) async fn remove(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address((key, test)): Address<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let suite = visit.suite.id;
    state
        .write(move |db| {
            let (job, test) = named(db, suite, &key, &test)?;
            let removed = tests::remove(db, suite, &job.key, test.no)?;
            removed.then_some(StatusCode::NO_CONTENT).ok_or_else(ApiError::not_found)
        })
        .await
}
