//! Measures the budgets: ingest, reading and space, as ratios within one run (`docs/performance.md`).

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark speaks through its output")]

mod answers;
mod avocado;
mod fixture;
mod http;
mod ingest;
mod measurements;
mod memory;
mod raw;
mod reads;
mod reruns;
mod setting;

use clap::Parser;
use fixture::Shape;
use setting::{Engine, Failure, Setting};
use std::process::ExitCode;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures ingest, reading and space on one engine.
#[derive(Parser)]
struct Arguments {
    /// sqlite, postgres (the server that CASEBOOK_BENCH_POSTGRES names), or both
    #[arg(long, default_value = "both")]
    engine: String,
    /// Uploads of 5,000 results in each ingest measurement
    #[arg(long, default_value_t = 200)]
    uploads: usize,
    /// Uploads that make one run: the suite has 5,000 times as many tests
    #[arg(long, default_value_t = 1, value_parser = shards)]
    shards: usize,
    /// Measure the memory of the server alone
    #[arg(long)]
    memory: bool,
    /// Measure the rerun list alone
    #[arg(long)]
    reruns: bool,
    /// Measure Avocado's API alone
    #[arg(long)]
    avocado: bool,
    /// Measure pytest-monitor alone, with so many metrics for reading
    #[arg(long, value_name = "METRICS")]
    monitor: Option<usize>,
    /// Single-result requests
    #[arg(long, default_value_t = 40_000)]
    singles: usize,
}

fn shards(text: &str) -> Result<usize, String> {
    let shards = text.parse().ok().filter(|shards| *shards > 0 && ingest::PREPARED.is_multiple_of(*shards));
    shards.ok_or_else(|| format!("use a divisor of {}", ingest::PREPARED))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let engines: &[Engine] = match arguments.engine.as_str() {
        "sqlite" => &[Engine::Sqlite],
        "postgres" => &[Engine::Postgres],
        _ => &[Engine::Sqlite, Engine::Postgres],
    };
    for engine in engines {
        if let Err(error) = measure(*engine, &arguments) {
            eprintln!("error: {engine:?}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn measure(engine: Engine, arguments: &Arguments) -> Result<(), Failure> {
    if arguments.avocado {
        println!("== {engine:?}: Avocado's API, durable");
        return avocado::measure(engine, arguments.singles);
    }
    let shape = Shape { uploads: arguments.uploads, shards: arguments.shards };
    let (tests, runs) = (shape.shards * fixture::TESTS, shape.uploads.div_ceil(shape.shards));
    println!(
        "== {engine:?}: {} uploads of 5,000 results, {tests} tests, {runs} runs, durable",
        shape.uploads
    );
    if let Some(metrics) = arguments.monitor {
        measurements::singles(&Setting::new(engine)?, arguments.singles)?;
        let results = http::singles(&Setting::new(engine)?, arguments.singles)?;
        println!("  single results beside that   {results:>10.0} requests/s");
        return measurements::answers(&Setting::new(engine)?, metrics);
    }
    if arguments.memory {
        return memory::measure(engine, shape);
    }
    if arguments.reruns {
        let setting = Setting::new(engine)?;
        ingest::from_parsed_results(&setting, shape)?;
        return reruns::measure(&setting, shape);
    }
    let raw = raw::append(engine, arguments.uploads)?;
    println!("raw append                     {raw:>10.0} rows/s");

    let setting = Setting::new(engine)?;
    let parsed = ingest::from_parsed_results(&setting, shape)?;
    println!("from parsed results, 8 clients {parsed:>10.0} results/s   {:.2} of raw", parsed / raw);
    let bytes = setting.bytes()?;
    println!(
        "space, everything counted      {:>10.1} bytes/result",
        bytes / (arguments.uploads * fixture::TESTS) as f64
    );
    reads::measure(&setting)?;
    answers::measure(&setting, tests, runs)?;
    reruns::measure(&setting, shape)?;
    drop(setting);

    let setting = Setting::new(engine)?;
    let over_http = http::uploads(&setting, shape)?;
    println!("over HTTP, 8 clients           {over_http:>10.0} results/s   {:.2} of raw", over_http / raw);
    drop(setting);

    let setting = Setting::new(engine)?;
    let singles = http::singles(&setting, arguments.singles)?;
    println!("single results, 64 connections {singles:>10.0} requests/s");
    memory::measure(engine, shape)
}
