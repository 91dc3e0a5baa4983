//! Our own API: its description, and uploads as they can be read back.

use crate::setup::{Suite, program, start, text};
use casebook_testkit::{Reply, TestDatabase, Upload, both_engines, run};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

both_engines!(uploads_tell_what_became_of_them, uploads_come_in_parts, errors_are_problem_documents);

/// `UPDATE_OPENAPI=1` writes the new one.
#[test]
fn the_description_is_the_one_in_the_docs() {
    let output = run(program(), &["openapi"], "");
    let printed = String::from_utf8(output.stdout).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &printed).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    assert!(printed == expected, "the API changed: look at it, then set UPDATE_OPENAPI=1");
}

#[test]
fn every_address_is_described_and_nothing_else() {
    let described: Value = serde_json::to_value(casebook_server::openapi()).unwrap();
    let paths = described["paths"].as_object().unwrap().iter();
    let described: BTreeSet<String> = paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let own = casebook_server::surface().filter(|route| route.path.starts_with("/api/casebook/"));
    let served: BTreeSet<String> = own
        .map(|route| format!("{} {}", route.method, route.path))
        .filter(|route| !route.ends_with("/openapi.json"))
        .collect();
    assert_eq!(described, served);
}

fn path(suite: &Suite<'_>, rest: &str) -> String {
    format!("/api/casebook/v1/suites/{}{rest}", suite.name)
}

fn read(suite: &Suite<'_>, rest: &str) -> Value {
    suite.server.get(&path(suite, rest)).token(&suite.read_token).send().expect(200).json()
}

fn uploads_tell_what_became_of_them(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let nameless = json!({ "scope": "Cart", "result": "passed", "history": {} });
    let upload = Upload::new("k1")
        .branch("main")
        .commit("c0ffee")
        .result("Cart", "a", "passed")
        .result("Cart", "b", "failed")
        .push(nameless);
    let answer = suite.upload(&upload);
    let found = read(&suite, &format!("/uploads/{}", text(&answer, "upload_id")));
    assert_eq!((&found["id"], &found["run_id"]), (&answer["id"], &answer["run_id"]));
    assert_eq!(found["web_url"], answer["upload_url"]);
    assert_eq!(found["counts"], json!({ "accepted": 2, "repaired": 0, "rejected": 1, "duplicate": 0 }));
    let told = json!([found["protocol"], found["format"], found["branch"], found["commit_sha"]]);
    assert_eq!(told, json!(["buildkite", "json", "main", "c0ffee"]));
    let problems = found["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].as_str().unwrap().contains('3'), "which record: {problems:?}");
    assert_eq!(json!(problems), answer["errors"]);
}

fn uploads_come_in_parts(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let sent: Vec<Value> = (0..5)
        .map(|number| {
            let key = format!("k{}", number % 2);
            suite.upload(&Upload::new(&key).result("Cart", &format!("a{number}"), "passed"))["id"].clone()
        })
        .collect();
    let ids = |page: &Value| -> Vec<Value> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
    };
    let first = read(&suite, "/uploads?limit=3");
    assert_eq!(ids(&first), [sent[4].clone(), sent[3].clone(), sent[2].clone()]);
    let rest = read(&suite, &format!("/uploads?limit=3&after={}", text(&first, "next")));
    assert_eq!((ids(&rest), rest.get("next")), (vec![sent[1].clone(), sent[0].clone()], None));
    let run = read(&suite, &format!("/uploads/{}", sent[1].as_str().unwrap()))["run_id"].clone();
    let of_run = read(&suite, &format!("/uploads?run={}", run.as_str().unwrap()));
    assert_eq!(ids(&of_run), [sent[3].clone(), sent[1].clone()]);
}

fn problem(reply: &Reply) -> Value {
    serde_json::from_str(&reply.text()).unwrap()
}

fn errors_are_problem_documents(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    for (rest, status) in [
        ("/uploads?limit=0", 400),
        ("/uploads?limit=x", 400),
        ("/uploads?after=x", 400),
        ("/uploads?run=x", 404),
        ("/uploads/x", 404),
    ] {
        let reply = server.get(&path(&suite, rest)).token(&suite.read_token).send().expect(status);
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{rest}");
        let problem = problem(&reply);
        assert_eq!(problem["status"], status, "{rest}");
        assert!(!text(&problem, "detail").is_empty() && !text(&problem, "title").is_empty(), "{rest}");
    }
    let reply = server.post(&path(&suite, "/uploads")).token(&suite.read_token).send();
    assert_eq!(problem(&reply.expect(405))["status"], 405);
    assert_eq!(problem(&server.get(&path(&suite, "/uploads")).send().expect(401))["status"], 401);
}
