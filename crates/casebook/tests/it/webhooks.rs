//! Events: told once, with the right values, whatever happens to servers in between.

use crate::setup::{Suite, text};
use crate::webhook_setup::{
    DAY, Place, commit, deliveries, flake, named, prompt_suite, read, wait_for_all, wait_until, write,
};
use casebook_testkit::{Engine, Received, TestDatabase, WebhookReceiver, both_engines};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::BTreeSet;

both_engines!(
    an_announced_episode_is_told_once,
    a_resolution_is_told_once_also_when_the_server_was_down,
    a_suspect_that_lapses_says_nothing,
    an_episode_ended_by_a_later_result_is_told,
    what_people_say_is_told,
    events_are_what_the_list_of_flaky_tests_says,
    webhooks_get_what_they_asked_for,
    two_servers_deliver_each_event_once,
);

/// The time that a body tells, which has six digits and no zone.
#[track_caller]
fn time(body: &Value, name: &str) -> Timestamp {
    let text = text(&body["test_case"], name);
    assert_eq!(text.len(), "2022-11-16T17:21:41.350499".len(), "{text}");
    text.parse::<DateTime>().unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp()
}

fn action(request: &Received) -> String {
    text(&request.json(), "action")
}

fn an_announced_episode_is_told_once(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = Suite::new(&server, "cart");
    let check = ["--repo", "shop/web", "--check", "ci/circleci: unit", "--provider", "circleci"];
    let _ = server.succeed(&[&["suite", "create", &suite.name][..], &check].concat());
    let (hook, _) = place.hook(&server, &receiver.url("/hook?team=cart"), &[]);
    // Two independent changes flag it, the third is more of the same.
    for number in 1..=3 {
        let _ = suite.upload(&flake("shaky", number));
    }
    let received = receiver.wait_for(1);
    let [request] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?team=cart"));
    assert_eq!(request.header("content-type"), "application/json");
    assert!(request.header("user-agent").starts_with("Casebook/"), "{request:?}");
    let body = request.json();
    assert_eq!(body["action"], "new_flaky_test");
    assert_eq!(body["repository"], json!({ "name": "web", "org": "shop" }));
    assert_eq!(body["test_suite"], json!({ "name": "ci/circleci: unit", "provider": "CircleCI" }));
    assert_eq!(json!([body["test_case"]["name"], body["test_case"]["class_name"]]), named("shaky"));
    assert_eq!(body["test_case"]["last_24_hours_count"], 2);
    assert_eq!(text(&body, "commit_sha"), commit(2));
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&body).len(), 5, "{body}");
    assert_eq!(keys(&body["test_case"]).len(), 5, "{body}");
    let test = text(&read(&suite, "/tests?health=flaky")["items"][0], "id");
    let detail = read(&suite, &format!("/tests/{test}"));
    let evidence: Vec<Timestamp> =
        (0..3).map(|index| text(&detail["evidence"][index], "at").parse().unwrap()).collect();
    let within = |a: Timestamp, b: Timestamp| (a.as_millisecond() - b.as_millisecond()).abs() <= 1;
    assert!(within(time(&body, "first_occurrence"), evidence[2]), "{body} {detail}");
    assert!(within(time(&body, "last_occurrence"), evidence[1]), "{body} {detail}");
    // Again, after the same results have come once more and the server was started anew.
    let _ = suite.upload(&flake("shaky", 2));
    let _ = server.terminate();
    let server = place.start(0);
    let suite = suite.on(&server);
    let _ = suite.upload(&flake("shaky", 4));
    wait_for_all(&suite, &receiver, 1);
    let found = deliveries(&suite, &hook);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(json!([found[1]["event"], found[1]["test_id"]]), json!(["new_flaky_test", test]));
}

fn a_resolution_is_told_once_also_when_the_server_was_down(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let _ = place.hook(&server, &receiver.url("/"), &[]);
    let _ = suite.upload(&flake("shaky", 1));
    let told = receiver.wait_for(1)[0].json();
    let _ = server.terminate();
    // A day too early nothing happens.
    let server = place.start(13 * DAY);
    wait_for_all(&suite.on(&server), &receiver, 1);
    let _ = server.terminate();
    let server = place.start(14 * DAY + 60);
    let received = receiver.wait_for(3);
    let body = received[2].json();
    assert_eq!(body["action"], "resolved_flaky_test");
    assert!(body.get("commit_sha").is_none(), "{body}");
    assert_eq!(body["test_case"]["last_24_hours_count"], 0);
    for same in ["name", "class_name", "first_occurrence", "last_occurrence"] {
        assert_eq!(body["test_case"][same], told["test_case"][same], "{same}");
    }
    let _ = server.terminate();
    let server = place.start(15 * DAY);
    let suite = suite.on(&server);
    // New evidence ends the old episode once more, in the fold this time, and opens the next.
    let _ = suite.upload(&flake("shaky", 7));
    let _ = receiver.wait_for(4);
    let _ = suite.upload(&flake("another", 8));
    let told: Vec<Value> = receiver.wait_for(5).iter().map(Received::json).collect();
    let told: Vec<Value> =
        told.iter().map(|body| json!([body["action"], body["test_case"]["name"]])).collect();
    let expected = json!([
        ["new_flaky_test", "shaky"],
        ["new_flaky_test", "the last"],
        ["resolved_flaky_test", "shaky"],
        ["new_flaky_test", "shaky"],
        ["new_flaky_test", "another"],
    ]);
    assert_eq!(json!(told), expected);
}

fn a_suspect_that_lapses_says_nothing(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = Suite::new(&server, "cart");
    let (hook, _) = place.hook(&server, &receiver.url("/"), &[]);
    let _ = suite.upload(&flake("suspicious", 1));
    let _ = server.terminate();
    let server = place.start(40 * DAY);
    let suite = suite.on(&server);
    let test = text(&read(&suite, "/tests")["items"][0], "id");
    let ask = || read(&suite, &format!("/tests/{test}"));
    let _ = wait_until(ask, |detail| detail["episodes"][0]["ended_by"] == "lapsed");
    wait_for_all(&suite, &receiver, 0);
    assert_eq!(deliveries(&suite, &hook).len(), 1);
}

/// History that is sent late is folded at once: the new evidence ends the old episode and opens the next.
fn an_episode_ended_by_a_later_result_is_told(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (hook, _) = place.hook(&server, &receiver.url("/"), &[]);
    let answer = suite.upload(&flake("steady", 1).env("key", "first"));
    let now: Timestamp = text(&suite.run(&answer["run_id"]), "created_at").parse().unwrap();
    let _ = receiver.wait_for(1);
    let past = now - jiff::SignedDuration::from_hours(20 * 24);
    let _ = suite.upload(&flake("shaky", 2).env("started_at", past.to_string()));
    let _ = suite.upload(&flake("shaky", 3));
    let received = receiver.wait_for(4);
    let mut actions: Vec<String> = received[1..].iter().map(action).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["new_flaky_test", "new_flaky_test", "resolved_flaky_test"]);
    assert_eq!(deliveries(&suite, &hook).len(), 4);
}

fn what_people_say_is_told(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (hook, _) = place.hook(&server, &receiver.url("/"), &[]);
    let _ = suite.upload(&flake("shaky", 1));
    let told = receiver.wait_for(1)[0].json();
    let test = text(&read(&suite, "/tests?health=flaky")["items"][0], "id");
    let mark =
        |mark: &str| write(&suite, "POST", &format!("/tests/{test}/marks"), &json!({ "mark": mark }), 200);
    let _ = (mark("not_flaky"), mark("not_flaky"));
    let body = receiver.wait_for(2)[1].json();
    assert_eq!(body["action"], "resolved_flaky_test");
    assert_eq!(body["test_case"]["first_occurrence"], told["test_case"]["first_occurrence"]);
    assert!(body.get("commit_sha").is_none(), "{body}");
    // A person says it is flaky after all: another episode, of no commit, and what came before does not count. By command this time.
    let arguments = ["--suite", &suite.name, "--class-name", "Cart", "--name", "shaky"];
    let _ = server.succeed(&[&["test", "mark-flaky"], &arguments[..]].concat());
    let _ = write(&suite, "PATCH", &format!("/webhooks/{hook}"), &json!({ "paused": false }), 200);
    let body = receiver.wait_for(3)[2].json();
    assert_eq!(
        json!([body["action"], body["test_case"]["last_24_hours_count"]]),
        json!(["new_flaky_test", 1])
    );
    assert!(body.get("commit_sha").is_none(), "{body}");
    let found = deliveries(&suite, &hook);
    assert_eq!(found.len(), 3, "{found:?}");
}

fn events_are_what_the_list_of_flaky_tests_says(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let check = ["--repo", "shop/web", "--check", "buildkite/unit", "--provider", "buildkite"];
    let _ = server.succeed(&[&["suite", "create", &suite.name][..], &check].concat());
    let _ = place.hook(&server, &receiver.url("/"), &[]);
    let _ = suite.upload(&flake("shaky", 1));
    let body = receiver.wait_for(1)[0].json();
    let path = "/api/v1/testdeck/flaky?org=shop&repo=web&github_check_name=buildkite/unit";
    let mut listed = server.get(path).token(&suite.read_token).send().expect(200).json();
    assert_eq!(body["repository"], listed["repository"]);
    assert_eq!(body["test_suite"], listed["github_check"]);
    let listed = listed["test_cases"][0].as_object_mut().unwrap();
    assert!(listed.remove("details_url").is_some());
    assert_eq!(body["test_case"], json!(listed));
}

fn webhooks_get_what_they_asked_for(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (all, _) = place.hook(&server, &receiver.url("/all"), &[]);
    let (new, _) = place.hook(&server, &receiver.url("/new"), &["--event", "new_flaky_test"]);
    let (resolved, _) = place.hook(&server, &receiver.url("/resolved"), &["--event", "resolved_flaky_test"]);
    let (gone, _) = place.hook(&server, &receiver.url("/gone"), &[]);
    let _ = server.succeed(&["webhook", "remove", &gone]);
    let _ = suite.upload(&flake("shaky", 1));
    let _ = receiver.wait_for(2);
    let _ = server.terminate();
    let server = place.start(14 * DAY + 60);
    let received = receiver.wait_for(4);
    let mut told: Vec<(String, String)> =
        received.iter().map(|request| (request.path.clone(), action(request))).collect();
    told.sort_unstable();
    let pair = |path: &str, action: &str| (path.to_owned(), action.to_owned());
    let expected = [
        pair("/all", "new_flaky_test"),
        pair("/all", "resolved_flaky_test"),
        pair("/new", "new_flaky_test"),
        pair("/resolved", "resolved_flaky_test"),
    ];
    assert_eq!(told, expected);
    let suite = suite.on(&server);
    // It may ask for something else at any time.
    let _ = write(
        &suite,
        "PATCH",
        &format!("/webhooks/{new}"),
        &json!({ "events": ["resolved_flaky_test"] }),
        200,
    );
    let _ = suite.upload(&flake("another", 2));
    let _ = receiver.wait_for(5);
    let counts = [&all, &new, &resolved].map(|hook| deliveries(&suite, hook).len());
    assert_eq!(counts, [3, 1, 1]);
}

fn two_servers_deliver_each_event_once(database: &TestDatabase) {
    if database.engine() == Engine::Sqlite {
        // Its file belongs to one server.
        return;
    }
    const EVENTS: usize = 20;
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (hook, _) = place.hook(&server, &receiver.url("/"), &[]);
    let second = place.start(0);
    std::thread::scope(|scope| {
        for server in [&server, &second] {
            let suite = suite.on(server);
            scope.spawn(move || {
                for number in 0..EVENTS / 2 {
                    let name = format!("{} {number}", server.address());
                    let _ = suite.upload(&flake(&name, number as u64));
                }
            });
        }
    });
    let _ = receiver.wait_for(EVENTS);
    let _ = (server.terminate(), second.terminate());
    let received = receiver.received();
    let ids: BTreeSet<&str> = received.iter().map(|request| request.header("x-delivery-id")).collect();
    assert_eq!((received.len(), ids.len()), (EVENTS, EVENTS));
    let server = place.start(0);
    let found = deliveries(&suite.on(&server), &hook);
    assert!(
        found.iter().all(|delivery| delivery["attempts_count"] == 1 && delivery["state"] == "delivered"),
        "{found:?}"
    );
}
