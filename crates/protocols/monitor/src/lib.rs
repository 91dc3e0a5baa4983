//! pytest-monitor's monitor-server, REST API version 1, below `/api/v1`.
//!
//! Names in its paths may hold slashes, escaped or not, and clients double slashes and even the prefix, so one handler takes
//! every path apart itself; [`surface`] lists what it finds.

mod address;
mod body;
mod contexts;
mod date;
mod description;
mod error;
mod metrics;
mod paging;
mod reading;
mod sending;
mod sessions;

use address::{Address, Path};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use casebook_app::App;
use casebook_app::access::{Access, Denied};
use casebook_http::{Bodies, Caller, Needs, Room, Route};
use casebook_model::suite::Suite;
use error::ApiError;
use std::sync::Arc;

/// Rows of a page unless the server is told otherwise.
pub const PAGE_SIZE: i64 = 500;

pub use address::is_namespace;
pub use contexts::machine_of;
pub use metrics::metric_of;
pub use sending::{machine_to_send, metric_to_send, path_to_ask, session_to_send};
pub use sessions::{session_of, session_of_parts};

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    app: Arc<App>,
    bodies: Bodies,
    page_size: i64,
}

/// Every address of this protocol; `page_size` is the number of rows on a page.
pub fn router(app: Arc<App>, bodies: Bodies, page_size: i64) -> Router {
    let shared = Shared { app, bodies, page_size: page_size.max(1) };
    let mut router = Router::new().route(FRONT_PAGE, get(description::front_page));
    // Several slashes count as one in front of the names, too.
    for prefix in ["/api/v1", "//api/v1", "/api//v1", "//api//v1"] {
        router = router.route(&format!("{prefix}/{{*rest}}"), any(answer));
    }
    router.with_state(shared)
}

/// Where the original has a page for people.
const FRONT_PAGE: &str = "/index.html";

/// The addresses and what each needs.
pub fn surface() -> impl Iterator<Item = Route> {
    let front = Route { method: Method::GET, path: FRONT_PAGE.to_owned(), needs: Needs::Nothing };
    let operations = address::TABLE.iter().map(|(method, path, needs)| Route {
        method: method.clone(),
        path: format!("/api/v1{path}"),
        needs: *needs,
    });
    operations.chain([front])
}

/// Answers every request below `/api/v1` that no other protocol claims.
async fn answer(State(shared): State<Shared>, caller: Caller, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = Path::parse(parts.uri.path());
    let Some(address) = path.address() else {
        shared.bodies.discard(&parts.headers, body).await;
        return error::not_found(path.is_ours()).into_response();
    };
    let answered = match parts.method {
        Method::GET | Method::HEAD => {
            let asked =
                Asked { path: &path, query: parts.uri.query().unwrap_or(""), headers: &parts.headers };
            read(&shared, &caller, address, &asked, body).await
        }
        Method::POST if address.takes_posts() => {
            create(&shared, &caller, address, &parts.headers, body).await
        }
        Method::OPTIONS => Ok((StatusCode::OK, [(ALLOW, address.allow())]).into_response()),
        _ => {
            shared.bodies.discard(&parts.headers, body).await;
            Err(ApiError::WrongMethod(address.allow()))
        }
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// How a listing is asked for.
struct Asked<'a> {
    path: &'a Path,
    query: &'a str,
    headers: &'a HeaderMap,
}

async fn read(
    shared: &Shared,
    caller: &Caller,
    address: Address,
    asked: &Asked<'_>,
    body: Body,
) -> Result<Response, ApiError> {
    let app = &shared.app;
    let suite = match address.needs_to_read() {
        Needs::Nothing => return Ok(description::answer(&address)),
        Needs::Any => {
            let access = caller.authenticate(app).await?;
            app.home_suite(&access).await?
        }
        _ => {
            let access = caller.authenticate(app).await?;
            app.suite_for_reading(&access).await?
        }
    };
    let page = paging::Asked::of(asked.query, || get_body(shared, asked.headers, body)).await;
    reading::answer(shared, &suite, address, asked, page).await
}

/// The body of a GET, in which a page may be named; most have none.
async fn get_body(shared: &Shared, headers: &HeaderMap, body: Body) -> Option<Bytes> {
    let length = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if !length && !headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    receive(shared, headers, body).await.ok().map(|(bytes, _room)| bytes)
}

async fn receive(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<(Bytes, Room), ApiError> {
    let incoming = shared.bodies.incoming(headers, body).await?;
    Ok(incoming.collect().await?.into_memory().await?)
}

async fn create(
    shared: &Shared,
    caller: &Caller,
    address: Address,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    // The credential decides before the body is looked at.
    let (access, suite) = match admit(shared, caller).await {
        Ok(admitted) => admitted,
        Err(denied) => {
            shared.bodies.discard(headers, body).await;
            return Err(denied.into());
        }
    };
    let (bytes, _room) = receive(shared, headers, body).await?;
    body::check_type(headers)?;
    match address {
        Address::Metrics => metrics::create(shared, &access, &suite, &bytes).await,
        Address::Contexts(_) => contexts::create(shared, &suite, &bytes).await,
        Address::Sessions(identifier) => sessions::create(shared, &access, &suite, identifier, &bytes).await,
        _ => Err(ApiError::WrongMethod(address.allow())),
    }
}

async fn admit(shared: &Shared, caller: &Caller) -> Result<(Access, Suite), Denied> {
    let access = caller.authenticate(&shared.app).await?;
    let suite = shared.app.suite_for_records(&access).await?;
    Ok((access, suite))
}
