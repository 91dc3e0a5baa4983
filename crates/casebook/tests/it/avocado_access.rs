//! Every address of Avocado's API against every kind of credential (its contract, 1.3, with the scopes of the design).

use crate::avocado::{Avocado, assert_refused, not_found};
use crate::setup::{program, token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_avocado::surface;
use casebook_server::{Needs, Route};
use casebook_testkit::{Reply, TestDatabase, TestServer, both_engines};
use serde_json::{Value, json};

both_engines!(
    every_scope_does_what_it_says,
    wrong_credentials_are_told_apart,
    one_suite_learns_nothing_of_another,
    reading_without_a_credential_opens_one_suite,
    writing_without_a_credential_opens_one_suite,
);

const NOT_PROVIDED: &str = "Authentication credentials were not provided.";
const NOT_PERMITTED: &str = "You do not have permission to perform this action.";

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn detail(text: &str) -> Value {
    json!({ "detail": text })
}

/// An address of something that is there.
fn path(route: &Route) -> String {
    let path = route.path.replace("{job}", "j1").replace("{test}", "1").replace("{row}", "1");
    assert!(!path.contains('{'), "the walk does not know every part of {}", route.path);
    path
}

fn ask(server: &TestServer, route: &Route, authorization: Option<&str>) -> Reply {
    let request = server.request(route.method.as_str(), &path(route));
    let request = match authorization {
        Some(value) => request.header("Authorization", value),
        None => request,
    };
    if route.method == "GET" { request.send() } else { request.json(&json!({})).send() }
}

/// Whether a scope opens an address.
fn opens(scope: &str, route: &Route) -> bool {
    match route.needs {
        Needs::Nothing | Needs::Any => true,
        Needs::Read => scope != "upload",
        Needs::Upload => scope != "read",
        Needs::Write | Needs::Admin => matches!(scope, "write" | "admin"),
    }
}

#[track_caller]
fn assert_fits(reply: &Reply, is_open: bool, refusal: &str, what: &str) {
    if is_open {
        let is_admitted = !matches!(reply.status, 403 | 405) && reply.status < 500;
        assert!(is_admitted, "{what}: {} {}", reply.status, reply.text());
    } else {
        assert_eq!((reply.status, reply.json()), (403, detail(refusal)), "{what}");
    }
}

fn fill(avocado: &Avocado) {
    avocado.job("j1");
    avocado.test("j1", "a", "PASS");
}

fn every_scope_does_what_it_says(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let server = &avocado.server;
    let user = |name: &str, role: &str| {
        let arguments = ["user", "create", name, "--role", role, "--suite", "acme/virt", "--password-stdin"];
        let made = server.command_with_input(&arguments, "correct horse battery\n");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        basic(name, "correct horse battery")
    };
    let mut visitors = vec![
        ("read", user("vera", "viewer")),
        ("write", user("will", "writer")),
        ("admin", user("ada", "admin")),
    ];
    for scope in ["upload", "read", "write", "admin"] {
        let token = token(server, &["--suite", "acme/virt", "--scope", scope]);
        visitors.push((scope, basic("anybody", &token)));
        visitors.push((scope, format!("Bearer {token}")));
        visitors.push((scope, format!("Token token=\"{token}\"")));
    }
    for (scope, authorization) in &visitors {
        for route in surface() {
            let _ = avocado.post("/jobs/", &json!({ "id": "j1", "status": "PASS" }));
            let what = format!("{scope}, {} {}", route.method, route.path);
            let reply = ask(server, &route, Some(authorization));
            assert_fits(&reply, opens(scope, &route), NOT_PERMITTED, &what);
        }
    }
    for route in surface() {
        let reply = ask(server, &route, None);
        let what = format!("nobody, {} {}", route.method, route.path);
        assert_fits(&reply, route.needs == Needs::Nothing, NOT_PROVIDED, &what);
    }
}

fn wrong_credentials_are_told_apart(database: &TestDatabase) {
    let avocado = Avocado::start_with(database, &["--anonymous", "read"]);
    let server = &avocado.server;
    let password = "Invalid username/password";
    let none_none = basic("None", "None");
    let blank = "Invalid basic header. Credentials string should not contain spaces.";
    for (value, refusal) in [
        ("Basic", "Invalid basic header. No credentials provided."),
        ("Basic ", "Invalid basic header. No credentials provided."),
        ("Basic a b", blank),
        ("Basic !!!", password),
        ("basic YW55", password),
        (none_none.as_str(), password),
        ("Bearer cbk_unknown", "Invalid token."),
        ("Token token=\"cbk_unknown\"", "Invalid token."),
    ] {
        for (method, path) in
            [("GET", "/jobs/"), ("GET", "/version/"), ("OPTIONS", "/jobs/"), ("DELETE", "/jobs/x/")]
        {
            let reply = server.request(method, path).header("Authorization", value).send();
            assert_refused(&reply, 403, &detail(refusal));
            assert_eq!(reply.header("www-authenticate"), None);
        }
    }
    // Other schemes say nothing here: whoever sends them is anonymous.
    for value in ["Bearer something", "Digest x", "nonsense", "Token x"] {
        let reply = server.get("/jobs/").header("Authorization", value).send();
        let _ = reply.expect(200);
        let reply = server.post("/jobs/").header("Authorization", value).json(&json!({})).send();
        assert_refused(&reply, 403, &detail(NOT_PROVIDED));
    }
    // The credential is looked at before anything else, the permission before the method and the body.
    let body = server.post("/jobs/").header("Content-Type", "text/plain").bytes("x").send();
    assert_refused(&body, 403, &detail(NOT_PROVIDED));
    let method = server.request("PUT", "/jobs/").json(&json!({})).send();
    assert_refused(&method, 403, &detail(NOT_PROVIDED));
}

fn one_suite_learns_nothing_of_another(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    fill(&avocado);
    let _ = avocado.server.succeed(&["suite", "create", "acme/other"]);
    let token = token(&avocado.server, &["--suite", "acme/other", "--scope", "admin"]);
    let get = |path: &str| avocado.server.get(path).token(&token).send();
    let empty = json!({ "count": 0, "next": null, "previous": null, "results": [] });
    assert_eq!(get("/jobs/").expect(200).json(), empty);
    for path in
        ["/jobs/j1/", "/jobs/j/", "/jobs/1/", "/jobs/j1/tests/", "/jobs/j1/tests/1/", "/jobs/1/activities/"]
    {
        assert_refused(&get(path), 404, &not_found());
    }
    let delete = avocado.server.request("DELETE", "/jobs/j1/").token(&token).send();
    assert_refused(&delete, 404, &not_found());
    // The same id is free there.
    let job = json!({ "id": "j1", "status": "FAIL" });
    let _ = avocado.server.post("/jobs/").token(&token).json(&job).send().expect(201);
    assert_eq!(get("/jobs/summary/").expect(200).json(), json!({ "passed": 0, "failed": 1, "other": 0 }));
    assert_eq!(avocado.json("/jobs/j1/")["status"], "NOSTATUS");
    assert_eq!(avocado.json("/jobs/")["count"], 1);
}

fn anonymous_visits(database: &TestDatabase, word: &str) {
    let server = TestServer::start_with(program(), database, &["--anonymous", word]);
    for route in surface() {
        let is_open = match route.needs {
            Needs::Nothing | Needs::Any | Needs::Read => true,
            Needs::Upload => word == "write",
            Needs::Write | Needs::Admin => false,
        };
        let what = format!("--anonymous {word}, {} {}", route.method, route.path);
        assert_fits(&ask(&server, &route, None), is_open, NOT_PROVIDED, &what);
    }
    let reply = server.post("/jobs/").json(&json!({ "id": "open", "status": "PASS" })).send();
    assert_eq!(reply.status, if word == "write" { 201 } else { 403 });
    // Another suite is not opened.
    let _ = server.succeed(&["suite", "create", "acme/virt"]);
    let token = token(&server, &["--suite", "acme/virt", "--scope", "write"]);
    let _ = server
        .post("/jobs/")
        .token(&token)
        .json(&json!({ "id": "shut", "status": "PASS" }))
        .send()
        .expect(201);
    assert_eq!(server.get("/jobs/shut/").send().expect(404).json(), not_found());
}

fn reading_without_a_credential_opens_one_suite(database: &TestDatabase) {
    anonymous_visits(database, "read");
}

fn writing_without_a_credential_opens_one_suite(database: &TestDatabase) {
    anonymous_visits(database, "write");
}
