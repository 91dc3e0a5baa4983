//! `POST /v1/test-ownerships`: the file that says which teams own which tests (`buildkite.md` 10, 13.6).

use crate::State;
use crate::error::ApiError;
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::StatusCode;
use casebook_app::access::Extent;
use casebook_http::{Caller, boundary, broken_form};
use casebook_model::ownership::{LARGEST_FILE, Ownership};
use casebook_model::public_id::Subject;
use serde_json::{Value, json};

/// Replaces the ownership file of the credential's suite.
pub(crate) async fn replace(
    extract::State(state): extract::State<State>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let suite = match suite_of(&state, &caller).await {
        Ok(suite) => suite,
        Err(error) => {
            state.bodies.discard(&caller.headers, body).await;
            return Err(error);
        }
    };
    let boundary = boundary(&caller.headers)?.ok_or_else(|| {
        ApiError::UnsupportedMediaType("the content type must be multipart/form-data".to_owned())
    })?;
    let (pieces, _) = state.bodies.incoming(&caller.headers, body).await?.fields();
    let mut form = multer::Multipart::new(pieces, boundary);
    let mut file = None;
    while let Some(mut field) = form.next_field().await.map_err(broken_form)? {
        if field.name() != Some("file") {
            continue;
        }
        let mut bytes = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(broken_form)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LARGEST_FILE {
                return Err(ApiError::TooLarge(format!("the file is larger than {LARGEST_FILE} bytes")));
            }
        }
        file = Some(bytes);
    }
    let file = file.ok_or_else(|| ApiError::Unprocessable("the form has no field named file".to_owned()))?;
    let text = String::from_utf8(file)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| ApiError::Unprocessable("the file is no UTF-8 text".to_owned()))?;
    if Ownership::parse(&text).is_empty() {
        let message = "the file names no owner: write lines of a pattern and a team";
        return Err(ApiError::Unprocessable(message.to_owned()));
    }
    state.app.replace_ownership(suite.id, text).await?;
    let id = state.app.public_id(Subject::Suite(suite.id));
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

async fn suite_of(state: &State, caller: &Caller) -> Result<casebook_model::suite::Suite, ApiError> {
    let access = caller.authenticate(&state.app).await?;
    if access.extent == Extent::Anonymous {
        // Whoever may make records without a credential may not change what is there.
        return Err(ApiError::Unauthorized);
    }
    Ok(state.app.suite_for_records(&access).await?)
}
