//! What is kept with a test under names (`avocado.md` 5.5).

use crate::State;
use crate::error::ApiError;
use crate::fields::{Blank, Fields, Forms};
use crate::job_tests;
use crate::visit::{Address, Visit};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_app::Listed;
use casebook_app::avocado::records::{Batch, Of, Record};
use casebook_app::avocado::{Db, notes};
use serde::Serialize;
use serde_json::{Value, json};

/// Longest category and key, in characters.
const LONGEST: usize = 255;

/// Category of what names none.
const DEFAULT: &str = "default";

/// What is kept under a name; the value in base64.
#[derive(Serialize)]
pub(crate) struct DatumRow {
    test: i64,
    category: String,
    key: String,
    value: Option<String>,
}

/// `GET /jobs/{job}/tests/{test}/data/`
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address((key, test)): Address<(String, String)>,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    let list = move |db: &mut Db<'_>, page| {
        let (job, test) = job_tests::named(db, suite, &key, &test)?;
        let listed = notes::data(db, suite, job.no, test.no, page)?;
        let row = |datum: notes::Datum| DatumRow {
            test: test.no,
            category: datum.category,
            key: datum.name,
            value: datum.value.map(|value| STANDARD.encode(value)),
        };
        Ok(Listed { items: listed.items.into_iter().map(row).collect(), total: listed.total })
    };
    state.collection(visit, list, |row: DatumRow| row).await
}

/// `POST /jobs/{job}/tests/{test}/data/`
pub(crate) async fn add(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address((job, test)): Address<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let mut fields = Fields::receive(&state.bodies, &headers, body, Forms::Allowed).await?;
    let suite = visit.suite.id;
    let (job, test) = state.read(move |db| job_tests::named(db, suite, &job, &test)).await?;
    let category = fields.text_if_given("category", LONGEST, Blank::Refused);
    let name = fields.text("key", LONGEST, Blank::Refused);
    let value = match fields.raw("value") {
        Some(Value::Null) => None,
        Some(Value::String(text)) if !text.contains('\0') => Some(text.clone()),
        Some(_) => {
            fields.refuse("value", "Not a valid string.");
            None
        }
        None => fields.require("value").map(|_| String::new()),
    };
    fields.finish()?;
    let Some(name) = name else { return Err(ApiError::not_found()) };
    let category = category.unwrap_or_else(|| DEFAULT.to_owned());
    let records = vec![Record::Datum { of: Of::Test(test.no), category, name, value }];
    let batch = Batch { job: job.key, records, repeatable: false };
    let kept = state.app.keep(&visit.suite, visit.branches.as_deref(), batch, Vec::new()).await;
    kept.map_err(|error| job_tests::refusal(error, "test, category, key"))?;
    Ok(Json(json!({ "status": "test data added" })))
}
