//! Policies: what plugins are told before a run, and run counts that people set.

use super::error::ApiError;
use super::extract::{Path, Query, json};
use super::openapi::SuitePath;
use super::{readable_suite, writable_suite};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use casebook_api::{
    NewTests, Policy, PolicyLimits, PolicySuite, ProblemDocument, RerunPolicy, SetPolicy, TestPolicy,
    UploadForm,
};
use casebook_app::App;
use casebook_app::access::{Access, Denied};
use casebook_app::reruns::prompt::{Question, Told};
use casebook_app::reruns::{Listed, RerunList};
use casebook_http::Caller;
use casebook_model::disposition::Disposition;
use casebook_model::id::TestId;
use casebook_model::key::{digest, hex};
use casebook_model::policy::RunCounts;
use casebook_model::public_id::Subject;
use casebook_model::suite::{RepositoryName, Suite};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// What the plugin's specification says of a whole run (limits for the whole run).
const LIMITS: PolicyLimits = PolicyLimits { max_reruns: 200, max_seconds: 600 };

/// Further runs of new tests by how long the first took (detection rules, B.7 step 3).
const NEW_TEST_RUNS: [u32; 4] = [10, 5, 3, 2];

/// What the run is of.
#[derive(Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The repository, as `owner/name` or its address. A suite's token needs none.
    repo: Option<String>,
    /// Name of the check on commits.
    check: Option<String>,
}

/// What to do with failing tests. Answers `304` to `If-None-Match` while nothing has changed.
#[utoipa::path(
    get,
    operation_id = "policy",
    path = "/api/casebook/v1/policy",
    tag = "policy",
    params(Wanted),
    responses(
        (status = 200, body = Policy),
        (status = 304, description = "It has not changed."),
        (status = "4XX", body = ProblemDocument),
    ),
)]
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Response, ApiError> {
    let headers = caller.headers.clone();
    let credential = caller.credential()?;
    let names = [Some("policy"), wanted.repo.as_deref(), wanted.check.as_deref()];
    let question = credential.as_ref().and_then(|credential| Question::new(credential, &names));
    let (asked, of) = (Arc::clone(&app), wanted.clone());
    let find = async move {
        let access = asked.authenticate(credential, caller.address).await?;
        suite_of(&asked, &access, &of).await
    };
    let policy = match app.tell(question, find).await? {
        Some(Told { suite, list, known_tests }) => {
            let mut policy = of_suite(&app, &suite, &list);
            if let Some(count) = known_tests {
                policy.new_tests.enabled = true;
                policy.new_tests.known = Some(known_path(&wanted, count));
            }
            policy
        }
        // The first upload makes the suite.
        None => empty(PolicySuite { repo: wanted.repo, check: wanted.check, url: None }),
    };
    let body = serde_json::to_vec(&policy).map_err(ApiError::Unwritable)?;
    Ok(unless_known(&headers, "application/json", body.into()).await)
}

/// The answer, packed for callers that can unpack it, or without its body if the caller has it already.
async fn unless_known(caller: &HeaderMap, form: &'static str, body: Bytes) -> Response {
    let tag = format!("\"{}\"", hex(&digest(&body)));
    // Who reads this may send packed bodies.
    let headers = [(ETAG, tag.as_str()), (ACCEPT_ENCODING, "gzip"), (VARY, "accept-encoding")];
    if matches(caller, &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let form = [(CONTENT_TYPE, form)];
    match casebook_http::packed(caller, &body).await {
        Some(packed) => (headers, form, [(CONTENT_ENCODING, "gzip")], packed).into_response(),
        None => (headers, form, body).into_response(),
    }
}

/// Where the tests are that the suite knows. The number changes the answer that holds this, so that whoever keeps both does not
/// keep an old list.
fn known_path(wanted: &Wanted, count: i64) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("repo", &wanted.repo), ("check", &wanted.check)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.append_pair("tests", &count.to_string()).finish();
    format!("/api/casebook/v1/policy/known-tests?{query}")
}

/// The tests a suite knows, for clients that run new ones several times: one a line, in order, each as SHA-256 of its class name,
/// a line feed and its name, in lower-case hexadecimal digits. Answers `304` to `If-None-Match` while nothing has changed.
#[utoipa::path(
    get,
    operation_id = "knownTests",
    path = "/api/casebook/v1/policy/known-tests",
    tag = "policy",
    params(Wanted),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 304, description = "It has not changed."),
        (status = "4XX", body = ProblemDocument),
    ),
)]
pub(crate) async fn find_known(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Response, ApiError> {
    let access = caller.authenticate(&app).await?;
    let lines = match suite_of(&app, &access, &wanted).await? {
        Some(suite) => app.known_tests(suite.id).await?.lines,
        None => Bytes::new(),
    };
    Ok(unless_known(&caller.headers, "text/plain; charset=utf-8", lines).await)
}

/// The suite that results of this run will go to; none if there is none yet.
async fn suite_of(app: &Arc<App>, access: &Access, wanted: &Wanted) -> Result<Option<Suite>, ApiError> {
    if let Some(suite) = app.only_suite(access).await? {
        return Ok(Some(suite));
    }
    // A variable that is not set arrives as an empty value.
    let [repository, check] =
        [&wanted.repo, &wanted.check].map(|name| name.as_deref().filter(|name| !name.is_empty()));
    match (repository, check) {
        (None, None) => match app.home_suite(access).await {
            Err(Denied::NoDefaultSuite) => Ok(None),
            found => Ok(Some(found?)),
        },
        (Some(repository), Some(check)) => Ok(app.suite_of_check(access, repository, check).await?),
        (repository, check) => Ok(app.suite_of_one_name(access, repository, check).await?),
    }
}

fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*")
}

fn of_suite(app: &App, suite: &Suite, list: &RerunList) -> Policy {
    let attributes = &suite.attributes;
    let url = format!(
        "{}/organizations/{}/analytics/suites/{}",
        app.public_url(),
        suite.organization.slug,
        suite.slug
    );
    let about = PolicySuite {
        repo: attributes.repository.as_ref().map(RepositoryName::as_str).map(str::to_owned),
        check: attributes.check.clone(),
        url: Some(url),
    };
    let tests = list.tests.iter().filter(|listed| listed.is_told()).map(|listed| of_test(app, suite, listed));
    Policy { tests: tests.collect(), ..empty(about) }
}

fn empty(suite: PolicySuite) -> Policy {
    Policy {
        version: 1,
        suite,
        limits: LIMITS,
        defaults: RerunPolicy { max_runs: 1, min_passes: 1 },
        new_tests: NewTests { enabled: false, runs: NEW_TEST_RUNS, known: None },
        upload: UploadForm { gzip: true },
        tests: Vec::new(),
    }
}

fn of_test(app: &App, suite: &Suite, listed: &Listed) -> TestPolicy {
    let number = app.test_number(suite.id, listed.test);
    TestPolicy {
        class_name: listed.identity.class_name.clone(),
        name: listed.identity.name.clone(),
        mode: match listed.disposition {
            Disposition::Active => "rerun",
            Disposition::Muted => "quarantine",
            Disposition::Skipped => "disabled",
        }
        .to_owned(),
        max_runs: listed.counts.max_runs(),
        min_passes: listed.counts.min_passes(),
        since: listed.opened_at.map(|at| at.to_rfc3339_millis().chars().take(10).collect()),
        reason: listed.reason.clone(),
        details_url: format!("{}/flaky/test_case/{number}", app.public_url()),
    }
}

fn to_json(counts: RunCounts) -> RerunPolicy {
    let number = |count: i64| u32::try_from(count).unwrap_or(1);
    RerunPolicy { max_runs: number(counts.max_runs()), min_passes: number(counts.min_passes()) }
}

fn from_json(policy: RerunPolicy) -> Result<RunCounts, ApiError> {
    RunCounts::new(policy.max_runs.into(), policy.min_passes.into())
        .map_err(|error| ApiError::BadRequest(error.to_string()))
}

/// The run counts of the suite's flaky tests that somebody has set.
#[utoipa::path(
    get,
    operation_id = "suitePolicy",
    path = "/api/casebook/v1/suites/{organization}/{suite}/policy",
    tag = "policy",
    params(SuitePath),
    responses((status = 200, body = SetPolicy), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn find_of_suite(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite)): Path<(String, String)>,
) -> Result<Json<SetPolicy>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let policy = app.suite_policy(suite.id).await?.map(to_json);
    Ok(Json(SetPolicy { policy }))
}

/// Sets the run counts of the suite's flaky tests, instead of what their histories say.
#[utoipa::path(
    put,
    operation_id = "setSuitePolicy",
    path = "/api/casebook/v1/suites/{organization}/{suite}/policy",
    tag = "policy",
    params(SuitePath),
    request_body = RerunPolicy,
    responses((status = 200, body = SetPolicy), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn set_of_suite(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite)): Path<(String, String)>,
    body: Body,
) -> Result<Json<SetPolicy>, ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    let policy = json(body).await?;
    app.set_policy(suite.id, None, Some(from_json(policy)?)).await?;
    Ok(Json(SetPolicy { policy: Some(policy) }))
}

/// Lets the histories of the suite's flaky tests say again how often they are run.
#[utoipa::path(
    delete,
    operation_id = "clearSuitePolicy",
    path = "/api/casebook/v1/suites/{organization}/{suite}/policy",
    tag = "policy",
    params(SuitePath),
    responses((status = 204), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn clear_of_suite(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    app.set_policy(suite.id, None, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets how often a test is run when it fails, instead of what its history says.
#[utoipa::path(
    put,
    operation_id = "setTestPolicy",
    path = "/api/casebook/v1/suites/{organization}/{suite}/tests/{test}/policy",
    tag = "policy",
    params(SuitePath, ("test" = String, Path, description = "Id of the test.")),
    request_body = RerunPolicy,
    responses((status = 200, body = SetPolicy), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn set_of_test(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, test)): Path<(String, String, String)>,
    body: Body,
) -> Result<Json<SetPolicy>, ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    let policy = json(body).await?;
    let counts = from_json(policy)?;
    let test = test_of(&app, &suite, &test).await?;
    app.set_policy(suite.id, Some(test), Some(counts)).await?;
    Ok(Json(SetPolicy { policy: Some(policy) }))
}

/// Lets the history of a test say again how often it is run.
#[utoipa::path(
    delete,
    operation_id = "clearTestPolicy",
    path = "/api/casebook/v1/suites/{organization}/{suite}/tests/{test}/policy",
    tag = "policy",
    params(SuitePath, ("test" = String, Path, description = "Id of the test.")),
    responses((status = 204), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn clear_of_test(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, test)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    let test = test_of(&app, &suite, &test).await?;
    app.set_policy(suite.id, Some(test), None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The number of the test with that public id, if it belongs to the suite and exists.
pub(super) async fn test_of(app: &Arc<App>, suite: &Suite, public_id: &str) -> Result<TestId, ApiError> {
    let test = match app.subject(public_id) {
        Some(Subject::Test(of, test)) if of == suite.id => Some(test),
        _ => None,
    };
    let test = test.ok_or(ApiError::NotFound("there is no such test"))?;
    let exists = app.test_exists(suite.id, test).await?;
    exists.then_some(test).ok_or(ApiError::NotFound("there is no such test"))
}
