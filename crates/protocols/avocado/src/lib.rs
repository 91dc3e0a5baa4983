//! Avocado Server's REST API: jobs, their tests, activities and data; software and systems.
//!
//! The suite is that of the credential. Addresses end in a slash and are answered without it too.

mod error;
mod fields;
mod guard;
mod origin;
mod pagination;
mod time;
mod visit;

mod activities;
mod data;
mod job_tests;
mod jobs;
mod root;
mod software;
mod statuses;
mod systems;
mod tables;
mod test_activity;

use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, patch, post, put};
use casebook_app::App;
use casebook_app::avocado::Db;
use casebook_http::{Bodies, Needs, Route, Routes};
use error::ApiError;
use guard::Places;
use std::sync::Arc;

pub use error::unknown_address;
pub use time::{UnknownZone, Zone};

/// What the handlers share.
#[derive(Clone)]
struct State {
    app: Arc<App>,
    bodies: Bodies,
    zone: Arc<Zone>,
    places: Arc<Places>,
}

/// Every address of this protocol. Time stamps that name no zone are of `zone`.
pub fn router(app: Arc<App>, bodies: Bodies, zone: Zone) -> Router {
    let places = Arc::new(Places::new(surface(), is_fixed));
    let state = State { app, bodies, zone: Arc::new(zone), places };
    let routes = routes().slashes_optional();
    // Without its slash this address means something else (2.2).
    let routes =
        routes.route("/version", get(root::version_for_old_client)).route("/version/", get(root::version));
    routes
        .method_not_allowed_fallback(guard::method_not_allowed)
        .route_layer(from_fn_with_state(state.clone(), guard::guard))
        .with_state(state)
}

/// The addresses and what each needs, with their final slashes. What clients ask for before they send needs any credential.
pub fn surface() -> impl Iterator<Item = Route> {
    let version = |path: &str| Route { method: Method::GET, path: path.to_owned(), needs: Needs::Nothing };
    routes().table().chain([version("/version"), version("/version/")])
}

/// Whether nobody may write there, whatever the credential allows.
fn is_fixed(path: &str) -> bool {
    ["/jobstatuses/", "/teststatuses/", "/version"].iter().any(|start| path.starts_with(start))
}

fn routes() -> Routes<State> {
    let routes = Routes::new()
        .with(Needs::Any, Method::GET, "/", get(root::root))
        .with(Needs::Any, Method::GET, "/jobstatuses/", get(statuses::jobs))
        .with(Needs::Any, Method::GET, "/jobstatuses/{row}/", get(statuses::job))
        .with(Needs::Any, Method::GET, "/teststatuses/", get(statuses::tests))
        .with(Needs::Any, Method::GET, "/teststatuses/{row}/", get(statuses::test));
    of_jobs(small_tables(routes))
}

fn small_tables(routes: Routes<State>) -> Routes<State> {
    let routes = tables::serve::<software::Kinds>(routes, "/softwarecomponentkinds/");
    let routes = tables::serve::<software::Arches>(routes, "/softwarecomponentarches/");
    let routes = tables::serve::<software::Components>(routes, "/softwarecomponents/");
    let routes = tables::serve::<systems::Distros>(routes, "/linuxdistros/");
    tables::serve::<systems::Environments>(routes, "/testenvironments/")
}

fn of_jobs(routes: Routes<State>) -> Routes<State> {
    use Needs::{Any, Read, Upload, Write};
    let (job, test) = ("/jobs/{job}/", "/jobs/{job}/tests/{test}/");
    let below = |rest: &str| format!("{job}{rest}/");
    let below_test = |rest: &str| format!("{test}{rest}/");
    routes
        .with(Read, Method::GET, "/jobs/", get(jobs::list))
        .with(Upload, Method::POST, "/jobs/", post(jobs::create))
        .with(Read, Method::GET, "/jobs/summary/", get(jobs::summary))
        .with(Any, Method::GET, job, get(jobs::find))
        .with(Write, Method::PUT, job, put(jobs::replace))
        .with(Write, Method::PATCH, job, patch(jobs::change))
        .with(Write, Method::DELETE, job, delete(jobs::remove))
        .with(Read, Method::GET, below("passrate"), get(jobs::pass_rate))
        .with(Read, Method::GET, below("testcount"), get(jobs::test_count))
        .with(Read, Method::GET, below("activities"), get(activities::of_job))
        .with(Upload, Method::POST, below("activities"), post(activities::add_to_job))
        .with(Upload, Method::POST, below("activity"), post(activities::add_to_named_job))
        .with(Upload, Method::POST, below("test_activity"), post(test_activity::add))
        .with(Any, Method::GET, below("tests"), get(job_tests::list))
        .with(Upload, Method::POST, below("tests"), post(job_tests::create))
        .with(Read, Method::GET, below("tests/summary"), get(job_tests::summary))
        .with(Any, Method::GET, test, get(job_tests::find))
        .with(Write, Method::PUT, test, put(job_tests::replace))
        .with(Write, Method::PATCH, test, patch(job_tests::change))
        .with(Write, Method::DELETE, test, delete(job_tests::remove))
        .with(Read, Method::GET, below_test("activities"), get(activities::of_test))
        .with(Upload, Method::POST, below_test("activities"), post(activities::add_to_test))
        .with(Read, Method::GET, below_test("data"), get(data::list))
        .with(Upload, Method::POST, below_test("data"), post(data::add))
}

impl State {
    /// Reads on a thread that may wait.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.app.read(move |db| inside(work(db))).await?
    }

    /// Changes something in a durable transaction. A refusal must come before the first change.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.app.write(move |db| inside(work(db))).await?
    }
}

/// A refusal is no failure of the database.
fn inside<T>(result: Result<T, ApiError>) -> Result<Result<T, ApiError>, casebook_app::StorageError> {
    match result {
        Err(ApiError::Storage(error)) => Err(error),
        other => Ok(other),
    }
}
