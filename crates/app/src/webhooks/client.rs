//! One attempt: a POST to the receiver, and what to make of its answer.

use super::address_guard::{GuardedResolver, Refused};
use super::secret::Secret;
use super::signature;
use casebook_model::time::Timestamp;
use std::io::Read as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Error};

/// What is read of an answer's body, in bytes: enough that a receiver can say all of a short answer.
const MOST_READ: u64 = 4096;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The receiver's status, if it answered.
    pub(crate) status: Option<i64>,
    /// Why the attempt failed; none if it did not.
    pub(crate) error: Option<String>,
    /// How long it took.
    pub(crate) duration_us: i64,
}

impl Outcome {
    /// An attempt that did not get as far as the network.
    pub(crate) fn not_sent(why: String) -> Self {
        Self { status: None, error: Some(why), duration_us: 0 }
    }
}

/// A message as it is sent.
pub(crate) struct Message<'a> {
    pub(crate) url: &'a str,
    /// Equal for all attempts.
    pub(crate) id: &'a str,
    pub(crate) at: Timestamp,
    pub(crate) secret: &'a Secret,
    pub(crate) body: &'a [u8],
}

/// Sends messages. Follows no redirects, uses no proxy, keeps no connections.
#[derive(Debug)]
pub(crate) struct Client {
    allow_private: bool,
    timeout: Duration,
    agent: OnceLock<Agent>,
}

impl Client {
    pub(crate) const fn new(allow_private: bool, timeout: Duration) -> Self {
        Self { allow_private, timeout, agent: OnceLock::new() }
    }

    /// Sends `message`. Blocks for the timeout at most.
    pub(crate) fn send(&self, message: &Message<'_>) -> Outcome {
        let seconds = message.at.as_microseconds().div_euclid(1_000_000);
        let began = Instant::now();
        let request = self.agent().post(message.url).content_type("application/json");
        let sent = request
            .header("X-Delivery-Id", message.id)
            .header("X-Aviator-Signature-SHA256", signature::aviator(message.secret, message.body))
            .header("webhook-id", message.id)
            .header("webhook-timestamp", seconds.to_string())
            .header(
                "webhook-signature",
                signature::standard(message.secret, message.id, seconds, message.body),
            )
            .send(message.body);
        let (status, error) = match sent {
            Ok(mut answer) => {
                // Whatever it says, and whether it says all of it, the status has decided.
                let _ = answer.body_mut().as_reader().take(MOST_READ).read_to_end(&mut Vec::new());
                let status = answer.status();
                (Some(i64::from(status.as_u16())), wrong_status(status.as_u16()))
            }
            Err(error) => (None, Some(self.sentence(&error))),
        };
        let duration_us = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
        Outcome { status, error, duration_us }
    }

    fn agent(&self) -> &Agent {
        self.agent.get_or_init(|| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .max_idle_connections(0)
                .proxy(None)
                .timeout_global(Some(self.timeout))
                .tls_config(TlsConfig::builder().root_certs(roots()).build())
                .user_agent(concat!("Casebook/", env!("CARGO_PKG_VERSION"), " (webhook)"))
                .build();
            let resolver = GuardedResolver::new(self.allow_private);
            Agent::with_parts(config, DefaultConnector::default(), resolver)
        })
    }

    fn sentence(&self, error: &Error) -> String {
        match error {
            Error::Timeout(_) => format!("the receiver did not answer within {} s", self.timeout.as_secs()),
            Error::HostNotFound => "the receiver's host cannot be found".to_owned(),
            Error::Other(other) if other.is::<Refused>() => other.to_string(),
            error => format!("the receiver could not be reached: {error}"),
        }
    }
}

fn wrong_status(status: u16) -> Option<String> {
    match status {
        200..=299 => None,
        300..=399 => Some(format!(
            "the receiver answered {status}, and redirects are not followed: give the webhook the address where it leads"
        )),
        _ => Some(format!("the receiver answered {status}")),
    }
}

/// The certificates at the roots, as for uploads: the system's, or without any those that browsers trust.
fn roots() -> RootCerts {
    let system = rustls_native_certs::load_native_certs().certs;
    let certificates: Vec<Certificate<'static>> =
        system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&certificates) }
}
