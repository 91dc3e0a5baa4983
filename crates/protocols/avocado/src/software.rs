//! Software components, their kinds and architectures (`avocado.md` 2.4 and 2.5).

use crate::State;
use crate::error::ApiError;
use crate::fields::{Blank, Fields, Forms};
use crate::visit::{Address, Visit, row_number};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use casebook_app::Listed;
use casebook_app::avocado::Db;
use casebook_app::avocado::software::{self, Component, Label, Labels};
use casebook_model::id::SuiteId;
use serde::Serialize;

const LONGEST_LABEL: usize = 20;
const IN_USE: &str = "A software component refers to it: change or delete that first.";

/// A kind or an architecture.
#[derive(Serialize)]
pub(crate) struct LabelRow {
    name: String,
}

/// A component.
#[derive(Serialize)]
pub(crate) struct ComponentRow {
    name: String,
    version: String,
    release: String,
    checksum: String,
    kind: String,
    arch: String,
}

macro_rules! label_handlers {
    ($labels:expr, $list:ident, $make:ident, $find:ident, $rename:ident, $remove:ident) => {
        /// `GET` of all rows.
        pub(crate) async fn $list(
            extract::State(state): extract::State<State>,
            visit: Visit,
        ) -> Result<Response, ApiError> {
            list_labels(state, visit, $labels).await
        }

        /// `POST`.
        pub(crate) async fn $make(
            state: extract::State<State>,
            visit: Visit,
            headers: HeaderMap,
            body: Body,
        ) -> Result<(StatusCode, Json<LabelRow>), ApiError> {
            let made = put_label(state, visit, headers, body, $labels, Method::POST, None);
            Ok((StatusCode::CREATED, made.await?))
        }

        /// `GET` of one row.
        pub(crate) async fn $find(
            extract::State(state): extract::State<State>,
            visit: Visit,
            Address(row): Address<String>,
        ) -> Result<Json<LabelRow>, ApiError> {
            let (suite, number) = (visit.suite.id, row_number(&row)?);
            let label = state.read(move |db| label(db, suite, $labels, number)).await?;
            Ok(Json(LabelRow { name: label.name }))
        }

        /// `PUT` and `PATCH`.
        pub(crate) async fn $rename(
            method: Method,
            state: extract::State<State>,
            visit: Visit,
            Address(row): Address<String>,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Json<LabelRow>, ApiError> {
            put_label(state, visit, headers, body, $labels, method, Some(row_number(&row)?)).await
        }

        /// `DELETE`.
        pub(crate) async fn $remove(
            extract::State(state): extract::State<State>,
            visit: Visit,
            Address(row): Address<String>,
        ) -> Result<StatusCode, ApiError> {
            let (suite, number) = (visit.suite.id, row_number(&row)?);
            state
                .write(move |db| {
                    label(db, suite, $labels, number)?;
                    let removed = software::remove_label(db, suite, $labels, number)?;
                    let refusal = || ApiError::Detail(StatusCode::CONFLICT, IN_USE.to_owned());
                    removed.then_some(StatusCode::NO_CONTENT).ok_or_else(refusal)
                })
                .await
        }
    };
}

label_handlers!(Labels::Kinds, kinds, make_kind, kind, rename_kind, remove_kind);
label_handlers!(Labels::Arches, arches, make_arch, arch, rename_arch, remove_arch);

async fn list_labels(state: State, visit: Visit, of: Labels) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    let list = move |db: &mut Db<'_>, page: casebook_app::Page| {
        let all = software::labels(db, suite, of)?;
        let (offset, limit) = (page.offset.max(0) as usize, page.limit.max(0) as usize);
        Ok(Listed { total: all.len() as i64, items: all.into_iter().skip(offset).take(limit).collect() })
    };
    state.collection(visit, list, |label: Label| LabelRow { name: label.name }).await
}

fn label(db: &mut Db<'_>, suite: SuiteId, of: Labels, number: i64) -> Result<Label, ApiError> {
    let labels = software::labels(db, suite, of)?;
    labels.into_iter().find(|label| label.number == number).ok_or_else(ApiError::not_found)
}

async fn put_label(
    extract::State(state): extract::State<State>,
    visit: Visit,
    headers: HeaderMap,
    body: Body,
    of: Labels,
    method: Method,
    number: Option<i64>,
) -> Result<Json<LabelRow>, ApiError> {
    let forms = if number.is_none() { Forms::Allowed } else { Forms::Refused };
    let mut fields = Fields::receive(&state.bodies, &headers, body, forms).await?;
    let suite = visit.suite.id;
    state
        .write(move |db| {
            let old = number.map(|number| label(db, suite, of, number)).transpose()?;
            let name = match &old {
                Some(old) if method == Method::PATCH && !fields.has("name") => Some(old.name.clone()),
                _ => fields.text("name", LONGEST_LABEL, Blank::Refused),
            };
            fields.finish()?;
            let name = name.unwrap_or_default();
            if !software::put_label(db, suite, of, number, &name)? {
                return Err(ApiError::field("name", "This field must be unique."));
            }
            Ok(Json(LabelRow { name }))
        })
        .await
}

/// `GET /softwarecomponents/`
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Response, ApiError> {
    let suite = visit.suite.id;
    let list = move |db: &mut Db<'_>, page| {
        let Listed { items, total } = software::components(db, suite, page)?;
        let names = Names::of(db, suite)?;
        Ok(Listed { items: items.into_iter().map(|component| names.row(component)).collect(), total })
    };
    state.collection(visit, list, |row: ComponentRow| row).await
}

/// `GET /softwarecomponents/{row}/`
pub(crate) async fn find(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(row): Address<String>,
) -> Result<Json<ComponentRow>, ApiError> {
    let (suite, number) = (visit.suite.id, row_number(&row)?);
    state
        .read(move |db| {
            let component = software::component(db, suite, number)?.ok_or_else(ApiError::not_found)?;
            Ok(Json(Names::of(db, suite)?.row(component)))
        })
        .await
}

/// `POST /softwarecomponents/`
pub(crate) async fn create(
    state: extract::State<State>,
    visit: Visit,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<ComponentRow>), ApiError> {
    Ok((StatusCode::CREATED, put(state, visit, headers, body, Method::POST, None).await?))
}

/// `PUT /softwarecomponents/{row}/`
pub(crate) async fn replace(
    state: extract::State<State>,
    visit: Visit,
    Address(row): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ComponentRow>, ApiError> {
    put(state, visit, headers, body, Method::PUT, Some(row_number(&row)?)).await
}

/// `PATCH /softwarecomponents/{row}/`
pub(crate) async fn change(
    state: extract::State<State>,
    visit: Visit,
    Address(row): Address<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ComponentRow>, ApiError> {
    put(state, visit, headers, body, Method::PATCH, Some(row_number(&row)?)).await
}

/// `DELETE /softwarecomponents/{row}/`
pub(crate) async fn remove(
    extract::State(state): extract::State<State>,
    visit: Visit,
    Address(row): Address<String>,
) -> Result<StatusCode, ApiError> {
    let (suite, number) = (visit.suite.id, row_number(&row)?);
    let removed = state.write(move |db| Ok(software::remove_component(db, suite, number)?)).await?;
    removed.then_some(StatusCode::NO_CONTENT).ok_or_else(ApiError::not_found)
}

async fn put(
    extract::State(state): extract::State<State>,
    visit: Visit,
    headers: HeaderMap,
    body: Body,
    method: Method,
    number: Option<i64>,
) -> Result<Json<ComponentRow>, ApiError> {
    let forms = if method == Method::POST { Forms::Allowed } else { Forms::Refused };
    let mut fields = Fields::receive(&state.bodies, &headers, body, forms).await?;
    let suite = visit.suite.id;
    state
        .write(move |db| {
            let old = match number {
                Some(number) => {
                    Some(software::component(db, suite, number)?.ok_or_else(ApiError::not_found)?)
                }
                None => None,
            };
            let names = Names::of(db, suite)?;
            let kept = old.filter(|_| method == Method::PATCH);
            let Some(component) = read(&mut fields, &names, kept.as_ref()) else {
                fields.finish()?;
                return Err(ApiError::not_found());
            };
            if !software::put_component(db, suite, number, &component)? {
                return Err(ApiError::not_unique("kind, name, version, release, checksum, arch"));
            }
            Ok(Json(names.row(component)))
        })
        .await
}

/// A component as the fields say, with what is left out as it was. None if something is wrong.
fn read(fields: &mut Fields, names: &Names, kept: Option<&Component>) -> Option<Component> {
    let mut text = |name: &'static str, most: usize, old: Option<&String>| match old {
        Some(old) if !fields.has(name) => Some(old.clone()),
        _ => fields.text(name, most, Blank::Refused),
    };
    let name = text("name", 255, kept.map(|kept| &kept.name));
    let version = text("version", 120, kept.map(|kept| &kept.version));
    let release = text("release", 120, kept.map(|kept| &kept.release));
    let checksum = text("checksum", 40, kept.map(|kept| &kept.checksum));
    let mut label = |name: &'static str, known: &[Label], old: Option<i64>| match old {
        Some(old) if !fields.has(name) => Some(old),
        _ => {
            fields.named(name, |name| known.iter().find(|label| label.name == name).map(|label| label.number))
        }
    };
    let kind = label("kind", &names.kinds, kept.map(|kept| kept.kind));
    let arch = label("arch", &names.arches, kept.map(|kept| kept.arch));
    Some(Component {
        kind: kind?,
        name: name?,
        version: version?,
        release: release?,
        checksum: checksum?,
        arch: arch?,
    })
}

/// The names that components refer to by number.
struct Names {
    kinds: Vec<Label>,
    arches: Vec<Label>,
}

impl Names {
    fn of(db: &mut Db<'_>, suite: SuiteId) -> Result<Self, ApiError> {
        let kinds = software::labels(db, suite, Labels::Kinds)?;
        let arches = software::labels(db, suite, Labels::Arches)?;
        Ok(Self { kinds, arches })
    }

    fn row(&self, component: Component) -> ComponentRow {
        let named = |labels: &[Label], number: i64| {
            let label = labels.iter().find(|label| label.number == number);
            label.map_or_else(String::new, |label| label.name.clone())
        };
        let Component { kind, name, version, release, checksum, arch } = component;
        let (kind, arch) = (named(&self.kinds, kind), named(&self.arches, arch));
        ComponentRow { name, version, release, checksum, kind, arch }
    }
}
