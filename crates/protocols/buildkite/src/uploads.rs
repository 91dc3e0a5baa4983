//! `POST /v1/uploads` (`buildkite.md` 2 to 5).

use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::{State, suite_web_url};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::StatusCode;
use casebook_app::access::Access;
use casebook_app::uploads::{Context, Submission};
use casebook_http::Caller;
use casebook_model::public_id::Subject;
use casebook_model::run::Protocol;
use serde::Serialize;

/// Sentences in the answer at most; the upload keeps more, and the counts tell all.
const MOST_ERRORS: usize = 50;

/// The eight members of an answer to an upload, of which different clients need different ones (section 5).
#[derive(Serialize)]
pub(crate) struct UploadAnswer {
    id: String,
    run_id: String,
    queued: i64,
    skipped: i64,
    errors: Vec<String>,
    run_url: String,
    upload_id: String,
    upload_url: String,
}

/// Stores an upload and answers when it is durable.
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<UploadAnswer>), ApiError> {
    // The credential decides before the body is looked at (2.1).
    let access = match admit(&state, &caller).await {
        Ok(access) => access,
        Err(error) => {
            state.bodies.discard(&caller.headers, body).await;
            return Err(error);
        }
    };
    let Envelope { format, environment, data, room } =
        envelope::receive(&state.app, &state.bodies, &caller.headers, body).await?;
    let destination = state.app.destination(&access, environment.named.clone()).await?;
    let context = Context { protocol: Protocol::Buildkite, branches: access.branches, environment, format };
    let most_results = casebook_formats::MOST_RESULTS;
    let submission = Submission { destination, context, body: data, most_results };
    let recorded = state.app.submit(submission).await?;
    drop(room);

    let suite = recorded.suite;
    let upload = state.app.public_id(Subject::Upload(suite.id, recorded.receipt.upload));
    let run = state.app.public_id(Subject::Run(suite.id, recorded.receipt.run));
    let web = suite_web_url(&state.app, &suite);
    let mut errors: Vec<String> = recorded
        .problems
        .iter()
        .filter(|problem| problem.rejected)
        .take(MOST_ERRORS)
        .map(ToString::to_string)
        .collect();
    if recorded.rejected > errors.len() {
        errors.push(format!("{} more results could not be used", recorded.rejected - errors.len()));
    }
    let answer = UploadAnswer {
        queued: recorded.receipt.accepted,
        skipped: recorded.receipt.duplicate + recorded.rejected as i64,
        errors,
        run_url: format!("{web}/runs/{run}"),
        upload_url: format!("{web}/uploads/{upload}"),
        id: upload.clone(),
        upload_id: upload,
        run_id: run,
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// The access of the request, if it may send results.
async fn admit(state: &State, caller: &Caller) -> Result<Access, ApiError> {
    let access = caller.authenticate(&state.app).await?;
    access.check_upload()?;
    Ok(access)
}
