//! Suites that uploads name: `run_env.repo` and `run_env.check` (design, sections 2 and 7).

use crate::setup::{start, text, token};
use casebook_testkit::{TestDatabase, TestServer, Upload, both_engines};
use serde_json::{Value, json};
use std::collections::HashSet;

both_engines!(
    a_repository_and_a_check_name_a_suite,
    every_form_of_an_address_means_one_repository,
    many_at_once_make_one_suite,
    suites_that_are_there_are_found,
    refused_uploads_make_no_suite,
    what_names_nothing_goes_to_the_default_suite,
    only_tokens_of_organizations_name_suites,
);

const SUITES: &str = "/v2/analytics/organizations/acme/suites";

fn organization_token(server: &TestServer, scope: &str) -> String {
    let _ = server.succeed(&["suite", "create", "acme/default"]);
    token(server, &["--org", "acme", "--scope", scope])
}

/// An upload that names a repository and a check, where they are given.
fn naming(key: &str, repository: &str, check: &str) -> Upload {
    let upload = Upload::new(key).result("Cart", "a", "passed");
    [("repo", repository), ("check", check)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .fold(upload, |upload, (name, value)| upload.env(name, value))
}

/// The slug of the suite that took an upload.
fn taken_by(answer: &Value) -> String {
    let url = text(answer, "run_url");
    let rest = url.split("/analytics/suites/").nth(1).unwrap();
    rest.split('/').next().unwrap().to_owned()
}

#[track_caller]
fn send(server: &TestServer, token: &str, upload: &Upload) -> String {
    let answer = upload.send(server, token).expect(202).json();
    assert_eq!(answer["queued"], 1, "{answer}");
    taken_by(&answer)
}

/// Slugs of the organization's suites, sorted.
fn slugs(server: &TestServer) -> Vec<String> {
    let token = token(server, &["--org", "acme", "--scope", "read"]);
    let list = server.get(&format!("{SUITES}?per_page=100")).token(&token).send().expect(200).json();
    let mut slugs: Vec<String> = list.as_array().unwrap().iter().map(|suite| text(suite, "slug")).collect();
    slugs.sort();
    slugs
}

/// Runs of a suite.
fn runs(server: &TestServer, slug: &str) -> usize {
    let token = token(server, &["--org", "acme", "--scope", "read"]);
    let list = server.get(&format!("{SUITES}/{slug}/runs")).token(&token).send().expect(200).json();
    list.as_array().unwrap().len()
}

fn a_repository_and_a_check_name_a_suite(database: &TestDatabase) {
    let server = start(database);
    let token = organization_token(&server, "upload");
    let unit = send(&server, &token, &naming("k1", "acme/web", "unit"));
    let integration = send(&server, &token, &naming("k1", "acme/web", "integration"));
    let other = send(&server, &token, &naming("k1", "acme/api", "unit"));
    let all: HashSet<&String> = [&unit, &integration, &other].into();
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(slugs(&server).len(), 4);
    // The same again is the same suite.
    assert_eq!(send(&server, &token, &naming("k2", "acme/web", "unit")), unit);
    assert_eq!(send(&server, &token, &naming("k2", "acme/web", "integration")), integration);
    assert_eq!((runs(&server, &unit), runs(&server, &integration), runs(&server, &other)), (2, 2, 1));
    assert_eq!(runs(&server, "default"), 0);
    assert_eq!(slugs(&server).len(), 4);
    // Another owner's repository of that name is another one.
    assert_ne!(send(&server, &token, &naming("k1", "somebody/web", "unit")), unit);
}

fn every_form_of_an_address_means_one_repository(database: &TestDatabase) {
    let server = start(database);
    let token = organization_token(&server, "write");
    let suite = send(&server, &token, &naming("k0", "acme/web-shop", "unit"));
    for address in [
        "https://github.com/acme/web-shop",
        "https://github.com/acme/web-shop.git",
        "https://github.com/acme/web-shop/",
        "http://x:secret@git.example.com/acme/web-shop.git",
        "ssh://git@github.com/acme/web-shop.git",
        "ssh://git@github.com:2222/acme/web-shop",
        "git@github.com:acme/web-shop.git",
        "git@github.com:acme/web-shop",
    ] {
        assert_eq!(send(&server, &token, &naming(address, address, "unit")), suite, "{address}");
    }
    assert_eq!(slugs(&server), ["default".to_owned(), suite]);
}

fn many_at_once_make_one_suite(database: &TestDatabase) {
    let server = start(database);
    let token = organization_token(&server, "upload");
    let taken: HashSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|number| {
                let (server, token) = (&server, &token);
                let address = ["acme/web", "git@github.com:acme/web.git"][number % 2];
                let upload = naming(&format!("k{number}"), address, "unit");
                scope.spawn(move || send(server, token, &upload))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(slugs(&server).len(), 2);
    assert_eq!(runs(&server, taken.iter().next().unwrap()), 12);
}

fn suites_that_are_there_are_found(database: &TestDatabase) {
    let server = start(database);
    let token = organization_token(&server, "admin");
    let _ = server.succeed(&["suite", "create", "acme/mine", "--repo", "acme/web", "--check", "unit"]);
    assert_eq!(send(&server, &token, &naming("k1", "https://github.com/acme/web.git", "unit")), "mine");
    assert_eq!(slugs(&server), ["default", "mine"]);
    // Another organization has its own.
    let _ = server.succeed(&["suite", "create", "rival/default"]);
    let rival = crate::setup::token(&server, &["--org", "rival", "--scope", "upload"]);
    let _ = naming("k1", "acme/web", "unit").send(&server, &rival).expect(202);
    assert_eq!(runs(&server, "mine"), 1);
    assert_eq!(slugs(&server), ["default", "mine"]);
}

fn refused_uploads_make_no_suite(database: &TestDatabase) {
    let server = start(database);
    let token = organization_token(&server, "admin");
    let good = naming("k1", "acme/web", "unit").body();
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let many: Vec<Value> = (0..5_001).map(|_| json!({ "name": "a", "history": {} })).collect();
    for (body, status) in [
        (with("format", json!("xunit")), 422),
        (with("data", json!({})), 422),
        (with("data", json!(many)), 422),
        (json!({ "format": "junit", "run_env": good["run_env"], "data": "<testsuite>" }), 400),
    ] {
        let reply = server.post("/v1/uploads").token(&token).json(&body).send();
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(!reply.message().is_empty());
    }
    let reader = crate::setup::token(&server, &["--org", "acme", "--scope", "read"]);
    let _ = server.post("/v1/uploads").token(&reader).json(&good).send().expect(403);
    assert_eq!(slugs(&server), ["default"]);
    let _ = server.post("/v1/uploads").token(&token).json(&good).send().expect(202);
    assert_eq!(slugs(&server).len(), 2);
}

fn what_names_nothing_goes_to_the_default_suite(database: &TestDatabase) {
    let server = start(database);
    let token = organization_token(&server, "upload");
    for (number, repository) in ["", "nonsense", "https://", "a b/c d"].into_iter().enumerate() {
        let taken = send(&server, &token, &naming(&format!("k{number}"), repository, ""));
        assert_eq!(taken, "default", "{repository:?}");
    }
    let odd = Upload::new("odd").env("repo", json!(["acme/web"])).env("check", json!(null));
    assert_eq!(send(&server, &token, &odd.result("", "a", "passed")), "default");
    assert_eq!(slugs(&server), ["default"]);
}

fn only_tokens_of_organizations_name_suites(database: &TestDatabase) {
    let server = start(database);
    let _ = organization_token(&server, "read");
    let _ = server.succeed(&["suite", "create", "acme/mine"]);
    let _ = server.succeed(&["suite", "create", "acme/other", "--repo", "acme/web", "--check", "unit"]);
    for scope in ["upload", "write", "admin"] {
        let token = token(&server, &["--suite", "acme/mine", "--scope", scope]);
        assert_eq!(send(&server, &token, &naming(scope, "acme/web", "unit")), "mine");
        assert_eq!(send(&server, &token, &naming(&format!("{scope} 2"), "acme/new", "unit")), "mine");
    }
    assert_eq!(slugs(&server), ["default", "mine", "other"]);
    assert_eq!((runs(&server, "mine"), runs(&server, "other")), (6, 0));
    // A user's results go home.
    let made = ["user", "create", "ada", "--role", "admin", "--suite", "acme/mine", "--password-stdin"];
    assert!(server.command_with_input(&made, "correct horse battery\n").status.success());
    let body = naming("user", "acme/web", "unit").body();
    let request =
        server.post("/v1/uploads").header("Authorization", "Basic YWRhOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==");
    assert_eq!(taken_by(&request.json(&body).send().expect(202).json()), "mine");
    assert_eq!((runs(&server, "mine"), runs(&server, "other")), (7, 0));
}
