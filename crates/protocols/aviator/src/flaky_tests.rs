//! `GET /api/v1/testdeck/flaky`: the flaky tests of one check (`aviator.md` 2).

use crate::error::ApiError;
use crate::question::Question;
use crate::{State, names, time};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::Uri;
use casebook_app::checks::FlakyTest;
use casebook_http::Caller;
use casebook_model::suite::{RepositoryName, Suite, canonical_check};
use serde::Serialize;

/// Tests on a page; a client reads on until it gets fewer.
const PAGE: usize = 100;

#[derive(Serialize)]
pub(crate) struct Answer {
    repository: Repository,
    github_check: Check,
    test_cases: Vec<TestCase>,
}

#[derive(Serialize)]
struct Repository {
    name: String,
    org: String,
}

#[derive(Serialize)]
struct Check {
    name: String,
    provider: String,
}

#[derive(Serialize)]
struct TestCase {
    name: String,
    class_name: String,
    first_occurrence: String,
    last_occurrence: String,
    details_url: String,
    last_24_hours_count: i64,
}

pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    uri: Uri,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    let access = caller.authenticate(&state.app).await?;
    state.app.check_reading(&access)?;
    let question = Question::read(&uri, &caller.headers, body).await?;
    let repository = format!("{}/{}", question.required("org")?, question.required("repo")?);
    let check = question.required("github_check_name")?;
    let page = question.page()?;

    let suite = state.app.suite_of_check(&access, &repository, check).await?;
    let suite = suite.ok_or_else(ApiError::not_found)?;
    let tests = state.app.flaky_tests(suite.clone(), (page - 1) * PAGE, PAGE).await?;
    let test_cases = tests.into_iter().map(|test| test_case(&state, &suite, test)).collect();
    let (repository, github_check) = described(&suite);
    Ok(Json(Answer { repository, github_check, test_cases }))
}

/// The repository and check of a suite, as they are called.
fn described(suite: &Suite) -> (Repository, Check) {
    let attributes = &suite.attributes;
    let repository = attributes.repository.as_ref().map_or("", RepositoryName::as_str);
    let (org, name) = repository.rsplit_once('/').unwrap_or(("", repository));
    let provider = attributes.provider.as_deref().map_or("", names::provider);
    (
        Repository { name: name.to_owned(), org: org.to_owned() },
        Check {
            name: canonical_check(attributes.check.as_deref().unwrap_or("")).into_owned(),
            provider: provider.to_owned(),
        },
    )
}

fn test_case(state: &State, suite: &Suite, flaky: FlakyTest) -> TestCase {
    let FlakyTest { test, identity, first_occurrence, last_occurrence, last_24_hours } = flaky;
    let number = state.app.test_number(suite.id, test);
    TestCase {
        name: identity.name,
        class_name: identity.class_name,
        first_occurrence: time::text(first_occurrence),
        last_occurrence: time::text(last_occurrence),
        details_url: format!("{}/flaky/test_case/{number}", state.app.public_url()),
        last_24_hours_count: last_24_hours,
    }
}
