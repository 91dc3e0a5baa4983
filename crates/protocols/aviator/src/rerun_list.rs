//! `GET /api/v1/flaky-tests`: what pytest-aviator runs again (`aviator.md` 4.3 to 4.5).

use crate::State;
use crate::error::ApiError;
use crate::question::Question;
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::Uri;
use casebook_http::Caller;
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Answer {
    flaky_tests: Vec<FlakyTest>,
}

/// The client stops the whole test run at anything but texts and whole numbers with `1 <= min_passes <= max_runs`.
#[derive(Serialize)]
struct FlakyTest {
    test_name: String,
    class_name: String,
    max_runs: i64,
    min_passes: i64,
}

/// Everything in one answer, the test with the latest evidence last: of several with one name the client keeps the last.
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    uri: Uri,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    let access = caller.authenticate(&state.app).await?;
    let question = Question::read(&uri, &caller.headers, body).await?;
    let mut answer = Answer { flaky_tests: Vec::new() };
    let (Some(repository), Some(check)) = (question.find("repo_name"), question.find("job_name")) else {
        return Ok(Json(answer));
    };
    let Some(list) = state.app.rerun_list_of_check(&access, repository, check).await? else {
        return Ok(Json(answer));
    };
    // Run counts of their own alone do not make tests flaky.
    let flaky = list.tests.iter().filter(|listed| listed.opened_at.is_some());
    let rerun = flaky.filter(|listed| listed.last_run_counts.max_runs() > 1);
    answer.flaky_tests = rerun
        .filter(|listed| !listed.identity.name.is_empty())
        .map(|listed| FlakyTest {
            test_name: listed.identity.name.clone(),
            class_name: listed.ending.clone(),
            max_runs: listed.last_run_counts.max_runs(),
            min_passes: listed.last_run_counts.min_passes(),
        })
        .collect();
    Ok(Json(answer))
}
