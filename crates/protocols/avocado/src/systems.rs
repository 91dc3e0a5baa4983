//! Linux distributions and test environments (`avocado.md` 2.6 and 2.7).

use crate::State;
use crate::error::ApiError;
use crate::fields::{Blank, Fields, Forms, as_text};
use crate::visit::{Address, Visit, row_number};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use casebook_app::avocado::Db;
use casebook_app::avocado::systems::{self, Distro};
use serde::Serialize;
use serde_json::Value;

/// Longest value of a distribution, in characters.
const LONGEST: usize = 40;

/// A distribution.
#[derive(Serialize)]
pub(crate) struct DistroRow {
    name: String,
    version: String,
    release: String,
    arch: String,
}

/// An environment.
#[derive(Serialize)]
pub(crate) struct EnvironmentRow {
    distro: DistroRow,
    installed_software_components: [(); 0],
}

fn row(distro: Distro) -> DistroRow {
    let Distro { name, version, release, arch } = distro;
    DistroRow { name, version, release, arch }
}

fn environment_row(distro: Distro) -> EnvironmentRow {
    EnvironmentRow { distro: row(distro), installed_software_components: [] }
}

/// `GET /linuxdistros/`
pub(crate) async fn distros(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    state.collection(visit, move |db, page| Ok(systems::distros(db, suite, page)?), row).await
}

/// `GET /linuxdistros/{row}/`
pub(crate) async fn distro(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(number): Address<String>,
) -> Result<Json<DistroRow>, ApiError> {
    let (suite, number) = (visit.suite.id, row_number(&number)?);
    let found = state.read(move |db| Ok(systems::distro(db, suite, number)?)).await?;
    found.map(|found| Json(row(found))).ok_or_else(ApiError::not_found)
}

/// `POST /linuxdistros/`
pub(crate) async fn make_distro(
    state: extract::State<State>,
    visit: Visit,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<DistroRow>), ApiError> {
    Ok((StatusCode::CREATED, put_distro(state, visit, headers, body, Method::POST, None).await?))
}

/// `PUT /linuxdistros/{row}/`
pub(crate) async fn replace_distro(
    state: extract::State<State>,
    visit: Visit,
    Address(number): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<DistroRow>, ApiError> {
    put_distro(state, visit, headers, body, Method::PUT, Some(row_number(&number)?)).await
}

/// `PATCH /linuxdistros/{row}/`
pub(crate) async fn change_distro(
    state: extract::State<State>,
    visit: Visit,
    Address(number): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<DistroRow>, ApiError> {
    put_distro(state, visit, headers, body, Method::PATCH, Some(row_number(&number)?)).await
}

/// `DELETE /linuxdistros/{row}/`: its environments go with it.
pub(crate) async fn remove_distro(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(number): Address<String>,
) -> Result<StatusCode, ApiError> {
    let (suite, number) = (visit.suite.id, row_number(&number)?);
    let removed = state.write(move |db| Ok(systems::remove_distro(db, suite, number)?)).await?;
    removed.then_some(StatusCode::NO_CONTENT).ok_or_else(ApiError::not_found)
}

async fn put_distro(
    extract::State(state): extract::State<State>,
    visit: Visit,
    headers: HeaderMap,
    body: Body,
    method: Method,
    number: Option<i64>,
) -> Result<Json<DistroRow>, ApiError> {
    let forms = if method == Method::POST { Forms::Allowed } else { Forms::Refused };
    let mut fields = Fields::receive(&state.bodies, &headers, body, forms).await?;
    let suite = visit.suite.id;
    state
        .write(move |db| {
            let old = match number {
                Some(number) => Some(systems::distro(db, suite, number)?.ok_or_else(ApiError::not_found)?),
                None => None,
            };
            let Some(distro) = read(&mut fields, old.as_ref(), method == Method::PATCH) else {
                fields.finish()?;
                return Err(ApiError::not_found());
            };
            if !systems::put_distro(db, suite, number, &distro)? {
                return Err(ApiError::not_unique("name, version, release, arch"));
            }
            Ok(Json(row(distro)))
        })
        .await
}

/// A distribution as the fields say. None if something is wrong.
fn read(fields: &mut Fields, old: Option<&Distro>, is_patch: bool) -> Option<Distro> {
    let kept = old.filter(|_| is_patch);
    let mut text = |name: &'static str, old: Option<&String>| match old {
        Some(old) if !fields.has(name) => Some(old.clone()),
        _ => fields.text(name, LONGEST, Blank::Refused),
    };
    let none = String::new();
    let name = text("name", kept.map(|kept| &kept.name));
    let version = text("version", kept.map(|kept| &kept.version));
    let release = text("release", Some(old.map_or(&none, |old| &old.release)));
    let arch = text("arch", kept.map(|kept| &kept.arch));
    Some(Distro { name: name?, version: version?, release: release?, arch: arch? })
}

/// `GET /testenvironments/`
pub(crate) async fn environments(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    let list = move |db: &mut Db<'_>, page| Ok(systems::environments(db, suite, page)?);
    state.collection(visit, list, environment_row).await
}

/// `GET /testenvironments/{row}/`
pub(crate) async fn environment(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(number): Address<String>,
) -> Result<Json<EnvironmentRow>, ApiError> {
    let (suite, number) = (visit.suite.id, row_number(&number)?);
    let found = state.read(move |db| Ok(systems::environment(db, suite, number)?)).await?;
    found.map(|found| Json(environment_row(found))).ok_or_else(ApiError::not_found)
}

/// `POST /testenvironments/`
pub(crate) async fn make_environment(
    state: extract::State<State>,
    visit: Visit,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<EnvironmentRow>), ApiError> {
    Ok((StatusCode::CREATED, put_environment(state, visit, headers, body, Method::POST, None).await?))
}

/// `PUT /testenvironments/{row}/`
pub(crate) async fn replace_environment(
    state: extract::State<State>,
    visit: Visit,
    Address(number): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<EnvironmentRow>, ApiError> {
    put_environment(state, visit, headers, body, Method::PUT, Some(row_number(&number)?)).await
}

/// `PATCH /testenvironments/{row}/`
pub(crate) async fn change_environment(
    state: extract::State<State>,
    visit: Visit,
    Address(number): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<EnvironmentRow>, ApiError> {
    put_environment(state, visit, headers, body, Method::PATCH, Some(row_number(&number)?)).await
}

/// `DELETE /testenvironments/{row}/`
pub(crate) async fn remove_environment(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(number): Address<String>,
) -> Result<StatusCode, ApiError> {
    let (suite, number) = (visit.suite.id, row_number(&number)?);
    let removed = state.write(move |db| Ok(systems::remove_environment(db, suite, number)?)).await?;
    removed.then_some(StatusCode::NO_CONTENT).ok_or_else(ApiError::not_found)
}

async fn put_environment(
    extract::State(state): extract::State<State>,
    visit: Visit,
    headers: HeaderMap,
    body: Body,
    method: Method,
    number: Option<i64>,
) -> Result<Json<EnvironmentRow>, ApiError> {
    let forms = if method == Method::POST { Forms::Allowed } else { Forms::Refused };
    let mut fields = Fields::receive(&state.bodies, &headers, body, forms).await?;
    let suite = visit.suite.id;
    state
        .write(move |db| {
            let old = match number {
                Some(number) => {
                    Some(systems::environment(db, suite, number)?.ok_or_else(ApiError::not_found)?)
                }
                None => None,
            };
            if method == Method::PATCH && !fields.has("distro") {
                return Ok(Json(environment_row(old.ok_or_else(ApiError::not_found)?)));
            }
            let distro = match fields.parts("distro") {
                parts if parts.is_empty() => {
                    let given = fields.require("distro");
                    fields.finish()?;
                    named_distro(&given.unwrap_or_default())?
                }
                parts => named_distro(&Value::Object(parts))?,
            };
            if !systems::put_environment(db, suite, number, &distro)? {
                return Err(ApiError::field("distro", "Object with these values does not exist."));
            }
            Ok(Json(environment_row(distro)))
        })
        .await
}

/// The distribution that an object names by all four values.
fn named_distro(given: &Value) -> Result<Distro, ApiError> {
    let Value::Object(given) = given else {
        return Err(ApiError::field("distro", "Invalid data. Expected a dictionary."));
    };
    let text = |name: &str| given.get(name).and_then(as_text).filter(|text| !text.contains('\0'));
    match (text("name"), text("version"), text("release"), text("arch")) {
        (Some(name), Some(version), Some(release), Some(arch)) => Ok(Distro { name, version, release, arch }),
        _ => Err(ApiError::field("distro", "The texts name, version, release and arch are required.")),
    }
}
