//! The small tables: collections whose rows clients read, make, replace, change and remove, all in the same way.

use crate::State;
use crate::error::ApiError;
use crate::fields::{Fields, Forms};
use crate::visit::{Address, Visit, row_number};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::routing::{delete, get, patch, post, put};
use casebook_app::avocado::{Db, Removal, Table};
use casebook_http::{Needs, Routes};
use casebook_model::id::SuiteId;
use serde::Serialize;

const IN_USE: &str = "A software component refers to it: change or delete that first.";

/// A small table as it is served.
pub(crate) trait Served: 'static {
    /// A row as it is kept.
    type Stored: Send + 'static;
    /// A row as it is answered.
    type Row: Serialize + From<Self::Stored> + Send + 'static;

    /// Where the rows are.
    const TABLE: Table<Self::Stored>;

    /// A row as the fields say; what a PATCH leaves out is as in `old`. None if something is wrong, which the fields note.
    fn read(
        db: &mut Db<'_>,
        suite: SuiteId,
        fields: &mut Fields,
        old: Option<&Self::Stored>,
        is_patch: bool,
    ) -> Result<Option<Self::Stored>, ApiError>;

    /// What is answered when there is an equal row.
    fn taken() -> ApiError;
}

/// The addresses of a table.
pub(crate) fn serve<T: Served>(routes: Routes<State>, path: &str) -> Routes<State> {
    let row = || format!("{path}{{row}}/");
    routes
        .with(Needs::Read, Method::GET, path, get(list::<T>))
        .with(Needs::Upload, Method::POST, path, post(make::<T>))
        .with(Needs::Read, Method::GET, row(), get(find::<T>))
        .with(Needs::Write, Method::PUT, row(), put(update::<T>))
        .with(Needs::Write, Method::PATCH, row(), patch(update::<T>))
        .with(Needs::Write, Method::DELETE, row(), delete(remove::<T>))
}

/// `GET` of the collection.
async fn list<T: Served>(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    state.collection(visit, move |db, page| Ok(T::TABLE.page(db, suite, page)?), T::Row::from).await
}

/// `GET` of one row.
async fn find<T: Served>(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(row): Address<String>,
) -> Result<Json<T::Row>, ApiError> {
    let (suite, number) = (visit.suite.id, row_number(&row)?);
    let found = state.read(move |db| Ok(T::TABLE.find(db, suite, number)?)).await?;
    found.map(|row| Json(row.into())).ok_or_else(ApiError::not_found)
}

/// `POST`.
async fn make<T: Served>(
    extract::State(state): extract::State<State>,
    visit: Visit,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<T::Row>), ApiError> {
    let fields = Fields::receive(&state.bodies, &headers, body, Forms::Allowed).await?;
    let suite = visit.suite.id;
    let made = state.write(move |db| write::<T>(db, suite, fields, None, false)).await?;
    Ok((StatusCode::CREATED, made))
}

/// `PUT` and `PATCH`.
async fn update<T: Served>(
    method: Method,
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(row): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<T::Row>, ApiError> {
    let (suite, number) = (visit.suite.id, row_number(&row)?);
    let fields = Fields::receive(&state.bodies, &headers, body, Forms::Refused).await?;
    state.write(move |db| write::<T>(db, suite, fields, Some(number), method == Method::PATCH)).await
}

fn write<T: Served>(
    db: &mut Db<'_>,
    suite: SuiteId,
    mut fields: Fields,
    number: Option<i64>,
    is_patch: bool,
) -> Result<Json<T::Row>, ApiError> {
    let old = match number {
        Some(number) => Some(T::TABLE.find(db, suite, number)?.ok_or_else(ApiError::not_found)?),
        None => None,
    };
    let row = T::read(db, suite, &mut fields, old.as_ref(), is_patch)?;
    fields.finish()?;
    let row = row.ok_or_else(ApiError::not_found)?;
    if !T::TABLE.put(db, suite, number, &row)? {
        return Err(T::taken());
    }
    Ok(Json(row.into()))
}

/// `DELETE`.
async fn remove<T: Served>(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(row): Address<String>,
) -> Result<StatusCode, ApiError> {
    let (suite, number) = (visit.suite.id, row_number(&row)?);
    match state.write(move |db| Ok(T::TABLE.remove(db, suite, number)?)).await? {
        Removal::Removed => Ok(StatusCode::NO_CONTENT),
        Removal::InUse => Err(ApiError::Detail(StatusCode::CONFLICT, IN_USE.to_owned())),
        Removal::Missing => Err(ApiError::not_found()),
    }
}
