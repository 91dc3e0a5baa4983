//! What was acknowledged is there, exactly once, however the server ended.

use crate::setup::{Suite, start};
use casebook_testkit::{Engine, TestDatabase, TestServer, Upload, both_engines};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;

both_engines!(
    a_terminated_server_finishes_what_it_began,
    a_killed_server_keeps_what_it_acknowledged,
    two_servers_share_a_database,
);

const THREADS: usize = 4;
const RESULTS: usize = 5;

/// An upload by its thread and number.
type Number = (usize, usize);

/// Results with ids of their own: sending it again adds nothing.
fn upload((thread, number): Number) -> Upload {
    let upload = Upload::new(&format!("run {thread} {}", number / 10)).env("job_id", format!("{number}"));
    (0..RESULTS).fold(upload, |upload, result| {
        upload.push(json!({
            "id": format!("95f7e024-9e0a-450f-b{thread:03x}-{:012x}", number * RESULTS + result),
            "scope": format!("{thread} {number}"),
            "name": format!("case {result}"),
            "result": if result == 0 { "failed" } else { "passed" },
            "failure_reason": "because",
            "history": { "duration": 0.1 },
        }))
    })
}

/// Uploads from several threads until the server is gone, which `end` sees to as soon as `enough` are acknowledged.
/// Returns what was sent, and what of it was acknowledged.
fn stream(
    suite: &Suite<'_>,
    first: usize,
    enough: usize,
    end: impl FnOnce(),
) -> (BTreeSet<Number>, BTreeSet<Number>) {
    let (sender, acknowledged) = mpsc::channel();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let sender = sender.clone();
                scope.spawn(move || send_until_refused(suite, thread, first, &sender))
            })
            .collect();
        drop(sender);
        let mut kept: BTreeSet<Number> = acknowledged.iter().take(enough).collect();
        assert_eq!(kept.len(), enough, "the server ended by itself");
        end();
        kept.extend(acknowledged.iter());
        let sent = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (sent, kept)
    })
}

fn send_until_refused(
    suite: &Suite<'_>,
    thread: usize,
    first: usize,
    sender: &mpsc::Sender<Number>,
) -> Vec<Number> {
    let mut sent = Vec::new();
    for number in first.. {
        sent.push((thread, number));
        let request = suite.server.post("/v1/uploads").token(&suite.upload_token);
        match request.json(&upload((thread, number)).body()).try_send() {
            Ok(reply) if reply.status == 202 => sender.send((thread, number)).unwrap(),
            Ok(reply) => {
                assert_eq!(reply.status, 503, "{}", reply.text());
                break;
            }
            Err(_) => break,
        }
    }
    sent
}

/// The executions of each upload's tests.
fn stored(suite: &Suite<'_>) -> BTreeMap<String, Vec<i64>> {
    let mut stored: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for test in suite.tests() {
        let scope = test["scope"].as_str().unwrap().to_owned();
        stored.entry(scope).or_default().push(test["executions_count"].as_i64().unwrap());
    }
    stored
}

/// Everything acknowledged is there, everything is there once and whole, and sending all of it again changes nothing else.
fn check(suite: &Suite<'_>, sent: &BTreeSet<Number>, acknowledged: &BTreeSet<Number>) {
    let scope = |(thread, number): &Number| format!("{thread} {number}");
    let whole = vec![1; RESULTS];
    let found = stored(suite);
    for number in acknowledged {
        assert_eq!(found.get(&scope(number)), Some(&whole), "{number:?} was acknowledged");
    }
    assert!(found.values().all(|executions| *executions == whole), "{found:?}");
    assert!(found.len() <= sent.len());
    for number in sent {
        let answer = suite.upload(&upload(*number));
        let known = found.contains_key(&scope(number));
        let expected = if known { (0, RESULTS) } else { (RESULTS, 0) };
        assert_eq!(
            (&answer["queued"], &answer["skipped"]),
            (&json!(expected.0), &json!(expected.1)),
            "{number:?}"
        );
    }
    let all: BTreeMap<String, Vec<i64>> = sent.iter().map(|number| (scope(number), whole.clone())).collect();
    assert_eq!(stored(suite), all);
    let runs = suite.runs();
    let keys: BTreeSet<(usize, usize)> = sent.iter().map(|(thread, number)| (*thread, number / 10)).collect();
    assert_eq!(runs.len(), keys.len());
    let failed: usize = runs.iter().map(|run| suite.failed(&run["id"]).len()).sum();
    assert_eq!(failed, sent.len());
}

fn a_terminated_server_finishes_what_it_began(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let (sent, acknowledged) = stream(&suite, 0, 60, || server.signal("TERM"));
    let status = server.wait();
    let again = start(database);
    check(&suite.on(&again), &sent, &acknowledged);
    assert!(status.success(), "{status}: {}", server.log());
}

fn a_killed_server_keeps_what_it_acknowledged(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    server.kill();
    let (mut sent, mut acknowledged) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..3 {
        let server = start(database);
        let stream = stream(&suite.on(&server), round * 100_000, 80, || server.signal("KILL"));
        server.wait();
        sent.extend(stream.0);
        acknowledged.extend(stream.1);
    }
    assert!(acknowledged.len() >= 240);
    let again = start(database);
    check(&suite.on(&again), &sent, &acknowledged);
}

/// Any number of servers may stand before one PostgreSQL.
fn two_servers_share_a_database(database: &TestDatabase) {
    if database.engine() == casebook_testkit::Engine::Sqlite {
        return;
    }
    let (one, two) = (start(database), start(database));
    let suite = Suite::new(&one, "cart");
    let other = suite.on(&two);
    let send = |suite: &Suite<'_>, thread: usize| -> Vec<Value> {
        (0..30).map(|number| suite.upload(&upload((thread, number)))).collect()
    };
    std::thread::scope(|scope| {
        for (server, suite) in [&suite, &other, &suite, &other].into_iter().enumerate() {
            // Each pair sends the same through different servers.
            scope.spawn(move || send(suite, server / 2));
        }
    });
    let sent: BTreeSet<Number> =
        (0..2).flat_map(|thread| (0..30).map(move |number| (thread, number))).collect();
    check(&other, &sent, &sent);
    assert_eq!(suite.runs(), addresses_of(&other.runs(), &two, &one));
}

/// The same objects as the other server shows them.
fn addresses_of(objects: &[Value], from: &TestServer, to: &TestServer) -> Vec<Value> {
    let text = json!(objects).to_string().replace(from.url(), to.url());
    serde_json::from_str(&text).unwrap()
}

/// Connections a server keeps: so many requests may meet an ended one.
const CONNECTIONS: usize = 16;

#[test]
fn connections_that_postgres_ended_are_made_again() {
    let Some(database) = TestDatabase::new(Engine::Postgres) else { return };
    let server = start(&database);
    let suite = Suite::new(&server, "cart");
    let send =
        |key: &str| Upload::new(key).result("S", "a", "passed").send(&server, &suite.upload_token).status;
    assert_eq!(send("before"), 202);
    let mut client = ::postgres::Client::connect(database.url(), ::postgres::NoTls).unwrap();
    let ended = client
        .query(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'casebook' \
                and datname = current_database()",
            &[],
        )
        .unwrap();
    assert!(!ended.is_empty());
    // Each refusal throws one ended connection away; none of them stores anything.
    let refused = (0..=CONNECTIONS).take_while(|n| send(&format!("meanwhile {n}")) >= 500).count();
    assert!(refused <= CONNECTIONS, "{refused}");
    assert_eq!(send("after"), 202);
    assert_eq!(suite.runs().len(), 3);
}
