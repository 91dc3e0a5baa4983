//! The two tables of statuses, which never change (`avocado.md` 2.3 and 3).

use crate::State;
use crate::error::ApiError;
use crate::visit::{Address, Visit, row_number};
use axum::Json;
use axum::extract;
use axum::response::Response;
use casebook_app::{Listed, Page};
use casebook_model::avocado::{JobStatus, TestStatus};
use serde::Serialize;

/// A row of a table.
#[derive(Clone, Serialize)]
pub(crate) struct Row {
    name: &'static str,
    description: &'static str,
}

fn job_rows() -> Vec<Row> {
    let row = |status: &JobStatus| Row { name: status.as_str(), description: status.description() };
    JobStatus::ALL.iter().map(row).collect()
}

fn test_rows() -> Vec<Row> {
    let row = |status: &TestStatus| Row { name: status.as_str(), description: status.description() };
    TestStatus::ALL.iter().map(row).collect()
}

fn page(rows: &[Row], page: Page) -> Listed<Row> {
    let (offset, limit) = (page.offset.max(0) as usize, page.limit.max(0) as usize);
    Listed { items: rows.iter().skip(offset).take(limit).cloned().collect(), total: rows.len() as i64 }
}

fn nth(rows: Vec<Row>, number: &str) -> Result<Json<Row>, ApiError> {
    let index = row_number(number)? as usize - 1;
    rows.into_iter().nth(index).map(Json).ok_or_else(ApiError::not_found)
}

/// `GET /jobstatuses/`
pub(crate) async fn jobs(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Response, ApiError> {
    state.collection(visit, |_, wanted| Ok(page(&job_rows(), wanted)), |row| row).await
}

/// `GET /jobstatuses/{row}/`
pub(crate) async fn job(Address(row): Address<String>) -> Result<Json<Row>, ApiError> {
    nth(job_rows(), &row)
}

/// `GET /teststatuses/`
pub(crate) async fn tests(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Response, ApiError> {
    state.collection(visit, |_, wanted| Ok(page(&test_rows(), wanted)), |row| row).await
}

/// `GET /teststatuses/{row}/`
pub(crate) async fn test(Address(row): Address<String>) -> Result<Json<Row>, ApiError> {
    nth(test_rows(), &row)
}
