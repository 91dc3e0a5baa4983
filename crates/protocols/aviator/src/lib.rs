//! Aviator FlakyBot: the flaky tests of a check, the list of tests to rerun, report uploads, and
//! bodies of webhooks.
//!
//! Its clients decode whatever comes without looking at the status, so every answer of these addresses is a JSON object.

mod error;
mod flaky_tests;
mod names;
mod question;
mod rerun_list;
mod time;
mod uploads;
pub mod webhook;

use axum::Router;
use axum::extract::FromRef;
use axum::http::Method;
use axum::routing::{get, post};
use casebook_app::App;
use casebook_http::{Bodies, Needs, Route, Routes};
use std::sync::Arc;

/// What the handlers share.
#[derive(Clone)]
struct State {
    app: Arc<App>,
    bodies: Bodies,
}

impl FromRef<State> for Arc<App> {
    fn from_ref(state: &State) -> Self {
        Arc::clone(&state.app)
    }
}

/// Every address of this protocol.
pub fn router(app: Arc<App>, bodies: Bodies) -> Router {
    let state = State { app, bodies };
    routes().router().method_not_allowed_fallback(error::method_not_allowed).with_state(state)
}

/// The addresses and what each needs.
pub fn surface() -> impl Iterator<Item = Route> {
    routes().table()
}

/// Each address with and without a slash at its end: the public documentation writes both.
fn routes() -> Routes<State> {
    let mut routes = Routes::new();
    for end in ["", "/"] {
        routes = routes
            .with(Needs::Read, Method::GET, format!("/api/v1/testdeck/flaky{end}"), get(flaky_tests::list))
            .with(Needs::Any, Method::GET, format!("/api/v1/flaky-tests{end}"), get(rerun_list::list))
            .with(
                Needs::Upload,
                Method::POST,
                format!("/api/test-report-uploader{end}"),
                post(uploads::create),
            );
    }
    routes
}
