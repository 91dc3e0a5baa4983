//! The receivers in `docs/webhooks.md`, run on a delivery as it came.

use crate::setup::Suite;
use crate::webhook_setup::{Place, write};
use casebook_testkit::{Engine, TestDatabase, WebhookReceiver};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The one block of that language in the page.
fn example(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

const PYTHON: &str = r#"
import json, sys
given = json.load(sys.stdin)
secret, headers, body, now = given["secret"], given["headers"], given["body"].encode(), given["now"]
told = {"X-Aviator-Signature-SHA256": headers["x-aviator-signature-sha256"], **headers}
print(json.dumps([f(s, told, b, *more) for f, more in ((is_ours, ()), (is_ours_and_recent, (now,)))
    for s, b in ((secret, body), (secret, body + b" "), ("whsec_AAAA", body))] + [is_ours_and_recent(secret, told, body, now + 600)]))
"#;

const NODE: &str = r#"
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const { secret, headers, body, now } = given;
const cases = [[secret, body], [secret, body + " "], ["whsec_AAAA", body]];
console.log(JSON.stringify([
  ...cases.map(([s, b]) => isOurs(s, headers, Buffer.from(b))),
  ...cases.map(([s, b]) => isOursAndRecent(s, headers, Buffer.from(b), now)),
  isOursAndRecent(secret, headers, Buffer.from(body), now + 600),
]));
"#;

fn run(program: &str, flag: &str, script: &str, input: &Value) -> Value {
    let mut command = Command::new(program);
    command.args([flag, script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{program}: {error}"))
}

#[test]
fn the_receivers_of_the_webhook_page_know_deliveries() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let (place, receiver) = (Place::new(&database), WebhookReceiver::start());
    let server = place.start(0);
    let suite = Suite::new(&server, "cart");
    let (hook, secret) = place.hook(&server, &receiver.url("/"), &[]);
    let _ = write(&suite, "POST", &format!("/webhooks/{hook}/test"), &json!({}), 200);
    let request = receiver.wait_for(1).remove(0);
    let now: i64 = request.header("webhook-timestamp").parse().unwrap();
    let headers: serde_json::Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let body = String::from_utf8(request.body.clone()).unwrap();
    let input = json!({ "secret": secret, "headers": headers, "body": body, "now": now });
    let expected = json!([true, false, false, true, false, false, false]);
    assert_eq!(run("python3", "-c", &(example("python") + PYTHON), &input), expected);
    assert_eq!(run("node", "-e", &(example("js") + NODE), &input), expected);
}
