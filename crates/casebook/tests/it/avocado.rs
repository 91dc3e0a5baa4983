//! Asking Avocado's API as its clients do.

use crate::setup::{program, sample, token};
use casebook_testkit::{Reply, Request, TestDatabase, TestServer};
use serde_json::{Value, json};

/// A server with a suite and somebody who may do everything there.
pub(crate) struct Avocado {
    pub(crate) server: TestServer,
    pub(crate) token: String,
}

impl Avocado {
    pub(crate) fn start(database: &TestDatabase) -> Self {
        Self::start_with(database, &[])
    }

    pub(crate) fn start_with(database: &TestDatabase, arguments: &[&str]) -> Self {
        let server = TestServer::start_with(program(), database, arguments);
        let _ = server.succeed(&["suite", "create", "acme/virt"]);
        let token = token(&server, &["--suite", "acme/virt", "--scope", "write"]);
        Self { server, token }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request<'_> {
        self.server.request(method, path).token(&self.token)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path).json(body).send()
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Reply {
        self.request("PUT", path).json(body).send()
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Reply {
        self.request("PATCH", path).json(body).send()
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path).send()
    }

    /// A form as curl and `requests` send it.
    pub(crate) fn form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let encode = |text: &str| {
            let encoded = text.bytes().map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
                b' ' => "+".to_owned(),
                byte => format!("%{byte:02X}"),
            });
            encoded.collect::<String>()
        };
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let request = self.request("POST", path).header("Content-Type", "application/x-www-form-urlencoded");
        request.bytes(body.join("&")).send()
    }

    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        self.get(path).expect(200).json()
    }

    /// The rows of a collection, all of whose pages are read.
    #[track_caller]
    pub(crate) fn rows(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut next = json!(format!("{}{path}", self.server.url()));
        while let Some(url) = next.as_str() {
            let page = self.json(url.strip_prefix(self.server.url()).expect("an address of the server"));
            rows.extend(page["results"].as_array().expect("rows").iter().cloned());
            next = page["next"].clone();
        }
        rows
    }

    #[track_caller]
    pub(crate) fn job(&self, id: &str) {
        let _ = self.post("/jobs/", &json!({ "id": id, "status": "NOSTATUS" })).expect(201);
    }

    /// Adds a test, and returns its number.
    #[track_caller]
    pub(crate) fn test(&self, job: &str, tag: &str, status: &str) -> i64 {
        let path = format!("/jobs/{job}/tests/");
        let added = self.post(&path, &json!({ "tag": tag, "status": status })).expect(200).json();
        assert_eq!(added, json!({ "status": "test added" }));
        let rows = self.rows(&path);
        let row = rows.iter().find(|row| row["tag"] == tag).expect("the test");
        row["id"].as_i64().expect("a number")
    }
}

/// The status and body of a refusal, which must be JSON.
#[track_caller]
pub(crate) fn assert_refused(reply: &Reply, status: u16, body: &Value) {
    assert_eq!((reply.status, &reply.json()), (status, body));
}

pub(crate) fn not_found() -> Value {
    json!({ "detail": "Not found" })
}

/// The bytes of a job's results, as the parsers' tests have them.
pub(crate) fn report(file: &str) -> Vec<u8> {
    sample(&format!("../../../formats/samples/avocado-json/{file}"))
}
