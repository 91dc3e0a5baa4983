//! What surrounds the results of an upload: format, run environment, tags (`buildkite.md` 2.3 to 2.6).

use crate::error::ApiError;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use casebook_app::uploads::Environment;
use casebook_formats::Format;
use casebook_model::name::{Branch, Commit, Job, Shard};
use casebook_model::public_id::parse_uuid;
use casebook_model::run::RunAttributes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Fields of a multipart form at most.
const MOST_FIELDS: usize = 2_000;

/// An upload taken apart.
pub(crate) struct Envelope {
    pub(crate) format: Format,
    pub(crate) environment: Environment,
    pub(crate) data: Bytes,
}

/// Takes a body apart by its content type.
pub(crate) async fn read(headers: &HeaderMap, body: Bytes) -> Result<Envelope, ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => read_json(&body),
        "multipart/form-data" => {
            let boundary = multer::parse_boundary(content_type).map_err(|_| {
                ApiError::BadRequest("the multipart content type names no boundary".to_owned())
            })?;
            read_multipart(boundary, body).await
        }
        _ => Err(ApiError::UnsupportedMediaType(
            "the content type must be application/json or multipart/form-data".to_owned(),
        )),
    }
}

fn unprocessable(message: &str) -> ApiError {
    ApiError::Unprocessable(message.to_owned())
}

fn format_of(word: Option<&str>) -> Result<Format, ApiError> {
    let word = word.ok_or_else(|| unprocessable("format is missing"))?;
    Format::from_word(word).ok_or_else(|| ApiError::Unprocessable(format!("format {word:?} is not known")))
}

/// The members of a JSON upload in any order, each still in its own text.
#[derive(serde::Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    format: Option<&'a RawValue>,
    #[serde(borrow)]
    run_env: Option<&'a RawValue>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

fn read_json(body: &Bytes) -> Result<Envelope, ApiError> {
    let members: Members<'_> = serde_json::from_slice(body).map_err(|error| {
        if error.is_data() && std::str::from_utf8(body).is_ok() {
            unprocessable("the body must be a JSON object with the members format, run_env and data")
        } else {
            ApiError::BadRequest(format!("the body is no JSON: {error}"))
        }
    })?;
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get());
    let format = members.format.map(value).transpose().ok().flatten();
    let format = match &format {
        None | Some(Value::Null) => format_of(None)?,
        Some(Value::String(word)) => format_of(Some(word))?,
        Some(_) => return Err(unprocessable("format must be a string")),
    };
    let run_env = match members.run_env.map(value).transpose().ok().flatten() {
        Some(Value::Object(run_env)) => run_env,
        Some(_) => return Err(unprocessable("run_env must be an object")),
        None => return Err(unprocessable("run_env is missing")),
    };
    if run_env.get("key").is_some_and(|key| !key.is_string() && !key.is_null()) {
        return Err(unprocessable("run_env.key must be a string"));
    }
    let tags = match members.tags.map(value).transpose().ok().flatten() {
        Some(Value::Object(tags)) => texts(tags),
        _ => Vec::new(),
    };
    let environment = environment(&texts(run_env), tags)?;
    let data =
        members.data.filter(|data| data.get() != "null").ok_or_else(|| unprocessable("data is missing"))?;
    let data = match format {
        Format::Json => body.slice_ref(data.get().as_bytes()),
        _ => match serde_json::from_str::<String>(data.get()) {
            Ok(report) => Bytes::from(report),
            // Native JSON reports may be embedded as they are.
            Err(_) if format != Format::Junit => body.slice_ref(data.get().as_bytes()),
            Err(_) => return Err(unprocessable("data must be a string that holds the report")),
        },
    };
    Ok(Envelope { format, environment, data })
}

async fn read_multipart(boundary: String, body: Bytes) -> Result<Envelope, ApiError> {
    let broken =
        |error: multer::Error| ApiError::BadRequest(format!("the multipart form cannot be read: {error}"));
    let stream = futures_util::stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(body)));
    let mut form = multer::Multipart::new(stream, boundary);
    let (mut format, mut data) = (None, None);
    let (mut run_env, mut tags) = (Vec::new(), Vec::new());
    let mut fields = 0;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        fields += 1;
        if fields > MOST_FIELDS {
            return Err(ApiError::Unprocessable(format!("the form has more than {MOST_FIELDS} fields")));
        }
        let name = field.name().unwrap_or("").to_owned();
        let inner = |prefix: &str| Some(name.strip_prefix(prefix)?.strip_suffix(']')?.to_owned());
        let target = if let Some(key) = inner("run_env[") {
            Some((&mut run_env, key))
        } else {
            inner("tags[").map(|key| (&mut tags, key))
        };
        let bytes = field.bytes().await.map_err(broken)?;
        match (target, name.as_str()) {
            (Some((list, key)), _) => list.push((key, text(&bytes))),
            (None, "data") => data = Some(bytes),
            (None, "format") => format = Some(text(&bytes)),
            (None, _) => {}
        }
    }
    if fields == 0 {
        return Err(ApiError::BadRequest("the body is no multipart form, or an empty one".to_owned()));
    }
    let format = format_of(format.as_deref().filter(|format| !format.is_empty()))?;
    if run_env.is_empty() {
        return Err(unprocessable("run_env is missing"));
    }
    // An empty field means "not given" (2.4).
    run_env.retain(|(_, value)| !value.is_empty());
    let environment = environment(&run_env, tags)?;
    let data = data.ok_or_else(|| unprocessable("data is missing"))?;
    Ok(Envelope { format, environment, data })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// Members of an object as texts; null and nested values say nothing that is used.
fn texts(object: Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: Value| match value {
        Value::String(text) => Some(text.replace('\0', "\u{fffd}")),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    object
        .into_iter()
        .filter_map(|(key, value)| Some((key.replace('\0', "\u{fffd}"), text(value)?)))
        .collect()
}

fn environment(run_env: &[(String, String)], tags: Vec<(String, String)>) -> Result<Environment, ApiError> {
    let find = |name: &str| {
        let entry = run_env.iter().rev().find(|(key, value)| key == name && !value.is_empty());
        entry.map(|(_, value)| value.clone())
    };
    let key = find("key").ok_or_else(|| unprocessable("run_env.key is missing or empty"))?;
    let provider = find("CI").or_else(|| find("ci"));
    let key_is_build = provider.as_deref() == Some("buildkite") && parse_uuid(&key).is_some();
    Ok(Environment {
        attributes: RunAttributes {
            branch: find("branch").as_deref().and_then(Branch::new),
            commit: find("commit_sha").as_deref().and_then(Commit::new),
            message: find("message"),
            url: find("url"),
            number: find("number"),
            provider,
        },
        job: find("job_id").as_deref().and_then(Job::new),
        shard: find("shard").as_deref().and_then(Shard::new),
        collector: find("collector"),
        collector_version: find("version"),
        language_version: find("language_version"),
        test_runner: find("test_runner"),
        key_is_build,
        started_at: find("started_at"),
        working_directory: find("cwd"),
        location_prefix: find("location_prefix"),
        tags,
        key,
    })
}
