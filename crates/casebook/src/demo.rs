//! `casebook demo`: a fresh database filled through the public upload API with a made-up project.

mod project;

use crate::Failure;
use crate::database::now;
use crate::serve::{Listening, log, runtime, terminated};
use crate::webhook;
use casebook_app::clock::Clock;
use casebook_app::webhooks::Settings;
use casebook_app::{Anonymous, App, Options, setup};
use casebook_model::id::{SuiteId, TestId};
use casebook_model::rollup::RollupCell;
use casebook_model::run::Protocol;
use casebook_storage::{DatabaseUrl, Store, rollups, suites, tests};
use clap::Args;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

#[derive(Args)]
pub(crate) struct Demo {
    /// Address and port to listen on; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9405", env = "CASEBOOK_LISTEN")]
    listen: SocketAddr,
    /// Stop after printing what was found
    #[arg(long, env = "CASEBOOK_EXIT")]
    exit: bool,
    /// Seed of the made-up project
    #[arg(long, value_name = "NUMBER", default_value_t = 1, env = "CASEBOOK_SEED")]
    seed: u64,
}

/// Rows of each list in the summary.
const ROWS: usize = 5;

impl Demo {
    pub(crate) fn run(self) -> Result<(), Failure> {
        log(false);
        let folder = tempfile::Builder::new().prefix("casebook-demo-").tempdir()?;
        let store = Store::open(&DatabaseUrl::Sqlite(folder.path().join("casebook.db")))?;
        let first = setup::first_start(&store, now())?.ok_or("the demo's database is not empty")?;
        let suite = store.read(|db| suites::find(db, setup::DEFAULT_SLUG, setup::DEFAULT_SLUG))?;
        let suite = suite.ok_or("the demo's suite is missing")?.id;

        let runtime = runtime()?;
        let listening = runtime.block_on(Listening::bind(self.listen, None))?;
        let address = format!("http://{}", listening.main.local_addr()?);
        let webhooks = Settings { key_file: Some(folder.path().join("casebook.key")), ..webhook::settings() };
        let (public_url, anonymous, clock) = (address.clone(), Anonymous::None, Clock::System);
        let app = App::start(store, Options { public_url, anonymous, clock, webhooks, keep_days: None })?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let signalled = terminated(&runtime)?;
        let server =
            runtime.spawn(listening.serve(Arc::clone(&app), casebook_server::Options::default(), async {
                tokio::select! {
                    () = signalled => {}
                    _ = stopped => {}
                }
            }));
        println!("Casebook demo: a made-up web shop, uploaded through {address}/v1/uploads");
        fill(&address, &first.token, self.seed)?;
        let window =
            rollups::Window { first_day: now().day() - 28, last_day: now().day(), branch_class: None };
        print!("{}", runtime.block_on(summary(&app, suite, window))?);
        print!("{}", found(&address, &first.token)?);
        println!();
        if self.exit {
            // The server may have been stopped by a signal already.
            let _ = stop.send(());
        } else {
            println!("Serving at {address} until Ctrl-C. The database goes away with the demo.");
            println!(
                "  user:      {}\n  password:  {}\n  token:     {}",
                first.user, first.password, first.token
            );
            let path = "v2/analytics/organizations/default/suites/default/tests?sort_by=reliability&order=asc&per_page=3";
            println!(
                "Try:  curl -H 'Authorization: Bearer {}' -H 'Buildkite-Version: 2026-08-01' \\",
                first.token
            );
            println!("        '{address}/{path}'");
        }
        io::stdout().flush()?;
        runtime.block_on(server)?
    }
}

/// Uploads the project build by build, saying how far it is.
fn fill(address: &str, token: &str, seed: u64) -> Result<(), Failure> {
    let started = Instant::now();
    let builds = project::builds(seed, now());
    let agent = ureq::Agent::new_with_defaults();
    let mut results = 0;
    for (number, build) in (1..).zip(&builds) {
        let sent = agent
            .post(&format!("{address}/v1/uploads"))
            .header("Authorization", &format!("Token token=\"{token}\""))
            .send_json(&build.upload);
        sent.map_err(|error| format!("the demo's upload {number} was refused: {error}"))?;
        results += build.results;
        if io::stdout().is_terminal() {
            print!("\r  {number} of {} builds, {results} results", builds.len());
            io::stdout().flush()?;
        }
    }
    if io::stdout().is_terminal() {
        println!();
    }
    println!("  {} builds with {results} results in {:.1} s", builds.len(), started.elapsed().as_secs_f64());
    Ok(())
}

/// What the detector found, asked for like any other client would.
fn found(address: &str, token: &str) -> Result<String, Failure> {
    let mut text = String::new();
    for (health, title) in [("flaky", "Flaky tests"), ("broken", "Broken tests")] {
        let url = format!("{address}/api/casebook/v1/suites/default/default/tests?health={health}&limit=200");
        let answer = ureq::get(&url).header("Authorization", &format!("Bearer {token}")).call();
        let page: serde_json::Value = answer?.body_mut().read_json()?;
        let mut tests: Vec<(f64, String)> = Vec::new();
        for test in page["items"].as_array().into_iter().flatten() {
            let member = |name: &str| test[name].as_str().unwrap_or_default();
            let name = format!("{}::{}", member("class_name"), member("name"));
            tests.push((test["failure_probability"].as_f64().unwrap_or(0.0), name));
        }
        tests.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        if tests.is_empty() {
            continue;
        }
        text += &format!("\n{title} ({} found)\n", tests.len());
        for (probability, name) in tests.iter().take(ROWS) {
            text += &format!("  fails {:>5.1} % on good code  {name}\n", probability * 100.0);
        }
    }
    Ok(text)
}

/// Most failing and slowest tests.
async fn summary(app: &App, suite: SuiteId, window: rollups::Window) -> Result<String, Failure> {
    let text = app.read(move |db| {
        let cells = rollups::window(db, suite, window)?;
        let failing = top(&cells, |cell| cell.failed as f64);
        let slowest = top(&cells, |cell| cell.duration_sum_us as f64 / cell.timed.max(1) as f64);
        let ids: Vec<TestId> = failing.iter().chain(&slowest).map(|(id, _)| *id).collect();
        let mut names = std::collections::HashMap::new();
        for shown in tests::by_ids(db, suite, &ids, Protocol::Buildkite)? {
            names.insert(shown.test.id, format!("{}::{}", shown.scope, shown.name));
        }
        let name = |id: &TestId| names.get(id).map_or("", String::as_str);
        let mut text = String::from("\nMost failing tests (28 days)\n");
        for (id, cell) in &failing {
            let rate = 100.0 * cell.failed as f64 / (cell.passed + cell.failed).max(1) as f64;
            text += &format!("  {:>4} failures  {rate:>5.1} %  {}\n", cell.failed, name(id));
        }
        text += "\nSlowest tests (28 days)\n";
        for (id, cell) in &slowest {
            let average = cell.duration_sum_us as f64 / cell.timed.max(1) as f64 / 1e6;
            text += &format!("  {average:>7.3} s on average  {}\n", name(id));
        }
        Ok(text)
    });
    Ok(text.await?)
}

/// The tests with the largest `value` above 0.
fn top(cells: &[(TestId, RollupCell)], value: impl Fn(&RollupCell) -> f64) -> Vec<(TestId, RollupCell)> {
    let mut sorted: Vec<_> = cells.iter().filter(|(_, cell)| value(cell) > 0.0).copied().collect();
    sorted.sort_by(|(_, a), (_, b)| value(b).total_cmp(&value(a)));
    sorted.truncate(ROWS);
    sorted
}
