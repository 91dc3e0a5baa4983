//! Counts and times every request, by the route's pattern.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use casebook_app::App;
use casebook_app::metrics::RequestLabels;
use std::sync::Arc;
use std::time::Instant;

pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let (elapsed, status) = (started.elapsed(), response.status().as_u16());
    tracing::debug!(%method, route, status, duration_us = elapsed.as_micros() as u64, "answered");
    app.metrics().request_seconds.observe(elapsed.as_secs_f64());
    app.metrics().requests.get_or_create(&RequestLabels { route, status }).inc();
    response
}
