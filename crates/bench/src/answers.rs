//! Answers over HTTP, one at a time on a kept connection: what a person or program waits for.

use crate::http::{Connection, Serving};
use crate::setting::{Failure, Setting};
use casebook_model::id::{RunId, TestId};
use casebook_model::public_id::Subject;
use std::time::Instant;

const TIMES: usize = 300;

/// Whole counts over executions take long; a few are enough.
const FEW: usize = 20;

pub(crate) fn measure(setting: &Setting, tests: usize, runs: usize) -> Result<(), Failure> {
    let serving = Serving::start(setting)?;
    let mut connection = Connection::open(serving.address, &setting.token)?;
    let suite = format!("/v2/analytics/organizations/bench/suites/{}", setting.suite.slug);
    let mut time = |name: &str, times: usize, path: &dyn Fn(usize) -> String| {
        let mut taken: Vec<f64> = Vec::with_capacity(times);
        // The first one fills what is kept in memory.
        connection.get(&path(0))?;
        for number in 0..times {
            let path = path(number);
            let started = Instant::now();
            connection.get(&path)?;
            taken.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        taken.sort_by(f64::total_cmp);
        let (middle, high) = (taken[times / 2], taken[times * 99 / 100]);
        println!("{name:<40} {middle:>9.2} ms median, {high:.2} ms p99");
        Ok::<_, Failure>(())
    };
    let id = |subject| setting.app.public_id(subject);
    let test = |number: usize| id(Subject::Test(setting.suite.id, TestId((number * 7 % tests + 1) as i64)));
    let run = |number: usize| id(Subject::Run(setting.suite.id, RunId((number % runs + 1) as i64)));
    let last = tests / 100;
    time("GET tests, 7 days, first page", TIMES, &|_| format!("{suite}/tests?per_page=100"))?;
    time("GET tests, 7 days, last page", TIMES, &|_| format!("{suite}/tests?per_page=100&page={last}"))?;
    time("GET tests, 28 days, by reliability", TIMES, &|_| {
        format!("{suite}/tests?period=28days&sort_by=reliability&order=asc&per_page=100")
    })?;
    time("GET tests, 7 days, default branch", TIMES, &|_| format!("{suite}/tests?branch=main&per_page=100"))?;
    time("GET a test, 7 days", TIMES, &|number| format!("{suite}/tests/{}", test(number)))?;
    time("GET runs, first page", TIMES, &|_| format!("{suite}/runs?per_page=100"))?;
    time("GET runs, last page", TIMES, &|_| {
        format!("{suite}/runs?per_page=100&page={}", (runs / 100).max(1))
    })?;
    time("GET a run", TIMES, &|number| format!("{suite}/runs/{}", run(number)))?;
    time("GET failed executions of a run", TIMES, &|number| {
        format!("{suite}/runs/{}/failed_executions?per_page=100", run(number))
    })?;
    // A different number each time, so that nothing is remembered.
    time("GET tests, 1 day, another branch", FEW, &|number| {
        format!("{suite}/tests?period=1day&branch=feature-{}", number % 7)
    })?;
    time("GET tests, 1 day, by tag", FEW, &|number| {
        format!("{suite}/tests?period=1day&tags=scm.commit_sha:!{number}")
    })?;
    Ok(())
}
