//! Making, changing and deleting suites over HTTP (`buildkite.md` 11.1).

use crate::setup::{start, text, token};
use casebook_testkit::{Engine, Reply, TestDatabase, TestServer, Upload, both_engines};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

both_engines!(
    suites_are_made,
    names_become_slugs,
    wrong_bodies_make_nothing,
    suites_are_changed,
    wrong_changes_change_nothing,
    a_token_is_shown_once_to_whoever_makes_the_suite,
    what_is_deleted_is_gone,
    the_default_suite_stays,
);

const SUITES: &str = "/v2/analytics/organizations/acme/suites";

/// The organization `acme`, through a token of scope admin.
struct Acme<'s> {
    server: &'s TestServer,
    token: String,
}

impl<'s> Acme<'s> {
    fn new(server: &'s TestServer) -> Self {
        let _ = server.succeed(&["suite", "create", "acme/default"]);
        Self { server, token: token(server, &["--org", "acme", "--scope", "admin"]) }
    }

    fn send(&self, method: &str, rest: &str, body: &Value) -> Reply {
        self.server.request(method, &format!("{SUITES}{rest}")).token(&self.token).json(body).send()
    }

    #[track_caller]
    fn make(&self, body: &Value) -> Value {
        self.send("POST", "", body).expect(201).json()
    }

    fn get(&self, rest: &str) -> Reply {
        self.server.get(&format!("{SUITES}{rest}")).token(&self.token).send()
    }

    fn delete(&self, slug: &str) -> Reply {
        self.server.request("DELETE", &format!("{SUITES}/{slug}")).token(&self.token).send()
    }

    /// Slugs of all suites, sorted.
    fn slugs(&self) -> Vec<String> {
        let list = self.get("?per_page=100").expect(200).json();
        let mut slugs: Vec<String> =
            list.as_array().unwrap().iter().map(|suite| text(suite, "slug")).collect();
        slugs.sort();
        slugs
    }
}

fn suites_are_made(database: &TestDatabase) {
    let server = start(database);
    let acme = Acme::new(&server);
    let made = acme.make(&json!({
        "name": "Web shop", "default_branch": "trunk", "application_name": "Shop", "color": "#FFF700", "emoji": "🍋",
        "oidc_policy": "- iss: https://agent.buildkite.com\n", "team_ids": ["a"], "unknown": 1
    }));
    let id = text(&made, "id");
    let home = text(&acme.get("/default").expect(200).json(), "organization_id");
    let expected = json!({
        "id": id, "graphql_id": made["graphql_id"], "organization_id": home, "slug": "web-shop", "name": "Web shop",
        "url": format!("{}{SUITES}/web-shop", server.url()),
        "web_url": format!("{}/organizations/acme/analytics/suites/web-shop", server.url()),
        "default_branch": "trunk", "application_name": "Shop", "color": "#FFF700", "emoji": "🍋",
        "oidc_policy": "- iss: https://agent.buildkite.com\n"
    });
    assert_eq!(made, expected);
    assert_eq!(acme.get("/web-shop").expect(200).json(), expected);
    assert_eq!(acme.slugs(), ["default", "web-shop"]);
    // The nullable members may be missing or null.
    let plain =
        acme.make(&json!({ "name": "Plain", "default_branch": "main", "color": null, "emoji": null }));
    for member in ["application_name", "color", "emoji", "oidc_policy"] {
        assert_eq!(plain.get(member), Some(&Value::Null), "{member}");
    }
    assert!(plain.get("api_token").is_none(), "{plain}");
    let before = format!("{SUITES}/web-shop/runs");
    assert_eq!(server.get(&before).token(&acme.token).send().expect(200).json(), json!([]));
}

fn names_become_slugs(database: &TestDatabase) {
    let server = start(database);
    let acme = Acme::new(&server);
    let body = |name: &str| json!({ "name": name, "default_branch": "main" });
    for (name, slug) in [
        ("UPPER case", "upper-case"),
        ("  blanks   around ", "blanks-around"),
        ("a/b: c?d#e%2F", "a-b-c-d-e-2f"),
        ("Größe 7", "gr-e-7"),
    ] {
        let made = acme.make(&body(name));
        assert_eq!(text(&made, "slug"), slug, "{name:?}");
        assert_eq!(acme.get(&format!("/{slug}")).expect(200).json(), made);
    }
    let long = acme.make(&body(&"long ".repeat(50)));
    let slug = text(&long, "slug");
    assert!(slug.len() <= 100 && slug.starts_with("long-long-"), "{slug}");
    // Another name that leads to the same address.
    let before = acme.slugs();
    for name in ["upper CASE", "Upper case!", "upper-case"] {
        assert!(!acme.send("POST", "", &body(name)).expect(422).message().is_empty(), "{name}");
    }
    assert_eq!(acme.slugs(), before);
    // Elsewhere it is free.
    let _ = server.succeed(&["suite", "create", "rival/default"]);
    let rival = token(&server, &["--org", "rival", "--scope", "admin"]);
    let there = server.post("/v2/analytics/organizations/rival/suites").token(&rival);
    let _ = there.json(&body("UPPER case")).send().expect(201);
}

fn wrong_bodies_make_nothing(database: &TestDatabase) {
    let server = start(database);
    let acme = Acme::new(&server);
    for body in [
        json!({}),
        json!([]),
        json!(null),
        json!("text"),
        json!({ "name": "A" }),
        json!({ "default_branch": "main" }),
        json!({ "name": null, "default_branch": "main" }),
        json!({ "name": "A", "default_branch": null }),
        json!({ "name": "", "default_branch": "main" }),
        json!({ "name": "   ", "default_branch": "main" }),
        json!({ "name": "空", "default_branch": "main" }),
        json!({ "name": 7, "default_branch": "main" }),
        json!({ "name": "A", "default_branch": "" }),
        json!({ "name": "A", "default_branch": ["main"] }),
        json!({ "name": "A", "default_branch": "main", "color": 7 }),
        json!({ "name": "A", "default_branch": "main", "emoji": {} }),
        json!({ "name": "A", "default_branch": "main", "show_api_token": "yes" }),
        json!({ "name": "n".repeat(100_000), "default_branch": "main" }),
    ] {
        let reply = acme.send("POST", "", &body);
        assert_eq!(reply.status, 422, "{body}: {}", reply.text());
        assert!(!reply.message().is_empty());
    }
    for body in ["", "{", "{\"name\": \"A\", \"default_branch\": \"main\"", "\u{0}"] {
        let reply = server.post(SUITES).token(&acme.token).bytes(body).send();
        assert!(!reply.expect(400).message().is_empty(), "{body:?}");
    }
    assert_eq!(acme.slugs(), ["default"]);
}

fn suites_are_changed(database: &TestDatabase) {
    let server = start(database);
    let acme = Acme::new(&server);
    let made = acme.make(&json!({
        "name": "Web", "default_branch": "main", "application_name": "Shop", "color": "#FFF700", "emoji": "🍋",
        "oidc_policy": [{ "iss": "https://agent.buildkite.com" }]
    }));
    assert!(text(&made, "oidc_policy").contains("https://agent.buildkite.com"), "{made}");
    let mut expected = made.clone();
    let mut change = |body: Value, changed: &[(&str, Value)]| {
        for (name, value) in changed {
            expected[*name] = value.clone();
        }
        assert_eq!(acme.send("PATCH", "/web", &body).expect(200).json(), expected, "{body}");
        assert_eq!(acme.get("/web").expect(200).json(), expected, "{body}");
    };
    change(json!({}), &[]);
    // The address stays, whatever the name.
    change(json!({ "name": "Web shop" }), &[("name", json!("Web shop"))]);
    change(json!({ "default_branch": "trunk" }), &[("default_branch", json!("trunk"))]);
    change(
        json!({ "application_name": "Store", "color": "#0aF001", "emoji": "🍏" }),
        &[("application_name", json!("Store")), ("color", json!("#0aF001")), ("emoji", json!("🍏"))],
    );
    change(json!({ "oidc_policy": null }), &[("oidc_policy", Value::Null)]);
    change(json!({ "color": null, "show_api_token": false }), &[("color", Value::Null)]);
    change(
        json!({ "application_name": null, "emoji": null }),
        &[("application_name", Value::Null), ("emoji", Value::Null)],
    );
    assert_eq!(acme.slugs(), ["default", "web"]);
}

fn wrong_changes_change_nothing(database: &TestDatabase) {
    let server = start(database);
    let acme = Acme::new(&server);
    let made = acme.make(&json!({ "name": "Web", "default_branch": "main", "color": "#FFF700" }));
    for body in [
        json!([]),
        json!({ "name": "" }),
        json!({ "name": " \t" }),
        json!({ "name": 1, "color": null }),
        json!({ "default_branch": "", "color": null }),
        json!({ "default_branch": false }),
        json!({ "color": ["#000000"], "name": "Other" }),
        json!({ "color": "yellow", "name": "Other" }),
        json!({ "emoji": "<script>alert(1)</script>".repeat(20), "name": "Other" }),
        json!({ "show_api_token": 1, "name": "Other" }),
    ] {
        let reply = acme.send("PATCH", "/web", &body);
        assert_eq!(reply.status, 422, "{body}: {}", reply.text());
        assert_eq!(acme.get("/web").expect(200).json(), made, "{body}");
    }
    let broken = server.request("PATCH", &format!("{SUITES}/web")).token(&acme.token).bytes("{").send();
    assert!(!broken.expect(400).message().is_empty());
    assert!(!acme.send("PATCH", "/nothing", &json!({ "name": "x" })).expect(404).message().is_empty());
}

fn a_token_is_shown_once_to_whoever_makes_the_suite(database: &TestDatabase) {
    let server = start(database);
    let acme = Acme::new(&server);
    let body = json!({ "name": "Web", "default_branch": "main", "show_api_token": true });
    let made = acme.make(&body);
    let token = text(&made, "api_token");
    let upload = Upload::new("k1").result("Cart", "a", "passed");
    let answer = upload.send(&server, &token).expect(202).json();
    assert!(text(&answer, "run_url").contains("/organizations/acme/analytics/suites/web/runs/"), "{answer}");
    // It is for uploads.
    let _ = server.get(&format!("{SUITES}/web/runs")).token(&token).send().expect(403);
    for path in ["?show_api_token=true", "/web?show_api_token=true"] {
        assert!(!acme.get(path).expect(403).message().is_empty(), "{path}");
    }
    assert!(acme.get("/web?show_api_token=false").expect(200).json().get("api_token").is_none());
    let changed = acme.send("PATCH", "/web", &json!({ "name": "Other", "show_api_token": true }));
    assert!(!changed.expect(403).message().is_empty());
    assert_eq!(acme.get("/web").expect(200).json()["name"], "Web");
    // One that is not made shows none, and takes none away.
    let refused = acme.send("POST", "", &body).expect(422);
    assert!(!refused.text().contains("cbk_") && !refused.message().is_empty());
    assert_eq!(upload.send(&server, &token).expect(202).json()["queued"], 1);
    assert!(!server.log().contains(&token), "the log shows a token");
}

fn what_is_deleted_is_gone(database: &TestDatabase) {
    let server = start(database);
    let acme = Acme::new(&server);
    let body = json!({ "name": "Web", "default_branch": "main", "show_api_token": true });
    let first = acme.make(&body);
    let old_token = text(&first, "api_token");
    let upload =
        Upload::new("k1").tag("team", "a").result("Cart", "a", "failed").result("Cart", "b", "passed");
    let answer = upload.send(&server, &old_token).expect(202).json();
    let run = text(&answer, "run_id");
    let test = text(&acme.get("/web/tests").expect(200).json()[0], "id");
    let kept = acme.make(&json!({ "name": "Kept", "default_branch": "main", "show_api_token": true }));
    let _ = upload.send(&server, &text(&kept, "api_token")).expect(202);
    let reply = acme.delete("web").expect(204);
    assert_eq!(reply.body, b"");

    for rest in ["", "/runs", &format!("/runs/{run}"), "/tests", &format!("/tests/{test}")] {
        assert!(!acme.get(&format!("/web{rest}")).expect(404).message().is_empty(), "{rest}");
    }
    assert!(!acme.delete("web").expect(404).message().is_empty());
    assert!(!acme.send("PATCH", "/web", &json!({ "name": "x" })).expect(404).message().is_empty());
    assert_eq!(acme.slugs(), ["default", "kept"]);
    assert!(!upload.send(&server, &old_token).expect(401).message().is_empty());

    // The name is free again, and leads to nothing that was there before.
    let second = acme.make(&body);
    assert_eq!(second["slug"], "web");
    assert_ne!(second["id"], first["id"]);
    assert!(!upload.send(&server, &old_token).expect(401).message().is_empty());
    assert_eq!(acme.get("/web/runs").expect(200).json(), json!([]));
    assert_eq!(acme.get("/web/tests").expect(200).json(), json!([]));
    for rest in [format!("/runs/{run}"), format!("/tests/{test}")] {
        assert!(!acme.get(&format!("/web{rest}")).expect(404).message().is_empty(), "{rest}");
    }
    // What was sent before is no repetition.
    let again = upload.send(&server, &text(&second, "api_token")).expect(202).json();
    assert_eq!((&again["queued"], &again["skipped"]), (&json!(2), &json!(0)));
    assert_ne!(again["run_id"], answer["run_id"]);
    assert_eq!(acme.get("/kept/tests").expect(200).json().as_array().unwrap().len(), 2);
}

fn the_default_suite_stays(database: &TestDatabase) {
    let server = start(database);
    let acme = Acme::new(&server);
    assert!(!acme.delete("default").expect(422).message().is_empty());
    assert_eq!(Upload::new("k1").send(&server, &acme.token).expect(202).json()["queued"], 0);
    assert_eq!(acme.slugs(), ["default"]);
}

/// Records by table, of suites that are not `default` suites.
fn records(database: &TestDatabase) -> Vec<(String, i64)> {
    let file = database.url().strip_prefix("sqlite:").unwrap();
    let connection = rusqlite::Connection::open(file).unwrap();
    let tables = "select m.name from sqlite_master m where m.type = 'table' and exists \
                  (select 1 from pragma_table_info(m.name) c where c.name = 'suite_id')";
    let mut statement = connection.prepare(tables).unwrap();
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() > 10, "{tables:?}");
    let count = |table: String| {
        let of_default = "select suite_id from suite where slug = 'default'";
        let sql = format!("select count(*) from {table} where suite_id not in ({of_default})");
        let count = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        (table, count)
    };
    tables.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
}

/// On one engine: which records are cleared away is the same list on both.
#[test]
fn records_of_deleted_suites_are_cleared_away() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let acme = Acme::new(&server);
    let made = acme.make(&json!({ "name": "Web", "default_branch": "main", "show_api_token": true }));
    let token = text(&made, "api_token");
    // More runs than are cleared away at a time.
    for number in 0..50 {
        let span = json!({ "section": "sql", "duration": 0.1, "detail": { "query": "select" } });
        let failed = json!({ "scope": "Cart", "name": "a", "result": "failed", "failure_reason": format!("{number}"),
            "tags": { "own": "x" }, "history": { "duration": 1.0, "children": [span] } });
        let upload = Upload::new(&format!("k{number}")).push(failed).result("Cart", "b", "passed");
        let _ = upload.send(&server, &token).expect(202);
    }
    let test = text(&acme.get("/web/tests").expect(200).json()[0], "id");
    let _ = acme.send("PUT", &format!("/web/tests/{test}/mute"), &json!({})).expect(200);
    let labels = json!({ "operator": "add", "labels": ["flaky"] });
    let _ = acme.send("PATCH", &format!("/web/tests/{test}/labels"), &labels).expect(200);
    assert!(!records(&database).is_empty());
    let _ = acme.delete("web").expect(204);
    // Nobody waits for that, but it does not take long.
    let begin = Instant::now();
    while !records(&database).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(50), "left: {:?}", records(&database));
        assert_eq!(acme.slugs(), ["default"]);
    }
}
