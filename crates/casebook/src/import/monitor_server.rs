//! An old monitor-server, by its address: everything it lists, in its order.

use super::Importing;
use crate::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_app::monitor::Taken;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use ureq::Agent;

/// How long an old server may take for a page.
const PATIENCE: Duration = Duration::from_secs(120);

/// Largest page that is read, in bytes.
const LARGEST_PAGE: u64 = 256 << 20;

/// A page of any of the three listings.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, alias = "sessions", alias = "contexts")]
    metrics: Vec<&'a RawValue>,
    total_page: Option<i64>,
}

/// A server that is read from.
struct OldServer {
    agent: Agent,
    base: String,
    authorization: Option<String>,
}

/// The address without its credential.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

pub(super) fn take(importing: &mut Importing, url: &str) -> Result<Taken, Failure> {
    let server = OldServer::new(url);
    let mut intake = importing.intake();
    server.each_page("/contexts/", |entries, _| {
        for entry in entries {
            let machine = casebook_monitor::machine_of(entry.get().as_bytes())?;
            importing.runtime.block_on(intake.machine(machine))?;
        }
        Ok(())
    })?;
    server.each_page("/sessions/", |entries, _| {
        for entry in entries {
            let session = casebook_monitor::session_of(entry.get().as_bytes())?;
            importing.runtime.block_on(intake.session(session))?;
        }
        Ok(())
    })?;
    server.each_page("/metrics/", |entries, told| {
        let metrics = entries.iter().map(|entry| casebook_monitor::metric_of(entry.get().as_bytes()));
        let metrics = metrics.collect::<Result<Vec<_>, String>>()?;
        importing.runtime.block_on(intake.metrics(metrics))?;
        importing.progress(&format!("{}: page {told} of its metrics", shown(url)));
        Ok(())
    })?;
    Ok(intake.taken().clone())
}

impl OldServer {
    fn new(url: &str) -> Self {
        let credential = url.split_once("://").and_then(|(_, rest)| Some(rest.split_once('@')?.0));
        let config =
            Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        Self {
            agent: config.new_agent(),
            base: shown(url).trim_end_matches('/').to_owned(),
            authorization: credential.map(|credential| format!("Basic {}", STANDARD.encode(credential))),
        }
    }

    /// Gives every page of a listing to `visit`, in order.
    fn each_page(
        &self,
        path: &str,
        mut visit: impl FnMut(&[&RawValue], &str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut number = 1;
        loop {
            let Some(body) = self.get(&format!("{}{path}?page={number}", self.base))? else { return Ok(()) };
            let page: Page<'_> = serde_json::from_str(&body)
                .map_err(|error| format!("{path} does not answer as a monitor-server does: {error}"))?;
            let pages = page.total_page.unwrap_or(1);
            visit(&page.metrics, &format!("{number} of {pages}"))?;
            if number >= pages {
                return Ok(());
            }
            number += 1;
        }
    }

    /// The body at an address; none if there is nothing.
    fn get(&self, url: &str) -> Result<Option<String>, Failure> {
        let mut request = self.agent.get(url);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut answer = request.call().map_err(|error| format!("the server cannot be reached: {error}"))?;
        match answer.status().as_u16() {
            200 => Ok(Some(answer.body_mut().with_config().limit(LARGEST_PAGE).read_to_string()?)),
            204 => Ok(None),
            401 | 403 => Err("the server asks for a credential: put it into the address, as in http://USER:PASSWORD@HOST/api/v1".into()),
            status => Err(format!("the server answered {status}: give the address of its API, which ends in /api/v1").into()),
        }
    }
}
