//! A suite for pytest-monitor, and its recorded calls.

use crate::setup::{Suite, sample, token};
use casebook_testkit::{Reply, TestServer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

pub(crate) const CONTEXT: &str = "03176e33498557db7bcd2be22700fc3c";
pub(crate) const FIRST: &str = "67b0bbee27deb1c2bfb9908690458da1";
pub(crate) const SECOND: &str = "050f8748668c719ed94b7e68f7c961a2";

/// A suite, and a token that may do everything in it.
pub(crate) struct Monitor<'s> {
    pub(crate) server: &'s TestServer,
    pub(crate) token: String,
}

impl<'s> Monitor<'s> {
    pub(crate) fn new(server: &'s TestServer) -> Self {
        let suite = Suite::new(server, "cart");
        Self { server, token: token(server, &["--suite", &suite.name, "--scope", "write"]) }
    }

    /// One into which the recorded calls went.
    pub(crate) fn recorded(server: &'s TestServer) -> Self {
        let monitor = Self::new(server);
        monitor.record();
        monitor
    }

    /// Sends the recorded calls.
    pub(crate) fn record(&self) {
        for call in calls().iter().filter(|call| call.method == "POST") {
            let _ = self.send(&call.path, &call.body).expect(201);
        }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.server.get(&format!("/api/v1{path}")).token(&self.token).send()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(path, &body.to_string())
    }

    /// Posts a text as it is: the order of its members counts.
    pub(crate) fn send(&self, path: &str, body: &str) -> Reply {
        let request = self.server.post(&format!("/api/v1{path}")).token(&self.token);
        request.header("Content-Type", "application/json").bytes(body).send()
    }

    #[track_caller]
    pub(crate) fn count(&self, path: &str) -> Value {
        self.get(path).expect(200).json()["count"].clone()
    }
}

/// A recorded call, below the prefix.
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) status: Value,
    pub(crate) answer: Value,
}

pub(crate) fn calls() -> Vec<Call> {
    let text = String::from_utf8(sample("pytest-monitor/calls.jsonl")).unwrap();
    let call = |line: &str| {
        let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
        let text = |name: &str| serde_json::from_str::<String>(raw[name].get()).unwrap();
        let answer: Value = serde_json::from_str(raw["answer"].get()).unwrap();
        Call {
            method: text("method"),
            path: text("path").strip_prefix("/api/v1").unwrap().to_owned(),
            body: raw["body"].get().to_owned(),
            status: answer["status"].clone(),
            answer: answer["body"].clone(),
        }
    };
    text.lines().map(call).collect()
}

/// What is shown of one kind after the recorded calls.
pub(crate) fn expected(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_slice(&sample("pytest-monitor/expected.json")).unwrap();
    all[kind].as_array().unwrap().clone()
}

/// The recorded metrics with these numbers, counted from 0.
pub(crate) fn metrics(numbers: &[usize]) -> Vec<Value> {
    let all = expected("metrics");
    numbers.iter().map(|number| all[*number].clone()).collect()
}
