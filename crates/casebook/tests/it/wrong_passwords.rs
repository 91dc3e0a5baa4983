//! Guessing passwords (design, section 7: failures are limited per address and name).

use crate::setup::{program, start, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_testkit::{TestDatabase, TestServer, both_engines};

both_engines!(
    ten_wrong_passwords_are_enough,
    proxies_that_are_trusted_tell_clients_apart,
    proxies_that_are_not_trusted_are_not_believed,
);

const PATH: &str = "/v2/analytics/organizations/default/suites/default";
const RIGHT: &str = "correct horse battery";

fn make_users(server: &TestServer) {
    for name in ["vera", "will"] {
        let arguments = ["user", "create", name, "--role", "viewer", "--password-stdin"];
        assert!(server.command_with_input(&arguments, RIGHT).status.success());
    }
}

/// The status of a request with a user and a password, from a client behind a proxy if one is named.
fn status(server: &TestServer, user: &str, password: &str, client: &str) -> u16 {
    let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let mut request = server.get(PATH).header("Authorization", &value);
    if !client.is_empty() {
        request = request.header("X-Forwarded-For", client);
    }
    let reply = request.send();
    if reply.status != 200 {
        assert!(!reply.message().is_empty());
    }
    reply.status
}

fn ten_wrong_passwords_are_enough(database: &TestDatabase) {
    let server = start(database);
    make_users(&server);
    // Somebody who is not there is guessed at like somebody who is.
    for user in ["vera", "nobody"] {
        for attempt in 0..10 {
            assert_eq!(status(&server, user, &format!("guess {attempt}"), ""), 401, "{user} {attempt}");
        }
        assert_eq!(status(&server, user, "guess 10", ""), 429, "{user}");
    }
    // Then the right one does not help either, or guessing would go on.
    assert_eq!(status(&server, "vera", RIGHT, ""), 429);
    let upload = server.post("/v1/uploads").header("Authorization", "Basic dmVyYTp4").bytes("{}");
    assert!(!upload.send().expect(429).message().is_empty());
    // Nobody else has to wait, and no token.
    assert_eq!(status(&server, "will", RIGHT, ""), 200);
    assert_eq!(status(&server, "will", "wrong", ""), 401);
    let reply = server.get(PATH).token(server.admin_token()).send().expect(200);
    assert_eq!(text(&reply.json(), "slug"), "default");
    assert_eq!(status(&server, "vera", server.admin_token(), ""), 200);
    // Nothing of it is told.
    assert!(!server.log().contains("guess") && !server.log().contains(RIGHT));
}

fn proxies_that_are_trusted_tell_clients_apart(database: &TestDatabase) {
    let server = TestServer::start_with(program(), database, &["--trusted-proxy", "127.0.0.1"]);
    make_users(&server);
    let (here, there) = ("192.0.2.7", "2001:db8::1");
    for attempt in 0..10 {
        // What the client says itself stands further to the left.
        let forwarded = format!("198.51.100.{attempt}, {here}");
        assert_eq!(status(&server, "vera", "wrong", &forwarded), 401, "{attempt}");
    }
    assert_eq!(status(&server, "vera", "wrong", here), 429);
    assert_eq!(status(&server, "vera", RIGHT, here), 429);
    assert_eq!(status(&server, "vera", RIGHT, &format!("{there}, {here}")), 429);
    assert_eq!(status(&server, "vera", RIGHT, there), 200);
    assert_eq!(status(&server, "vera", RIGHT, &format!("{here}, {there}")), 200);
    assert_eq!(status(&server, "vera", RIGHT, ""), 200);
}

fn proxies_that_are_not_trusted_are_not_believed(database: &TestDatabase) {
    for arguments in [&[][..], &["--trusted-proxy", "10.0.0.0/8"]] {
        let server = TestServer::start_with(program(), database, arguments);
        make_users(&server);
        for attempt in 0..10 {
            assert_eq!(status(&server, "vera", "wrong", &format!("192.0.2.{attempt}")), 401, "{attempt}");
        }
        assert_eq!(status(&server, "vera", RIGHT, "192.0.2.200"), 429);
        server.terminate();
    }
}
