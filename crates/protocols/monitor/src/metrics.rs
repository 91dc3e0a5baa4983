//! Metrics: `POST /metrics/`, and how one is shown.

use crate::Shared;
use crate::body::Fields;
use crate::error::ApiError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use casebook_app::access::Access;
use casebook_model::measurement::{Metric, MetricWord};
use casebook_model::suite::Suite;
use serde::Serialize;

/// A metric on the wire.
#[derive(Serialize)]
pub(crate) struct MetricBody<'a> {
    session_h: &'a str,
    context_h: &'a str,
    item_start_time: &'a str,
    item_path: &'a str,
    item: &'a str,
    item_variant: &'a str,
    item_fs_loc: &'a str,
    kind: &'a str,
    component: &'a str,
    total_time: f64,
    user_time: f64,
    kernel_time: f64,
    cpu_usage: f64,
    mem_usage: f64,
}

impl<'a> MetricBody<'a> {
    pub(crate) fn of(metric: &'a Metric) -> Self {
        let [total_time, user_time, kernel_time, cpu_usage, mem_usage] = metric.values;
        Self {
            session_h: metric.word(MetricWord::Session),
            context_h: metric.word(MetricWord::Context),
            item_start_time: &metric.started,
            item_path: metric.word(MetricWord::Path),
            item: metric.word(MetricWord::Item),
            item_variant: metric.word(MetricWord::Variant),
            item_fs_loc: metric.word(MetricWord::Location),
            kind: metric.word(MetricWord::Kind),
            component: metric.word(MetricWord::Component),
            total_time,
            user_time,
            kernel_time,
            cpu_usage,
            mem_usage,
        }
    }
}

/// Stores a metric and answers when it is durable.
pub(crate) async fn create(
    shared: &Shared,
    access: &Access,
    suite: &Suite,
    bytes: &[u8],
) -> Result<Response, ApiError> {
    let metric = parse(bytes)?;
    let answer = Json(MetricBody::of(&metric)).into_response();
    shared.app.put_metric(suite, access, metric).await?;
    Ok((StatusCode::CREATED, answer).into_response())
}

/// Reads a metric; the names of the documentation are as good as those of the original (D1).
fn parse(bytes: &[u8]) -> Result<Metric, ApiError> {
    let mut fields = Fields::of(bytes)?;
    let mut text = |names: &[&'static str]| fields.text(names);
    let words = [
        text(&["session_h"]),
        text(&["context_h", "ctx_h"]),
        text(&["item"]),
        text(&["item_variant"]),
        text(&["kind"]),
        text(&["component"]),
        text(&["item_path"]),
        text(&["item_fs_loc"]),
    ];
    let started = text(&["item_start_time"]);
    let mut number = |names: &[&'static str]| fields.number(names);
    let values = [
        number(&["total_time", "wall_time"]),
        number(&["user_time"]),
        number(&["kernel_time", "krnl_time"]),
        number(&["cpu_usage"]),
        number(&["mem_usage"]),
    ];
    fields.finish()?;
    Ok(Metric { words, started, values })
}

/// The metric that the bytes of a listing's entry say.
///
/// # Errors
/// It is none; one sentence says why.
pub fn metric_of(bytes: &[u8]) -> Result<Metric, String> {
    parse(bytes).map_err(ApiError::sentence)
}
