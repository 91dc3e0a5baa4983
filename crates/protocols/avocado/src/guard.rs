//! Before and after every request: who may do what (`avocado.md` 1.3), and the headers of every answer (1.4).
//!
//! The order is that of the contract: credential, permission, method, body.

use crate::State;
use crate::error::{ApiError, NOT_PERMITTED, NOT_PROVIDED, WRONG_PASSWORD};
use crate::origin;
use crate::visit::Visit;
use axum::Json;
use axum::extract::{self, MatchedPath, Request};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use casebook_app::access::{Access, Credential, Denied};
use casebook_app::secrets;
use casebook_http::{ClientAddress, Needs, Route};
use casebook_model::suite::Suite;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// What each address answers, by its path without the final slash.
pub(crate) struct Places(HashMap<String, Place>);

/// What one address answers.
struct Place {
    /// Value of the header `Allow`.
    allow: HeaderValue,
    reads: Option<Needs>,
    /// Nobody may write, whatever the credential allows.
    fixed: bool,
}

impl Places {
    /// The addresses of a table; nobody may write where `is_fixed` says so.
    pub(crate) fn new(routes: impl Iterator<Item = Route>, is_fixed: impl Fn(&str) -> bool) -> Self {
        let mut methods: HashMap<String, Vec<Route>> = HashMap::new();
        for route in routes {
            methods.entry(without_slash(&route.path).to_owned()).or_default().push(route);
        }
        let place = |path: String, routes: Vec<Route>| {
            let mut allow: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
            allow.dedup();
            if allow.contains(&"GET") {
                allow.push("HEAD");
            }
            allow.push("OPTIONS");
            let allow = HeaderValue::from_str(&allow.join(", "));
            let reads = routes.iter().find(|route| route.method == Method::GET).map(|route| route.needs);
            let fixed = is_fixed(&routes[0].path);
            let place = Place { allow: allow.unwrap_or(HeaderValue::from_static("OPTIONS")), reads, fixed };
            (path, place)
        };
        Self(methods.into_iter().map(|(path, routes)| place(path, routes)).collect())
    }

    fn at(&self, path: &str) -> Option<&Place> {
        self.0.get(without_slash(path))
    }
}

fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// Lets a request in, or answers why not.
pub(crate) async fn guard(
    extract::State(state): extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let places = Arc::clone(&state.places);
    let place = path.as_deref().and_then(|path| places.at(path));
    let (mut parts, body) = request.into_parts();
    let mut response = match admit(&state, &parts, place).await {
        Ok(_) if parts.method == Method::OPTIONS => describe(&parts).into_response(),
        Ok(visit) => {
            if let Some(visit) = visit {
                parts.extensions.insert(visit);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => {
            state.bodies.discard(&parts.headers, body).await;
            error.into_response()
        }
    };
    let is_json = response.headers().get(CONTENT_TYPE).is_none_or(|value| value == "application/json");
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Some(place) = place
        && is_json
    {
        headers.insert(ALLOW, place.allow.clone());
    }
    response
}

/// Who asks, if the credential is good, and whether they may; addresses that are open to all concern no suite.
async fn admit(state: &State, parts: &Parts, place: Option<&Place>) -> Result<Option<Visit>, ApiError> {
    let visitor = authenticate(state, parts).await?;
    let reads = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && place.is_some_and(|place| place.fixed) {
        return Err(ApiError::forbidden(if visitor.is_some() { NOT_PERMITTED } else { NOT_PROVIDED }));
    }
    let is_open = place.is_some_and(|place| place.reads == Some(Needs::Nothing));
    if parts.method == Method::OPTIONS || (reads && is_open) {
        return Ok(None);
    }
    let app = &state.app;
    let (access, home) = match visitor {
        Some((access, home)) => (access, home.ok_or(Denied::NoDefaultSuite)),
        None => {
            let access = app.authenticate(None, None).await?;
            let home = app.home_suite(&access).await;
            (access, home)
        }
    };
    let is_asked_first = place.is_some_and(|place| place.reads == Some(Needs::Any));
    match parts.method {
        _ if reads && is_asked_first => {}
        _ if reads => app.check_reading(&access)?,
        Method::POST => access.check_upload()?,
        _ => access.check_write()?,
    }
    let suite = home?;
    let path = parts.uri.path();
    let slash = if path.ends_with('/') { "" } else { "/" };
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes());
    Ok(Some(Visit {
        suite: Arc::new(suite),
        branches: access.branches,
        base: origin::base(parts, state.app.public_url()),
        path: format!("{path}{slash}"),
        query: query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
    }))
}

/// The access of the request's credential, and the suite where it is at home; none if it brings none that means anything here.
async fn authenticate(state: &State, parts: &Parts) -> Result<Option<(Access, Option<Suite>)>, ApiError> {
    let address = parts.extensions.get::<ClientAddress>().map(|address| address.0);
    let Some(credential) = credential(&parts.headers)? else { return Ok(None) };
    let is_password = matches!(credential, Credential::Basic { .. });
    let is_ours = matches!(&credential, Credential::Token(text) if secrets::looks_like_token(text));
    match state.app.authenticate_at_home(credential, address).await {
        Ok(visitor) => Ok(Some(visitor)),
        Err(Denied::Unknown) if is_password => Err(ApiError::forbidden(WRONG_PASSWORD)),
        Err(Denied::Unknown) if is_ours => Err(ApiError::forbidden("Invalid token.")),
        // The contract: other schemes are ignored.
        Err(Denied::Unknown) => Ok(None),
        Err(denied) => Err(denied.into()),
    }
}

fn credential(headers: &HeaderMap) -> Result<Option<Credential>, ApiError> {
    let api_key = headers.get("x-aviator-api-key").map(HeaderValue::as_bytes);
    let Some(authorization) = headers.get(AUTHORIZATION) else {
        return Ok(Credential::from_headers(None, api_key).ok().flatten());
    };
    let text = String::from_utf8_lossy(authorization.as_bytes());
    let mut words = text.split_whitespace();
    if words.next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic")) {
        let reason = match words.count() {
            0 => Some("Invalid basic header. No credentials provided."),
            1 => None,
            _ => Some("Invalid basic header. Credentials string should not contain spaces."),
        };
        if let Some(reason) = reason {
            return Err(ApiError::forbidden(reason));
        }
        let read = Credential::from_authorization(&text);
        return read.map(Some).ok_or_else(|| ApiError::forbidden(WRONG_PASSWORD));
    }
    Ok(Credential::from_authorization(&text))
}

/// What `OPTIONS` answers.
fn describe(parts: &Parts) -> Response {
    let first = parts.uri.path().trim_matches('/').split('/').next().unwrap_or("");
    let name = if first.is_empty() { "api" } else { first };
    let media = ["application/json"];
    let description = "Avocado Server REST API, served by Casebook";
    Json(json!({ "name": name, "description": description, "renders": media, "parses": media }))
        .into_response()
}

/// 405, after everything else was found good.
pub(crate) async fn method_not_allowed(method: Method) -> ApiError {
    ApiError::Detail(StatusCode::METHOD_NOT_ALLOWED, format!("Method '{method}' not allowed."))
}
