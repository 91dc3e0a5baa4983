//! Execution contexts: `POST /contexts/`, and how one is shown.

use crate::Shared;
use crate::body::{Field, Fields};
use crate::error::ApiError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use casebook_app::monitor::Put;
use casebook_model::machine::Machine;
use casebook_model::suite::Suite;
use serde::Serialize;

/// A context on the wire.
#[derive(Serialize)]
pub(crate) struct ContextBody<'a> {
    h: &'a str,
    cpu_count: Option<i64>,
    cpu_frequency: Option<i64>,
    cpu_type: Option<&'a str>,
    cpu_vendor: Option<&'a str>,
    ram_total: Option<i64>,
    machine_node: Option<&'a str>,
    machine_type: Option<&'a str>,
    machine_arch: Option<&'a str>,
    system_info: Option<&'a str>,
    python_info: Option<&'a str>,
    /// The same as `h`, in listings: the client library reads it (D5).
    #[serde(skip_serializing_if = "Option::is_none")]
    context_h: Option<&'a str>,
}

impl<'a> ContextBody<'a> {
    /// In a listing.
    pub(crate) fn listed(machine: &'a Machine) -> Self {
        Self { context_h: Some(&machine.key), ..Self::of(machine) }
    }

    fn of(machine: &'a Machine) -> Self {
        let Machine { key, cpu_count, cpu_frequency_mhz, cpu_type, cpu_vendor, ram_mb, .. } = machine;
        let Machine { node, machine_type, architecture, system, runtime, .. } = machine;
        Self {
            h: key,
            cpu_count: *cpu_count,
            cpu_frequency: cpu_frequency_mhz.map(|frequency| frequency as i64),
            cpu_type: cpu_type.as_deref(),
            cpu_vendor: cpu_vendor.as_deref(),
            ram_total: *ram_mb,
            machine_node: node.as_deref(),
            machine_type: machine_type.as_deref(),
            machine_arch: architecture.as_deref(),
            system_info: system.as_deref(),
            python_info: runtime.as_deref(),
            context_h: None,
        }
    }
}

/// Stores a context. The same again is answered alike: parallel workers race for it (D7).
pub(crate) async fn create(shared: &Shared, suite: &Suite, bytes: &[u8]) -> Result<Response, ApiError> {
    let machine = parse(bytes)?;
    let answer = Json(ContextBody::of(&machine)).into_response();
    match shared.app.put_machine(suite.id, machine).await? {
        Put::Stored => Ok((StatusCode::CREATED, answer).into_response()),
        Put::Different => Err(ApiError::Different(
            "there is a context with this identifier and other content: send another h",
        )),
    }
}

fn parse(bytes: &[u8]) -> Result<Machine, ApiError> {
    let mut fields = Fields::of(bytes)?;
    let machine = Machine {
        key: fields.identifier(&["h"]),
        cpu_count: Some(whole(&mut fields, &["cpu_count"]) as i64),
        cpu_frequency_mhz: Some(whole(&mut fields, &["cpu_frequency", "cpu_freq"])),
        cpu_type: Some(fields.text(&["cpu_type"])),
        cpu_vendor: match fields.find(&["cpu_vendor"]) {
            Field::Missing => Some(String::new()),
            Field::Null => None,
            _ => Some(fields.text(&["cpu_vendor"])),
        },
        ram_mb: Some(whole(&mut fields, &["ram_total"]) as i64),
        node: Some(fields.text(&["machine_node", "mac_node"])),
        machine_type: Some(fields.text(&["machine_type", "mac_type"])),
        architecture: Some(fields.text(&["machine_arch", "mac_arch"])),
        system: Some(fields.text(&["system_info", "sys_info"])),
        runtime: Some(fields.text(&["python_info", "py_info"])),
    };
    fields.finish()?;
    Ok(machine)
}

/// A number that is shown without its fraction; a text that is a number will do.
fn whole(fields: &mut Fields<'_>, names: &[&'static str]) -> f64 {
    let number = match fields.find(names) {
        Field::Text(text) => match text.trim().parse::<f64>() {
            Ok(number) => number,
            Err(_) => {
                fields.wrong(names[0], "must be a number");
                return 0.0;
            }
        },
        _ => fields.number(names),
    };
    if number.is_finite() && number.abs() < 1e15 {
        return number;
    }
    fields.wrong(names[0], "is too large for a number");
    0.0
}

/// The machine that the bytes of a listing's entry say.
///
/// # Errors
/// It is none; one sentence says why.
pub fn machine_of(bytes: &[u8]) -> Result<Machine, String> {
    parse(bytes).map_err(ApiError::sentence)
}
