//! `POST /jobs/{job}/test_activity/`, in both of its forms (`avocado.md` 5.6 and 6.2).

use crate::State;
use crate::activities::{LONGEST_OF_ACTION, keep_with_test};
use crate::error::ApiError;
use crate::fields::{Blank, Fields, Forms, as_integer, as_text};
use crate::jobs;
use crate::visit::{Address, Visit};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::HeaderMap;
use casebook_app::Page;
use casebook_app::avocado::jobs::Job;
use casebook_app::avocado::records::{Of, Record};
use casebook_app::avocado::{Db, Ending, notes, tests};
use casebook_model::avocado::TestStatus;
use casebook_model::id::SuiteId;
use casebook_model::time::Timestamp;
use serde_json::{Value, json};

/// Longest tag and activity by tag that are kept, in characters; longer ones are cut.
const LONGEST_BY_TAG: usize = 255;

/// What journals call the beginning of a test.
const STARTED: &str = "STARTED";

/// `POST /jobs/{job}/test_activity/`
pub(crate) async fn add(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(key): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let fields = Fields::receive(&state.bodies, &headers, body, Forms::Allowed).await?;
    if fields.has("test_tag") {
        return by_tag(&state, &visit, key, fields).await;
    }
    let suite = visit.suite.id;
    let job = state.read(move |db| jobs::named(db, suite, &key)).await?;
    by_number(&state, &visit, job, fields).await
}

async fn by_number(
    state: &State,
    visit: &Visit,
    job: Job,
    mut fields: Fields,
) -> Result<Json<Value>, ApiError> {
    let suite = visit.suite.id;
    let told = fields.require("test");
    let mut test = None;
    if let Some(told) = told {
        if let Some(number) = as_integer(&told) {
            let job = job.no;
            test = state.read(move |db| Ok(tests::find(db, suite, job, number)?)).await?;
        }
        if test.is_none() {
            fields.refuse_reference("test", &told);
        }
    }
    let activity = fields.text("activity", LONGEST_OF_ACTION, Blank::Refused);
    let at = fields.time("time", &state.zone);
    let status = match fields.raw("status") {
        None | Some(Value::Null) => None,
        Some(_) => fields.named("status", TestStatus::from_word),
    };
    fields.finish()?;
    let (Some(test), Some(activity), Some(at)) = (test, activity, at) else {
        return Err(ApiError::not_found());
    };
    let record = Record::Activity { of: Of::Test(test.no), activity, at, status };
    keep_with_test(state, visit, job.key, &test, record).await
}

/// The form of the journal tool, which sends a row again for ever until it is answered with 200: the test is made, an
/// unknown status is none, what is too long is cut, and what is there already is left as it is.
async fn by_tag(
    state: &State,
    visit: &Visit,
    key: String,
    mut fields: Fields,
) -> Result<Json<Value>, ApiError> {
    let cut = |value: Option<&Value>| {
        let text = value.and_then(as_text).unwrap_or_default().replace('\0', "");
        text.chars().take(LONGEST_BY_TAG).collect::<String>()
    };
    let (tag, activity) = (cut(fields.raw("test_tag")), cut(fields.raw("activity")));
    if tag.is_empty() {
        fields.refuse("test_tag", "This field may not be blank.");
    }
    if activity.is_empty() {
        let _ = fields.text("activity", LONGEST_BY_TAG, Blank::Refused);
    }
    let at = fields.time("time", &state.zone);
    let word = fields.raw("status").and_then(Value::as_str);
    let status = word.and_then(TestStatus::from_any_word);
    let Some(at) = at.filter(|_| !fields.is_wrong()) else {
        let suite = visit.suite.id;
        state.read(move |db| jobs::named(db, suite, &key)).await?;
        return fields.finish().and(Err(ApiError::not_found()));
    };
    let mut ending = None;
    if let Some(status) = status {
        let (suite, key, told) = (visit.suite.id, key.clone(), tag.clone());
        let started = state.read(move |db| started(db, suite, &key, &told)).await?;
        let duration = started.map(|started| at.as_microseconds() - started.as_microseconds());
        let duration_us = duration.filter(|duration| *duration >= 0);
        ending = Some(Ending { tag: tag.clone(), status, at: Some(at), duration_us });
    }
    let records = vec![Record::Activity { of: Of::Tag(tag), activity, at, status }];
    state.keep(visit, key, records, true, ending, "").await?;
    Ok(Json(json!({ "status": "test activity added" })))
}

/// When a test began, if its journal said so.
fn started(db: &mut Db<'_>, suite: SuiteId, job: &str, tag: &str) -> Result<Option<Timestamp>, ApiError> {
    let job = jobs::named(db, suite, job)?.no;
    let Some(test) = tests::find_by_tag(db, suite, job, tag)? else { return Ok(None) };
    let page = Page { offset: 0, limit: 100 };
    let notes = notes::activities(db, suite, job, Some(test.no), page)?;
    Ok(notes.items.iter().rev().find(|note| note.activity == STARTED).map(|note| note.at))
}
