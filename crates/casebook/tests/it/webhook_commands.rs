//! Webhooks by command and by our own API: where they may lead, what is shown of them, and where their secrets are.

use crate::endpoint::tls_endpoint;
use crate::setup::{Suite, program, start, text, token};
use crate::webhook_setup::{
    Place, deliveries, delivery, flake, prompt_suite, read, wait_for_attempts, write,
};
use casebook_testkit::{Answer, Engine, TestDatabase, TestServer, WebhookReceiver, both_engines};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

both_engines!(
    a_webhook_is_made_shown_changed_and_removed,
    addresses_that_lead_inside_are_refused,
    addresses_are_checked_again_at_each_delivery,
    a_test_delivery_tells_what_came_of_it,
    deliveries_come_in_parts,
    secrets_are_shown_once,
    the_key_file_is_needed_and_no_other_will_do,
    a_key_file_has_its_place,
    receivers_behind_tls_are_known_by_the_systems_certificates,
);

fn error(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn a_webhook_is_made_shown_changed_and_removed(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let url = receiver.url("/a");
    let made = write(&suite, "POST", "/webhooks", &json!({ "url": url, "events": ["new_flaky_test"] }), 201);
    let (id, secret) = (text(&made, "id"), text(&made, "secret"));
    assert!(secret.starts_with("whsec_"), "{secret}");
    let found = read(&suite, &format!("/webhooks/{id}"));
    let told = json!([found["url"], found["events"], found["paused_at"], found["failing_since"]]);
    assert_eq!(told, json!([url, ["new_flaky_test"], null, null]));
    assert_eq!(read(&suite, "/webhooks")["items"], json!([found]));
    let listed = server.succeed(&["webhook", "list", "--suite", &suite.name]);
    for part in [id.as_str(), &suite.name, &url, "new_flaky_test", "active"] {
        assert!(listed.contains(part), "{part} in {listed}");
    }
    // Paused by hand, nothing is sent; what was due is sent later.
    let change = |body| write(&suite, "PATCH", &format!("/webhooks/{id}"), &body, 200);
    let other = receiver.url("/b");
    let paused = change(json!({ "paused": true, "events": [], "url": other }));
    assert!(paused["paused_at"].is_string(), "{paused}");
    assert_eq!(json!([paused["url"], paused["events"]]), json!([other, []]));
    let _ = suite.upload(&flake("shaky", 1));
    let waiting = text(&deliveries(&suite, &id)[0], "id");
    let tested = write(&suite, "POST", &format!("/webhooks/{id}/test"), &json!({}), 200);
    assert_eq!(tested["state"], "delivered", "a pause does not keep it from being tried: {tested}");
    assert_eq!(delivery(&suite, &waiting)["attempts_count"], 0);
    let told = server.succeed(&["webhook", "resume", &id]);
    assert!(told.contains(&id), "{told}");
    let _ = change(json!({ "paused": false }));
    let received = receiver.wait_for(2);
    assert!(received.iter().all(|request| request.path == "/b"), "{received:?}");
    for (body, part) in [
        (json!({ "url": "nonsense" }), "http://"),
        (json!({ "events": ["everything"] }), "new_flaky_test"),
        (json!({ "secret": "s" }), "unknown field"),
        (json!([1]), "cannot be read"),
    ] {
        let refused = write(&suite, "PATCH", &format!("/webhooks/{id}"), &body, 400);
        assert!(text(&refused, "detail").contains(part), "{refused}");
    }
    let _ = write(&suite, "DELETE", &format!("/webhooks/{id}"), &json!({}), 204);
    let _ = write(&suite, "DELETE", &format!("/webhooks/{id}"), &json!({}), 404);
    let _ = write(&suite, "POST", &format!("/deliveries/{waiting}/redeliver"), &json!({}), 404);
    assert!(error(&server.command(&["webhook", "remove", &id])).contains("no such webhook"));
    assert_eq!(read(&suite, "/webhooks")["items"], json!([]));
    // A suite goes away with its webhooks and all that was sent.
    let (id, _) = place.hook(&server, &receiver.url("/c"), &[]);
    let _ = write(&suite, "POST", &format!("/webhooks/{id}/test"), &json!({}), 200);
    let admin = token(&server, &["--org", "acme", "--scope", "admin"]);
    let _ = server.request("DELETE", &suite.path("")).token(&admin).send().expect(204);
    assert_eq!(server.succeed(&["webhook", "list"]), "");
}

fn addresses_that_lead_inside_are_refused(database: &TestDatabase) {
    let place = Place::new(database);
    let server = place.start_with(0, &[]);
    let suite = Suite::new(&server, "cart");
    let key_file = place.key_file();
    let create = |url: &str| {
        server.command(&[
            "webhook",
            "create",
            url,
            "--suite",
            &suite.name,
            "--secret-key-file",
            key_file.to_str().unwrap(),
        ])
    };
    for (url, part) in [
        ("http://127.0.0.1:8080/", "loopback"),
        ("https://localhost/hook", "loopback"),
        ("http://10.0.0.7/", "private"),
        ("http://[::ffff:192.168.0.1]/", "private"),
        ("http://169.254.169.254/latest/meta-data/", "link-local"),
        ("http://[fd00::1]/", "unique local"),
        ("http://100.100.100.200/", "provider"),
        ("http://0.0.0.0/", "unspecified"),
        ("http://2130706433/", "127.0.0.1"),
        ("http://user:geheim@1.1.1.1/", "no user and no password"),
        ("ftp://1.1.1.1/", "http://"),
        ("http://no-such-host.invalid/", "cannot be found"),
    ] {
        let refused = write(&suite, "POST", "/webhooks", &json!({ "url": url }), 400);
        assert!(text(&refused, "detail").contains(part), "{url}: {refused}");
        let told = error(&create(url));
        assert!(told.contains(part) && told.lines().count() == 1, "{url}: {told}");
        assert!(!told.contains("geheim"), "{told}");
    }
    assert_eq!(read(&suite, "/webhooks")["items"], json!([]));
    assert!(!key_file.exists(), "no key is made for what is refused");
}

/// What a name stands for may change: here the permission does.
fn addresses_are_checked_again_at_each_delivery(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start_with(0, &[]);
    let suite = prompt_suite(&server);
    let port = receiver.url("").rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost"] {
        let (hook, _) = place.hook(&server, &format!("http://{host}:{port}/"), &[]);
        let _ = suite.upload(&flake(host, 1));
        let id = text(&deliveries(&suite, &hook)[0], "id");
        let found = wait_for_attempts(&suite, &id, 1);
        let attempt = &found["attempts"][0];
        assert!(text(attempt, "error").contains("loopback") && attempt["status"].is_null(), "{found}");
        assert_eq!(found["state"], "pending");
    }
    assert!(receiver.received().is_empty());
}

fn a_test_delivery_tells_what_came_of_it(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = Suite::new(&server, "cart");
    let (hook, _) = place.hook(&server, &receiver.url("/"), &[]);
    let key_file = place.key_file();
    let key_file = ["--secret-key-file", key_file.to_str().unwrap()];
    let test = |more: &[&str]| server.command(&[&["webhook", "test", &hook], &key_file[..], more].concat());
    receiver.answer([Answer::Status(202), Answer::Status(410)]);
    let told = test(&["--allow-private-webhooks"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(String::from_utf8(told.stdout).unwrap().contains("202"));
    let told = error(&test(&["--allow-private-webhooks"]));
    assert!(told.contains("410"), "{told}");
    assert!(error(&test(&[])).contains("loopback"));
    let received = receiver.wait_for(2);
    let body = received[0].json();
    assert_eq!(body["action"], "new_flaky_test");
    assert!(text(&body["test_case"], "name").contains("test delivery"), "{body}");
    // It is not tried again, and a failure of it is none of the webhook.
    let found = deliveries(&suite, &hook);
    let states: Vec<_> = found.iter().map(|delivery| json!([delivery["event"], delivery["state"]])).collect();
    assert_eq!(json!(states), json!([["test", "failed"], ["test", "failed"], ["test", "delivered"]]));
    assert!(found.iter().all(|delivery| delivery["test_id"].is_null()), "{found:?}");
    assert_eq!(read(&suite, "/tests")["items"], json!([]), "no test is made up");
    assert!(read(&suite, &format!("/webhooks/{hook}"))["failing_since"].is_null());
}

fn deliveries_come_in_parts(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (hook, _) = place.hook(&server, &receiver.url("/"), &[]);
    for _ in 0..5 {
        let _ = write(&suite, "POST", &format!("/webhooks/{hook}/test"), &json!({}), 200);
    }
    let all = deliveries(&suite, &hook);
    let first = read(&suite, &format!("/webhooks/{hook}/deliveries?limit=3"));
    let rest = read(&suite, &format!("/webhooks/{hook}/deliveries?limit=3&after={}", text(&first, "next")));
    assert_eq!(
        (first["items"].as_array().unwrap().as_slice(), rest["items"].as_array().unwrap().as_slice()),
        all.split_at(3)
    );
    assert_eq!((all.len(), rest.get("next")), (5, None));
    // Neither through another suite, nor with an id of something else.
    let other = suite.sibling("other");
    for rest in [
        format!("/webhooks/{hook}"),
        format!("/webhooks/{hook}/deliveries"),
        format!("/deliveries/{}", text(&all[0], "id")),
        format!("/webhooks/{}", text(&all[0], "id")),
    ] {
        let path = format!("/api/casebook/v1/suites/{}{rest}", other.name);
        let _ = server.get(&path).token(&other.read_token).send().expect(404);
    }
}

fn secrets_are_shown_once(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (_, made) = place.hook(&server, &receiver.url("/"), &[]);
    let key_file = place.key_file();
    let given = "av_live_0123456789";
    let arguments = [
        "webhook",
        "create",
        &receiver.url("/"),
        "--suite",
        &suite.name,
        "--secret-stdin",
        "--allow-private-webhooks",
        "--secret-key-file",
        key_file.to_str().unwrap(),
    ];
    let told = server.command_with_input(&arguments, &format!("{given}\n"));
    assert_eq!(String::from_utf8(told.stdout).unwrap().lines().nth(1), Some(given));
    for wrong in ["", "short", "with blanks in it", "whsec_no base64"] {
        let told = error(&server.command_with_input(&arguments, &format!("{wrong}\n")));
        assert!(told.contains("secret") && (wrong.is_empty() || !told.contains(wrong)), "{told}");
    }
    let _ = suite.upload(&flake("shaky", 1));
    let _ = receiver.wait_for(2);
    let listed = server.succeed(&["webhook", "list"]);
    let shown = read(&suite, "/webhooks").to_string();
    let log = server.terminate();
    let key = std::fs::read_to_string(&key_file).unwrap();
    for secret in [made.as_str(), given, key.trim()] {
        for (place, text) in [("list", &listed), ("API", &shown), ("log", &log)] {
            assert!(!text.contains(secret), "{secret} in the {place}");
        }
        if let Some(folder) = database.folder() {
            for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
                let bytes = std::fs::read(&file).unwrap();
                let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!found, "{secret} in {}", file.display());
            }
        }
    }
}

fn the_key_file_is_needed_and_no_other_will_do(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (hook, _) = place.hook(&server, &receiver.url("/"), &[]);
    let key_file = place.key_file();
    assert_eq!(std::fs::metadata(&key_file).unwrap().permissions().mode() & 0o777, 0o600);
    let _ = server.terminate();
    let right = std::fs::read(&key_file).unwrap();
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    for (number, (content, part)) in
        [(Some(other), "is not the one"), (Some("nonsense"), "holds no key"), (None, "is missing")]
            .into_iter()
            .enumerate()
    {
        match content {
            Some(content) => std::fs::write(&key_file, content).unwrap(),
            None => std::fs::remove_file(&key_file).unwrap(),
        }
        let server = place.start(0);
        let suite = suite.on(&server);
        let _ = suite.upload(&flake(&format!("shaky {number}"), number as u64));
        let id = text(&deliveries(&suite, &hook)[0], "id");
        let found = wait_for_attempts(&suite, &id, 1);
        assert!(text(&found["attempts"][0], "error").contains(part), "{found}");
        let arguments = [
            "webhook",
            "create",
            "http://1.1.1.1/",
            "--suite",
            &suite.name,
            "--secret-key-file",
            key_file.to_str().unwrap(),
        ];
        assert!(error(&server.command(&arguments)).contains(part));
        let refused = write(&suite, "POST", "/webhooks", &json!({ "url": "http://1.1.1.1/" }), 503);
        assert!(!text(&refused, "detail").contains(key_file.to_str().unwrap()), "{refused}");
        let log = server.terminate();
        assert!(log.contains(part), "{log}");
    }
    assert!(receiver.received().is_empty());
    std::fs::write(&key_file, right).unwrap();
    // Nothing is lost: what failed is due again.
    let server = place.start(60);
    assert_eq!(receiver.wait_for(3).len(), 3);
    let _ = server.terminate();
}

fn a_key_file_has_its_place(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let create = || server.command(&["webhook", "create", "http://1.1.1.1/", "--suite", &suite.name]);
    if database.engine() == Engine::Postgres {
        assert!(error(&create()).contains("--secret-key-file"));
        let place = Place::new(database);
        let _ = place.hook(&server, "http://1.1.1.1/", &[]);
        // A server without it would sign nothing.
        let arguments = ["serve", "--listen", "127.0.0.1:0"];
        assert!(error(&server.command(&arguments)).contains("--secret-key-file"));
        return;
    }
    let key_file = database.folder().unwrap().join("casebook.key");
    assert!(!key_file.exists());
    assert!(create().status.success());
    assert_eq!(std::fs::metadata(&key_file).unwrap().permissions().mode() & 0o777, 0o600);
    let first = std::fs::read(&key_file).unwrap();
    assert!(create().status.success());
    assert_eq!(std::fs::read(&key_file).unwrap(), first);
    let _ = server.terminate();
    let _ = TestServer::start(program(), database).terminate();
}

fn receivers_behind_tls_are_known_by_the_systems_certificates(database: &TestDatabase) {
    let place = Place::new(database);
    let server = place.start(0);
    let suite = Suite::new(&server, "cart");
    let (address, certificate) = tls_endpoint();
    let url = format!("https://localhost:{}/", address.rsplit(':').next().unwrap());
    let (hook, _) = place.hook(&server, &url, &[]);
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("roots.pem");
    std::fs::write(&trusted, certificate).unwrap();
    let test = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(program());
        command.args(["webhook", "test", &hook, "--allow-private-webhooks", "--database", database.url()]);
        command.arg("--secret-key-file").arg(place.key_file());
        command.envs(variables.iter().copied()).output().unwrap()
    };
    assert!(error(&test(&[])).contains("could not be reached"));
    // Proxies, which would resolve names themselves, are not asked.
    let nobody = "http://127.0.0.1:1";
    let told =
        test(&[("SSL_CERT_FILE", trusted.to_str().unwrap()), ("https_proxy", nobody), ("ALL_PROXY", nobody)]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert_eq!(deliveries(&suite, &hook).len(), 2);
}
