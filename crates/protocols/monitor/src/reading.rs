//! Every GET: the two families of listings, counts, and heads and tails of resources (`docs/pytest-monitor.md`).

use crate::address::Address;
use crate::contexts::ContextBody;
use crate::error::ApiError;
use crate::metrics::MetricBody;
use crate::paging::{self, Links, NullLinks, parameters};
use crate::sessions::SessionBody;
use crate::{Asked, Shared, description};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use casebook_app::monitor::{Level, Paged, Selection, SessionFilter, Wanted};
use casebook_model::suite::Suite;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A listing of the first family: nothing is 204, and links that lead nowhere are left out.
#[derive(Serialize)]
struct Listing<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'a [T]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<&'a [T]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<&'a [T]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<&'a [T]>,
    #[serde(flatten)]
    links: Links,
}

/// What a listing holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Metrics,
    Sessions,
    Contexts,
    Components,
}

/// Answers a GET.
pub(crate) async fn answer(
    shared: &Shared,
    suite: &Suite,
    address: Address,
    asked: &Asked<'_>,
    page: paging::Asked,
) -> Result<Response, ApiError> {
    let (app, id) = (&shared.app, suite.id);
    let wanted = Wanted { page: page.page, size: shared.page_size };
    Ok(match address {
        Address::Docs | Address::Swagger => description::answer(&address),
        Address::Metrics => {
            let found = app.metrics_page(id, Selection::All, wanted).await?;
            listing(asked, &found, Key::Metrics, MetricBody::of)?
        }
        Address::MetricsOf(selection) => {
            let found = app.metrics_page(id, selection, wanted).await?;
            listing(asked, &found, Key::Metrics, MetricBody::of)?
        }
        Address::CountOf(selection) => count(app.count_metrics(id, selection).await?),
        Address::Contexts(prefix) => {
            let found = app.machines(id, prefix.unwrap_or_default(), wanted).await?;
            listing(asked, &found, Key::Contexts, ContextBody::listed)?
        }
        Address::CountOfContexts => count(app.count_machines(id).await?),
        Address::Sessions(prefix) => {
            let found = app.sessions(id, filter(prefix, asked.query), wanted).await?;
            listing(asked, &found, Key::Sessions, SessionBody::of)?
        }
        Address::CountOfSessions => count(app.count_sessions(id).await?),
        Address::SessionsOfScm(scm) => {
            let filter = SessionFilter { scm_prefix: Some(scm), ..SessionFilter::default() };
            listing(asked, &app.sessions(id, filter, wanted).await?, Key::Sessions, SessionBody::of)?
        }
        Address::Components(prefix) => {
            let found = wanted.of(app.components(id, prefix).await?);
            listing(asked, &found, Key::Components, String::as_str)?
        }
        Address::CountOfComponents => {
            let names = app.components(id, String::new()).await?;
            count(names.iter().filter(|name| !name.is_empty()).count() as i64)
        }
        Address::Pipelines(component, level) => {
            let found = app.pipelines(id, component.clone(), level.clone()).await?;
            pipelines(asked, wanted, component, level, found)?
        }
        Address::Extremes { selection, resource, end, most } => {
            let found = app.extreme_metrics(id, selection, resource, end, most).await?;
            extremes(&found.iter().map(MetricBody::of).collect::<Vec<_>>())
        }
    })
}

fn count(count: i64) -> Response {
    Json(json!({ "count": count })).into_response()
}

fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// An answer of the first family.
fn listing<'a, T, B: Serialize>(
    asked: &Asked<'_>,
    found: &'a Paged<T>,
    key: Key,
    body: impl Fn(&'a T) -> B,
) -> Result<Response, ApiError> {
    let (items, page, pages) = match found {
        Paged::Nothing => return Ok(nothing()),
        Paged::NoSuchPage => return Err(ApiError::NoSuchPage),
        Paged::Page { items, page, pages } => (items, *page, *pages),
    };
    let items: Vec<B> = items.iter().map(body).collect();
    let of = |other| (key == other).then_some(items.as_slice());
    let listing = Listing {
        metrics: of(Key::Metrics),
        sessions: of(Key::Sessions),
        contexts: of(Key::Contexts),
        components: of(Key::Components),
        links: Links::of(asked.path, asked.query, page, pages),
    };
    Ok(Json(listing).into_response())
}

/// Pipelines, builds and sessions of builds: the second family, but for the plain list of all pipelines.
fn pipelines(
    asked: &Asked<'_>,
    wanted: Wanted,
    component: Option<String>,
    level: Level,
    found: Vec<String>,
) -> Result<Response, ApiError> {
    if component.is_none() && level == Level::Pipelines {
        return Ok(if found.is_empty() {
            nothing()
        } else {
            Json(json!({ "pipelines": found })).into_response()
        });
    }
    let mut body = Map::new();
    if let Some(component) = component {
        body.insert("component".to_owned(), component.into());
    }
    let key = match level {
        Level::Pipelines => "pipelines",
        Level::Builds(pipeline) => {
            body.insert("pipeline".to_owned(), pipeline.into());
            "builds"
        }
        Level::Sessions(pipeline, build) => {
            body.insert("pipeline".to_owned(), pipeline.into());
            body.insert("build".to_owned(), build.into());
            "sessions"
        }
    };
    let (items, links) = match wanted.of(found) {
        Paged::Nothing => (Vec::new(), NullLinks::none(0)),
        Paged::NoSuchPage => return Err(ApiError::NoSuchPage),
        Paged::Page { items, page, pages } => (items, Links::of(asked.path, asked.query, page, pages).into()),
    };
    body.insert(key.to_owned(), items.into());
    let answer = WithLinks { body, links };
    Ok(Json(answer).into_response())
}

#[derive(Serialize)]
struct WithLinks {
    #[serde(flatten)]
    body: Map<String, Value>,
    #[serde(flatten)]
    links: NullLinks,
}

/// A head or tail: one piece, whatever page is asked for (D14).
fn extremes(metrics: &[MetricBody<'_>]) -> Response {
    #[derive(Serialize)]
    struct Answer<'a, 'b> {
        metrics: &'a [MetricBody<'b>],
        #[serde(flatten)]
        links: NullLinks,
    }
    Json(Answer { metrics, links: NullLinks::none(1) }).into_response()
}

/// The filter of a listing of sessions: tag names under either name, wanted values by position.
fn filter(prefix: Option<String>, query: &str) -> SessionFilter {
    let find = |wanted| parameters(query).find(|(name, _)| name == wanted).map(|(_, value)| value);
    let values = find("restrict_flags").unwrap_or_default();
    let values = values.split(',').map(Some).chain(std::iter::repeat(None));
    let tags = find("with_flags").filter(|tags| !tags.is_empty()).or_else(|| find("with_tags"));
    let tags = tags.unwrap_or_default();
    let tags = tags.split(',').zip(values).filter(|(name, _)| !name.is_empty());
    let tags = tags
        .map(|(name, value)| (name.to_owned(), value.filter(|value| !value.is_empty()).map(str::to_owned)));
    SessionFilter {
        prefix,
        scm_prefix: None,
        tags: tags.collect(),
        every_tag: find("method").is_some_and(|method| method != "match_any"),
    }
}
