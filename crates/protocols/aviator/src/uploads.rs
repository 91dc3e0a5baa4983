//! `POST /api/test-report-uploader`: how jobs send their reports (`aviator.md` 3).

use crate::error::ApiError;
use crate::names::CheckName;
use crate::{State, names};
use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use casebook_app::StorageError;
use casebook_app::access::Access;
use casebook_app::suites::NamedSuite;
use casebook_app::uploads::{Bundle, Context, Environment, Recorded, ReportBody};
use casebook_formats::Format;
use casebook_http::{Bodies, Caller, Room, boundary, broken_form};
use casebook_model::name::{Branch, Commit, Job};
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::suite::{RepositoryName, Suite, check_name, same_check};
use futures_util::TryStreamExt as _;
use serde::Serialize;

/// Files in one request at most.
const MOST_FILES: usize = 1_000;

/// Sentences in the answer at most.
const MOST_TOLD: usize = 20;

/// Longest header value that is kept, in characters.
const LONGEST: usize = 1_000;

/// Both forms that the documentation has shown, and what a person should see in the job's log.
#[derive(Serialize)]
pub(crate) struct Answer {
    status: u16,
    success: bool,
    message: &'static str,
    /// What was mended or left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// Stores the reports of a job, and answers when they are durable.
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    caller: Caller,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    let (access, job) = match admit(&state, &caller).await {
        Ok(admitted) => admitted,
        Err(error) => {
            state.bodies.discard(&caller.headers, body).await;
            return Err(error);
        }
    };
    let (files, _room) = receive(&state.bodies, &caller.headers, body).await?;
    let JobHeaders { environment, alias } = job;
    let destination = state.app.destination(&access, environment.named.clone()).await?;
    let NamedSuite { check, provider, .. } = environment.named.clone();
    let context = Context {
        protocol: Protocol::Aviator,
        branches: access.branches,
        environment,
        format: Format::Junit,
    };
    let bundle = Bundle { destination, context, files, most_unpacked: state.bodies.most_unpacked() };
    let recorded = state.app.submit_files(bundle).await?;
    if let (Some(check), Some(first)) = (check, recorded.first())
        && first.suite.attributes.check.as_deref().is_some_and(|own| same_check(own, &check_name(&check)))
        && let Err(error) = note_names(&state, &first.suite, alias, provider).await
    {
        // The results are stored; they can be asked for under their own name.
        tracing::warn!(error = &error as &dyn std::error::Error, "names of a check were not noted");
    }
    Ok(Json(Answer {
        status: 200,
        success: true,
        message: "Artifact uploaded successfully.",
        problems: problems(&recorded),
    }))
}

/// Notes how the check is called, as far as its suite does not know that yet.
async fn note_names(
    state: &State,
    suite: &Suite,
    alias: Option<String>,
    provider: Option<String>,
) -> Result<(), StorageError> {
    if let Some(provider) = provider {
        state.app.note_provider(suite, provider).await?;
    }
    match alias {
        Some(alias) => state.app.note_alias(suite, alias).await,
        None => Ok(()),
    }
}

/// The access of the request and what its headers say, if it may send results.
async fn admit(state: &State, caller: &Caller) -> Result<(Access, JobHeaders), ApiError> {
    let access = caller.authenticate(&state.app).await?;
    access.check_upload()?;
    Ok((access, JobHeaders::read(&caller.headers)?))
}

/// What the headers say of the job.
struct JobHeaders {
    environment: Environment,
    /// Another name of its check.
    alias: Option<String>,
}

impl JobHeaders {
    fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        // A variable that is not set arrives as an empty value.
        let whole = |name: &str| {
            let text = String::from_utf8_lossy(headers.get(name)?.as_bytes()).trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let find = |name: &str| whole(name).map(|text| text.chars().take(LONGEST).collect::<String>());
        let required = |name: &str| {
            find(name).ok_or_else(|| ApiError::bad_request(format!("the header {name} is missing or empty")))
        };
        let provider = required("Provider-Name")?;
        let repository = required("Repo-Url")?;
        let commit = required("Commit-Sha")?;
        if RepositoryName::from_address(&repository).is_err() {
            let message = "the header Repo-Url names no repository: send the address that is cloned";
            return Err(ApiError::bad_request(message));
        }
        // What a check is asked for by is not cut.
        let (job, workflow) = (whole("Job-Name"), whole("Workflow-Name"));
        let CheckName { name: check, alias } = names::check(&provider, job.as_deref(), workflow.as_deref());
        let job = find("Job-Name");
        let build = find("Build-ID").or_else(|| find("Build-URL")).unwrap_or_else(|| commit.clone());
        let status = find("Build-Status").map(|status| ("build.status".to_owned(), status));
        let environment = Environment {
            key: format!("{provider}/{build}/{}", job.as_deref().unwrap_or("")),
            attributes: RunAttributes {
                branch: find("Branch-Name").as_deref().and_then(Branch::new),
                commit: Commit::new(&commit),
                message: None,
                url: find("Build-URL"),
                number: None,
                provider: Some(provider.clone()),
            },
            job: job.as_deref().and_then(Job::new),
            collector: Some(format!("aviator-{provider}")),
            tags: status.into_iter().collect(),
            named: NamedSuite {
                repository: Some(repository),
                check: Some(check),
                provider: Some(names::provider(&provider).to_owned()),
            },
            ..Environment::default()
        };
        Ok(Self { environment, alias })
    }
}

/// The files of the form, by name.
async fn receive(
    bodies: &Bodies,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Vec<(String, ReportBody)>, Vec<Room>), ApiError> {
    let Some(boundary) = boundary(headers)? else {
        bodies.discard(headers, body).await;
        return Err(ApiError::Refused(
            StatusCode::BAD_REQUEST,
            "the content type must be multipart/form-data, with the reports in fields named file[]"
                .to_owned(),
        ));
    };
    let (pieces, contents) = bodies.incoming(headers, body).await?.fields();
    let mut form = multer::Multipart::new(pieces, boundary);
    let (mut files, mut rooms) = (Vec::new(), Vec::new());
    while let Some(field) = form.next_field().await.map_err(broken_form)? {
        if !matches!(field.name(), Some("file[]" | "file")) {
            continue;
        }
        if files.len() == MOST_FILES {
            return Err(ApiError::bad_request(format!("the request has more than {MOST_FILES} files")));
        }
        let name = field.file_name().unwrap_or("the report").to_owned();
        let (report, room) = contents.collect(field.map_err(broken_form)).await?.into_report();
        files.push((name, report));
        rooms.push(room);
    }
    Ok((files, rooms))
}

fn problems(recorded: &[Recorded]) -> Vec<String> {
    let all = recorded.iter().flat_map(|recorded| &recorded.problems);
    let mut told: Vec<String> = all.clone().take(MOST_TOLD).map(ToString::to_string).collect();
    let more = all.count() - told.len();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}
