//! Every address against every kind of credential, computed from the table of addresses (design, section 7).

use crate::setup::{basic, program, text, token};
use casebook_server::{Needs, Route};
use casebook_testkit::{Form, Reply, TestDatabase, TestServer, Upload, both_engines};
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

both_engines!(
    every_credential_may_do_what_it_says_and_no_more,
    reading_without_a_credential_opens_one_suite,
    writing_without_a_credential_opens_one_suite,
    other_methods_are_405,
);

/// The addresses that this walk knows; those of Avocado, which name no suite, have a walk of their own.
fn surface() -> impl Iterator<Item = Route> {
    let others: Vec<Route> = casebook_avocado::surface().collect();
    casebook_server::surface().filter(move |route| !others.contains(route))
}

/// What a credential is, apart from how it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Missing or not valid.
    Unknown,
    /// Valid for one suite.
    Suite(Place, Scope),
    /// Valid for an organization.
    Organization(Place, Scope),
    /// A user's.
    User(Scope),
}

/// Whether what a credential is valid for is what the address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Named,
    /// Of the same organization, if it is a suite.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Upload,
    Read,
    Write,
    Admin,
}

impl Scope {
    const ALL: [Self; 4] = [Self::Upload, Self::Read, Self::Write, Self::Admin];

    const fn word(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The table of scopes.
    fn allows(self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing | Needs::Any => true,
            Needs::Upload => self != Self::Read,
            Needs::Read => self >= Self::Read,
            Needs::Write => self >= Self::Write,
            Needs::Admin => self == Self::Admin,
        }
    }
}

/// The answer that the rules ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// 401.
    Unknown,
    /// 403.
    Forbidden,
    /// 404, with the words for what does not exist.
    Hidden,
    /// Whatever else the request deserves.
    Admitted,
}

impl Answer {
    fn fits(self, status: u16) -> bool {
        match self {
            Self::Unknown => status == 401,
            Self::Forbidden => status == 403,
            Self::Hidden => status == 404,
            Self::Admitted => !matches!(status, 401 | 403 | 404 | 405 | 429) && status < 500,
        }
    }
}

/// The rules of access, for an address and a credential.
fn expected(route: &Route, standing: Standing) -> Answer {
    let names_suite = route.path.contains("{suite}");
    if route.needs == Needs::Nothing {
        return Answer::Admitted;
    }
    let (scope, reaches) = match standing {
        Standing::Unknown => return Answer::Unknown,
        Standing::User(scope) | Standing::Organization(Place::Named, scope) => (scope, true),
        Standing::Organization(Place::Other, scope) => (scope, !route.path.contains("{organization}")),
        // Another suite of the same organization is at home in the organization, and nowhere in the suite.
        Standing::Suite(place, scope) => (scope, place == Place::Named || !names_suite),
    };
    let of_suite = matches!(standing, Standing::Suite(..));
    if !reaches {
        Answer::Hidden
    } else if !scope.allows(route.needs) || (of_suite && route.needs == Needs::Admin && !names_suite) {
        // Only an organization's token makes suites.
        Answer::Forbidden
    } else {
        Answer::Admitted
    }
}

/// A credential as it is sent.
enum Sent {
    Nothing,
    Header(String),
    /// A token of the suite that the address names.
    OfSuite(Scope),
    /// The same as a password of HTTP Basic.
    OfSuiteAsPassword(Scope),
}

struct Visitor {
    standing: Standing,
    sent: Sent,
}

/// The suite that addresses name, and what is in it.
struct Target {
    organization: &'static str,
    suite: String,
    run: String,
    upload: String,
    test: String,
    webhook: String,
    delivery: String,
}

impl Target {
    /// Makes a suite with a run, a test, and a webhook that nobody listens to.
    fn new(server: &TestServer, organization: &'static str, suite: &str) -> Self {
        let name = format!("{organization}/{suite}");
        let _ = server.succeed(&["suite", "create", &name]);
        let token = token(server, &["--suite", &name, "--scope", "admin"]);
        let answer = Upload::new("k1").result("Cart", "a", "failed").send(server, &token).expect(202).json();
        let tests = format!("/v2/analytics/organizations/{organization}/suites/{suite}/tests");
        let tests = server.get(&tests).token(&token).send().expect(200).json();
        let webhooks = format!("/api/casebook/v1/suites/{organization}/{suite}/webhooks");
        let url = json!({ "url": "http://127.0.0.1:1/" });
        let webhook = text(&server.post(&webhooks).token(&token).json(&url).send().expect(201).json(), "id");
        let delivery = server.post(&format!("{webhooks}/{webhook}/test")).token(&token).send().expect(200);
        Self {
            organization,
            suite: suite.to_owned(),
            run: text(&answer, "run_id"),
            upload: text(&answer, "upload_id"),
            test: text(&tests[0], "id"),
            webhook,
            delivery: text(&delivery.json(), "id"),
        }
    }

    fn path(&self, route: &Route) -> String {
        let path = route.path.replace("{organization}", self.organization);
        let path = path.replace("{suite}", &self.suite).replace("{run}", &self.run);
        let path = path.replace("{test}", &self.test).replace("{upload}", &self.upload);
        let path = path.replace("{webhook}", &self.webhook).replace("{delivery}", &self.delivery);
        let path = path.replace("{resource}", "memory").replace("{number}", "3");
        let names = ["prefix", "context", "session", "item", "kind", "scm", "component", "pipeline", "build"];
        let path = names.iter().fold(path, |path, name| path.replace(&format!("{{{name}}}"), "a%2Fb"));
        assert!(!path.contains('{'), "the matrix does not know every part of {}", route.path);
        path
    }

    /// The same where there is nothing.
    fn nowhere(&self, route: &Route) -> String {
        let (organization, suite) = if route.path.contains("{suite}") {
            (self.organization, "nothing")
        } else {
            ("nothing", self.suite.as_str())
        };
        let (run, upload, test) = (self.run.clone(), self.upload.clone(), self.test.clone());
        let (webhook, delivery) = (self.webhook.clone(), self.delivery.clone());
        Self { organization, suite: suite.to_owned(), run, upload, test, webhook, delivery }.path(route)
    }
}

impl Visitor {
    fn authorization(&self, server: &TestServer, target: &Target) -> Option<String> {
        let of_suite = |scope: Scope| {
            let name = format!("{}/{}", target.organization, target.suite);
            token(server, &["--suite", &name, "--scope", scope.word()])
        };
        match &self.sent {
            Sent::Nothing => None,
            Sent::Header(value) => Some(value.clone()),
            Sent::OfSuite(scope) => Some(format!("Bearer {}", of_suite(*scope))),
            Sent::OfSuiteAsPassword(scope) => Some(basic("anybody", &of_suite(*scope))),
        }
    }
}

/// Every kind of credential, for suites of `acme`.
fn visitors(server: &TestServer) -> Vec<Visitor> {
    let visitor = |standing, value: String| Visitor { standing, sent: Sent::Header(value) };
    let bearer = |arguments: &[&str]| format!("Bearer {}", token(server, arguments));
    let mut all = vec![Visitor { standing: Standing::Unknown, sent: Sent::Nothing }];
    for value in ["nonsense", "Bearer", "Bearer cbk_unknown", "Token token=\"\"", "Basic !!!"] {
        all.push(visitor(Standing::Unknown, value.to_owned()));
    }
    all.push(visitor(Standing::Unknown, basic("anybody", "cbk_unknown")));
    for scope in Scope::ALL {
        let named = Standing::Suite(Place::Named, scope);
        all.push(Visitor { standing: named, sent: Sent::OfSuite(scope) });
        all.push(Visitor { standing: named, sent: Sent::OfSuiteAsPassword(scope) });
        let of_organization = bearer(&["--org", "acme", "--scope", scope.word()]);
        all.push(visitor(Standing::Organization(Place::Named, scope), of_organization));
    }
    for suite in ["acme/other", "acme/default", "rival/cart", "rival/default"] {
        let _ = server.succeed(&["suite", "create", suite]);
    }
    let other = bearer(&["--suite", "acme/other", "--scope", "admin"]);
    all.push(visitor(Standing::Suite(Place::Other, Scope::Admin), other));
    let rival = bearer(&["--org", "rival", "--scope", "admin"]);
    all.push(visitor(Standing::Organization(Place::Other, Scope::Admin), rival));
    for (name, role, scope) in
        [("vera", "viewer", Scope::Read), ("will", "writer", Scope::Write), ("ada", "admin", Scope::Admin)]
    {
        let arguments = ["user", "create", name, "--role", role, "--password-stdin"];
        let made = server.command_with_input(&arguments, "correct horse battery\n");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        all.push(visitor(Standing::User(scope), basic(name, "correct horse battery")));
    }
    all
}

/// A request that changes nothing when it is admitted, except where `DELETE` deletes.
fn ask(server: &TestServer, route: &Route, path: &str, authorization: Option<&str>) -> Reply {
    // Every request comes from another client: wrong passwords are counted by address.
    static CLIENT: AtomicU32 = AtomicU32::new(0x0A00_0000);
    let client = Ipv4Addr::from_bits(CLIENT.fetch_add(1, Ordering::Relaxed)).to_string();
    let mut request = server.request(route.method.as_str(), path).header("X-Forwarded-For", &client);
    if let Some(value) = authorization {
        request = request.header("Authorization", value);
    }
    match route.method.as_str() {
        "GET" | "DELETE" => request.send(),
        _ => request.json(&json!({})).send(),
    }
}

#[track_caller]
fn assert_fits(reply: &Reply, answer: Answer, what: &str) {
    assert!(answer.fits(reply.status), "{what}: {answer:?} expected, {} {}", reply.status, reply.text());
    if answer != Answer::Admitted {
        assert!(!reply.message().is_empty(), "{what}");
    }
}

/// A server that takes webhooks which nobody listens to.
fn serve(database: &TestDatabase, more: &[&str]) -> TestServer {
    static KEYS: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    let key_file = KEYS.path().join(database.url().rsplit('/').next().unwrap());
    let arguments = ["--allow-private-webhooks", "--secret-key-file", key_file.to_str().unwrap()];
    TestServer::start_with(program(), database, &[&arguments, more].concat())
}

fn every_credential_may_do_what_it_says_and_no_more(database: &TestDatabase) {
    let server = serve(database, &["--trusted-proxy", "127.0.0.1"]);
    let target = Target::new(&server, "acme", "cart");
    let visitors = visitors(&server);
    for (number, visitor) in visitors.iter().enumerate() {
        let authorization = visitor.authorization(&server, &target);
        for route in surface() {
            let answer = expected(&route, visitor.standing);
            let what = format!("visitor {number} {:?}, {} {}", visitor.standing, route.method, route.path);
            if route.method == "DELETE" && answer == Answer::Admitted {
                // Whoever may delete gets a suite to delete.
                let target = Target::new(&server, "acme", &format!("gone-{number}"));
                let authorization = visitor.authorization(&server, &target);
                let reply = ask(&server, &route, &target.path(&route), authorization.as_deref());
                assert_eq!(reply.status, 204, "{what}: {}", reply.text());
                continue;
            }
            let reply = ask(&server, &route, &target.path(&route), authorization.as_deref());
            assert_fits(&reply, answer, &what);
            if answer == Answer::Hidden {
                let nowhere = ask(&server, &route, &target.nowhere(&route), authorization.as_deref());
                assert_eq!((nowhere.status, nowhere.text()), (404, reply.text()), "{what}");
            }
        }
    }
    // After all that the suite is as it was.
    let path = "/v2/analytics/organizations/acme/suites/cart/tests";
    let admin = token(&server, &["--suite", "acme/cart", "--scope", "admin"]);
    let tests = server.get(path).token(&admin).send().expect(200).json();
    assert_eq!((tests.as_array().map(Vec::len), &tests[0]["id"]), (Some(1), &json!(target.test)));
}

/// What is open without a credential in suite `default/default`, by the table.
fn anonymous_visits(database: &TestDatabase, word: &str) {
    let server = serve(database, &["--anonymous", word]);
    let home = Target::new(&server, "default", "default");
    let elsewhere = Target::new(&server, "acme", "cart");
    for route in surface() {
        let what = format!("--anonymous {word}, {} {}", route.method, route.path);
        let open = match route.needs {
            // What is told to whom is nobody's business without a name.
            Needs::Read if route.path.contains("{webhook}") || route.path.contains("{delivery}") => false,
            Needs::Read if route.path.ends_with("/webhooks") => false,
            Needs::Nothing | Needs::Any | Needs::Read => true,
            // Records may be made, the file of owners not replaced.
            Needs::Upload => word == "write" && route.path != "/v1/test-ownerships",
            Needs::Write | Needs::Admin => false,
        };
        let answer = if open { Answer::Admitted } else { Answer::Unknown };
        assert_fits(&ask(&server, &route, &home.path(&route), None), answer, &what);
        // A wrong credential is not better than none.
        let wrong = ask(&server, &route, &home.path(&route), Some("Bearer cbk_unknown"));
        assert_fits(&wrong, expected(&route, Standing::Unknown), &what);
        if route.path.contains("{organization}") {
            let there = ask(&server, &route, &elsewhere.path(&route), None);
            let nowhere = ask(&server, &route, &elsewhere.nowhere(&route), None);
            assert!(matches!(there.status, 401 | 404), "{what}: {} {}", there.status, there.text());
            assert_eq!((there.status, there.text()), (nowhere.status, nowhere.text()), "{what}");
        }
    }
    let owners = Form::new().file("file", "TESTOWNERS", "* somebody\n");
    let request = server.post("/v1/test-ownerships").header("Content-Type", &Form::content_type());
    assert_eq!(request.bytes(owners.body()).send().status, 401, "--anonymous {word}");
}

fn reading_without_a_credential_opens_one_suite(database: &TestDatabase) {
    anonymous_visits(database, "read");
}

fn writing_without_a_credential_opens_one_suite(database: &TestDatabase) {
    anonymous_visits(database, "write");
}

fn other_methods_are_405(database: &TestDatabase) {
    let server = serve(database, &[]);
    let target = Target::new(&server, "acme", "cart");
    let admin = token(&server, &["--org", "acme", "--scope", "admin"]);
    let routes: Vec<Route> = surface().collect();
    for route in &routes {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if routes.iter().any(|other| other.path == route.path && other.method == method) {
                continue;
            }
            let path = target.path(route);
            let reply = server.request(method, &path).token(&admin).json(&json!({})).send();
            assert!(!reply.expect(405).message().is_empty(), "{method} {path}");
        }
    }
}
