//! What test plugins wait for before a run, asked while results come in at full rate.

use crate::fixture::{self, Shape};
use crate::http::{Connection, Serving, in_parallel};
use crate::setting::{CHECK, Failure, REPOSITORY, Setting};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Uploads that are sent meanwhile.
const UPLOADS: usize = 128;

/// Answers that are not timed: each counts a few of the tests that were found flaky before.
const WARM_UP: usize = 300;

/// `setting` holds some history already.
pub(crate) fn measure(setting: &Setting, shape: Shape) -> Result<(), Failure> {
    let serving = Serving::start(setting)?;
    let list = format!("/api/v1/flaky-tests?repo_name={REPOSITORY}&job_name={CHECK}");
    let policy = "/api/casebook/v1/policy".to_owned();
    // What any answer takes meanwhile: it waits for a processor like all others.
    let suites = "/v2/analytics/organizations/bench/suites".to_owned();
    let questions = [("rerun list", list), ("policy", policy), ("suites", suites)];
    let now = setting.app.now();
    let bodies: Vec<Vec<u8>> =
        (0..UPLOADS).map(|index| fixture::body(shape.uploads + index, shape, now)).collect();
    let ended = AtomicBool::new(false);
    let mut taken = [Vec::new(), Vec::new(), Vec::new()];
    let mut length = 0;
    // The first answers fill what is kept in memory.
    let mut connection = Connection::open(serving.address, &setting.token)?;
    for _ in 0..WARM_UP {
        connection.get(&questions[0].1)?;
    }
    std::thread::scope(|scope| -> Result<(), Failure> {
        let ingest = scope.spawn(|| {
            let done = in_parallel(
                8,
                UPLOADS,
                |_, index, connection| connection.post(&bodies[index]),
                serving.address,
                &setting.token,
            );
            ended.store(true, Ordering::Release);
            done
        });
        while !ended.load(Ordering::Acquire) {
            for ((_, path), taken) in questions.iter().zip(&mut taken) {
                let started = Instant::now();
                length = length.max(connection.get(path)?);
                taken.push(started.elapsed().as_secs_f64() * 1000.0);
            }
        }
        ingest.join().map_err(|_| "a client panicked")?
    })?;
    for ((name, _), taken) in questions.iter().zip(&mut taken) {
        let name = format!("GET {name}, while ingesting");
        taken.sort_by(f64::total_cmp);
        let (middle, high) = (taken[taken.len() / 2], taken[taken.len() * 99 / 100]);
        println!("{name:<40} {middle:>9.2} ms median, {high:.2} ms p99 ({} answers)", taken.len());
    }
    println!("{:<40} {:>9} bytes", "the policy", length);
    Ok(())
}
