//! Suites (`buildkite.md` 11.1).

use crate::address::Address;
use crate::error::ApiError;
use crate::pagination::{Pager, Query};
use crate::{State, authenticate, readable_suite, suite_url, suite_web_url};
use axum::Json;
use axum::extract;
use axum::http::HeaderMap;
use axum::response::Response;
use casebook_app::{App, Listed};
use casebook_model::public_id::Subject;
use casebook_model::suite::Suite;
use serde::Serialize;

/// A suite on the wire.
#[derive(Serialize)]
pub(crate) struct SuiteJson {
    id: String,
    graphql_id: String,
    organization_id: String,
    slug: String,
    name: String,
    url: String,
    web_url: String,
    default_branch: String,
    application_name: Option<String>,
    color: Option<String>,
    emoji: Option<String>,
    oidc_policy: Option<String>,
}

impl SuiteJson {
    fn new(app: &App, suite: &Suite) -> Self {
        let id = app.public_id(Subject::Suite(suite.id));
        Self {
            graphql_id: app.graphql_id("Suite", &id),
            organization_id: app.public_id(Subject::Organization(suite.organization.id)),
            slug: suite.slug.to_string(),
            name: suite.attributes.name.clone(),
            url: suite_url(app, suite),
            web_url: suite_web_url(app, suite),
            default_branch: suite.attributes.default_branch.clone(),
            application_name: None,
            color: None,
            emoji: None,
            oidc_policy: None,
            id,
        }
    }
}

/// `GET .../suites`: the suites of the organization that the credential may read.
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    Address(organization): Address<String>,
    query: Query,
) -> Result<Response, ApiError> {
    let access = authenticate(&state.app, &headers).await?;
    refuse_tokens(&query)?;
    let pager = Pager::from_query(&query)?;
    let url = format!("{}/v2/analytics/organizations/{organization}/suites", state.app.public_url());
    let suites = state.app.readable_suites(&access, &organization).await?;
    if suites.is_empty() {
        return Err(ApiError::NotFound("no such organization"));
    }
    let page = pager.page();
    let total = suites.len() as i64;
    let rows = suites.iter().skip(page.offset as usize).take(page.limit as usize);
    let items = rows.map(|suite| SuiteJson::new(&state.app, suite)).collect();
    Ok(pager.answer(&url, &query, &Listed { items, total }))
}

/// `GET .../suites/{suite}`
pub(crate) async fn find(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    Address((organization, suite)): Address<(String, String)>,
    query: Query,
) -> Result<Json<SuiteJson>, ApiError> {
    let suite = readable_suite(&state.app, &headers, &organization, &suite).await?;
    refuse_tokens(&query)?;
    Ok(Json(SuiteJson::new(&state.app, &suite)))
}

/// Tokens are kept as hashes and cannot be shown again.
fn refuse_tokens(query: &Query) -> Result<(), ApiError> {
    match query.get("show_api_token") {
        Some("true") => Err(ApiError::Forbidden("tokens are shown only once, when they are made".to_owned())),
        _ => Ok(()),
    }
}
