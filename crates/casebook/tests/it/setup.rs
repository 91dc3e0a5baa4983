//! A running server with a suite, and reading back what it stored.

use casebook_testkit::{Form, Reply, TestDatabase, TestServer, Upload};
use serde_json::{Value, json};
use std::path::Path;

/// The program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_casebook"))
}

/// A server on a database.
pub(crate) fn start(database: &TestDatabase) -> TestServer {
    TestServer::start(program(), database)
}

/// The bytes of a sample, by its path below `tests/samples`.
pub(crate) fn sample(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A suite with a token of its own for uploads and one of its organization for reading.
pub(crate) struct Suite<'s> {
    pub(crate) server: &'s TestServer,
    /// `ORGANIZATION/SUITE`.
    pub(crate) name: String,
    pub(crate) upload_token: String,
    pub(crate) read_token: String,
}

impl<'s> Suite<'s> {
    /// Makes a suite of organization `acme`.
    pub(crate) fn new(server: &'s TestServer, slug: &str) -> Self {
        let name = format!("acme/{slug}");
        let _ = server.succeed(&["suite", "create", &name]);
        let upload_token = token(server, &["--suite", &name, "--scope", "upload"]);
        let read_token = token(server, &["--org", "acme", "--scope", "read"]);
        Self { server, name, upload_token, read_token }
    }

    /// Another suite of the same organization, with the same token for reading.
    pub(crate) fn sibling(&self, slug: &str) -> Self {
        let name = format!("acme/{slug}");
        let _ = self.server.succeed(&["suite", "create", &name]);
        let upload_token = token(self.server, &["--suite", &name, "--scope", "upload"]);
        Self { server: self.server, name, upload_token, read_token: self.read_token.clone() }
    }

    /// The same suite on a server that was started again.
    pub(crate) fn on<'t>(&self, server: &'t TestServer) -> Suite<'t> {
        let (name, upload_token, read_token) =
            (self.name.clone(), self.upload_token.clone(), self.read_token.clone());
        Suite { server, name, upload_token, read_token }
    }

    /// Sends an upload, which must be accepted, and returns the answer.
    #[track_caller]
    pub(crate) fn upload(&self, upload: &Upload) -> Value {
        upload.send(self.server, &self.upload_token).expect(202).json()
    }

    /// Sends a JUnit report for a run, which must be accepted, and returns the answer.
    #[track_caller]
    pub(crate) fn upload_junit(&self, key: &str, xml: impl AsRef<[u8]>) -> Value {
        Form::junit(key, xml).send(self.server, &self.upload_token).expect(202).json()
    }

    /// The path of something in the suite; `rest` is empty or begins with a slash.
    pub(crate) fn path(&self, rest: &str) -> String {
        let (organization, suite) = self.name.split_once('/').unwrap();
        format!("/v2/analytics/organizations/{organization}/suites/{suite}{rest}")
    }

    /// What is at `rest`, with the version that has metrics.
    pub(crate) fn read(&self, rest: &str) -> Reply {
        let request = self.server.get(&self.path(rest)).token(&self.read_token);
        request.header("Buildkite-Version", "2026-08-01").send()
    }

    /// The JSON at `rest`, which must be there.
    #[track_caller]
    pub(crate) fn get(&self, rest: &str) -> Value {
        self.read(rest).expect(200).json()
    }

    /// Every item of the list at `rest`, page after page.
    #[track_caller]
    pub(crate) fn all(&self, rest: &str) -> Vec<Value> {
        let separator = if rest.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        for page in 1.. {
            let page = self.get(&format!("{rest}{separator}per_page=100&page={page}"));
            let Value::Array(page) = page else { panic!("no list: {page}") };
            let is_last = page.len() < 100;
            items.extend(page);
            if is_last {
                break;
            }
        }
        items
    }

    /// The tests that ran today, by scope and name.
    #[track_caller]
    pub(crate) fn tests(&self) -> Vec<Value> {
        let mut tests = self.all("/tests?period=1day");
        tests.sort_by_key(|test| (text(test, "scope"), text(test, "name")));
        tests
    }

    /// The one test with that scope and name among those that ran today.
    #[track_caller]
    pub(crate) fn test(&self, scope: &str, name: &str) -> Value {
        let tests = self.tests().into_iter();
        let mut found = tests.filter(|test| text(test, "scope") == scope && text(test, "name") == name);
        let test = found.next().unwrap_or_else(|| panic!("no test {scope:?} {name:?}"));
        assert!(found.next().is_none(), "two tests {scope:?} {name:?}");
        test
    }

    /// How often that test ran today, by result.
    #[track_caller]
    pub(crate) fn counts(&self, scope: &str, name: &str) -> Value {
        self.test(scope, name)["executions_count_by_result"].clone()
    }

    /// All runs, newest first.
    #[track_caller]
    pub(crate) fn runs(&self) -> Vec<Value> {
        self.all("/runs")
    }

    /// The run with that id.
    #[track_caller]
    pub(crate) fn run(&self, id: &Value) -> Value {
        self.get(&format!("/runs/{}", id.as_str().expect("an id")))
    }

    /// The failed executions of a run, with their details.
    #[track_caller]
    pub(crate) fn failed(&self, run: &Value) -> Vec<Value> {
        let run = run.as_str().expect("an id");
        self.all(&format!("/runs/{run}/failed_executions?include_failure_expanded=true"))
    }

    /// Nothing at all is stored in the suite.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.get("/runs"), json!([]));
        // Without the version, the list of tests has no window.
        let tests = self.server.get(&self.path("/tests")).token(&self.read_token).send();
        assert_eq!(tests.expect(200).json(), json!([]));
    }
}

/// Makes a token.
pub(crate) fn token(server: &TestServer, arguments: &[&str]) -> String {
    server.succeed(&[&["token", "create"], arguments].concat()).trim_end().to_owned()
}

/// A member that is a text.
#[track_caller]
pub(crate) fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {object}")).to_owned()
}

/// HTTP Basic.
pub(crate) fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {text}")
}
