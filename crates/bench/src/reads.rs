//! Reading: the history of one test, a run, the tests of a window.

use crate::setting::{Failure, Setting};
use casebook_model::id::{RunId, TestId};
use casebook_model::run::Protocol;
use casebook_storage::page::Page;
use casebook_storage::{Db, StorageError, executions, failures, rollups, runs, tests};
use std::time::Instant;

const TIMES: usize = 200;

pub(crate) fn measure(setting: &Setting) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let suite = setting.suite.id;
    let today = setting.app.now().day();
    let window = rollups::Window { first_day: today - 7, last_day: today, branch_class: None };
    let time = |name: &str,
                work: fn(
        &mut Db<'_>,
        i64,
        rollups::Window,
        casebook_model::id::SuiteId,
    ) -> Result<usize, StorageError>| {
        let mut times: Vec<f64> = Vec::with_capacity(TIMES);
        for number in 0..TIMES as i64 {
            let started = Instant::now();
            let read = setting.app.read(move |db| work(db, number * 7 % 4_999 + 1, window, suite));
            runtime.block_on(read)?;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        let (middle, high) = (times[TIMES / 2], times[TIMES * 99 / 100]);
        println!("{name:<30} {middle:>10.2} ms median, {high:.2} ms p99");
        Ok::<_, Failure>(())
    };
    time("history of a test, 400 runs", |db, n, _, suite| {
        Ok(executions::history(db, suite, TestId(n), 400)?.len())
    })?;
    time("a test over 7 days", |db, n, window, suite| {
        Ok(rollups::of_test(db, suite, TestId(n), window)?.len())
    })?;
    time("every test over 7 days", |db, _, window, suite| Ok(rollups::window(db, suite, window)?.len()))?;
    time("newest runs, a page of 100", |db, _, _, suite| {
        Ok(runs::list(db, suite, Page { offset: 0, limit: 100 })?.items.len())
    })?;
    time("failed executions of a run", |db, n, _, suite| {
        let Some(run) = runs::find(db, suite, RunId(n % 50 + 1))? else { return Ok(0) };
        Ok(failures::of_run(db, &run, Page { offset: 0, limit: 100 })?.items.len())
    })?;
    time("tests, a page of 100", |db, n, _, suite| {
        Ok(tests::list(db, suite, Protocol::Buildkite, Page { offset: n, limit: 100 })?.items.len())
    })
}
