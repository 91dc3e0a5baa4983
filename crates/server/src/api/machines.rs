//! Machines of a suite.

use super::error::ApiError;
use super::extract::{Path, Query};
use super::openapi::SuitePath;
use super::readable_suite;
use axum::Json;
use axum::extract::State;
use casebook_api::{Machine, Page, ProblemDocument};
use casebook_app::App;
use casebook_app::machines::StoredMachine;
use casebook_http::Caller;
use casebook_model::id::MachineId;
use casebook_model::machine;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Which part of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// What an earlier answer gave as `next`: what comes behind it.
    after: Option<String>,
    /// Items in one answer: 50 unless told, at most 200.
    limit: Option<i64>,
}

/// Where executions ran, as pytest-monitor and Avocado describe it; the latest described first.
#[utoipa::path(
    get,
    operation_id = "listMachines",
    path = "/api/casebook/v1/suites/{organization}/{suite}/machines",
    tag = "machines",
    params(SuitePath, Wanted),
    responses((status = 200, body = Page<Machine>), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Machine>>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let limit = super::limit(wanted.limit)?;
    let before = match wanted.after.as_deref().map(str::parse) {
        None => MachineId(i64::from(i32::MAX)),
        Some(Ok(number)) if (1..=i64::from(i32::MAX)).contains(&number) => MachineId(number),
        Some(_) => return Err(super::wrong_cursor()),
    };
    let mut found = app.newest_machines(suite.id, before, limit + 1).await?;
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    let items: Vec<Machine> = found.into_iter().map(to_json).collect();
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(Page { items, next }))
}

fn to_json(StoredMachine { id, protocol, machine }: StoredMachine) -> Machine {
    let machine::Machine { key, cpu_count, cpu_frequency_mhz, cpu_type, cpu_vendor, ram_mb, .. } = machine;
    let machine::Machine { node, machine_type, architecture, system, runtime, .. } = machine;
    Machine {
        id: id.get().to_string(),
        protocol: protocol.to_string(),
        key,
        cpu_count,
        cpu_frequency_mhz,
        cpu_type,
        cpu_vendor,
        ram_mb,
        node,
        machine_type,
        architecture,
        system,
        runtime,
    }
}
