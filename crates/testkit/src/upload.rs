//! A Buildkite upload of which a test names only what matters to it.

use crate::{Reply, TestServer};
use serde_json::{Map, Value, json};

/// An upload in JSON: on branch `main` at one commit unless said otherwise.
#[derive(Debug, Clone)]
pub struct Upload {
    run_env: Map<String, Value>,
    tags: Map<String, Value>,
    results: Vec<Value>,
}

impl Upload {
    /// An upload without results.
    #[must_use]
    pub fn new(key: &str) -> Self {
        let upload = Self { run_env: Map::new(), tags: Map::new(), results: Vec::new() };
        upload.env("key", key).branch("main").commit("1c3214fcceb2c14579a2c3c50cd78f1442fd8936")
    }

    /// Another branch.
    #[must_use]
    pub fn branch(self, branch: &str) -> Self {
        self.env("branch", branch)
    }

    /// Another commit.
    #[must_use]
    pub fn commit(self, commit: &str) -> Self {
        self.env("commit_sha", commit)
    }

    /// An entry of the run environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.run_env.insert(name.to_owned(), value.into());
        self
    }

    /// Without an entry of the run environment.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.run_env.remove(name);
        self
    }

    /// A tag of every execution.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.into());
        self
    }

    /// A result without an id that took a tenth of a second.
    #[must_use]
    pub fn result(self, scope: &str, name: &str, result: &str) -> Self {
        self.timed(scope, name, result, 0.1)
    }

    /// A result without an id, and its duration in seconds.
    #[must_use]
    pub fn timed(self, scope: &str, name: &str, result: &str, seconds: f64) -> Self {
        self.push(
            json!({ "scope": scope, "name": name, "result": result, "history": { "duration": seconds } }),
        )
    }

    /// A member of `data` as it is.
    #[must_use]
    pub fn push(mut self, result: Value) -> Self {
        self.results.push(result);
        self
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({ "format": "json", "run_env": self.run_env, "tags": self.tags, "data": self.results })
    }

    /// Sends it.
    #[must_use]
    pub fn send(&self, server: &TestServer, token: &str) -> Reply {
        let request = server.post("/v1/uploads").header("Authorization", &format!("Token token=\"{token}\""));
        request.json(&self.body()).send()
    }
}

/// A `multipart/form-data` body from fields in order, and its content type.
#[derive(Debug, Clone, Default)]
pub struct Form(Vec<u8>);

const BOUNDARY: &str = "------------------------d74496d66958873e";

impl Form {
    /// A form without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The documented form of a JUnit upload.
    #[must_use]
    pub fn junit(key: &str, xml: impl AsRef<[u8]>) -> Self {
        Self::new().file("data", "junit.xml", xml).field("format", "junit").field("run_env[key]", key)
    }

    /// A text field.
    #[must_use]
    pub fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("form-data; name=\"{name}\""), value)
    }

    /// A file.
    #[must_use]
    pub fn file(self, name: &str, file_name: &str, content: impl AsRef<[u8]>) -> Self {
        let disposition = format!(
            "form-data; name=\"{name}\"; filename=\"{file_name}\"\r\nContent-Type: application/octet-stream"
        );
        self.part(&disposition, content)
    }

    fn part(mut self, disposition: &str, content: impl AsRef<[u8]>) -> Self {
        self.0.extend(format!("--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n").bytes());
        self.0.extend(content.as_ref());
        self.0.extend(b"\r\n");
        self
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        [&self.0, format!("--{BOUNDARY}--\r\n").as_bytes()].concat()
    }

    /// The content type.
    #[must_use]
    pub fn content_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    /// Sends it.
    #[must_use]
    pub fn send(&self, server: &TestServer, token: &str) -> Reply {
        let request = server.post("/v1/uploads").header("Authorization", &format!("Token token=\"{token}\""));
        request.header("Content-Type", &Self::content_type()).bytes(self.body()).send()
    }
}
