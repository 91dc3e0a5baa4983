//! Records as clients send them: for whoever brings a file of pytest-monitor to a server.

use crate::metrics::MetricBody;
use casebook_model::machine::Machine;
use casebook_model::measurement::{Metric, Session};
use serde_json::{Value, json};

/// The body of `POST /metrics/`.
#[must_use]
pub fn metric_to_send(metric: &Metric) -> String {
    // Texts and finite numbers are always JSON.
    serde_json::to_string(&MetricBody::of(metric)).unwrap_or_default()
}

/// The body of `POST /contexts/`, with the whole frequency.
#[must_use]
pub fn machine_to_send(machine: &Machine) -> String {
    let Machine { key, cpu_count, cpu_frequency_mhz, cpu_type, cpu_vendor, ram_mb, .. } = machine;
    let Machine { node, machine_type, architecture, system, runtime, .. } = machine;
    json!({
        "h": key, "cpu_count": cpu_count, "cpu_frequency": cpu_frequency_mhz, "cpu_type": cpu_type, "cpu_vendor": cpu_vendor,
        "ram_total": ram_mb, "machine_node": node, "machine_type": machine_type, "machine_arch": architecture,
        "system_info": system, "python_info": runtime,
    })
    .to_string()
}

/// The body of `POST /sessions/`. Tags keep their order, which an object of `serde_json` does not.
#[must_use]
pub fn session_to_send(session: &Session) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let tag = |(name, value): &(String, Option<String>)| {
        format!("{}:{}", text(name), value.as_deref().map_or_else(|| "null".to_owned(), text))
    };
    let tags: Vec<String> = session.tags.iter().map(tag).collect();
    format!(
        "{{\"session_h\":{},\"run_date\":{},\"scm_ref\":{},\"description\":{{{}}}}}",
        text(&session.key),
        text(&session.run_date),
        session.scm_ref.as_deref().map_or_else(|| "null".to_owned(), text),
        tags.join(",")
    )
}

/// The path of a session or context below `/api/v1`.
#[must_use]
pub fn path_to_ask(namespace: &str, identifier: &str, rest: &str) -> String {
    format!("/api/v1/{namespace}/{}{rest}", crate::address::encode(identifier, b":", false))
}
