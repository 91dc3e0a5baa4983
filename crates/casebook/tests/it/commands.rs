//! The command line: what it prints, how it ends, and that a running server sees what it does.

use crate::setup::{Suite, program, start};
use casebook_testkit::{Engine, TestDatabase, TestServer, Upload, both_engines, run};
use std::net::TcpListener;
use std::process::Output;

both_engines!(
    suites_are_made_and_changed,
    tokens_are_made_listed_and_revoked,
    users_are_made_changed_and_removed,
    failures_end_with_1,
    a_newer_database_is_left_alone,
    the_first_start_speaks_once,
    a_taken_port_ends_the_server,
    addresses_come_from_the_public_url,
);

/// Runs a command on a database without a server.
fn casebook(database: &TestDatabase, arguments: &[&str]) -> Output {
    run(program(), &[arguments, &["--database", database.url()]].concat(), "")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The sentence with which a command failed.
#[track_caller]
fn failure(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(output.stdout, b"", "{error}");
    let sentence = error.strip_prefix("error: ").unwrap_or_else(|| panic!("{error}"));
    assert_eq!(sentence.trim_end().lines().count(), 1, "{error}");
    assert!(!sentence.trim().is_empty());
    sentence.to_owned()
}

fn suites_are_made_and_changed(database: &TestDatabase) {
    let line = |name: &str| {
        let list = stdout(&casebook(database, &["suite", "list"]));
        list.lines().find(|line| line.starts_with(&format!("{name}\t"))).map(str::to_owned)
    };
    assert_eq!(line("acme/cart"), None);
    let made = stdout(&casebook(database, &["suite", "create", "acme/cart"]));
    assert_eq!(made, "made suite acme/cart\n");
    assert_eq!(line("acme/cart").unwrap(), "acme/cart\tbranch main, detection robust, resolve quiet");
    let options =
        ["--repo", "acme/shop", "--check", "unit tests", "--provider", "github", "--default-branch", "trunk"];
    let changed = stdout(&casebook(database, &[&["suite", "create", "acme/cart"], &options[..]].concat()));
    assert_eq!(changed, "changed suite acme/cart\n");
    let described = "acme/cart\tbranch trunk, repo acme/shop, check unit tests, provider github, detection robust, resolve quiet";
    assert_eq!(line("acme/cart").unwrap(), described);
    // What is not given stays.
    let _ = stdout(&casebook(
        database,
        &["suite", "create", "acme/cart", "--detection", "prompt", "--resolve", "proven"],
    ));
    assert_eq!(line("acme/cart").unwrap(), described.replace("robust", "prompt").replace("quiet", "proven"));
    let _ = stdout(&casebook(database, &["suite", "create", "acme/other", "--default-branch", "dev"]));
    assert_eq!(line("acme/other").unwrap(), "acme/other\tbranch dev, detection robust, resolve quiet");
    assert_eq!(stdout(&casebook(database, &["suite", "list"])).lines().count(), 2);
}

fn tokens_are_made_listed_and_revoked(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let printed = server.succeed(&[
        "token",
        "create",
        "--suite",
        "acme/cart",
        "--scope",
        "upload",
        "--branches",
        "main,release/*",
    ]);
    let secret = printed.strip_suffix('\n').expect("one line");
    assert!(secret.starts_with("cbk_") && secret.len() >= 40, "{secret}");
    assert!(secret.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)), "{secret}");
    assert_ne!(secret, suite.upload_token);

    let list = server.succeed(&["token", "list"]);
    for secret in [secret, &suite.upload_token, &suite.read_token, server.admin_token()] {
        assert!(!list.contains(secret) && !list.contains(&secret[4..]), "{list}");
    }
    // The admin's, the two of the suite, and this one.
    assert_eq!(list.lines().count(), 4, "{list}");
    let line = list.lines().find(|line| line.contains("main,release/*")).expect("the token");
    assert!(line.contains("upload") && line.contains("acme/cart"), "{line}");
    assert!(list.lines().any(|line| line.contains("read") && line.contains("organization acme")), "{list}");

    let number = line.split('\t').next().unwrap();
    let upload = Upload::new("k1").result("Cart", "a", "passed");
    let _ = upload.send(&server, secret).expect(202);
    assert_eq!(server.succeed(&["token", "revoke", number]), format!("revoked token {number}\n"));
    assert!(!upload.send(&server, secret).expect(401).message().is_empty());
    let _ = upload.send(&server, &suite.upload_token).expect(202);
    assert_eq!(server.succeed(&["token", "list"]).lines().count(), 3);
    let again = failure(&server.command(&["token", "revoke", number]));
    assert!(again.contains(number), "{again}");
}

fn users_are_made_changed_and_removed(database: &TestDatabase) {
    let server = start(database);
    let _ = server.succeed(&["suite", "create", "acme/cart"]);
    let create = |arguments: &[&str]| {
        let arguments = [&["user", "create"], arguments, &["--password-stdin"]].concat();
        server.command_with_input(&arguments, "correct horse battery\n")
    };
    let line = |name: &str| {
        let list = server.succeed(&["user", "list"]);
        assert!(!list.contains("argon2") && !list.contains("correct horse"), "{list}");
        list.lines().find(|line| line.starts_with(&format!("{name}\t"))).map(str::to_owned)
    };
    assert_eq!(
        stdout(&create(&["vera", "--role", "viewer"])),
        "user vera has role viewer and home default/default\n"
    );
    let vera = line("vera").expect("the user");
    assert!(vera.contains("viewer") && vera.contains("default/default"), "{vera}");
    let changed = stdout(&create(&["vera", "--role", "writer", "--suite", "acme/cart"]));
    assert_eq!(changed, "user vera has role writer and home acme/cart\n");
    let vera = line("vera").expect("the user");
    assert!(vera.contains("writer") && vera.contains("acme/cart"), "{vera}");
    assert!(line("admin").is_some_and(|line| line.contains("admin")));
    assert!(
        failure(&create(&["will", "--role", "viewer", "--suite", "acme/nothing"])).contains("acme/nothing")
    );
    assert_eq!(line("will"), None);
    assert_eq!(server.succeed(&["user", "remove", "vera"]), "removed user vera\n");
    assert_eq!(line("vera"), None);
    assert!(failure(&server.command(&["user", "remove", "vera"])).contains("vera"));
}

fn failures_end_with_1(database: &TestDatabase) {
    let unknown =
        failure(&casebook(database, &["token", "create", "--suite", "acme/cart", "--scope", "read"]));
    assert!(unknown.contains("acme/cart"), "{unknown}");
    let unknown = failure(&casebook(database, &["token", "create", "--org", "nobody", "--scope", "read"]));
    assert!(unknown.contains("nobody"), "{unknown}");
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite:{}/no/such/folder/a.db", folder.path().display());
    let no_database = folder.path().join("text.db");
    std::fs::write(
        &no_database,
        "this is a text of more than a hundred bytes, and no database at all: ".repeat(9),
    )
    .unwrap();
    let no_database = format!("sqlite:{}", no_database.display());
    let unreachable = "postgres://casebook:s3cretpw@127.0.0.1:1/casebook";
    for url in [missing.as_str(), &no_database, unreachable] {
        for command in [&["suite", "list"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let sentence = failure(&run(program(), &[command, &["--database", url]].concat(), ""));
            assert!(!sentence.contains("s3cretpw"), "{sentence}");
            assert!(sentence.contains("database"), "{sentence}");
        }
    }
}

fn a_newer_database_is_left_alone(database: &TestDatabase) {
    let _ = stdout(&casebook(database, &["suite", "create", "acme/cart"]));
    let newer = "insert into schema_migration (version, program) values (9999, 'newer')";
    match database.engine() {
        Engine::Sqlite => {
            let path = database.url().strip_prefix("sqlite:").unwrap();
            let _ = rusqlite::Connection::open(path).unwrap().execute(newer, []).unwrap();
        }
        Engine::Postgres => {
            let mut client = ::postgres::Client::connect(database.url(), ::postgres::NoTls).unwrap();
            client.batch_execute(newer).unwrap();
        }
    }
    for command in
        [&["suite", "list"][..], &["serve", "--listen", "127.0.0.1:0"], &["suite", "create", "acme/b"]]
    {
        let sentence = failure(&casebook(database, command));
        assert!(sentence.contains("9999") && sentence.contains("newer"), "{sentence}");
    }
}

fn the_first_start_speaks_once(database: &TestDatabase) {
    let server = start(database);
    let first = server.first_start().expect("an empty database").clone();
    assert!(
        first.token.starts_with("cbk_") && first.user == "admin" && first.password.len() >= 16,
        "{first:?}"
    );
    assert!(server.announced().contains(&format!("{}/", server.url())), "{}", server.announced());
    let answer = Upload::new("k1").result("", "a", "passed").send(&server, &first.token).expect(202).json();
    let log = server.terminate();
    for secret in [&first.token, &first.password] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }

    let server = start(database);
    assert_eq!(server.first_start(), None, "{}", server.announced());
    let path = format!(
        "/v2/analytics/organizations/default/suites/default/runs/{}",
        answer["run_id"].as_str().unwrap()
    );
    assert_eq!(server.get(&path).token(&first.token).send().expect(200).json()["id"], answer["run_id"]);
}

fn a_taken_port_ends_the_server(database: &TestDatabase) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = casebook(database, &["serve", "--listen", &address]);
    let sentence = failure(&output);
    assert!(sentence.contains(&address), "{sentence}");
    // What is shown once must not have been lost.
    let server = start(database);
    assert!(server.first_start().is_some(), "{}", server.announced());
}

fn addresses_come_from_the_public_url(database: &TestDatabase) {
    let public = "https://tests.example.org/casebook";
    let server = TestServer::start_with(program(), database, &["--public-url", &format!("{public}/")]);
    let suite = Suite::new(&server, "cart");
    let answer = suite.upload(&Upload::new("k1").result("", "a", "failed").result("", "b", "failed"));
    let run = answer["run_id"].as_str().unwrap();
    assert_eq!(answer["run_url"], format!("{public}/organizations/acme/analytics/suites/cart/runs/{run}"));
    let api = format!("{public}/v2/analytics/organizations/acme/suites/cart");
    assert_eq!(suite.run(&answer["run_id"])["url"], format!("{api}/runs/{run}"));
    assert_eq!(suite.get("")["url"], api);
    let link = suite.read("/tests?per_page=1").header("link").unwrap().to_owned();
    assert!(link.starts_with(&format!("<{api}/tests?")), "{link}");
    for member in ["run_url", "test_url", "test_execution_url"] {
        let url = suite.failed(&answer["run_id"])[0][member].as_str().unwrap().to_owned();
        assert!(url.starts_with(&format!("{public}/")), "{member}: {url}");
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("casebook.db").display());
    let wrong: [&[&str]; 20] = [
        &[],
        &["nothing"],
        &["serve", "--nothing"],
        &["serve", "--listen", "here"],
        &["serve", "--database", "mysql://localhost/x"],
        &["serve", "--anonymous", "everything"],
        &["serve", "--public-url", "ftp://example.org"],
        &["suite"],
        &["suite", "create", "--database", &url],
        &["suite", "create", "acme", "--database", &url],
        &["suite", "create", "acme/a/b", "--database", &url],
        &["suite", "create", "acme/cart", "--repo", "shop", "--database", &url],
        &["suite", "create", "acme/cart", "--detection", "quick", "--database", &url],
        &["token", "create", "--scope", "read", "--database", &url],
        &["token", "create", "--org", "acme", "--database", &url],
        &["token", "create", "--org", "acme", "--suite", "acme/cart", "--scope", "read", "--database", &url],
        &["token", "create", "--org", "acme", "--scope", "all", "--database", &url],
        &["token", "revoke", "first", "--database", &url],
        &["user", "create", "vera", "--role", "owner", "--password-stdin", "--database", &url],
        &["user", "create", "vera", "--role", "viewer", "--database", &url],
    ];
    for arguments in wrong {
        let output = run(program(), arguments, "a long enough password\n");
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert!(!error.trim().is_empty() && !error.contains("panicked"), "{arguments:?}: {error}");
        let sentence = error.starts_with("error: ") && error.trim_end().lines().count() == 1;
        assert!(arguments.len() < 2 || sentence || error.contains("Commands:"), "{arguments:?}: {error}");
    }
    assert!(!folder.path().join("casebook.db").exists(), "wrong usage made a database");
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"], &["token", "create", "--help"]] {
        let output = run(program(), arguments, "");
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn heavy_demo_shows_what_it_found() {
    let output = run(program(), &["demo", "--exit", "--listen", "127.0.0.1:0"], "");
    let text = stdout(&output);
    for title in ["Most failing tests", "Slowest tests", "Flaky tests"] {
        let list = text.split_once(title).unwrap_or_else(|| panic!("{title}: {text}")).1;
        let rows = list.lines().skip(1).take_while(|line| !line.is_empty()).count();
        assert!(rows > 0, "{title}: {text}");
    }
    // The same project every time.
    assert!(!text.contains("panicked"), "{text}");
    let listed = |text: &str| text.split_once("Most failing").map(|(_, lists)| lists.to_owned());
    let again = stdout(&run(program(), &["demo", "--exit", "--listen", "127.0.0.1:0"], ""));
    assert_eq!(listed(&again), listed(&text));
}

#[test]
fn help_names_every_command() {
    let help = stdout(&run(program(), &["--help"], ""));
    for command in ["serve", "demo", "replay", "simulate", "suite", "token", "user"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {help}");
    }
}
