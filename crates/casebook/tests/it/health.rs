//! Health, metrics, and addresses that are not there.

use crate::setup::{Suite, program, start, token};
use casebook_testkit::{Engine, Reply, TestDatabase, TestServer, Upload, both_engines};
use serde_json::{Value, json};
use std::net::TcpListener;

both_engines!(
    a_server_is_alive_and_ready,
    a_server_without_its_database_is_not_ready,
    metrics_are_for_admins,
    metrics_count_what_arrives,
    metrics_name_nobody,
    metrics_may_have_a_listener_of_their_own,
    unknown_addresses_are_404,
    other_methods_are_405,
    other_methods_of_health_are_405,
);

fn a_server_is_alive_and_ready(database: &TestDatabase) {
    let server = start(database);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).send().expect(200).json()["status"], "ok", "{path}");
    }
    let root = server.get("/").token(server.admin_token()).send().expect(200).json();
    assert_eq!(root["jobs"], format!("{}/jobs/", server.url()));
}

fn a_server_without_its_database_is_not_ready(database: &TestDatabase) {
    if database.engine() == Engine::Sqlite {
        return;
    }
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let (place, name) = database.url().rsplit_once('/').unwrap();
    let mut client = ::postgres::Client::connect(&format!("{place}/postgres"), ::postgres::NoTls).unwrap();
    client.batch_execute(&format!("drop database {name} with (force)")).unwrap();
    let reply = server.get("/readyz").send().expect(503);
    assert_ne!(reply.json()["status"], "ok");
    assert_eq!(server.get("/healthz").send().status, 200);
    let refused = [
        Upload::new("k1").send(&server, &suite.upload_token),
        server.get(&suite.path("/runs")).token(&suite.read_token).send(),
    ];
    for reply in refused {
        assert!((500..600).contains(&reply.status), "{}", reply.text());
        let message = reply.message();
        assert!(!message.contains(name) && !message.contains("postgres"), "{message}");
    }
}

fn metrics_are_for_admins(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let get = |authorization: Option<&str>| {
        let request = server.get("/metrics");
        authorization
            .into_iter()
            .fold(request, |request, value| request.header("Authorization", value))
            .send()
    };
    for authorization in [None, Some("Bearer cbk_unknown"), Some("nonsense")] {
        assert!(!get(authorization).expect(401).message().is_empty(), "{authorization:?}");
    }
    let write = token(&server, &["--org", "acme", "--scope", "write"]);
    for token in [&suite.upload_token, &suite.read_token, &write] {
        assert!(!get(Some(&format!("Bearer {token}"))).expect(403).message().is_empty());
    }
    let metrics = get(Some(&format!("Bearer {}", server.admin_token()))).expect(200);
    let content_type = metrics.header("content-type").unwrap();
    assert!(content_type.contains("text"), "{content_type}");
    assert!(metrics.text().lines().any(|line| line.starts_with("# TYPE casebook_")), "{}", metrics.text());
}

/// The sum of a counter over the labels that contain `with`.
fn counter(metrics: &Reply, name: &str, with: &str) -> f64 {
    let text = metrics.text();
    let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(with));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// One result that is good, one that is not, in a run and with tags that nobody should see in metrics.
fn upload() -> Upload {
    let result = json!({ "id": "95f7e024-9e0a-450f-bc64-9edb62d43fa9", "scope": "giraffe", "name": "hippo",
                         "result": "failed", "history": {} });
    Upload::new("rhino").branch("lion").tag("tiger", "puma").push(result).push(json!(1))
}

fn metrics_count_what_arrives(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let counted = || {
        let metrics = server.get("/metrics").token(server.admin_token()).send().expect(200);
        let counter = |name: &str| counter(&metrics, &format!("casebook_{name}_total"), "");
        let accepted = self::counter(&metrics, "casebook_http_requests_total", "status=\"202\"");
        [
            counter("uploads"),
            counter("results"),
            counter("duplicate_results"),
            accepted,
            counter("rejected_results"),
        ]
    };
    let before = counted();
    let _ = suite.upload(&upload().result("giraffe", "b", "passed"));
    let _ = suite.upload(&upload());
    let _ = Upload::new("").send(&server, &suite.upload_token).expect(422);
    let difference: Vec<f64> = counted().iter().zip(before).map(|(after, before)| after - before).collect();
    // The second upload brought one result that was there and one that cannot be used: nothing of it was stored.
    assert_eq!(difference, [1.0, 2.0, 1.0, 2.0, 2.0]);
}

fn metrics_name_nobody(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "zebrasuite");
    let answer = suite.upload(&upload());
    // Ask for everything, and for what is not there.
    let run = answer["run_id"].as_str().unwrap();
    let _ = (suite.run(&answer["run_id"]), suite.tests(), suite.failed(&answer["run_id"]));
    for path in ["/wolf", "/api/wolf", &suite.path("/wolf"), "/v2/analytics/organizations/wolf/suites/wolf"] {
        let _ = server.get(path).token(&suite.read_token).send();
    }
    let text = server.get("/metrics").token(server.admin_token()).send().expect(200).text();
    let secrets = [&suite.upload_token, &suite.read_token, server.admin_token()];
    let hidden = ["acme", "zebrasuite", "giraffe", "hippo", "rhino", "lion", "tiger", "puma", "wolf", run];
    for word in hidden.into_iter().chain(secrets) {
        assert!(!text.contains(word), "{word} in {text}");
    }
    assert!(text.contains("/v1/uploads") && text.contains("{suite}"), "{text}");
}

fn metrics_may_have_a_listener_of_their_own(database: &TestDatabase) {
    // The address is not announced, so that a free one has to be found beforehand.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = TestServer::start_with(program(), database, &["--metrics-listen", &free]);
    let get = |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {free}\r\nConnection: close\r\n\r\n");
        casebook_testkit::exchange(&free, head.as_bytes())
    };
    assert!(get("/metrics").expect(200).text().contains("casebook_"));
    assert_eq!(get("/").status, 404);
    assert_eq!(get("/v2/analytics/organizations/default/suites").status, 404);
    assert_eq!(server.get("/metrics").send().status, 401);
    let _ = server.terminate();
}

fn unknown_addresses_are_404(database: &TestDatabase) {
    let server = start(database);
    for method in ["GET", "POST", "DELETE"] {
        for path in ["/v1", "/v1/uploads/", "/v1/uploads/metadata", "/v2/analytics", "/v2/analytics/nothing"]
        {
            let reply = server.request(method, path).send();
            assert!(!reply.expect(404).message().is_empty(), "{method} {path}");
        }
        let body: Value = server.request(method, "/api/nothing").send().expect(404).json();
        assert_eq!(body["error"], body["message"]);
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    }
}

/// Health and metrics belong to no protocol, but answer like the others.
fn other_methods_of_health_are_405(database: &TestDatabase) {
    let server = start(database);
    for (method, path) in [("POST", "/healthz"), ("POST", "/readyz"), ("DELETE", "/metrics")] {
        let reply = server.request(method, path).token(server.admin_token()).send();
        assert_eq!(reply.status, 405, "{method} {path}: {}", reply.text());
        assert!(!reply.message().is_empty());
    }
}

fn other_methods_are_405(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let runs = suite.path("/runs");
    for (method, path) in [
        ("GET", "/v1/uploads"),
        ("PUT", "/v1/uploads"),
        ("DELETE", "/v1/uploads"),
        ("POST", runs.as_str()),
        ("DELETE", runs.as_str()),
    ] {
        let reply = server.request(method, path).token(&suite.read_token).send();
        assert_eq!(reply.status, 405, "{method} {path}: {}", reply.text());
        assert!(!reply.message().is_empty());
    }
}
