//! pytest-monitor: single metrics over HTTP, and every kind of answer at a million of them.

use crate::http::{Connection, Serving, in_parallel};
use crate::setting::{Failure, Setting};
use casebook_app::monitor::Intake;
use casebook_model::measurement::{Metric, Session};
use casebook_model::time::Timestamp;
use casebook_storage::Store;
use casebook_storage::retention::{self, Dropped};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// Different tests, and sessions that send at one time.
const VARIANTS: usize = 20_000;
const TOGETHER: usize = 4;

/// Metrics of one session.
const OF_SESSION: usize = 4_808;

/// Sessions beside those with metrics.
const MORE_SESSIONS: usize = 20_000;

/// Requests for each kind of answer, and for the first one before: each of the few connections to the database reads the schema
/// with its first question.
const ASKED: usize = 300;
const WARM_UP: usize = 8;

/// A metric, spread as those of a large project: sessions in turn, one component with most of them.
fn metric(number: usize) -> Metric {
    let session = number / (OF_SESSION * TOGETHER) * TOGETHER + number % TOGETHER;
    let variant = number.wrapping_mul(7_919) % VARIANTS;
    let component = if number % 10 < 6 { "dense".to_owned() } else { format!("component{}", variant % 49) };
    let value = |salt: usize| ((number.wrapping_mul(2_654_435_761) ^ salt) % 1_000_003) as f64 / 1_000.7;
    Metric {
        words: [
            session_key(session),
            format!("{:032x}", session / 8),
            format!("test_case_{}", variant / 7),
            format!("test_case_{}[param, {}]", variant / 7, variant % 7),
            if number % 60 == 59 { "module" } else { "function" }.to_owned(),
            component,
            format!("tests.module_{}", variant / 50),
            format!("tests/module_{}.py", variant / 50),
        ],
        started: format!("2026-01-01T{:02}:{:02}:00.{number:06}", number / 60 % 24, number % 60),
        values: [value(1), value(2), value(3), value(4), value(5)],
    }
}

fn session_key(number: usize) -> String {
    format!("{number:016x}{:016x}", number.wrapping_mul(0x9e37_79b9))
}

fn session(number: usize) -> Session {
    let tags = [("pipeline_branch", number % 2), ("pipeline_build_no", number / TOGETHER)];
    Session {
        key: session_key(number),
        run_date: "2026-01-01T00:00:00".to_owned(),
        scm_ref: Some(format!("{:x}{number:07x}", number % 16)),
        tags: tags.map(|(name, value)| (name.to_owned(), Some(value.to_string()))).into(),
    }
}

/// The body of one of many sessions of which no metric came.
fn small_session(number: usize) -> String {
    json!({
        "session_h": format!("{:032x}", u128::MAX - number as u128),
        "run_date": "2026-01-01T00:00:00",
        "scm_ref": format!("f{number:039x}"),
        "description": {
            "pipeline_branch": format!("small-{}", number % 50),
            "pipeline_build_no": (number / 200).to_string(),
            "numpy": format!("1.{}", number % 8),
        },
    })
    .to_string()
}

fn body(number: usize) -> Vec<u8> {
    let Metric { words, started, values } = metric(number);
    let [session, context, item, variant, kind, component, path, location] = words;
    let [total, user, kernel, cpu, memory] = values;
    json!({
        "session_h": session, "context_h": context, "item_start_time": started, "item_path": path, "item": item,
        "item_variant": variant, "item_fs_loc": location, "kind": kind, "component": component, "total_time": total,
        "user_time": user, "kernel_time": kernel, "cpu_usage": cpu, "mem_usage": memory,
    })
    .to_string()
    .into_bytes()
}

/// Single metrics over 64 kept connections, and with a new connection each, in requests a second.
pub(crate) fn singles(setting: &Setting, count: usize) -> Result<(), Failure> {
    let serving = Serving::start(setting)?;
    let path = "/api/v1/metrics/";
    let mut next = 0;
    let mut round = |count: usize, kept: bool| -> Result<f64, Failure> {
        let bodies: Vec<Vec<u8>> = (next..next + count).map(body).collect();
        next += count;
        let started = Instant::now();
        let send = |_, index: usize, connection: &mut Connection| {
            if !kept {
                *connection = Connection::open(serving.address, &setting.token)?;
            }
            connection.post_to(path, &bodies[index], " 201 ")
        };
        in_parallel(64, count, send, serving.address, &setting.token)?;
        Ok(count as f64 / started.elapsed().as_secs_f64())
    };
    // A first round makes the tests, as a server in use has them.
    let first = round(VARIANTS, true)?;
    let kept = round(count, true)?;
    let new = round(count / 4, false)?;
    println!("single metrics of new tests    {first:>10.0} requests/s");
    println!("single metrics, 64 connections {kept:>10.0} requests/s");
    println!("  with a new connection each   {new:>10.0} requests/s");
    Ok(())
}

/// The answers at so many metrics.
pub(crate) fn answers(setting: &Setting, count: usize) -> Result<(), Failure> {
    let serving = Serving::start(setting)?;
    let started = Instant::now();
    let mut intake = Intake::new(Arc::clone(&setting.app), setting.suite.clone());
    let sessions = count.div_ceil(OF_SESSION * TOGETHER) * TOGETHER;
    for number in 0..sessions {
        serving.block_on(intake.session(session(number)))?;
    }
    for first in (0..count).step_by(5_000) {
        serving.block_on(intake.metrics((first..count.min(first + 5_000)).map(metric).collect()))?;
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    let bodies: Vec<String> = (0..MORE_SESSIONS).map(small_session).collect();
    let send = |_, index: usize, connection: &mut Connection| {
        connection.post_json("/api/v1/sessions/", bodies[index].as_bytes(), " 201 ")
    };
    in_parallel(64, MORE_SESSIONS, send, serving.address, &setting.token)?;
    println!("metrics in process, one each   {rate:>10.0} metrics/s");
    println!("space, everything counted      {:>10.1} bytes/metric", setting.bytes()? / count as f64);
    let pages = count / 500;
    let (middle, of_dense) = (pages / 2, pages * 3 / 10);
    let key = session_key(sessions / 2);
    let paths = [
        ("all metrics, first page", "/metrics/".to_owned()),
        ("all metrics, last page", "/metrics/?page=-1".to_owned()),
        ("all metrics, middle page", format!("/metrics/?page={middle}")),
        ("dense component, first page", "/components/dense/metrics".to_owned()),
        ("dense component, last page", "/components/dense/metrics?page=-1".to_owned()),
        ("dense component, middle page", format!("/components/dense/metrics?page={of_dense}")),
        ("a session, first page", format!("/sessions/{key}/metrics")),
        ("a kind, middle page", format!("/filters/scope/function/metrics?page={middle}")),
        ("a variant", "/variants/test_case_7[param,%203]/metrics".to_owned()),
        (
            "a variant in the dense component",
            "/components/dense/variants/test_case_0[param,%200]/metrics".to_owned(),
        ),
        ("count of all", "/metrics/count".to_owned()),
        ("count of a session", format!("/sessions/{key}/metrics/count")),
        ("count of a kind", "/filters/scope/function/metrics/count".to_owned()),
        ("sessions, first page", "/sessions/".to_owned()),
        ("sessions, last page", "/sessions/?page=-1".to_owned()),
        (
            "sessions by a tag of 2,500, first page",
            "/sessions/?with_tags=numpy&restrict_flags=1.3".to_owned(),
        ),
        ("sessions of a reference", format!("/filters/scm/f{:039x}/sessions", 7_777)),
        ("metrics of a full reference", "/filters/scm/70000007/metrics".to_owned()),
        ("pipelines", "/pipelines/".to_owned()),
        ("builds of a pipeline of 400 sessions", "/pipelines/small-7/builds".to_owned()),
        ("sessions of a build", "/pipelines/small-7/builds/7/sessions".to_owned()),
        ("a session by its identifier", format!("/sessions/{key}")),
        ("components", "/components/".to_owned()),
        ("builds of a component", "/components/dense/pipelines/1/builds".to_owned()),
        ("head 10 of all", "/resources/memory/head/10/metrics".to_owned()),
        ("head 500 of all", "/resources/memory/head/500/metrics".to_owned()),
        ("tail 500 of the dense component", "/resources/cpu/components/dense/tail/500/metrics".to_owned()),
        ("head 10 of a pipeline", "/resources/memory/pipelines/1/head/10/metrics".to_owned()),
        ("head 10 of a build", "/resources/memory/pipelines/1/builds/7/head/10/metrics".to_owned()),
        ("pattern of 70 variants, page 1", "/variants/like/test_case_77_/metrics".to_owned()),
        ("pattern of 7,777 variants, page 1", "/variants/like/test_case_1/metrics".to_owned()),
        ("scm prefix, a sixteenth", "/filters/scm/7/metrics".to_owned()),
    ];
    let own = format!("/api/casebook/v1/suites/{}/{}", setting.suite.organization.slug, setting.suite.slug);
    let own = [
        ("own API: tests of the dense component", format!("{own}/tests?component=dense")),
        ("own API: tests of a pipeline", format!("{own}/tests?pipeline=1")),
    ];
    let paths = paths.map(|(name, path)| (name, format!("/api/v1{path}")));
    let mut connection = Connection::open(serving.address, &setting.token)?;
    let mut first = Vec::with_capacity(WARM_UP);
    for _ in 0..WARM_UP {
        let started = Instant::now();
        connection.get(&paths[0].1)?;
        first.push(format!("{:.1}", started.elapsed().as_secs_f64() * 1e3));
    }
    println!("the first {WARM_UP} pages after start      {} ms", first.join(", "));
    for (name, path) in paths.into_iter().chain(own) {
        let mut connection = Connection::open(serving.address, &setting.token)?;
        let mut times = Vec::with_capacity(ASKED);
        let mut length = 0;
        for _ in 0..ASKED {
            let started = Instant::now();
            length = connection.get(&path)?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let (median, p99) = (times[ASKED / 2], times[ASKED * 99 / 100]);
        println!("GET {name:<36} {median:>7.2} / {p99:>6.2} ms   {} KB", length / 1000);
    }
    drop_all(setting)
}

/// Drops all sessions by age, and tells how long each step lasts, for which writers have to wait.
fn drop_all(setting: &Setting) -> Result<(), Failure> {
    let store = Store::open(&setting.database.url.parse()?)?;
    let before = Timestamp::parse_lenient("2026-02-01T00:00:00")?;
    let (mut total, mut steps) = (Dropped::default(), Vec::new());
    loop {
        let started = Instant::now();
        match store.write(|db| retention::step(db, setting.suite.id, before))? {
            Some(dropped) => total.add(dropped),
            None => break,
        }
        steps.push(started.elapsed().as_secs_f64() * 1e3);
    }
    steps.sort_by(f64::total_cmp);
    let (median, longest) = (steps[steps.len() / 2], steps[steps.len() - 1]);
    println!(
        "retention dropped {} sessions, {} metrics in {} steps: {median:.0} ms each, {longest:.0} ms at most",
        total.runs,
        total.metrics,
        steps.len()
    );
    Ok(())
}
