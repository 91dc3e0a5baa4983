//! Suites, runs, pages and what is not there (`buildkite.md` 11 to 11.2).

use crate::model::web_url;
use crate::setup::{Suite, start, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_testkit::{Reply, TestDatabase, TestServer, Upload, both_engines};
use serde_json::{Value, json};

both_engines!(
    suites_are_described,
    tokens_are_never_shown_again,
    odd_addresses_never_fail_the_server,
    addresses_that_are_no_text_are_answered_in_json,
    suites_are_listed,
    pages_lead_to_each_other,
    a_page_has_at_most_a_hundred_items,
    runs_are_found_by_their_build,
    what_is_not_there_is_404,
    pages_of_any_origin_may_read,
);

const VERSION: (&str, &str) = ("Buildkite-Version", "2026-08-01");

fn suites_are_described(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "My_suite.1");
    let _ = server.succeed(&["suite", "create", "acme/My_suite.1", "--default-branch", "trunk"]);
    let found = suite.get("");
    let id = text(&found, "id");
    let expected = json!({
        "id": id,
        "graphql_id": STANDARD.encode(format!("Suite---{id}")),
        "organization_id": text(&found, "organization_id"),
        "slug": "My_suite.1",
        "name": "My_suite.1",
        "url": format!("{}{}", server.url(), suite.path("")),
        "web_url": web_url(&suite, ""),
        "default_branch": "trunk",
        "application_name": null,
        "color": null,
        "emoji": null,
        "oidc_policy": null,
    });
    assert_eq!(found, expected);
    assert_ne!(found["id"], found["organization_id"]);
}

fn tokens_are_never_shown_again(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let list = "/v2/analytics/organizations/acme/suites?show_api_token=true".to_owned();
    for path in [suite.path("?show_api_token=true"), list] {
        let reply = server.get(&path).token(&suite.read_token).send();
        assert!(!reply.text().contains("cbk_"), "{}", reply.text());
        assert!(!reply.expect(403).message().is_empty(), "{path}");
    }
    assert_eq!(suite.read("?show_api_token=false").status, 200);
}

fn odd_addresses_never_fail_the_server(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let odd =
        ["/tests/%00", "/runs/a%2Fb", "/runs?&&=&a", "/tests?%", "/tests?branch=%00", "/runs?build_id=%00"];
    for path in odd {
        let reply = suite.read(path);
        assert!(reply.status == 200 || (400..500).contains(&reply.status), "{path}: {}", reply.status);
        if reply.status != 200 {
            assert!(!reply.message().is_empty(), "{path}");
        }
    }
}

fn addresses_that_are_no_text_are_answered_in_json(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let organization = "/v2/analytics/organizations/%ff/suites".to_owned();
    for path in [suite.path("/runs/%ff"), suite.path("/tests/%ff"), organization] {
        let reply = server.get(&path).token(&suite.read_token).send();
        assert!((400..500).contains(&reply.status), "{path}: {}", reply.text());
        assert!(!reply.message().is_empty(), "{path}");
    }
}

fn suites_are_listed(database: &TestDatabase) {
    let server = start(database);
    let b = Suite::new(&server, "b");
    let a = b.sibling("a");
    let _ = server.succeed(&["suite", "create", "other/c"]);
    let list = |token: &str| server.get("/v2/analytics/organizations/acme/suites").token(token).send();
    let all = list(&b.read_token).expect(200).json();
    assert_eq!(all, json!([a.get(""), b.get("")]));
    assert_eq!(a.get("")["organization_id"], b.get("")["organization_id"]);
    let one = crate::setup::token(&server, &["--suite", "acme/b", "--scope", "read"]);
    assert_eq!(list(&one).expect(200).json(), json!([b.get("")]));
    // Another organization looks like one that is not there.
    let elsewhere = |organization: &str| {
        let path = format!("/v2/analytics/organizations/{organization}/suites");
        server.get(&path).token(&b.read_token).send().expect(404).message()
    };
    assert_eq!(elsewhere("other"), elsewhere("nobody"));
    assert_eq!(elsewhere("default"), elsewhere("nobody"));
}

/// The addresses in a `Link` header by their relation.
fn links(reply: &Reply) -> Vec<(String, String)> {
    let Some(header) = reply.header("link") else { return Vec::new() };
    let link = |part: &str| {
        let (address, relation) = part.split_once(">; rel=\"").expect("a link");
        (relation.trim_end_matches('"').to_owned(), address.trim_start_matches('<').to_owned())
    };
    let mut links: Vec<_> = header.split(", ").map(link).collect();
    links.sort();
    links
}

fn relations(reply: &Reply) -> Vec<String> {
    links(reply).into_iter().map(|(relation, _)| relation).collect()
}

/// Follows the links `next` from a path on, and gathers the items.
fn follow(server: &TestServer, token: &str, path: &str) -> Vec<Value> {
    let (mut items, mut path) = (Vec::new(), path.to_owned());
    loop {
        let reply = server.get(&path).token(token).header(VERSION.0, VERSION.1).send().expect(200);
        items.extend(reply.json().as_array().expect("a list").clone());
        let next = links(&reply).into_iter().find(|(relation, _)| relation == "next");
        let Some((_, address)) = next else { return items };
        path = address.strip_prefix(server.url()).expect("an address of this server").to_owned();
    }
}

fn pages_lead_to_each_other(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    for number in 0..7 {
        let upload = Upload::new(&format!("k{number}")).branch("a b/ü&c=d*");
        let _ = suite.upload(&upload.result("Cart", &format!("case {number}"), "failed"));
    }
    let ids =
        |reply: Reply| reply.json().as_array().unwrap().iter().map(|run| text(run, "id")).collect::<Vec<_>>();
    let all = ids(suite.read("/runs").expect(200));
    assert_eq!(all.len(), 7);
    assert_eq!(suite.read("/runs").header("link"), None);
    let page = |number: usize| suite.read(&format!("/runs?per_page=3&page={number}"));
    assert_eq!(relations(&page(1)), ["last", "next"]);
    assert_eq!(relations(&page(2)), ["first", "last", "next", "prev"]);
    assert_eq!(relations(&page(3)), ["first", "prev"]);
    assert_eq!([ids(page(1)), ids(page(2)), ids(page(3))].concat(), all);
    assert_eq!(ids(page(4)), Vec::<String>::new());
    for (relation, address) in links(&page(2)) {
        let path = address.strip_prefix(server.url()).expect("an address of this server");
        let reply = server.get(path).token(&suite.read_token).send();
        let expected = if relation == "first" || relation == "prev" { page(1) } else { page(3) };
        assert_eq!(ids(reply.expect(200)), ids(expected), "{relation}");
    }
    // Every list, with every other parameter kept.
    let run = text(&suite.runs()[0], "id");
    let branch = "branch=a%20b%2F%C3%BC%26c%3Dd%2A*";
    for (path, count) in [
        (format!("/tests?period=4hours&{branch}&sort_by=reliability&per_page=2"), 7),
        ("/tests?per_page=2&branch=!nothing".to_owned(), 7),
        ("/tests?per_page=2&branch=nothing*".to_owned(), 0),
        (format!("/runs/{run}/failed_executions?per_page=1"), 1),
        ("/runs?per_page=1".to_owned(), 7),
    ] {
        assert_eq!(follow(&server, &suite.read_token, &suite.path(&path)).len(), count, "{path}");
    }
    let suites = "/v2/analytics/organizations/acme/suites?per_page=1";
    let _ = (suite.sibling("b"), suite.sibling("c"));
    assert_eq!(follow(&server, &suite.read_token, suites).len(), 3);
}

fn a_page_has_at_most_a_hundred_items(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let mut upload = Upload::new("k1");
    for number in 0..120 {
        upload = upload.result("Cart", &format!("case {number:03}"), "failed");
    }
    let answer = suite.upload(&upload);
    let lists = ["/tests".to_owned(), format!("/runs/{}/failed_executions", text(&answer, "run_id"))];
    for list in lists {
        for (query, count) in
            [("", 30), ("?per_page=100", 100), ("?per_page=1000", 100), ("?per_page=100&page=2", 20)]
        {
            let items = suite.get(&format!("{list}{query}"));
            assert_eq!(items.as_array().unwrap().len(), count, "{list}{query}");
        }
        for query in ["page=0", "page=-1", "page=x", "per_page=0", "per_page=-5", "per_page=1.5"] {
            let reply = suite.read(&format!("{list}?{query}"));
            assert!(matches!(reply.status, 400 | 422), "{query}: {}", reply.text());
            assert!(!reply.message().is_empty());
        }
        assert_eq!(follow(&server, &suite.read_token, &suite.path(&list)).len(), 120);
    }
}

fn runs_are_found_by_their_build(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let build = "0199a3c1-5d1e-4b7e-9a3c-2f1d6f0a7b11";
    let elsewhere = "5c0f1a52-7a53-4f0e-a1d9-0a1b2c3d4e5f";
    let wanted = suite.upload(&Upload::new(build).env("CI", "buildkite"));
    let _ = suite.upload(&Upload::new(elsewhere).env("CI", "github_actions"));
    let _ = suite.upload(&Upload::new("other").env("CI", "buildkite"));
    let find = |build: &str| suite.all(&format!("/runs?build_id={build}"));
    assert_eq!(find(build), [suite.run(&wanted["run_id"])]);
    assert_eq!(find(elsewhere), Vec::<Value>::new());
    assert_eq!(find("95f7e024-9e0a-450f-bc64-9edb62d43fa9"), Vec::<Value>::new());
    assert_eq!(suite.runs().len(), 3);
}

fn what_is_not_there_is_404(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let other = suite.sibling("other");
    let answer = other.upload(&Upload::new("k1").result("Cart", "a", "failed"));
    let (run, test) = (text(&answer, "run_id"), text(&other.test("Cart", "a"), "id"));
    let mine = suite.upload(&Upload::new("k1").result("Cart", "b", "failed"));
    let nothing = "95f7e024-9e0a-850f-bc64-9edb62d43fa9";
    let refusal = |rest: String| suite.read(&rest).expect(404).message();
    for (kind, of_other) in [("runs", &run), ("tests", &test)] {
        let unknown = refusal(format!("/{kind}/{nothing}"));
        for id in [of_other.as_str(), "1", "no-id", "%2e%2e", &text(&mine, "upload_id")] {
            assert_eq!(refusal(format!("/{kind}/{id}")), unknown, "{kind} {id}");
        }
    }
    let unknown = refusal(format!("/runs/{nothing}/failed_executions"));
    assert_eq!(refusal(format!("/runs/{run}/failed_executions")), unknown);
    // A run is no test, and a test is no run.
    let _ = (refusal(format!("/tests/{}", text(&mine, "run_id"))), refusal(format!("/runs/{test}")));
}

fn pages_of_any_origin_may_read(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let reply = suite.read("/runs");
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let exposed = reply.header("access-control-expose-headers").unwrap_or("");
    assert!(exposed.split(", ").any(|name| name == "Link"), "{exposed}");
    let asked = server.request("OPTIONS", &suite.path("/runs")).send().expect(204);
    assert!(
        asked.header("access-control-allow-headers").is_some_and(|allowed| allowed.contains("Authorization"))
    );
    // Uploads are for programs.
    let upload = Upload::new("k").send(&server, &suite.upload_token);
    assert_eq!(upload.header("access-control-allow-origin"), None);
}
