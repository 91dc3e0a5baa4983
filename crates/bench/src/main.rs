//! Measures the budgets: ingest, reading and space, as ratios within one run (`docs/performance.md`).

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark speaks through its output")]

mod fixture;
mod http;
mod ingest;
mod raw;
mod reads;
mod setting;

use clap::Parser;
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
    /// Single-result requests
    #[arg(long, default_value_t = 40_000)]
    singles: usize,
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
    println!("== {engine:?}: {} uploads of 5,000 results, durable", arguments.uploads);
    let raw = raw::append(engine, arguments.uploads)?;
    println!("raw append                     {raw:>10.0} rows/s");

    let setting = Setting::new(engine)?;
    let parsed = ingest::from_parsed_results(&setting, arguments.uploads)?;
    println!("from parsed results, 8 clients {parsed:>10.0} results/s   {:.2} of raw", parsed / raw);
    let bytes = setting.bytes()?;
    println!(
        "space, everything counted      {:>10.1} bytes/result",
        bytes / (arguments.uploads * fixture::TESTS) as f64
    );
    reads::measure(&setting)?;
    drop(setting);

    let setting = Setting::new(engine)?;
    let over_http = http::uploads(&setting, arguments.uploads)?;
    println!("over HTTP, 8 clients           {over_http:>10.0} results/s   {:.2} of raw", over_http / raw);
    drop(setting);

    let setting = Setting::new(engine)?;
    let singles = http::singles(&setting, arguments.singles)?;
    println!("single results, 64 connections {singles:>10.0} requests/s");
    println!(
        "peak memory of this process    {:>10.1} MB (load generator included)",
        setting::peak_memory_mb()
    );
    Ok(())
}
