//! `casebook replay` and `casebook simulate`: streams in, changes of health out, without a database.

use crate::setup::program;
use casebook_testkit::run;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::Output;

/// Hourly runs of three tests; `fails` says in which runs the first of them fails and passes on retry.
fn stream(runs: u32, fails: &[u32]) -> String {
    let mut text = String::new();
    for run in 0..runs {
        let at = format!("2026-01-{:02}T{:02}:00:00Z", 1 + run / 24, run % 24);
        let mut add = |name: &str, outcome: &str, attempt: u32| {
            let line = json!({"at": at, "run": format!("k{run}"), "branch": "main", "commit": format!("c{run}"),
                "class_name": "a.B", "name": name, "outcome": outcome, "attempt": attempt});
            writeln!(text, "{line}").unwrap();
        };
        if fails.contains(&run) {
            add("t1", "failed", 1);
            add("t1", "passed", 2);
        } else {
            add("t1", "passed", 1);
        }
        add("t2", "passed", 1);
        add("t3", "passed", 1);
    }
    text
}

fn replay(input: &str, options: &[&str]) -> Output {
    run(program(), &[&["replay", "-"], options].concat(), input)
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn changes(output: &Output) -> Vec<(String, String, String)> {
    let text = |line: &Value, member: &str| line[member].as_str().unwrap().to_owned();
    lines(output).iter().map(|line| (text(line, "at"), text(line, "from"), text(line, "to"))).collect()
}

fn change(at: &str, from: &str, to: &str) -> (String, String, String) {
    (at.to_owned(), from.to_owned(), to.to_owned())
}

#[test]
fn a_flaky_test_is_found_and_let_go() {
    let stream = stream(200, &[100, 130]);
    let found = [
        change("2026-01-05T04:00:00.000Z", "healthy", "suspect"),
        change("2026-01-06T10:00:00.000Z", "suspect", "flaky"),
    ];
    let output = replay(&stream, &[]);
    assert_eq!(changes(&output), found);
    let last = lines(&output).pop().unwrap();
    assert_eq!(
        (&last["class_name"], &last["name"], &last["evidence"]),
        (&json!("a.B"), &json!("t1"), &json!(2))
    );
    assert!((0.001..0.1).contains(&last["q"].as_f64().unwrap()), "{last}");

    let resolved = change("2026-01-20T10:00:00.000Z", "flaky", "resolved");
    let until = changes(&replay(&stream, &["--until", "2026-01-20T10:00:00Z"]));
    assert_eq!(until[..2], found);
    assert_eq!(until[2..], [resolved]);
    assert_eq!(changes(&replay(&stream, &["--until", "2026-01-20T09:59:59Z"])), found);
    let prompt = changes(&replay(&stream, &["--detection", "prompt"]));
    assert_eq!(prompt, [change("2026-01-05T04:00:00.000Z", "healthy", "flaky")]);
}

#[test]
fn uploads_of_one_run_may_be_told_apart() {
    // In two uploads of one run the failure comes first, and the pass completes the evidence.
    let line = |upload: i64, at: &str, outcome: &str| {
        json!({"at": at, "run": "k", "upload": upload, "commit": "c", "class_name": "", "name": "t", "outcome": outcome})
            .to_string()
    };
    let stream =
        [line(1, "2026-01-01T00:00:00Z", "failed"), line(2, "2026-01-01T01:00:00Z", "passed")].join("\n");
    let found = changes(&replay(&stream, &[]));
    assert_eq!(found, [change("2026-01-01T01:00:00.000Z", "new", "suspect")]);
    let mark = json!({"at": "2026-01-01T02:00:00Z", "class_name": "", "name": "t", "mark": "not_flaky"});
    let found = changes(&replay(&format!("{stream}\n{mark}\n"), &[]));
    assert_eq!(found.last().unwrap(), &change("2026-01-01T02:00:00.000Z", "suspect", "new"));
}

#[test]
fn a_line_that_cannot_be_used_ends_it_unless_lenient() {
    let good = stream(2, &[]);
    for bad in [
        "{",
        "[]",
        "{\"at\":\"yesterday\",\"run\":\"k\",\"name\":\"t\",\"outcome\":\"passed\"}",
        "{\"at\":\"2026-01-01T00:00:00Z\",\"run\":\"k\",\"name\":\"t\",\"outcome\":\"green\"}",
        "{\"at\":\"2026-01-01T00:00:00Z\",\"name\":\"t\",\"outcome\":\"passed\"}",
        "{\"at\":\"2026-01-01T00:00:00Z\",\"name\":\"t\",\"mark\":\"odd\"}",
        // Out of order, and in the future.
        "{\"at\":\"2025-12-31T00:00:00Z\",\"run\":\"k\",\"name\":\"t\",\"outcome\":\"passed\"}",
        "{\"at\":\"2226-01-01T00:00:00Z\",\"run\":\"k\",\"name\":\"t\",\"outcome\":\"passed\"}",
    ] {
        let input = format!("{good}{bad}\n");
        let output = replay(&input, &[]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{bad}: {error}");
        assert!(error.starts_with("error: line 7 cannot be used: ") && error.lines().count() == 1, "{error}");
        let lenient = replay(&input, &["--lenient"]);
        assert!(lenient.status.success());
        assert_eq!(String::from_utf8(lenient.stderr).unwrap(), "skipped 1 lines that cannot be used\n");
    }
    let number = |upload: i64| {
        json!({"at": "2026-01-01T00:00:00Z", "run": format!("k{upload}"), "upload": upload, "name": "t", "outcome": "passed"})
            .to_string()
    };
    let twice = replay(&[number(2), number(1)].join("\n"), &[]);
    assert_eq!(twice.status.code(), Some(2));
    assert!(
        String::from_utf8(twice.stderr)
            .unwrap()
            .starts_with("error: line 2 cannot be used: it is out of order")
    );
    let missing = run(program(), &["replay", "/does/not/exist.ndjson"], "");
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn a_simulation_is_told() {
    let options = ["simulate", "--tests", "400", "--days", "4", "--seed", "3", "--incidents", "large"];
    let output = run(program(), &options, "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.starts_with("seed 3\n"), "{text}");
    for words in ["precision", "casebook, robust", "A any disagreement", "red runs", "P(regression)"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
