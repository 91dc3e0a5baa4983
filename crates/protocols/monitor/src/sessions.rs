//! Sessions: `POST /sessions/`, and how one is shown.

use crate::Shared;
use crate::body::{Field, Fields, Object, read};
use crate::date;
use crate::error::ApiError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use casebook_app::access::Access;
use casebook_app::monitor::Put;
use casebook_model::measurement::Session;
use casebook_model::suite::Suite;
use serde::Serialize;

/// A session on the wire.
#[derive(Serialize)]
pub(crate) struct SessionBody<'a> {
    session_h: &'a str,
    run_date: &'a str,
    scm_ref: Option<&'a str>,
    tags: Vec<TagBody<'a>>,
}

#[derive(Serialize)]
struct TagBody<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

impl<'a> SessionBody<'a> {
    pub(crate) fn of(session: &'a Session) -> Self {
        let tag = |(name, value): &'a (String, Option<String>)| TagBody { name, value: value.as_deref() };
        Self {
            session_h: &session.key,
            run_date: &session.run_date,
            scm_ref: session.scm_ref.as_deref(),
            tags: session.tags.iter().map(tag).collect(),
        }
    }
}

/// Stores a session; `identifier` is that of the path. The same again is answered alike (D7).
pub(crate) async fn create(
    shared: &Shared,
    access: &Access,
    suite: &Suite,
    identifier: Option<String>,
    bytes: &[u8],
) -> Result<Response, ApiError> {
    let session = parse(identifier, bytes)?;
    let answer = Json(SessionBody::of(&session)).into_response();
    match shared.app.put_session(suite, access, session).await? {
        Put::Stored => Ok((StatusCode::CREATED, answer).into_response()),
        Put::Different => Err(ApiError::Different(
            "there is a session with this identifier and other content: send another session_h",
        )),
    }
}

/// The names under which the identifier may come (D3).
const IDENTIFIER: &[&str] = &["session_h", "h"];

fn parse(identifier: Option<String>, bytes: &[u8]) -> Result<Session, ApiError> {
    let mut fields = Fields::of(bytes)?;
    let key = match (identifier, fields.find(IDENTIFIER)) {
        (Some(identifier), Field::Missing) => identifier,
        _ => fields.identifier(IDENTIFIER),
    };
    let run_date = match (fields.find(&["run_date"]), fields.text(&["run_date"])) {
        (Field::Text(_), text) => date::shown(&text).unwrap_or_else(|| {
            fields.wrong(
                "run_date",
                "must be a date or date and time as in ISO 8601, such as 2026-01-31T12:00:00",
            );
            String::new()
        }),
        _ => String::new(),
    };
    let scm_ref = match fields.find(&["scm_ref"]) {
        Field::Missing => Some(String::new()),
        Field::Null => None,
        Field::Text(text) => Some(text),
        _ => {
            fields.wrong("scm_ref", "must be a text or null");
            None
        }
    };
    let tags = match fields.find(&["description"]) {
        // pytest-monitor up to 1.6.0 sends the object as text.
        Field::Text(text) => tags(&text),
        Field::Other(text) => tags(text),
        _ => None,
    };
    if tags.is_none() {
        fields.wrong("description", "must be an object of tag names and values, or the text of one");
    }
    fields.finish()?;
    Ok(Session { key, run_date, scm_ref, tags: tags.unwrap_or_default() })
}

/// The tags of an object in their order; values that are no texts are written as Python does.
fn tags(text: &str) -> Option<Vec<(String, Option<String>)>> {
    let Object(members) = serde_json::from_str(text).ok()?;
    let value = |value| match read(value) {
        Field::Null | Field::Missing => None,
        Field::Text(text) => Some(text),
        Field::Number(_) => Some(value.get().to_owned()),
        Field::Other("true") => Some("True".to_owned()),
        Field::Other("false") => Some("False".to_owned()),
        Field::Other(text) => Some(text.to_owned()),
    };
    Some(members.into_iter().map(|(name, raw)| (name, value(raw))).collect())
}

/// The session that pytest-monitor's own file tells of. A description that is no JSON object is the tag `description`; a date
/// that is none stays as it is.
#[must_use]
pub fn session_of_parts(key: String, run_date: &str, scm_ref: Option<String>, description: &str) -> Session {
    let plain = || match description.trim() {
        "" => Vec::new(),
        _ => vec![("description".to_owned(), Some(description.to_owned()))],
    };
    Session {
        key,
        run_date: date::shown(run_date).unwrap_or_else(|| run_date.to_owned()),
        scm_ref,
        tags: tags(description).unwrap_or_else(plain),
    }
}

/// The session that the bytes of a listing's entry say.
///
/// # Errors
/// It is none; one sentence says why.
pub fn session_of(bytes: &[u8]) -> Result<Session, String> {
    #[derive(serde::Deserialize)]
    struct Listed {
        session_h: String,
        run_date: String,
        scm_ref: Option<String>,
        #[serde(default)]
        tags: Option<Vec<ListedTag>>,
    }
    #[derive(serde::Deserialize)]
    struct ListedTag {
        name: String,
        value: Option<String>,
    }
    let Listed { session_h, run_date, scm_ref, tags } =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let tags = tags.unwrap_or_default().into_iter().map(|tag| (tag.name, tag.value)).collect();
    let run_date = date::shown(&run_date).unwrap_or(run_date);
    Ok(Session { key: session_h, run_date, scm_ref, tags })
}
