//! Who may do what (`buildkite.md` 1, 11; scopes, users and anonymous access).

use crate::setup::{Suite, program, start, text, token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_testkit::{Reply, TestDatabase, TestServer, Upload, both_engines};
use serde_json::{Value, json};

both_engines!(
    scopes_allow_what_they_say,
    nothing_is_learned_of_other_suites,
    a_token_may_be_a_password,
    users_have_roles_and_a_home,
    a_changed_password_counts_at_once,
    without_a_credential_nothing_is_open,
    anonymous_reading_may_be_allowed,
    anonymous_writing_may_be_allowed,
);

/// Every address below a suite that can be read.
fn paths(suite: &Suite<'_>) -> Vec<String> {
    let answer = suite.upload(&Upload::new("k1").result("Cart", "a", "failed"));
    let run = text(&answer, "run_id");
    let test = text(&suite.test("Cart", "a"), "id");
    [
        "",
        "/runs",
        &format!("/runs/{run}"),
        &format!("/runs/{run}/failed_executions"),
        "/tests",
        &format!("/tests/{test}"),
    ]
    .map(|rest| suite.path(rest))
    .to_vec()
}

fn read(server: &TestServer, path: &str, token: &str) -> Reply {
    server.get(path).token(token).send()
}

fn upload(server: &TestServer, authorization: &str) -> Reply {
    let body = Upload::new("k1").result("Cart", "a", "failed").body();
    server.post("/v1/uploads").header("Authorization", authorization).json(&body).send()
}

fn scopes_allow_what_they_say(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let paths = paths(&suite);
    let suites = "/v2/analytics/organizations/acme/suites";
    let find = json!({ "scope": "Cart", "name": "a" });
    // Scope, status of reading, status of uploading.
    for (scope, reading, uploading) in
        [("upload", 403, 202), ("read", 200, 403), ("write", 200, 202), ("admin", 200, 202)]
    {
        let of_suite = token(&server, &["--suite", "acme/cart", "--scope", scope]);
        let of_organization = token(&server, &["--org", "acme", "--scope", scope]);
        for token in [&of_suite, &of_organization] {
            for path in paths.iter().map(String::as_str).chain([suites]) {
                let reply = read(&server, path, token);
                assert_eq!(reply.status, reading, "{scope} {path}: {}", reply.text());
                if reading == 403 {
                    assert!(!reply.message().is_empty());
                }
            }
            let reply = server.post(&suite.path("/tests/find")).token(token).json(&find).send();
            assert_eq!(reply.status, reading, "{scope}: {}", reply.text());
        }
        let reply = upload(&server, &format!("Bearer {of_suite}"));
        assert_eq!(reply.status, uploading, "{scope}: {}", reply.text());
    }
    for path in paths.iter().map(String::as_str).chain([suites]) {
        for authorization in [None, Some("Bearer cbk_unknown"), Some("Bearer"), Some("nonsense")] {
            let request = server.get(path);
            let request = authorization
                .into_iter()
                .fold(request, |request, value| request.header("Authorization", value));
            assert!(!request.send().expect(401).message().is_empty(), "{authorization:?} {path}");
        }
    }
}

fn nothing_is_learned_of_other_suites(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let paths = paths(&suite);
    let _ = server.succeed(&["suite", "create", "acme/other"]);
    let _ = server.succeed(&["suite", "create", "rival/cart"]);
    let tokens = [
        token(&server, &["--suite", "acme/other", "--scope", "read"]),
        token(&server, &["--suite", "acme/other", "--scope", "upload"]),
        token(&server, &["--suite", "acme/other", "--scope", "admin"]),
        token(&server, &["--org", "rival", "--scope", "read"]),
        token(&server, &["--org", "rival", "--scope", "admin"]),
        server.admin_token().to_owned(),
    ];
    for token in &tokens {
        for path in &paths {
            let there = read(&server, path, token);
            let nowhere = read(&server, &path.replace("/suites/cart", "/suites/nothing"), token);
            assert_eq!((there.status, there.text()), (404, nowhere.text()), "{path}");
            assert_eq!(nowhere.status, 404);
            assert!(!there.message().is_empty());
        }
        let body = json!({ "scope": "Cart", "name": "a" });
        let find = |path: String| server.post(&path).token(token).json(&body).send().expect(404).text();
        let nowhere = suite.path("/tests/find").replace("/suites/cart", "/suites/nothing");
        assert_eq!(find(suite.path("/tests/find")), find(nowhere));
    }
    // An organization's token without a suite `default` has no place for records.
    let reply = upload(&server, &format!("Bearer {}", tokens[4]));
    assert!((400..500).contains(&reply.status), "{}", reply.text());
    let _ = server.succeed(&["suite", "create", "rival/default"]);
    assert_eq!(upload(&server, &format!("Bearer {}", tokens[4])).expect(202).json()["queued"], 1);
    assert_eq!(
        read(&server, "/v2/analytics/organizations/rival/suites/default/runs", &tokens[3])
            .expect(200)
            .json()
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn a_token_may_be_a_password(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    for user in ["anybody", "", "x"] {
        assert_eq!(upload(&server, &basic(user, &suite.upload_token)).expect(202).json()["queued"], 1);
        let reply =
            server.get(&suite.path("/runs")).header("Authorization", &basic(user, &suite.read_token)).send();
        assert_eq!(reply.expect(200).json().as_array().map(Vec::len), Some(1));
        let reply = server
            .get(&suite.path("/runs"))
            .header("Authorization", &basic(user, &suite.upload_token))
            .send();
        assert_eq!(reply.status, 403);
    }
    for authorization in
        [basic("anybody", "wrong"), basic(&suite.read_token, ""), basic(&suite.read_token, "x")]
    {
        let reply = server.get(&suite.path("/runs")).header("Authorization", &authorization).send();
        assert!(!reply.expect(401).message().is_empty(), "{authorization}");
    }
}

fn make_user(server: &TestServer, arguments: &[&str], password: &str) {
    let arguments = [&["user", "create"], arguments, &["--password-stdin"]].concat();
    let output = server.command_with_input(&arguments, &format!("{password}\n"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn users_have_roles_and_a_home(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    make_user(&server, &["vera", "--role", "viewer"], "correct horse battery");
    make_user(&server, &["will", "--role", "writer", "--suite", "acme/cart"], "päss:wörd with : and ü");
    let runs =
        |authorization: &str| server.get(&suite.path("/runs")).header("Authorization", authorization).send();
    let (vera, will) = (basic("vera", "correct horse battery"), basic("will", "päss:wörd with : and ü"));
    assert_eq!(runs(&vera).expect(200).json(), json!([]));
    assert!(!upload(&server, &vera).expect(403).message().is_empty());
    assert_eq!(upload(&server, &will).expect(202).json()["queued"], 1);
    assert_eq!(runs(&will).expect(200).json().as_array().map(Vec::len), Some(1));
    for (user, password) in [
        ("vera", "correct horse"),
        ("vera", ""),
        ("Vera", "correct horse battery"),
        ("nobody", "x"),
        ("will", "correct horse battery"),
    ] {
        assert!(!runs(&basic(user, password)).expect(401).message().is_empty(), "{user}");
    }
    let admin = server.first_start().unwrap();
    assert_eq!(
        runs(&basic(&admin.user, &admin.password)).expect(200).json().as_array().map(Vec::len),
        Some(1)
    );
    // Records of the admin go to its home.
    let _ = upload(&server, &basic(&admin.user, &admin.password)).expect(202);
    let home = read(&server, "/v2/analytics/organizations/default/suites/default/runs", server.admin_token());
    assert_eq!(home.expect(200).json().as_array().map(Vec::len), Some(1));
}

fn a_changed_password_counts_at_once(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    make_user(&server, &["vera", "--role", "viewer"], "the first password");
    let status = |password: &str| {
        let request = server.get(&suite.path("/runs")).header("Authorization", &basic("vera", password));
        request.send().status
    };
    assert_eq!((status("the first password"), status("the second password")), (200, 401));
    make_user(&server, &["vera", "--role", "viewer"], "the second password");
    assert_eq!((status("the first password"), status("the second password")), (401, 200));
    let _ = server.succeed(&["user", "remove", "vera"]);
    assert_eq!(status("the second password"), 401);
}

const HOME: &str = "/v2/analytics/organizations/default/suites/default";

/// Statuses without a credential: reading, uploading, reading another suite.
fn without_credential(server: &TestServer) -> [u16; 3] {
    let _ = server.succeed(&["suite", "create", "acme/cart"]);
    let body = Upload::new("k1").result("Cart", "a", "failed").body();
    let upload = server.post("/v1/uploads").json(&body).send();
    let elsewhere = server.get("/v2/analytics/organizations/acme/suites/cart/runs").send();
    [server.get(&format!("{HOME}/runs")).send().status, upload.status, elsewhere.status]
}

fn without_a_credential_nothing_is_open(database: &TestDatabase) {
    let server = start(database);
    assert_eq!(without_credential(&server), [401, 401, 401]);
}

fn anonymous_reading_may_be_allowed(database: &TestDatabase) {
    let server = TestServer::start_with(program(), database, &["--anonymous", "read"]);
    let [reading, uploading, elsewhere] = without_credential(&server);
    assert_eq!(reading, 200);
    assert!(matches!(uploading, 401 | 403), "{uploading}");
    assert!(matches!(elsewhere, 401 | 404), "{elsewhere}");
    assert_eq!(server.get(&format!("{HOME}/runs")).send().json(), json!([]));
    assert_eq!(read(&server, &format!("{HOME}/runs"), "cbk_unknown").status, 401);
}

fn anonymous_writing_may_be_allowed(database: &TestDatabase) {
    let server = TestServer::start_with(program(), database, &["--anonymous", "write"]);
    let [reading, uploading, elsewhere] = without_credential(&server);
    assert_eq!([reading, uploading], [200, 202]);
    assert!(matches!(elsewhere, 401 | 404), "{elsewhere}");
    let runs: Value = server.get(&format!("{HOME}/runs")).send().expect(200).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(1));
    assert!(!upload(&server, "Bearer cbk_unknown").expect(401).message().is_empty());
}
