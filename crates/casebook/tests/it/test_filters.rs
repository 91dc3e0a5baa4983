//! Filters of the list of tests, and lists that are never stale (`buildkite.md` 11.4, 4.6, 10, 13.6).

use crate::setup::{Suite, start, text, token};
use casebook_testkit::{Form, Reply, TestDatabase, TestServer, Upload, both_engines};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

both_engines!(
    tags_are_compared_by_every_operator,
    results_are_tags_with_two_more_operators,
    the_server_knows_tags_of_its_own,
    tags_of_executions_win,
    filters_are_combined,
    wrong_filters_are_refused,
    files_of_owners_are_taken_and_refused,
    owners_own_by_location,
    lists_are_exact_after_every_upload,
    old_results_count_at_once,
    another_default_branch_counts_at_once,
);

fn result(name: &str, result: &str, tags: &Value) -> Value {
    json!({ "scope": "S", "name": name, "result": result, "tags": tags, "history": { "duration": 1.0 } })
}

fn located(name: &str, file: &str) -> Value {
    json!({ "scope": "S", "name": name, "result": "passed", "file_name": file, "location": format!("{file}:7"),
            "history": { "duration": 1.0 } })
}

/// The tests of a list as `name passed/failed`, sorted by name.
#[track_caller]
fn counts(suite: &Suite<'_>, query: &str) -> Vec<String> {
    let mut tests = suite.all(&format!("/tests?{query}"));
    tests.sort_by_key(|test| text(test, "name"));
    let count = |test: &Value| {
        let counts = &test["executions_count_by_result"];
        format!("{} {}/{}", text(test, "name"), counts["passed"], counts["failed"])
    };
    tests.iter().map(count).collect()
}

/// Names in a list, sorted, in one text.
#[track_caller]
fn names(suite: &Suite<'_>, query: &str) -> String {
    let mut names: Vec<String> =
        suite.all(&format!("/tests?{query}")).iter().map(|test| text(test, "name")).collect();
    names.sort();
    names.join(" ")
}

fn tags_are_compared_by_every_operator(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let upload = Upload::new("k1")
        .push(result("a", "passed", &json!({ "team": "checkout", "os": "linux" })))
        .push(result("a", "failed", &json!({ "team": "search", "os": "linux" })))
        .push(result("b", "passed", &json!({ "team": "checkout-eu", "url": "http://x:80/ä b" })))
        .push(result("c", "passed", &json!({ "Team": "checkout" })))
        .push(result("d", "failed", &json!(null)));
    let _ = suite.upload(&upload);
    for (filter, expected) in [
        ("team:checkout", &["a 1/0"][..]),
        ("team:!checkout", &["a 0/1", "b 1/0", "c 1/0", "d 0/1"]),
        ("team:checkout*", &["a 1/0", "b 1/0"]),
        ("team:*", &["a 1/1", "b 1/0"]),
        ("Team:checkout", &["c 1/0"]),
        ("team:Checkout", &[]),
        ("team:check", &[]),
        ("team:%25*", &[]),
        ("unheard:x", &[]),
        ("unheard:!x", &["a 1/1", "b 1/0", "c 1/0", "d 0/1"]),
        ("os:linux,team:checkout", &["a 1/0"]),
        ("os:linux,team:!checkout", &["a 0/1"]),
        ("team:!checkout,team:!search", &["b 1/0", "c 1/0", "d 0/1"]),
        ("team:checkout,team:search", &[]),
        ("url:http://x:80/%C3%A4%20b", &["b 1/0"]),
        ("", &["a 1/1", "b 1/0", "c 1/0", "d 0/1"]),
    ] {
        for period in ["1hour", "1day", "28days"] {
            assert_eq!(
                counts(&suite, &format!("period={period}&tags={filter}")),
                expected,
                "{filter} {period}"
            );
        }
    }
    let id = text(&suite.test("S", "a"), "id");
    assert_eq!(suite.get(&format!("/tests/{id}?tags=team:checkout"))["executions_count"], 1);
}

fn results_are_tags_with_two_more_operators(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let mut upload = Upload::new("k1");
    for (name, results) in [
        ("flaky", &["passed", "failed"][..]),
        ("good", &["passed", "passed"]),
        ("bad", &["failed", "failed"]),
        ("mixed", &["passed", "skipped"]),
        ("pending", &["pending"]),
    ] {
        for word in results {
            upload = upload.push(result(
                name,
                word,
                &json!({ "os": if *word == "failed" { "mac" } else { "linux" } }),
            ));
        }
    }
    let _ = suite.upload(&upload);
    for (filter, expected) in [
        ("result:failed", &["bad 0/2", "flaky 0/1"][..]),
        ("result:!failed", &["flaky 1/0", "good 2/0", "mixed 1/0", "pending 0/0"]),
        ("result:p*", &["flaky 1/0", "good 2/0", "mixed 1/0", "pending 0/0"]),
        ("result:~failed", &["bad 0/2", "flaky 1/1"]),
        ("result:^failed", &["bad 0/2"]),
        ("result:~passed", &["flaky 1/1", "good 2/0", "mixed 1/0"]),
        ("result:^passed", &["good 2/0"]),
        ("result:~passed,result:~failed", &["flaky 1/1"]),
        ("result:^pending", &["pending 0/0"]),
        ("result:~skipped", &["mixed 1/0"]),
        ("result:^unknown", &[]),
        // Of the executions that the other filters leave.
        ("result:^passed,os:linux", &["flaky 1/0", "good 2/0"]),
    ] {
        assert_eq!(counts(&suite, &format!("period=1day&tags={filter}")), expected, "{filter}");
    }
}

fn the_server_knows_tags_of_its_own(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let build = "0199a3c1-5d1e-4b7e-9a3c-2f1d6f0a7b11";
    let first = Upload::new(build)
        .env("CI", "buildkite")
        .env("job_id", "job-1")
        .env("collector", "python-buildkite-test-collector")
        .env("version", "1.9.1")
        .env("language_version", "3.12.4")
        .env("test_runner", "pytest")
        .branch("refs/heads/feature/x")
        .commit("abc123")
        .push(located("a", "tests/test_a.py"));
    let second = Upload::new("k2").commit("def456").push(located("b", "tests/test_b.py"));
    let _ = (suite.upload(&first), suite.upload(&second.result("S", "no file", "passed")));
    for (filter, expected) in [
        (&*format!("build.id:{build}"), "a"),
        ("build.id:k2", ""),
        ("build.job_id:job-1", "a"),
        ("build.job_id:!job-1", "b no file"),
        ("scm.branch:main", "b no file"),
        ("scm.branch:feature/x", "a"),
        ("scm.branch:feature/*", "a"),
        ("scm.branch:!main", "a"),
        ("scm.commit_sha:abc123", "a"),
        ("scm.commit_sha:def*", "b no file"),
        ("collector.name:python-buildkite-test-collector", "a"),
        ("collector.version:1.9*", "a"),
        ("language.version:3.12.4", "a"),
        ("test.framework.name:pytest", "a"),
        ("test.framework.name:!pytest", "b no file"),
        ("code.file.path:tests/test_a.py", "a"),
        ("code.file.path:tests/*", "a b"),
        ("code.file.path:!tests/test_a.py", "b no file"),
        ("test.selector.primary:tests/test_b.py", "b"),
        ("code.file.path:tests/*,scm.branch:main", "b"),
    ] {
        assert_eq!(names(&suite, &format!("period=1day&tags={filter}")), expected, "{filter}");
    }
}

fn tags_of_executions_win(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let upload = Upload::new("k1")
        .env("language_version", "3.12")
        .tag("team", "checkout")
        .tag("build.id", "given")
        .push(result("own", "passed", &json!({ "team": "search", "scm.branch": "elsewhere" })))
        .push(result(
            "file",
            "passed",
            &json!({ "code.file.path": "sent.py", "test.selector.primary": "sel" }),
        ))
        .push(result("other", "passed", &json!({ "os": "linux", "language.version": "3.9" })));
    let _ = suite.upload(&upload);
    for (filter, expected) in [
        ("team:checkout", "file other"),
        ("team:search", "own"),
        ("team:!checkout", "own"),
        ("build.id:given", "file other own"),
        ("scm.branch:elsewhere", "own"),
        ("scm.branch:main", "file other"),
        ("language.version:3.9", "other"),
        ("language.version:3.12", "file own"),
        ("code.file.path:sent.py", "file"),
        ("test.selector.primary:sel", "file"),
    ] {
        assert_eq!(names(&suite, &format!("period=1day&tags={filter}")), expected, "{filter}");
    }
}

fn change(suite: &Suite<'_>, method: &str, rest: &str, body: &Value) {
    let token = token(suite.server, &["--suite", &suite.name, "--scope", "write"]);
    let request = suite.server.request(method, &suite.path(rest)).token(&token);
    let _ = request.json(body).send().expect(200);
}

fn filters_are_combined(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    assert_eq!(send_owners(&suite, "tests/a* alpha\ntests/b* beta\n").status, 201);
    for (key, branch, team) in [("1", "main", "x"), ("2", "main", "y"), ("3", "feature", "x")] {
        let upload = ["a1", "a2", "b1", "b2"]
            .into_iter()
            .fold(Upload::new(key).branch(branch).tag("team", team), |upload, name| {
                upload.push(located(name, &format!("tests/{name}.py")))
            });
        let _ = suite.upload(&upload);
    }
    let id = |name: &str| text(&suite.test("S", name), "id");
    for name in ["a1", "b1"] {
        let labels = json!({ "operator": "add", "labels": ["flaky"] });
        change(&suite, "PATCH", &format!("/tests/{}/labels", id(name)), &labels);
    }
    change(&suite, "PUT", &format!("/tests/{}/mute", id("a1")), &json!({}));
    change(&suite, "PUT", &format!("/tests/{}/mute", id("b2")), &json!({}));
    for (filter, expected) in [
        ("branch=main&period=7days", &["a1 2/0", "a2 2/0", "b1 2/0", "b2 2/0"][..]),
        ("branch=feature&period=1hour", &["a1 1/0", "a2 1/0", "b1 1/0", "b2 1/0"]),
        ("branch=main&tags=team:x", &["a1 1/0", "a2 1/0", "b1 1/0", "b2 1/0"]),
        ("branch=!main&tags=team:y", &[]),
        ("labels=flaky&owners=alpha", &["a1 3/0"]),
        ("label=flaky&owners=!alpha&branch=main", &["b1 2/0"]),
        ("labels=!flaky&state=muted", &["b2 3/0"]),
        ("state=muted&owners=alpha&tags=team:x,scm.branch:feature", &["a1 1/0"]),
        ("state=enabled&owners=alpha,beta&labels=!flaky", &["a2 3/0"]),
        ("state=skipped&owners=alpha", &[]),
        ("owners=!alpha,!beta", &[]),
    ] {
        assert_eq!(counts(&suite, filter), expected, "{filter}");
    }
    // Numbers of pages are those of what is left.
    let page = suite.read("/tests?labels=flaky&tags=team:x&per_page=1&sort_by=duration_sum");
    let link = page.header("link").unwrap().to_owned();
    assert!(link.contains("page=2") && !link.contains("page=3"), "{link}");
}

fn wrong_filters_are_refused(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let _ = suite.upload(&Upload::new("k1").result("S", "a", "passed"));
    let many = vec!["a:b"; 500].join(",");
    for query in [
        "tags=team",
        "tags=:x",
        "tags=team:",
        "tags=team:!",
        "tags=team:!x*",
        "tags=team:x,os",
        "tags=result:good",
        "tags=result:~good",
        "tags=result:^",
        &format!("tags={many}"),
        "state=Muted",
        "state=muted,skipped",
        "label=a&labels=b",
        "branch=!x*",
    ] {
        let reply = suite.read(&format!("/tests?{query}"));
        assert_eq!(reply.status, 400, "{query}: {}", reply.text());
        assert!(!reply.message().is_empty());
    }
}

fn send_owners(suite: &Suite<'_>, file: impl AsRef<[u8]>) -> Reply {
    send_owners_with(suite.server, &suite.upload_token, file)
}

fn send_owners_with(server: &TestServer, token: &str, file: impl AsRef<[u8]>) -> Reply {
    let form = Form::new().file("file", "TESTOWNERS", file);
    let request = server.post("/v1/test-ownerships").token(token);
    request.header("Content-Type", &Form::content_type()).bytes(form.body()).send()
}

fn files_of_owners_are_taken_and_refused(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let _ = suite.upload(&Upload::new("k1").push(located("a", "tests/a.py")));
    assert!(!text(&send_owners(&suite, "* first\n").expect(201).json(), "id").is_empty());
    assert_eq!(names(&suite, "owners=first"), "a");
    let full = format!("{}\n* second\n", "#".repeat((1 << 20) - 10));
    assert_eq!(full.len(), 1 << 20);
    let _ = send_owners(&suite, &full).expect(201);
    let too_large = format!("* third\n{}", "# comment\n".repeat(105_000));
    assert!(!send_owners(&suite, too_large).expect(413).message().is_empty());
    for file in [&b""[..], b"# only\n", b"tests/\n", b"* \xff\xfe\n", b"* te\0am\n"] {
        assert!(!send_owners(&suite, file).expect(422).message().is_empty(), "{file:?}");
    }
    let post = |token: &str, content_type: &str, body: Vec<u8>| {
        let request = server.post("/v1/test-ownerships").token(token);
        request.header("Content-Type", content_type).bytes(body).send()
    };
    let other_field = Form::new().file("data", "TESTOWNERS", "* fourth\n").body();
    let form = Form::content_type();
    assert!(!post(&suite.upload_token, &form, other_field).expect(422).message().is_empty());
    assert!(!post(&suite.upload_token, "text/plain", b"* fourth".to_vec()).expect(415).message().is_empty());
    assert!(!post(&suite.upload_token, &form, b"no form".to_vec()).expect(400).message().is_empty());
    assert!(!send_owners_with(&server, "unknown", "* fifth\n").expect(401).message().is_empty());
    let reader = token(&server, &["--suite", "acme/cart", "--scope", "read"]);
    assert!(!send_owners_with(&server, &reader, "* fifth\n").expect(403).message().is_empty());
    // The last good one counts, alone.
    assert_eq!(
        (names(&suite, "owners=second"), names(&suite, "owners=!second")),
        ("a".to_owned(), String::new())
    );
    for team in ["first", "third", "fourth", "fifth"] {
        assert_eq!(names(&suite, &format!("owners={team}")), "", "{team}");
    }
    // It is this suite's.
    let other = suite.sibling("other");
    let _ = other.upload(&Upload::new("k1").push(located("a", "tests/a.py")));
    assert_eq!(names(&other, "owners=second"), "");
}

fn owners_own_by_location(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let files = [
        ("packages", "./spec/packages/deep/er/a_spec.rb"),
        ("elsewhere", "other/spec/packages/a_spec.rb"),
        ("direct", "spec/features/b_spec.rb"),
        ("nested", "spec/features/sub/c.rb"),
        ("pipelines", "x/pipelines/d.rb"),
        ("engine", "a/b/test-engine/e.rb"),
        ("plain", "f.rb"),
    ];
    let upload =
        files.iter().fold(Upload::new("k1"), |upload, (name, file)| upload.push(located(name, file)));
    let _ = suite.upload(&upload.result("S", "nowhere", "passed"));
    let owners = "# teams\n*_spec.rb specs\n/spec/packages/ packages specs # two\nspec/features/* features\n\
                  pipelines/ pipelines\n**/test-engine engine\nf.rb\n";
    assert_eq!(send_owners(&suite, owners).status, 201);
    for (query, expected) in [
        ("owners=specs", "elsewhere packages"),
        ("owners=packages", "packages"),
        ("owners=features", "direct"),
        ("owners=pipelines", "pipelines"),
        ("owners=engine", "engine"),
        ("owners=features,engine", "direct engine"),
        ("owners=specs,!packages", "elsewhere"),
        ("owners=!specs,!features,!pipelines,!engine", "nested nowhere plain"),
        ("owners=Specs", ""),
    ] {
        assert_eq!(names(&suite, query), expected, "{query}");
    }
    // A pattern without a team takes nothing away, and the last line wins.
    assert_eq!(send_owners(&suite, "* everybody\nspec/ spec\nf.rb\n").status, 201);
    assert_eq!(names(&suite, "owners=spec"), "direct elsewhere nested packages");
    assert!(names(&suite, "owners=everybody").contains("plain"));
    // A newer location counts.
    let _ = suite.upload(&Upload::new("k2").push(located("plain", "spec/f.rb")));
    assert_eq!(names(&suite, "owners=spec"), "direct elsewhere nested packages plain");
}

fn now(suite: &Suite<'_>) -> Timestamp {
    let run = suite.run(&suite.upload(&Upload::new("clock"))["run_id"]);
    text(&run, "created_at").parse().unwrap()
}

/// Questions of every kind, and what each must answer when `a` passed that often on `main` within a day, a week and a month.
#[track_caller]
fn assert_counted(suite: &Suite<'_>, [day, week, month]: [u32; 3]) {
    for (period, count) in [("1day", day), ("7days", week), ("28days", month)] {
        for filter in [
            "",
            "&branch=main",
            "&branch=m*",
            "&branch=!other",
            "&tags=scm.branch:main",
            "&tags=result:passed",
        ] {
            let expected = if count == 0 { vec![] } else { vec![format!("a {count}/0")] };
            assert_eq!(counts(suite, &format!("period={period}{filter}")), expected, "{period}{filter}");
        }
    }
}

fn lists_are_exact_after_every_upload(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    for count in 0..4 {
        assert_counted(&suite, [count; 3]);
        let _ = suite.upload(&Upload::new(&format!("k{count}")).result("S", "a", "passed"));
    }
    // Other tests, another branch, another suite.
    let _ = suite.upload(&Upload::new("other").branch("other").result("S", "b", "failed"));
    assert_eq!(counts(&suite, "period=7days"), ["a 4/0", "b 0/1"]);
    assert_eq!(counts(&suite, "period=7days&branch=main"), ["a 4/0"]);
    let _ = suite.sibling("next").upload(&Upload::new("k").result("S", "a", "failed"));
    assert_eq!(counts(&suite, "period=7days"), ["a 4/0", "b 0/1"]);
    // The pages of one list belong together, but a first page is never old.
    let first = |query: &str| text(&suite.get(&format!("/tests?per_page=1&{query}"))[0], "name");
    for query in ["sort_by=duration_max&period=7days", "sort_by=duration_max&period=4hours"] {
        let name = format!("slowest {query}");
        let _ = first(query);
        let _ = suite.upload(&Upload::new(&name).timed("S", &name, "passed", 100.0 + query.len() as f64));
        assert_eq!(first(query), name);
    }
}

fn old_results_count_at_once(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    let before = |days: i64| (now - SignedDuration::from_hours(24 * days)).to_string();
    let upload = |key: &str, days: i64| {
        let upload = Upload::new(key).env("started_at", before(days)).result("S", "a", "passed");
        assert_eq!(suite.upload(&upload)["queued"], 1);
    };
    assert_counted(&suite, [0, 0, 0]);
    upload("three weeks ago", 21);
    assert_counted(&suite, [0, 0, 1]);
    upload("five days ago", 5);
    assert_counted(&suite, [0, 1, 2]);
    upload("three weeks ago, too", 21);
    assert_counted(&suite, [0, 1, 3]);
    let _ = suite.upload(&Upload::new("today").result("S", "a", "passed"));
    assert_counted(&suite, [1, 2, 4]);
    upload("five days ago, too", 5);
    upload("long ago", 60);
    assert_counted(&suite, [1, 3, 5]);
    // Yesterday belongs to the week, whatever the hour; a run that is there may grow in the past.
    upload("yesterday", 2);
    upload("yesterday", 2);
    assert_counted(&suite, [1, 5, 7]);
    let upload = Upload::new("one more day").env("started_at", before(13)).result("S", "new", "failed");
    let _ = suite.upload(&upload);
    assert_eq!(counts(&suite, "period=14days"), ["a 5/0", "new 0/1"]);
    assert_counted_of(&suite, "new", "28days", 1);
}

#[track_caller]
fn assert_counted_of(suite: &Suite<'_>, name: &str, period: &str, count: u32) {
    let found = suite.get(&format!("/tests?period={period}&sort_by=reliability&order=asc&per_page=1"));
    assert_eq!((&found[0]["name"], &found[0]["executions_count"]), (&json!(name), &json!(count)));
}

fn another_default_branch_counts_at_once(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let now = now(&suite);
    let old = (now - SignedDuration::from_hours(24 * 3)).to_string();
    for (key, branch, name) in [("1", "main", "a"), ("2", "trunk", "b"), ("3", "trunk", "b")] {
        let _ = suite.upload(&Upload::new(key).branch(branch).result("S", name, "passed"));
        let of_past = Upload::new(&format!("{key} old")).branch(branch).env("started_at", &*old);
        let _ = suite.upload(&of_past.result("S", name, "failed"));
    }
    let admin = token(&server, &["--suite", "acme/cart", "--scope", "admin"]);
    let check = |expected_main: &str, expected_trunk: &str| {
        for period in ["7days", "14days", "28days"] {
            for (branch, expected) in [("main", expected_main), ("trunk", expected_trunk)] {
                for branch in [branch.to_owned(), format!("refs/heads/{branch}")] {
                    let query = format!("period={period}&branch={branch}");
                    assert_eq!(counts(&suite, &query), [expected], "{query}");
                }
            }
        }
    };
    check("a 1/1", "b 2/2");
    for (number, branch) in ["trunk", "main", "refs/heads/trunk"].into_iter().enumerate() {
        let request = server.request("PATCH", &suite.path("")).token(&admin);
        let changed = request.json(&json!({ "default_branch": branch })).send().expect(200).json();
        assert_eq!(changed["default_branch"], branch);
        let more = number + 1;
        check(&format!("a {more}/1"), "b 2/2");
        let _ = suite.upload(&Upload::new(&format!("after {branch}")).result("S", "a", "passed"));
        check(&format!("a {}/1", more + 1), "b 2/2");
    }
}
