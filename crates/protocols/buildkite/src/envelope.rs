//! What surrounds the results of an upload: format, run environment, tags (`buildkite.md` 2.3 to 2.6).

use crate::error::ApiError;
use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use casebook_app::App;
use casebook_app::suites::NamedSuite;
use casebook_app::uploads::{Environment, ReportBody, SMALL};
use casebook_formats::json::{self, Object, Raw};
use casebook_formats::{Format, Malformed};
use casebook_http::{Bodies, Content, Fields, Incoming, Room, boundary, broken_form, media_type};
use casebook_model::name::{Branch, Commit, Job, Shard};
use casebook_model::public_id::parse_uuid;
use casebook_model::run::RunAttributes;
use futures_util::TryStreamExt as _;

/// Fields of a multipart form at most.
const MOST_FIELDS: usize = 2_000;

/// Longest key of a run, in bytes.
const LONGEST_KEY: usize = 16_000;

/// Longest name or version of a client, in characters.
const LONGEST_VALUE: usize = 120;

/// Longest field of a form beside the report, in bytes, and of all of them together.
const LONGEST_FIELD: usize = 256 << 10;
const LONGEST_FIELDS: usize = 1 << 20;

/// An upload taken apart.
pub(crate) struct Envelope {
    pub(crate) format: Format,
    pub(crate) environment: Environment,
    pub(crate) data: ReportBody,
    /// What the report takes of memory and disk, to be kept until it is read.
    pub(crate) room: Room,
}

/// Receives a body and takes it apart by its content type.
pub(crate) async fn receive(
    app: &App,
    bodies: &Bodies,
    headers: &HeaderMap,
    body: Body,
) -> Result<Envelope, ApiError> {
    let boundary = match (media_type(headers).as_str(), boundary(headers)) {
        ("application/json", _) => None,
        (_, Ok(Some(boundary))) => Some(Ok(boundary)),
        ("multipart/form-data", Err(error)) => Some(Err(error)),
        _ => {
            bodies.discard(headers, body).await;
            return Err(ApiError::UnsupportedMediaType(
                "the content type must be application/json or multipart/form-data".to_owned(),
            ));
        }
    };
    let incoming = bodies.incoming(headers, body).await?;
    match boundary {
        None => {
            let (bytes, room) = incoming.collect().await?.into_memory().await?;
            if bytes.len() <= SMALL {
                read_json(&bytes, room)
            } else {
                app.in_turn(move || read_json(&bytes, room)).await
            }
        }
        Some(Ok(boundary)) => read_multipart(boundary, incoming).await,
        Some(Err(error)) => {
            incoming.collect().await?;
            Err(error.into())
        }
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

fn read_json(body: &Bytes, room: Room) -> Result<Envelope, ApiError> {
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
    Ok(Envelope { format, environment, data: ReportBody::Memory(data), room })
}

async fn read_multipart(boundary: String, incoming: Incoming) -> Result<Envelope, ApiError> {
    let (pieces, contents) = incoming.fields();
    let mut form = Form::default();
    let mut multipart = multer::Multipart::new(pieces, boundary);
    while let Some(field) = multipart.next_field().await.map_err(broken_form)? {
        form.take(field, &contents).await?;
    }
    form.finish().await
}

/// A multipart form while it is read, in any order of fields.
#[derive(Default)]
struct Form {
    fields: usize,
    bytes: usize,
    format: Option<String>,
    run_env: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    data: Option<Content>,
}

impl Form {
    async fn take(&mut self, field: multer::Field<'_>, contents: &Fields) -> Result<(), ApiError> {
        self.fields += 1;
        if self.fields > MOST_FIELDS {
            return Err(ApiError::Unprocessable(format!("the form has more than {MOST_FIELDS} fields")));
        }
        let name = field.name().unwrap_or("").to_owned();
        let inner = |prefix: &str| Some(name.strip_prefix(prefix)?.strip_suffix(']')?.to_owned());
        if let Some(key) = inner("run_env[") {
            let value = self.text(field).await?;
            self.run_env.push((key, value));
        } else if let Some(key) = inner("tags[") {
            let value = self.text(field).await?;
            self.tags.push((key, value));
        } else if name == "format" {
            self.format = Some(self.text(field).await?);
        } else if name == "data" {
            if self.data.is_some() {
                return Err(unprocessable("the form has more than one data field"));
            }
            self.data = Some(contents.collect(field.map_err(broken_form)).await?);
        }
        Ok(())
    }

    /// The text of a small field.
    async fn text(&mut self, mut field: multer::Field<'_>) -> Result<String, ApiError> {
        let mut bytes = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(broken_form)? {
            bytes.extend_from_slice(&piece);
            self.bytes += piece.len();
            if bytes.len() > LONGEST_FIELD || self.bytes > LONGEST_FIELDS {
                return Err(ApiError::TooLarge(format!(
                    "a field beside data is longer than {LONGEST_FIELD} bytes, or all of them than {LONGEST_FIELDS}"
                )));
            }
        }
        Ok(text(&bytes))
    }

    async fn finish(mut self) -> Result<Envelope, ApiError> {
        if self.fields == 0 {
            return Err(ApiError::BadRequest("the body is no multipart form, or an empty one".to_owned()));
        }
        let format = format_of(self.format.as_deref().filter(|format| !format.is_empty()))?;
        if self.run_env.is_empty() {
            return Err(unprocessable("run_env is missing"));
        }
        // An empty field means "not given" (2.4).
        self.run_env.retain(|(_, value)| !value.is_empty());
        let environment = environment(&self.run_env, self.tags)?;
        let data = self.data.ok_or_else(|| unprocessable("data is missing"))?;
        let (data, room) = if format == Format::Junit {
            data.into_report()
        } else {
            let (bytes, room) = data.into_memory().await?;
            (ReportBody::Memory(bytes), room)
        };
        Ok(Envelope { format, environment, data, room })
    }
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
            provider: provider.clone(),
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
        named: NamedSuite { repository: find("repo"), check: find("check"), provider },
        tags,
        key,
    })
}
