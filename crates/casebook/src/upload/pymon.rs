//! A file of pytest-monitor, sent to a server record by record, as the plug-in would have done.

use crate::import::pymon::session;
use casebook_model::measurement::{MetricWord, Session};
use casebook_monitor::{machine_to_send, metric_to_send, path_to_ask, session_to_send};
use casebook_storage::pymon;
use casebook_uploader::client::Client;
use casebook_uploader::files::ReportFile;
use serde_json::Value;
use std::collections::HashMap;

/// What became of a file.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) sessions: usize,
    pub(super) metrics: usize,
    pub(super) known: usize,
    /// What was left out, and why.
    pub(super) problems: Vec<String>,
}

/// Sends what the server has not. Stops at the first metric that is refused: later ones would be taken for it another time.
pub(super) fn send(client: &Client, file: &ReportFile) -> Result<Sent, String> {
    let found = pymon::read(file.path()).map_err(|error| error.to_string())?;
    let mut sent = Sent::default();
    for machine in &found.machines {
        if !post(client, "/api/v1/contexts/", &machine_to_send(machine))? {
            sent.problems.push(format!("machine {} is there already with other content", machine.key));
        }
    }
    // Metrics that are there of each session, or none if the session was left out.
    let mut stored: HashMap<String, Option<usize>> = HashMap::new();
    for session in found.sessions.into_iter().map(session) {
        let known = metrics_of(client, &session)?;
        sent.sessions += usize::from(known.is_none());
        let taken = post(client, "/api/v1/sessions/", &session_to_send(&session))?;
        if !taken {
            sent.problems.push(format!("session {} is there already with other content", session.key));
        }
        stored.insert(session.key, taken.then(|| known.unwrap_or(0)));
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for metric in &found.metrics {
        let key = metric.word(MetricWord::Session);
        let seen = seen.entry(key).or_default();
        *seen += 1;
        match stored.get(key).copied().unwrap_or(Some(0)) {
            Some(stored) if *seen > stored => {
                post(client, "/api/v1/metrics/", &metric_to_send(metric))?;
                sent.metrics += 1;
            }
            _ => sent.known += 1,
        }
    }
    Ok(sent)
}

/// How many metrics the server has of a session; none if it does not know it. A token that may not read cannot know, and
/// takes the session for complete.
fn metrics_of(client: &Client, session: &Session) -> Result<Option<usize>, String> {
    let ask = |rest: &str| {
        let path = path_to_ask("sessions", &session.key, rest);
        client.exchange(&path, None).map_err(|refusal| refusal.to_string())
    };
    let (status, body) = ask("")?;
    let listed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut sessions = listed["sessions"].as_array().into_iter().flatten();
    if status != 200 || !sessions.any(|found| found["session_h"] == session.key.as_str()) {
        return Ok(None);
    }
    let (status, body) = ask("/metrics/count")?;
    let counted: Value = serde_json::from_slice(&body).unwrap_or_default();
    let count = counted["count"].as_u64().filter(|_| status == 200);
    Ok(Some(count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX))))
}

/// Whether a record was taken; if not, another one has its identifier.
fn post(client: &Client, path: &str, body: &str) -> Result<bool, String> {
    let (status, answer) =
        client.exchange(path, Some(body.as_bytes())).map_err(|refusal| refusal.to_string())?;
    match status {
        201 => Ok(true),
        409 => Ok(false),
        401 | 403 => Err(format!(
            "the server does not accept the token ({status}): check CASEBOOK_TOKEN, and that its scope is upload or more"
        )),
        _ => {
            let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
            let message = answer["message"].as_str().unwrap_or("it does not say why");
            Err(format!("the server refuses a record ({status}): {message}"))
        }
    }
}
