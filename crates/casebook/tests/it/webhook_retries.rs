//! Deliveries to receivers that fail: nothing is lost, and every attempt says the same.

use crate::setup::text;
use crate::webhook_setup::{
    DAY, HOUR, Place, deliveries, delivery, flake, prompt_suite, wait_for_attempts, write,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_testkit::{Answer, Received, TestDatabase, WebhookReceiver, both_engines};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

both_engines!(
    a_failing_receiver_is_tried_on_schedule,
    a_webhook_that_fails_for_three_days_is_paused_and_can_be_resumed,
    a_delivery_survives_a_killed_server,
    a_slow_receiver_holds_up_nobody_else,
    a_delivery_can_be_sent_again,
    a_delivery_that_is_under_way_can_be_sent_again,
);

/// The documented waits, in seconds.
const WAITS: [u64; 7] = [5, 30, 2 * 60, 10 * 60, HOUR, 3 * HOUR, 8 * HOUR];

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().to_vec()
}

/// Both signatures, as a receiver checks them.
#[track_caller]
fn assert_signed(request: &Received, secret: &str) {
    let hex: String =
        hmac(secret.as_bytes(), &request.body).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(request.header("x-aviator-signature-sha256"), hex);
    let key = secret.strip_prefix("whsec_").map(|rest| STANDARD.decode(rest).unwrap());
    let key = key.unwrap_or_else(|| secret.as_bytes().to_vec());
    let (id, at) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    let message = [format!("{id}.{at}.").as_bytes(), &request.body].concat();
    assert_eq!(request.header("webhook-signature"), format!("v1,{}", STANDARD.encode(hmac(&key, &message))));
    assert_eq!(id, request.header("x-delivery-id"));
}

#[track_caller]
fn seconds_between(from: &Value, to: &Value) -> f64 {
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    (time(to) - time(from)).total(jiff::Unit::Second).unwrap()
}

fn a_failing_receiver_is_tried_on_schedule(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let quick = ["--allow-private-webhooks", "--webhook-timeout-seconds", "1"];
    let server = place.start_with(0, &quick);
    let suite = prompt_suite(&server);
    let (hook, secret) = place.hook(&server, &receiver.url("/"), &[]);
    receiver.answer([
        Answer::Status(500),
        Answer::Redirect(receiver.url("/elsewhere")),
        Answer::Never,
        Answer::Close,
        Answer::Status(404),
        Answer::Status(400),
        Answer::Status(503),
        Answer::Status(204),
    ]);
    let _ = suite.upload(&flake("shaky", 1));
    let _ = receiver.wait_for(1);
    let id = text(&deliveries(&suite, &hook)[0], "id");
    let (mut later, mut ahead) = (None, 0);
    for (made, wait) in (1..).zip(WAITS) {
        let server = later.as_ref().unwrap_or(&server);
        let found = wait_for_attempts(&suite.on(server), &id, made);
        assert_eq!(found["state"], "pending", "{found}");
        let last = &found["attempts"][made as usize - 1];
        let planned = seconds_between(&last["at"], &found["next_attempt_at"]);
        // A tenth of chance, and what the attempt itself took.
        assert!(planned > wait as f64 * 0.89 && planned < wait as f64 * 1.11 + 2.5, "{made}: {planned}");
        let _ = server.terminate();
        assert_eq!(receiver.received().len(), made as usize, "too early");
        ahead += wait + wait / 10 + 4;
        later = Some(place.start_with(ahead, &quick));
        let _ = receiver.wait_for(made as usize + 1);
    }
    let suite = suite.on(later.as_ref().unwrap());
    let found = wait_for_attempts(&suite, &id, 8);
    let told = json!([found["state"], found["next_attempt_at"]]);
    assert_eq!(told, json!(["delivered", null]), "{found}");
    let attempts = found["attempts"].as_array().unwrap();
    let statuses: Vec<&Value> = attempts.iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(json!(statuses), json!([500, 307, null, null, 404, 400, 503, 204]));
    let errors: Vec<String> =
        attempts.iter().map(|attempt| attempt["error"].as_str().unwrap_or("").to_owned()).collect();
    assert!(errors[1].contains("redirect"), "{errors:?}");
    assert!(errors[2].contains("within 1 s"), "{errors:?}");
    assert!(errors[3].contains("could not be reached"), "{errors:?}");
    assert!(errors[7].is_empty(), "{errors:?}");
    let received = receiver.received();
    for request in &received {
        assert_signed(request, &secret);
        assert_eq!((&request.body, request.path.as_str()), (&received[0].body, "/"));
        for same in ["x-delivery-id", "x-aviator-signature-sha256"] {
            assert_eq!(request.header(same), received[0].header(same));
        }
    }
    assert_eq!(text(&found, "body").as_bytes(), received[0].body);
    assert_ne!(received[0].header("webhook-timestamp"), received[7].header("webhook-timestamp"));
}

fn a_webhook_that_fails_for_three_days_is_paused_and_can_be_resumed(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (hook, secret) = place.hook(&server, &receiver.url("/"), &[]);
    receiver.answer(vec![Answer::Status(500); 8]);
    let _ = suite.upload(&flake("shaky", 1));
    let _ = receiver.wait_for(1);
    let id = text(&deliveries(&suite, &hook)[0], "id");
    let (mut later, mut log) = (None, String::new());
    // Each attempt half a day after the last: the eighth comes after three days and a half.
    for made in 1..=8 {
        let server = later.as_ref().unwrap_or(&server);
        let found = wait_for_attempts(&suite.on(server), &id, made);
        assert_eq!(found["state"], if made < 8 { "pending" } else { "failed" }, "{found}");
        let listed = server.succeed(&["webhook", "list"]);
        assert_eq!(listed.contains("paused since"), made == 8, "{listed}");
        assert!(listed.contains("failing since") && !listed.contains(&secret), "{listed}");
        log += &server.terminate();
        later = Some(place.start(made * DAY / 2));
    }
    let server = later.unwrap();
    assert!(log.contains("paused") && !log.contains(&secret), "{log}");
    assert_eq!(receiver.received().len(), 8);
    // What happens now waits.
    let suite = suite.on(&server);
    let _ = suite.upload(&flake("another", 2));
    let waiting = text(&deliveries(&suite, &hook)[0], "id");
    assert_eq!(delivery(&suite, &waiting)["state"], "pending");
    let change = |body: Value| write(&suite, "PATCH", &format!("/webhooks/{hook}"), &body, 200);
    // Another address has not failed yet; whether anything is sent there is another question.
    assert!(change(json!({ "url": receiver.url("/") }))["failing_since"].is_string());
    let elsewhere = change(json!({ "url": receiver.url("/elsewhere") }));
    assert!(elsewhere["failing_since"].is_null() && elsewhere["paused_at"].is_string(), "{elsewhere}");
    let _ = change(json!({ "paused": false }));
    let received = receiver.wait_for(9);
    assert_eq!(received[8].header("x-delivery-id"), waiting);
    assert_eq!(wait_for_attempts(&suite, &waiting, 1)["state"], "delivered");
    // What was given up is sent again by hand only.
    let again = write(&suite, "POST", &format!("/deliveries/{id}/redeliver"), &json!({}), 202);
    assert_eq!(again["state"], "pending", "{again}");
    let received = receiver.wait_for(10);
    assert_eq!(wait_for_attempts(&suite, &id, 9)["state"], "delivered");
    assert!(server.succeed(&["webhook", "list"]).contains("active"));
    for request in received.iter().filter(|request| request.header("x-delivery-id") == id) {
        assert_eq!(request.body, received[0].body);
        assert_signed(request, &secret);
    }
}

fn a_delivery_survives_a_killed_server(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (hook, secret) = place.hook(&server, &receiver.url("/"), &[]);
    receiver.answer([Answer::Never]);
    let _ = suite.upload(&flake("shaky", 1));
    let _ = receiver.wait_for(1);
    server.kill();
    // The claim of the dead server ends.
    let server = place.start(60);
    let received = receiver.wait_for(2);
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[0].header("x-delivery-id"), received[1].header("x-delivery-id"));
    assert_signed(&received[0], &secret);
    assert_signed(&received[1], &secret);
    let on = suite.on(&server);
    let found = wait_for_attempts(&on, received[0].header("x-delivery-id"), 1);
    assert_eq!(found["state"], "delivered", "{found}");
    // And one that was killed as soon as the results were stored.
    let _ = on.upload(&flake("another", 2));
    server.kill();
    let server = place.start(120);
    let received = receiver.wait_for(3);
    let on = suite.on(&server);
    let _ = wait_for_attempts(&on, received[2].header("x-delivery-id"), 1);
    assert_eq!(deliveries(&on, &hook).len(), 2);
}

fn a_slow_receiver_holds_up_nobody_else(database: &TestDatabase) {
    const EVENTS: usize = 12;
    const HOOKS: usize = 8;
    let (place, slow, quick) = (Place::new(database), WebhookReceiver::start(), WebhookReceiver::start());
    let server = place.start_with(0, &["--allow-private-webhooks", "--webhook-timeout-seconds", "20"]);
    let suite = prompt_suite(&server);
    slow.answer(vec![Answer::Never; EVENTS * HOOKS]);
    let hooks: Vec<String> = (0..HOOKS).map(|_| place.hook(&server, &slow.url("/"), &[]).0).collect();
    let _ = place.hook(&server, &quick.url("/"), &[]);
    for number in 0..EVENTS {
        let _ = suite.upload(&flake(&format!("shaky {number}"), number as u64));
    }
    let _ = quick.wait_for(EVENTS);
    let _ = slow.wait_for(1);
    for held_up in hooks {
        let waiting = deliveries(&suite, &held_up);
        assert_eq!(waiting.len(), EVENTS);
        assert!(waiting.iter().all(|delivery| delivery["attempts_count"] == 0), "{waiting:?}");
    }
    assert!(slow.received().len() < 32, "a few at a time");
    server.kill();
}

/// Whoever asks for it while it is under way does not ask in vain.
fn a_delivery_that_is_under_way_can_be_sent_again(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let _ = place.hook(&server, &receiver.url("/"), &[]);
    receiver.answer([Answer::Held]);
    let _ = suite.upload(&flake("shaky", 1));
    let id = receiver.wait_for(1)[0].header("x-delivery-id").to_owned();
    let _ = write(&suite, "POST", &format!("/deliveries/{id}/redeliver"), &json!({}), 202);
    receiver.release();
    let received = receiver.wait_for(2);
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(wait_for_attempts(&suite, &id, 2)["state"], "delivered");
}

fn a_delivery_can_be_sent_again(database: &TestDatabase) {
    let (place, receiver) = (Place::new(database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = prompt_suite(&server);
    let (hook, _) = place.hook(&server, &receiver.url("/"), &[]);
    let _ = suite.upload(&flake("shaky", 1));
    let id = receiver.wait_for(1)[0].header("x-delivery-id").to_owned();
    let _ = wait_for_attempts(&suite, &id, 1);
    let told = server.succeed(&["webhook", "redeliver", &id]);
    assert!(told.contains(&id), "{told}");
    // The command does not know the server; whatever wakes it makes it look.
    let _ = write(&suite, "PATCH", &format!("/webhooks/{hook}"), &json!({ "paused": false }), 200);
    let received = receiver.wait_for(2);
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(wait_for_attempts(&suite, &id, 2)["state"], "delivered");
    let listed = server.succeed(&["webhook", "deliveries", &hook]);
    assert!(
        listed.contains(&id) && listed.contains("attempts 2") && listed.contains("delivered"),
        "{listed}"
    );
}
