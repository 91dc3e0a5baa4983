//! Tests: their health, and why.

use super::error::ApiError;
use super::extract::{Path, Query};
use super::openapi::SuitePath;
use super::readable_suite;
use super::scope::WantedScope;
use axum::Json;
use axum::extract::State;
use casebook_api::{Episode, Evidence, HealthChange, Page, ProblemDocument, RerunPolicy, Test, TestDetail};
use casebook_app::App;
use casebook_app::access::Denied;
use casebook_app::detection::{CaseHistory, Judged};
use casebook_http::Caller;
use casebook_model::health::Health;
use casebook_model::public_id::Subject;
use casebook_model::suite::Suite;
use casebook_model::time::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Healths that a state is stored for; the others follow from how often a test ran.
const STORED: &[Health] =
    &[Health::Suspect, Health::Flaky, Health::Dormant, Health::Broken, Health::Resolved];

/// Which tests.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only tests with one of these healths, separated by commas: suspect, flaky, dormant, broken, resolved.
    health: Option<String>,
    /// What an earlier answer gave as `next`: what comes behind it.
    after: Option<String>,
    /// Items in one answer: 50 unless told, at most 200.
    limit: Option<i64>,
}

/// Tests in order of first arrival, with their health: all, or those with metrics of a component, pipeline or build.
#[utoipa::path(
    get,
    operation_id = "listTests",
    path = "/api/casebook/v1/suites/{organization}/{suite}/tests",
    tag = "tests",
    params(SuitePath, Wanted, WantedScope),
    responses((status = 200, body = Page<Test>), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    Query(scope): Query<WantedScope>,
) -> Result<Json<Page<Test>>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let words =
        wanted.health.as_deref().unwrap_or("").split(',').map(str::trim).filter(|word| !word.is_empty());
    let health: Option<Vec<Health>> =
        words.map(|word| Health::from_word(word).filter(|health| STORED.contains(health))).collect();
    let health = health.ok_or_else(|| {
        ApiError::BadRequest("health must be suspect, flaky, dormant, broken or resolved".to_owned())
    })?;
    let after = match wanted.after.as_deref() {
        None => None,
        Some(id) => match app.subject(id) {
            Some(Subject::Test(of, test)) if of == suite.id => Some(test),
            _ => return Err(super::wrong_cursor()),
        },
    };
    let limit = super::limit(wanted.limit)?;
    let mut found = app.judged_tests(suite.clone(), health, scope.check()?, after, limit + 1).await?;
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    let items: Vec<Test> = found.iter().map(|judged| to_json(&app, &suite, judged)).collect();
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(Page { items, next }))
}

/// One test: its health, the evidence behind it, and how it came about.
#[utoipa::path(
    get,
    operation_id = "getTest",
    path = "/api/casebook/v1/suites/{organization}/{suite}/tests/{test}",
    tag = "tests",
    params(SuitePath, ("test" = String, Path, description = "Id of the test.")),
    responses((status = 200, body = TestDetail), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, test)): Path<(String, String, String)>,
) -> Result<Json<TestDetail>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    detail_of(&app, &suite, &test).await
}

/// `/flaky/test_case/{number}`: the address of a test that protocols with whole numbers for ids give.
pub(crate) async fn find_by_number(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(number): Path<String>,
) -> Result<Json<TestDetail>, ApiError> {
    let access = caller.authenticate(&app).await?;
    let known = number.parse().ok().and_then(|number| app.test_of_number(number));
    let (suite, test) = known.ok_or(ApiError::NotFound("there is no such test"))?;
    let suite = match app.readable_suite_by_id(&access, suite).await {
        Err(Denied::NotFound) => return Err(ApiError::NotFound("there is no such test")),
        found => found?,
    };
    detail_of(&app, &suite, &app.public_id(Subject::Test(suite.id, test))).await
}

/// All that is known of the test with that public id.
pub(super) async fn detail_of(
    app: &Arc<App>,
    suite: &Suite,
    test: &str,
) -> Result<Json<TestDetail>, ApiError> {
    let found = app.case_history(suite.clone(), test).await?;
    let history = found.ok_or(ApiError::NotFound("there is no such test"))?;
    Ok(Json(detail(app, suite, history)))
}

fn to_json(app: &App, suite: &Suite, judged: &Judged) -> Test {
    let Judged { test, health, since, explanation, policy: _ } = judged;
    Test {
        id: app.public_id(Subject::Test(suite.id, test.test.id)),
        class_name: test.test.identity.class_name.clone(),
        name: test.test.identity.name.clone(),
        location: test.test.attributes.location.clone(),
        suite_path: test.test.attributes.suite_path.clone(),
        labels: test.labels.clone(),
        health: health.to_string(),
        health_since: since.map(Timestamp::to_rfc3339_millis),
        failure_probability: explanation.as_ref().map(|explanation| explanation.q),
    }
}

fn detail(app: &App, suite: &Suite, history: CaseHistory) -> TestDetail {
    let CaseHistory { judged, sentences, evidence, episodes, changes } = history;
    let time = Timestamp::to_rfc3339_millis;
    let explanation = judged.explanation.as_ref();
    TestDetail {
        test: to_json(app, suite, &judged),
        explanation: sentences,
        failure_interval: explanation.map(|explanation| explanation.interval.into()),
        clean: explanation.map(|explanation| explanation.clean),
        confidence: explanation.map(|explanation| explanation.confidence),
        ends_at: explanation.and_then(|explanation| explanation.ends_at).map(time),
        rerun_policy: judged
            .policy
            .map(|policy| RerunPolicy { max_runs: policy.reruns + 1, min_passes: policy.passes }),
        evidence: evidence
            .into_iter()
            .map(|evidence| Evidence {
                run_id: (evidence.run.get() > 0).then(|| app.public_id(Subject::Run(suite.id, evidence.run))),
                kind: evidence.kind.to_string(),
                at: time(evidence.at),
                commit_sha: evidence.commit,
                weight: evidence.weight,
            })
            .collect(),
        episodes: episodes
            .into_iter()
            .map(|episode| Episode {
                number: episode.number,
                opened_at: time(episode.opened_at),
                announced_at: episode.announced_at.map(time),
                last_evidence_at: time(episode.last_evidence_at),
                ended_at: episode.ended.map(|(at, _)| time(at)),
                ended_by: episode.ended.map(|(_, how)| how.to_string()),
            })
            .collect(),
        changes: changes
            .into_iter()
            .map(|change| HealthChange {
                at: time(change.at),
                from: change.from.to_string(),
                to: change.to.to_string(),
            })
            .collect(),
    }
}
