//! `GET /api/v1/flaky-tests`: what pytest-aviator runs again (`aviator.md` 4.3 to 4.5).

use crate::State;
use crate::error::ApiError;
use crate::question::Question;
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::Uri;
use casebook_app::reruns::prompt;
use casebook_http::Caller;
use serde::Serialize;
use std::sync::Arc;

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
    let credential = caller.credential()?;
    let read = Question::read(&uri, &caller.headers, body).await;
    let member = |name| read.as_ref().ok().and_then(|read| read.find(name)).map(str::to_owned);
    let (repository, check) = (member("repo_name"), member("job_name"));
    let names = [Some("flaky-tests"), repository.as_deref(), check.as_deref()];
    let question = credential.as_ref().and_then(|credential| prompt::Question::new(credential, &names));
    let app = Arc::clone(&state.app);
    let find = async move {
        let access = app.authenticate(credential, caller.address).await?;
        // Who may not ask is not told what is wrong with the question.
        read?;
        match (repository, check) {
            (Some(repository), Some(check)) => Ok(app.suite_of_check(&access, &repository, &check).await?),
            _ => Ok::<_, ApiError>(None),
        }
    };
    let told = state.app.tell(question, find).await?;
    let tests = told.as_ref().map_or(&[][..], |told| told.list.tests.as_slice());
    // Run counts of their own alone do not make tests flaky.
    let flaky = tests.iter().filter(|listed| listed.opened_at.is_some());
    let rerun = flaky.filter(|listed| listed.last_run_counts.max_runs() > 1);
    let flaky_tests = rerun
        .filter(|listed| !listed.identity.name.is_empty())
        .map(|listed| FlakyTest {
            test_name: listed.identity.name.clone(),
            class_name: listed.ending.clone(),
            max_runs: listed.last_run_counts.max_runs(),
            min_passes: listed.last_run_counts.min_passes(),
        })
        .collect();
    Ok(Json(Answer { flaky_tests }))
}
