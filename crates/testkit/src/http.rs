//! Requests with any headers and any bytes, and their answers.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use ureq::SendBody;

/// A request that did not come back after this long never will.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .proxy(None)
        // The server may close a connection whose request it refused; the next request must not meet that.
        .max_idle_connections(0)
        .build()
        .into()
}

/// A request to be sent.
pub struct Request<'a> {
    agent: &'a ureq::Agent,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunked: bool,
}

impl<'a> Request<'a> {
    pub(crate) fn new(agent: &'a ureq::Agent, method: &str, url: String) -> Self {
        Self { agent, method: method.to_owned(), url, headers: Vec::new(), body: Vec::new(), chunked: false }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `Authorization: Bearer TOKEN`.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").bytes(body.to_string())
    }

    /// A body as it is.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body with `Transfer-Encoding: chunked`.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Sends it.
    ///
    /// # Panics
    /// There is no answer.
    #[must_use]
    pub fn send(self) -> Reply {
        let line = format!("{} {}", self.method, self.url);
        self.try_send().unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Sends it to a server that may be gone.
    ///
    /// # Errors
    /// There is no answer, or only a part of one.
    ///
    /// # Panics
    /// It is no request.
    pub fn try_send(self) -> Result<Reply, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(self.method.as_str()).uri(self.url);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let answer = if self.chunked {
            let body = SendBody::from_owned_reader(std::io::Cursor::new(self.body));
            self.agent.run(request.body(body).expect("a request"))
        } else if self.body.is_empty() && matches!(self.method.as_str(), "GET" | "HEAD" | "DELETE") {
            self.agent.run(request.body(()).expect("a request"))
        } else {
            self.agent.run(request.body(self.body).expect("a request"))
        };
        let mut answer = answer?;
        let headers = answer.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        Ok(Reply {
            status: answer.status().as_u16(),
            headers: headers.collect(),
            body: answer.body_mut().read_to_vec()?,
        })
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, which the answer must say it is.
    ///
    /// # Panics
    /// It is not.
    #[must_use]
    pub fn json(&self) -> Value {
        let content_type = self.header("content-type").unwrap_or("nothing");
        let essence = content_type.split(';').next().unwrap_or_default();
        let is_json = matches!(essence, "application/json" | "application/problem+json");
        assert!(is_json, "{content_type}: {}", self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// This answer, if it has the status that is expected.
    ///
    /// # Panics
    /// It has not.
    #[must_use]
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The sentence of a refusal: a JSON object with the member `message` alone, or a problem document.
    ///
    /// # Panics
    /// The body is something else.
    #[must_use]
    #[track_caller]
    pub fn message(&self) -> String {
        let body = self.json();
        if self.header("content-type") == Some("application/problem+json") {
            assert_eq!(body["status"], self.status, "{body}");
            return body["detail"].as_str().expect("a text").to_owned();
        }
        let members: Vec<_> = body.as_object().expect("an object").keys().collect();
        // Aviator's clients read `error`, all others `message`.
        let name = if members == ["error"] { "error" } else { "message" };
        assert_eq!(members, [name], "{body}");
        let message = body[name].as_str().expect("a text");
        assert!(!message.trim().is_empty(), "{body}");
        message.to_owned()
    }
}

/// Sends bytes to `HOST:PORT` as they are and reads one answer that tells its length.
///
/// # Panics
/// There is no such answer.
#[must_use]
pub fn exchange(address: &str, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // A server may refuse a request before it has read all of it; the answer is there all the same.
    let _ = stream.write_all(request);
    let mut received = Vec::new();
    let head = loop {
        if let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        read_more(&mut stream, &mut received);
    };
    let text = String::from_utf8(received[..head].to_vec()).expect("a head in text");
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").expect("a length");
    let length: usize = length.1.parse().expect("a number");
    while received.len() < head + 4 + length {
        read_more(&mut stream, &mut received);
    }
    Reply { status, headers, body: received[head + 4..].to_vec() }
}

fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>) {
    let mut chunk = [0; 4096];
    let length = stream.read(&mut chunk).expect("an answer");
    assert!(length > 0, "the answer broke off: {}", String::from_utf8_lossy(received));
    received.extend_from_slice(&chunk[..length]);
}
