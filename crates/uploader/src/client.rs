//! Requests to the server: one upload at a time, again and again while that may help.

mod patience;
mod proxies;
mod trust;

pub use patience::Patience;
pub use proxies::Proxies;

use crate::address::ServerAddress;
use crate::form::Body;
use patience::asked_delay;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::{Response, StatusCode};
use ureq::tls::TlsConfig;

/// Redirections that are followed for one upload.
const MOST_REDIRECTIONS: usize = 3;

/// Largest answer that is read, in bytes.
const LARGEST_ANSWER: u64 = 4 << 20;

/// A token, which is never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token, if the text is one: not empty, and fit for a header.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_fit = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_fit.then(|| Self(text.to_owned()))
    }

    /// The text without this token in it.
    fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// How to reach the server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub server: ServerAddress,
    /// The credential.
    pub token: Token,
    /// Certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Time for one attempt.
    pub timeout: Duration,
    /// Whether the token may go unencrypted to a public address.
    pub insecure: bool,
    /// Proxies, from the environment.
    pub proxies: Proxies,
    /// Time for everything that goes wrong, and the first wait.
    pub patience: Patience,
}

/// The server cannot be asked as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file of certificates cannot be used.
    #[error("the certificates in {0} cannot be used: {1}")]
    Certificates(String, String),
    /// The proxy's address is none.
    #[error("the proxy named by {0} cannot be used: write http://HOST:PORT")]
    Proxy(&'static str),
}

/// The server took an upload (Buildkite's contract, section 5). Members that an older server leaves out are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Results that were stored.
    #[serde(default)]
    pub queued: u64,
    /// Results that were not: repetitions, and what could not be used.
    #[serde(default)]
    pub skipped: u64,
    /// Why results could not be used.
    #[serde(default)]
    pub errors: Vec<String>,
    /// Where people find the run.
    #[serde(default)]
    pub run_url: Option<String>,
}

/// An upload was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The credential is not accepted; nothing else will be.
    #[error(
        "the server does not accept the token ({0}): check CASEBOOK_TOKEN, and that its scope is upload or more"
    )]
    Credential(u16),
    /// What answers there takes no uploads; nothing else will be taken.
    #[error("{0}")]
    Misaddressed(String),
    /// It did not work until the time for that was over.
    #[error("the server could not be reached: {0}")]
    Unreachable(String),
    /// The upload is too large.
    #[error("the server finds it too large: {0}")]
    TooLarge(String),
    /// The upload is wrong.
    #[error("the server refuses it ({0}): {1}")]
    Refused(u16, String),
}

impl Refusal {
    /// Whether there is no use in sending anything else.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Credential(_) | Self::Misaddressed(_) | Self::Unreachable(_))
    }
}

/// What may help after an attempt that failed.
enum Failed {
    /// To wait, as long as the server asks for if it does.
    Again(String, Option<Duration>),
    Refused(Refusal),
}

/// A connection to the server.
pub struct Client {
    agent: Agent,
    settings: Settings,
    /// Where uploads go; a redirection changes it.
    uploads: String,
}

impl Client {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// The certificates or the proxy cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Unusable> {
        let tls = TlsConfig::builder().root_certs(trust::roots(settings.ca_file.as_deref())?).build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(settings.timeout))
            .timeout_connect(Some(settings.timeout.min(Duration::from_secs(10))))
            .user_agent(concat!("casebook-upload/", env!("CARGO_PKG_VERSION")))
            .proxy(settings.proxies.for_server(&settings.server)?)
            .tls_config(tls)
            .build()
            .new_agent();
        let uploads = settings.server.uploads();
        Ok(Self { agent, settings, uploads })
    }

    /// Sends an upload until it is taken or refused, or until the time for that is over.
    ///
    /// # Errors
    /// It was refused, or the time is over.
    pub(crate) fn send(&mut self, body: &Body) -> Result<Answer, Refusal> {
        loop {
            let began = Instant::now();
            let (why, asked) = match self.attempt(body) {
                Ok(answer) => {
                    self.settings.patience.calm();
                    return Ok(answer);
                }
                Err(Failed::Refused(refusal)) => return Err(refusal),
                Err(Failed::Again(why, asked)) => (why, asked),
            };
            if !self.settings.patience.wait(began.elapsed(), asked) {
                return Err(Refusal::Unreachable(why));
            }
        }
    }

    /// Asks for `path` below the server's address, or sends JSON there; once, because a record that is sent again is stored
    /// again. Returns status and body of the answer.
    ///
    /// # Errors
    /// The token may not go there, or nothing answers.
    pub fn exchange(&self, path: &str, json: Option<&[u8]>) -> Result<(u16, Vec<u8>), Refusal> {
        let why = |failed| match failed {
            Failed::Again(why, _) => Refusal::Unreachable(why),
            Failed::Refused(refusal) => refusal,
        };
        self.check_secrecy().map_err(why)?;
        let (url, token) =
            (format!("{}{path}", self.settings.server), format!("Bearer {}", self.settings.token.0));
        let answered = match json {
            None => self.agent.get(&url).header("Authorization", token).call(),
            Some(json) => {
                let request = self.agent.post(&url).header("Authorization", token);
                request.header("Content-Type", "application/json").send(json)
            }
        };
        let mut response = answered.map_err(|error| why(self.failed(&error)))?;
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
        Ok((response.status().as_u16(), body.map_err(|error| why(self.failed(&error)))?))
    }

    fn attempt(&mut self, body: &Body) -> Result<Answer, Failed> {
        self.check_secrecy()?;
        for _ in 0..=MOST_REDIRECTIONS {
            let mut request = self
                .agent
                .post(&self.uploads)
                .header("Authorization", format!("Bearer {}", self.settings.token.0))
                .header("Content-Type", &body.content_type);
            if body.is_packed {
                request = request.header("Content-Encoding", "gzip");
            }
            let response = request.send(&body.bytes[..]).map_err(|error| self.failed(&error))?;
            if !response.status().is_redirection() {
                return self.read(response);
            }
            self.uploads = self.redirected(&response).map_err(Failed::Refused)?;
        }
        let sentence = format!("{} redirects without end: check the server's address", self.settings.server);
        Err(Failed::Refused(Refusal::Misaddressed(sentence)))
    }

    /// Where a redirection leads, if the token may follow.
    fn redirected<T>(&self, response: &Response<T>) -> Result<String, Refusal> {
        let server = &self.settings.server;
        let location = response.headers().get("Location").and_then(|location| location.to_str().ok());
        let keeps_method = response.status() != StatusCode::SEE_OTHER;
        location.filter(|_| keeps_method).and_then(|location| server.redirected(location)).ok_or_else(|| {
            let to = location.map(crate::address::without_credentials).unwrap_or_default();
            Refusal::Misaddressed(format!(
                "{server} redirects to {to:?}, where the token is not sent: give --server the address that answers"
            ))
        })
    }

    /// A token does not go unencrypted through the internet.
    fn check_secrecy(&self) -> Result<(), Failed> {
        let server = &self.settings.server;
        if server.is_https() || self.settings.insecure {
            return Ok(());
        }
        match server.is_private() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failed::Refused(Refusal::Misaddressed(format!(
                "{server} is not encrypted and not in a private network: use https, or allow it with --insecure"
            )))),
            Err(error) => Err(Failed::Again(format!("{}: {error}", server.host()), None)),
        }
    }

    fn failed(&self, error: &ureq::Error) -> Failed {
        let sentence = self.settings.token.hidden_in(&error.to_string());
        let sentence = match error {
            ureq::Error::HostNotFound => format!("the name {} is not known", self.settings.server.host()),
            _ => sentence,
        };
        Failed::Again(sentence, None)
    }

    fn read(&self, mut response: Response<ureq::Body>) -> Result<Answer, Failed> {
        let status = response.status();
        let asked = asked_delay(response.headers());
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
        if status.is_success() {
            // Without its end it is not known whether the results are stored; sending them again does no harm.
            let body = body.map_err(|error| self.failed(&error))?;
            return serde_json::from_slice(&body).map_err(|_| {
                let sentence = format!("what answers at {} is no Casebook: check --server", self.uploads);
                Failed::Refused(Refusal::Misaddressed(sentence))
            });
        }
        let message = self.settings.token.hidden_in(&message(&body.unwrap_or_default()));
        let code = status.as_u16();
        Err(match code {
            401 | 403 => Failed::Refused(Refusal::Credential(code)),
            404 | 405 => {
                let sentence = format!("nothing takes uploads at {} ({code}): check --server", self.uploads);
                Failed::Refused(Refusal::Misaddressed(sentence))
            }
            408 | 409 | 425 | 429 | 500.. => Failed::Again(format!("it answers {code}: {message}"), asked),
            413 => Failed::Refused(Refusal::TooLarge(message)),
            _ => Failed::Refused(Refusal::Refused(code, message)),
        })
    }
}

/// What an answer says, in one line.
fn message(body: &[u8]) -> String {
    const LONGEST: usize = 300;
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let text = match serde_json::from_slice(body) {
        Ok(Message { message }) => message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "it does not say why".to_owned() } else { line.chars().take(LONGEST).collect() }
}
