//! Uploads: what arrived, what became of it, and what was wrong with it.

use super::error::ApiError;
use super::extract::{Path, Query};
use super::openapi::SuitePath;
use super::readable_suite;
use axum::Json;
use axum::extract::State;
use casebook_api::{Page, ProblemDocument, Upload, UploadCounts};
use casebook_app::App;
use casebook_app::uploads::ShownUpload;
use casebook_http::Caller;
use casebook_model::public_id::Subject;
use casebook_model::suite::Suite;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Which uploads.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only uploads of the run with this id.
    run: Option<String>,
    /// What an earlier answer gave as `next`: what comes behind it.
    after: Option<String>,
    /// Items in one answer: 50 unless told, at most 200.
    limit: Option<i64>,
}

/// Uploads, newest first.
#[utoipa::path(
    get,
    operation_id = "listUploads",
    path = "/api/casebook/v1/suites/{organization}/{suite}/uploads",
    tag = "uploads",
    params(SuitePath, Wanted),
    responses((status = 200, body = Page<Upload>), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Upload>>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let run = match wanted.run.as_deref() {
        None => None,
        Some(id) => match app.subject(id) {
            Some(Subject::Run(of, run)) if of == suite.id => Some(run),
            _ => return Err(ApiError::NotFound("there is no such run")),
        },
    };
    let before = match wanted.after.as_deref() {
        None => None,
        Some(id) => match app.subject(id) {
            Some(Subject::Upload(of, upload)) if of == suite.id => Some(upload),
            _ => return Err(super::wrong_cursor()),
        },
    };
    let limit = super::limit(wanted.limit)?;
    let mut found = app.uploads(suite.id, run, before, limit + 1).await?;
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    let items: Vec<Upload> = found.into_iter().map(|shown| to_json(&app, &suite, shown)).collect();
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(Page { items, next }))
}

/// One upload: what became of its results, and what was wrong with them.
#[utoipa::path(
    get,
    operation_id = "getUpload",
    path = "/api/casebook/v1/suites/{organization}/{suite}/uploads/{upload}",
    tag = "uploads",
    params(SuitePath, ("upload" = String, Path, description = "Id of the upload.")),
    responses((status = 200, body = Upload), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, upload)): Path<(String, String, String)>,
) -> Result<Json<Upload>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let found = app.upload(suite.id, &upload).await?;
    let shown = found.ok_or(ApiError::NotFound("there is no such upload"))?;
    Ok(Json(to_json(&app, &suite, shown)))
}

fn to_json(app: &App, suite: &Suite, shown: ShownUpload) -> Upload {
    let ShownUpload { upload, format } = shown;
    let id = app.public_id(Subject::Upload(suite.id, upload.id));
    Upload {
        run_id: app.public_id(Subject::Run(suite.id, upload.run)),
        protocol: upload.protocol.to_string(),
        format: format.to_owned(),
        received_at: upload.received_at.to_rfc3339_millis(),
        results_at: upload.at.to_rfc3339_millis(),
        branch: upload.branch,
        commit_sha: upload.commit,
        job: upload.job,
        shard: upload.shard,
        collector: upload.collector,
        tags: upload.tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        counts: UploadCounts {
            accepted: upload.accepted,
            repaired: upload.repaired,
            rejected: upload.rejected,
            duplicate: upload.duplicate,
        },
        problems: upload.problems,
        web_url: format!(
            "{}/organizations/{}/analytics/suites/{}/uploads/{id}",
            app.public_url(),
            suite.organization.slug,
            suite.slug
        ),
        id,
    }
}
