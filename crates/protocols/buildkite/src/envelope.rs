//! What surrounds the results of an upload: format, run environment, tags (`buildkite.md` 2.3 to 2.6).

use crate::error::ApiError;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use casebook_app::uploads::Environment;
use casebook_formats::json::{self, Object, Raw};
use casebook_formats::{Format, Malformed};
use casebook_model::name::{Branch, Commit, Job, Shard};
use casebook_model::public_id::parse_uuid;
use casebook_model::run::RunAttributes;

/// Fields of a multipart form at most.
const MOST_FIELDS: usize = 2_000;

/// Longest key of a run, in bytes.
const LONGEST_KEY: usize = 16_000;

/// Longest name or version of a client, in characters.
const LONGEST_VALUE: usize = 120;

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
    Format::from_word(word).ok_or_else(|| {
        let word: String = word.chars().take(60).collect();
        ApiError::Unprocessable(format!("format {word:?} is not known"))
    })
}

fn read_json(body: &Bytes) -> Result<Envelope, ApiError> {
    let no_json = |error: Malformed| ApiError::BadRequest(format!("the body: {error}"));
    let text = json::characters(body).map_err(no_json)?;
    let members = json::document_object(text).map_err(no_json)?.ok_or_else(|| {
        unprocessable("the body must be a JSON object with the members format, run_env and data")
    })?;
    let format = match members.get("format") {
        None => format_of(None)?,
        Some(raw) => {
            let word = json::text(raw).ok_or_else(|| unprocessable("format must be a string"))?;
            format_of(Some(&word))?
        }
    };
    let run_env = members.get("run_env").ok_or_else(|| unprocessable("run_env is missing"))?;
    let run_env = json::object(run_env).ok_or_else(|| unprocessable("run_env must be an object"))?;
    if run_env.get("key").is_some_and(|key| json::text(key).is_none()) {
        return Err(unprocessable("run_env.key must be a string"));
    }
    let tags = members.object("tags").map(|tags| texts(&tags)).unwrap_or_default();
    let environment = environment(&texts(&run_env), tags)?;
    let data = members.get("data").ok_or_else(|| unprocessable("data is missing"))?;
    let data = match format {
        Format::Json => body.slice_ref(data.get().as_bytes()),
        _ => match json::text(data) {
            Some(report) => Bytes::from(report.into_owned()),
            // Native JSON reports may be embedded as they are.
            None if format != Format::Junit => body.slice_ref(data.get().as_bytes()),
            None => return Err(unprocessable("data must be a string that holds the report")),
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
            (None, "data") if data.is_some() => {
                return Err(unprocessable("the form has more than one data field"));
            }
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
fn texts(object: &Object<'_>) -> Vec<(String, String)> {
    let text = |raw: Raw<'_>| match raw.get().as_bytes().first() {
        Some(b'"') => json::text(raw).map(|text| text.replace('\0', "\u{fffd}")),
        Some(b'n' | b'{' | b'[') => None,
        _ => Some(raw.get().to_owned()),
    };
    let members = object.0.iter();
    members.filter_map(|(key, value)| Some((key.replace('\0', "\u{fffd}"), text(value)?))).collect()
}

fn environment(run_env: &[(String, String)], tags: Vec<(String, String)>) -> Result<Environment, ApiError> {
    let find = |name: &str| {
        let entry = run_env.iter().rev().find(|(key, value)| key == name && !value.is_empty());
        entry.map(|(_, value)| value.clone())
    };
    let key = find("key").ok_or_else(|| unprocessable("run_env.key is missing or empty"))?;
    if key.len() > LONGEST_KEY {
        return Err(ApiError::Unprocessable(format!("run_env.key is longer than {LONGEST_KEY} bytes")));
    }
    let bounded = |name: &str| find(name).map(|text| text.chars().take(LONGEST_VALUE).collect());
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
        collector: bounded("collector"),
        collector_version: bounded("version"),
        language_version: bounded("language_version"),
        test_runner: bounded("test_runner"),
        key_is_build,
        started_at: find("started_at"),
        working_directory: find("cwd"),
        location_prefix: find("location_prefix"),
        names_suite: find("repo").is_some() || find("check").is_some(),
        tags,
        key,
    })
}
