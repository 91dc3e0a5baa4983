//! Suites (`buildkite.md` 11.1).

use crate::address::Address;
use crate::error::ApiError;
use crate::pagination::{Pager, Query};
use crate::{State, question, readable_suite, suite_url, suite_web_url};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::StatusCode;
use axum::response::Response;
use casebook_app::{App, Listed};
use casebook_http::Caller;
use casebook_model::public_id::Subject;
use casebook_model::suite::Suite;
use casebook_model::suite::{Appearance, Slug, SuiteAttributes};
use serde::{Deserialize, Deserializer, Serialize};

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
        let appearance = suite.attributes.appearance.clone();
        Self {
            graphql_id: app.graphql_id("Suite", &id),
            organization_id: app.public_id(Subject::Organization(suite.organization.id)),
            slug: suite.slug.to_string(),
            name: suite.attributes.name.clone(),
            url: suite_url(app, suite),
            web_url: suite_web_url(app, suite),
            default_branch: suite.attributes.default_branch.clone(),
            application_name: appearance.application_name,
            color: appearance.color,
            emoji: appearance.emoji,
            oidc_policy: suite.attributes.oidc_policy.clone(),
            id,
        }
    }
}

/// `GET .../suites`: the suites of the organization that the credential may read.
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address(organization): Address<String>,
    query: Query,
) -> Result<Response, ApiError> {
    let access = caller.authenticate(&state.app).await?;
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
    caller: Caller,
    Address((organization, suite)): Address<(String, String)>,
    query: Query,
) -> Result<Json<SuiteJson>, ApiError> {
    let suite = readable_suite(&state.app, &caller, &organization, &suite).await?;
    refuse_tokens(&query)?;
    Ok(Json(SuiteJson::new(&state.app, &suite)))
}

/// Tokens are kept as hashes and cannot be shown again.
fn refuse_tokens(query: &Query) -> Result<(), ApiError> {
    match query.get("show_api_token") {
        Some("true") => Err(shown_once()),
        _ => Ok(()),
    }
}

fn shown_once() -> ApiError {
    ApiError::Forbidden(
        "a token is shown only once, when its suite is made: make another with casebook token create"
            .to_owned(),
    )
}

/// What makes or changes a suite. Members that are not given stay as they are; null clears.
#[derive(Deserialize)]
pub(crate) struct SuiteChange {
    name: Option<String>,
    default_branch: Option<String>,
    #[serde(default)]
    show_api_token: bool,
    #[serde(default, deserialize_with = "given")]
    application_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    color: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    emoji: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    oidc_policy: Option<Option<serde_json::Value>>,
}

/// Tells null from a member that is not there.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Longest name, branch and other text of a suite, in characters.
const LONGEST_TEXT: usize = 255;

/// Longest OIDC policy, in bytes.
const LONGEST_POLICY: usize = 64 << 10;

impl SuiteChange {
    /// Checks what is given, so that applying it cannot fail.
    fn check(&self) -> Result<(), ApiError> {
        let unprocessable = |message: String| Err(ApiError::Unprocessable(message));
        let optional = [&self.application_name, &self.color, &self.emoji].map(|text| text.clone().flatten());
        let names = ["name", "default_branch", "application_name", "color", "emoji"];
        let texts = [self.name.clone(), self.default_branch.clone()].into_iter().chain(optional);
        for (name, text) in names.into_iter().zip(texts) {
            let Some(text) = text else { continue };
            if text.trim().is_empty() && matches!(name, "name" | "default_branch") {
                return unprocessable(format!("{name} must not be blank"));
            }
            if text.chars().count() > LONGEST_TEXT || text.contains(char::is_control) {
                return unprocessable(format!(
                    "{name} must have at most {LONGEST_TEXT} characters and no control characters"
                ));
            }
        }
        if let Some(Some(color)) = &self.color {
            let digits = color.strip_prefix('#').unwrap_or("");
            if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return unprocessable("color must be written as #RRGGBB".to_owned());
            }
        }
        if policy_text(&self.oidc_policy).flatten().is_some_and(|policy| policy.len() > LONGEST_POLICY) {
            return unprocessable(format!("oidc_policy is longer than {LONGEST_POLICY} bytes"));
        }
        Ok(())
    }

    fn apply(self, attributes: &mut SuiteAttributes) {
        let Self { name, default_branch, show_api_token: _, application_name, color, emoji, oidc_policy } =
            self;
        if let Some(name) = name {
            attributes.name = name;
        }
        if let Some(branch) = default_branch {
            attributes.default_branch = branch;
        }
        let Appearance { application_name: old_name, color: old_color, emoji: old_emoji } =
            &mut attributes.appearance;
        for (old, new) in [(old_name, application_name), (old_color, color), (old_emoji, emoji)] {
            if let Some(new) = new {
                *old = new;
            }
        }
        if let Some(policy) = policy_text(&oidc_policy) {
            attributes.oidc_policy = policy;
        }
    }
}

/// A policy comes as YAML text or as a JSON list; both are kept as text.
fn policy_text(policy: &Option<Option<serde_json::Value>>) -> Option<Option<String>> {
    let policy = policy.as_ref()?;
    Some(policy.as_ref().map(|policy| match policy {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }))
}

/// Members that a body may have.
const MEMBERS: &str =
    "name, default_branch, show_api_token, application_name, color, emoji and oidc_policy in their types";

/// A suite, and the one time its fresh token is shown.
#[derive(Serialize)]
pub(crate) struct SuiteWithToken {
    #[serde(flatten)]
    suite: SuiteJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_token: Option<String>,
}

/// `POST .../suites`: makes a suite, whose slug follows from its name.
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address(organization): Address<String>,
    body: Body,
) -> Result<(StatusCode, Json<SuiteWithToken>), ApiError> {
    let access = caller.authenticate(&state.app).await?;
    state.app.check_organization_admin(&access, &organization).await?;
    let change: SuiteChange = question::read(body, MEMBERS).await?;
    change.check()?;
    let (Some(name), Some(_)) = (&change.name, &change.default_branch) else {
        return Err(ApiError::Unprocessable("name and default_branch must be given".to_owned()));
    };
    let slug = Slug::from_name(name).map_err(|_| {
        ApiError::Unprocessable(
            "name must hold a letter a-z or a digit, of which the address is made".to_owned(),
        )
    })?;
    let with_token = change.show_api_token;
    let mut attributes = SuiteAttributes::named(name);
    change.apply(&mut attributes);
    let (suite, api_token) =
        state.app.create_suite(&access, &organization, slug, attributes, with_token).await?;
    let suite = SuiteJson::new(&state.app, &suite);
    Ok((StatusCode::CREATED, Json(SuiteWithToken { suite, api_token })))
}

/// `PATCH .../suites/{suite}`
pub(crate) async fn change(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite)): Address<(String, String)>,
    body: Body,
) -> Result<Json<SuiteJson>, ApiError> {
    let access = caller.authenticate(&state.app).await?;
    state.app.check_suite_admin(&access, &organization, &suite).await?;
    let change: SuiteChange = question::read(body, MEMBERS).await?;
    change.check()?;
    if change.show_api_token {
        return Err(shown_once());
    }
    let apply = move |attributes: &mut SuiteAttributes| change.apply(attributes);
    let suite = state.app.change_suite(&access, &organization, &suite, apply).await?;
    Ok(Json(SuiteJson::new(&state.app, &suite)))
}

/// `DELETE .../suites/{suite}`
pub(crate) async fn remove(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Address((organization, suite)): Address<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let access = caller.authenticate(&state.app).await?;
    state.app.delete_suite(&access, &organization, &suite).await?;
    Ok(StatusCode::NO_CONTENT)
}
