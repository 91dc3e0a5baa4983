//! Avocado's API over HTTP: single records of 64 clients, and pages of large jobs.

use crate::http::{Connection, Serving, in_parallel};
use crate::setting::{Engine, Failure, Setting};
use casebook_app::avocado::Ending;
use casebook_app::avocado::jobs::JobAttributes;
use casebook_app::avocado::records::{Batch, NewJob, Record};
use casebook_model::avocado::{JobStatus, TestStatus};
use std::time::Instant;

const CLIENTS: usize = 64;

/// Tests of a large job, and how many such jobs there are: a page of them.
const TESTS: usize = 20_000;
const JOBS: usize = 10;

/// Tests that are stored together.
const SLICE: usize = 5_000;

pub(crate) fn measure(engine: Engine, count: usize) -> Result<(), Failure> {
    let setting = Setting::new(engine)?;
    singles(&setting, count)?;
    drop(setting);
    let setting = Setting::new(engine)?;
    pages(&setting)
}

/// Each client has a job, and sends tests of it, activities of it, and activities of tests by their tags.
fn singles(setting: &Setting, count: usize) -> Result<(), Failure> {
    let serving = Serving::start(setting)?;
    let mut connection = Connection::open(serving.address, &setting.token)?;
    for client in 0..CLIENTS {
        let body = format!(r#"{{"id": "job-{client}", "status": "RUNNING"}}"#);
        connection.post_json("/jobs/", body.as_bytes(), " 201 ")?;
    }
    let rate = |name: &str, path: &str, body: &(dyn Fn(usize) -> String + Sync)| {
        let send = |client: usize, index: usize, connection: &mut Connection| {
            let path = format!("/jobs/job-{client}/{path}/");
            connection.post_json(&path, body(index).as_bytes(), " 200 ")
        };
        let started = Instant::now();
        in_parallel(CLIENTS, count, send, serving.address, &setting.token)?;
        let rate = count as f64 / started.elapsed().as_secs_f64();
        println!("{name:<40} {rate:>9.0} requests/s, {CLIENTS} connections");
        Ok::<_, Failure>(())
    };
    let test =
        |index: usize| format!(r#"{{"tag": "{index}-net.py:Net.test_{}", "status": "PASS"}}"#, index % 5_000);
    // A first round makes the tests of the suite, as a server in use has them.
    let first = |index: usize| test(1_000_000 + index);
    rate("tests, new to the suite", "tests", &first)?;
    rate("tests", "tests", &test)?;
    let moment = |index: usize| {
        format!("2026-01-02 {:02}:{:02}:{:02}", index / 3600 % 24, index / 60 % 60, index % 60)
    };
    rate("activities of jobs", "activities", &|index| {
        format!(r#"{{"activity": "STEP {index}", "time": "{}"}}"#, moment(index))
    })?;
    rate("activities of tests by tag", "test_activity", &|index| {
        let tag = format!("{}-net.py:Net.test_{}", index, index % 5_000);
        format!(
            r#"{{"test_tag": "{tag}", "activity": "ENDED", "time": "{}", "status": "PASS"}}"#,
            moment(index)
        )
    })?;
    Ok(())
}

fn pages(setting: &Setting) -> Result<(), Failure> {
    let serving = Serving::start(setting)?;
    for number in 0..JOBS {
        fill(setting, &format!("large-{number}"))?;
    }
    let mut connection = Connection::open(serving.address, &setting.token)?;
    let mut time = |name: &str, times: usize, path: &str| {
        let length = connection.get(path)?;
        let mut taken = Vec::with_capacity(times);
        for _ in 0..times {
            let started = Instant::now();
            connection.get(path)?;
            taken.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        taken.sort_by(f64::total_cmp);
        let (middle, high) = (taken[times / 2], taken[times * 99 / 100]);
        println!("{name:<40} {middle:>9.2} ms median, {high:.2} ms p99, {length} bytes");
        Ok::<_, Failure>(())
    };
    let tests = "/jobs/large-3/tests/";
    time("GET tests of a job, first page", 300, tests)?;
    time("GET tests of a job, page in the middle", 300, &format!("{tests}?page=1000"))?;
    time("GET tests of a job, last page", 300, &format!("{tests}?page=last"))?;
    time("GET tests of a job by tag, last page", 50, &format!("{tests}?ordering=-tag&page=last"))?;
    time("GET summary of a job's tests", 300, &format!("{tests}summary/"))?;
    time("GET a job of 20,000 tests", 20, "/jobs/large-3/")?;
    time("GET jobs, ten of 20,000 tests", 10, "/jobs/")?;
    Ok(())
}

/// Makes a job with many tests.
fn fill(setting: &Setting, job: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tags: Vec<String> = (0..TESTS).map(|n| format!("{n:05}-net.py:Net.test_{n}")).collect();
    for slice in tags.chunks(SLICE) {
        let attributes = JobAttributes {
            description: None,
            status: Some(JobStatus::Pass),
            elapsed_seconds: 1.0,
            timeout: 0,
            priority: None,
        };
        let job_record = NewJob { unique_ident: None, attributes, created_at: setting.app.now() };
        let test = |tag: &String| Record::Test { tag: tag.clone(), status: Some(TestStatus::Pass) };
        let records = std::iter::once(Record::Job(job_record)).chain(slice.iter().map(test)).collect();
        let ending =
            |tag: &String| Ending { tag: tag.clone(), status: TestStatus::Pass, at: None, duration_us: None };
        let endings = slice.iter().map(ending).collect();
        let batch = Batch { job: job.to_owned(), records, repeatable: true };
        runtime.block_on(setting.app.keep(&setting.suite, None, batch, endings))?;
    }
    Ok(())
}
