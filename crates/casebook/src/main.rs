//! The `casebook` command: one file per subcommand.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks through its output")]

mod allocator;
mod check;
mod configuration;
mod database;
mod demo;
mod export;
mod import;
mod openapi;
mod policy;
mod replay;
mod retention;
mod run;
mod serve;
mod simulate;
mod suite;
mod test;
mod token;
mod upload;
mod user;
mod webhook;

use casebook_model::policy::InvalidRunCounts;
use casebook_storage::InvalidDatabaseUrl;
use clap::{Parser, Subcommand};
use configuration::NotParsed;
use std::error::Error;
use std::io::{self, ErrorKind::BrokenPipe};
use std::path::PathBuf;
use std::process::ExitCode;

/// Uploads are parsed on many threads; the system's allocator keeps the memory of each (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps the case history of every test: takes in the results of every CI run, whatever tool wrote them.
#[derive(Parser)]
#[command(name = "casebook", version, max_term_width = 100)]
struct Arguments {
    /// File with values for options that neither flags nor variables give [default: casebook.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "CASEBOOK_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve uploads and reading over HTTP
    Serve(serve::Serve),
    /// Serve a fresh database filled with the results of a generated project
    Demo(demo::Demo),
    Upload(Box<upload::Upload>),
    Import(Box<import::Import>),
    /// Fold a stream of executions through the detector and print each change of health
    Replay(replay::Replay),
    /// Measure the detector on a generated project with known causes
    Simulate(simulate::Simulate),
    /// Keep single runs whatever their age
    Run(run::RunCommand),
    /// Drop old runs
    Retention(retention::RetentionCommand),
    /// Make, change and list suites
    Suite(suite::SuiteCommand),
    /// Make, list and revoke tokens
    Token(token::TokenCommand),
    /// Make, change, list and remove users
    User(user::UserCommand),
    /// Say that tests are flaky, or not
    Test(test::TestCommand),
    /// Set how often failing tests are run
    Policy(policy::PolicyCommand),
    /// Make, list, try and remove webhooks, and look after their deliveries
    Webhook(webhook::WebhookCommand),
    /// Write the executions of a suite, for casebook replay or as a table
    Export(export::Export),
    /// Fold every stored upload again and compare the detector's states, and count what is stored
    Check(check::Check),
    /// Print the description of the HTTP API (OpenAPI 3.1)
    Openapi(openapi::Openapi),
}

/// What a command fails with: one sentence for people, and what is behind it.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments = match configuration::arguments() {
        Ok(arguments) => arguments,
        Err(NotParsed::Usage(error)) => return wrong_usage(&error),
        Err(NotParsed::File(error)) => {
            eprintln!("error: {}", sentence(&error));
            return ExitCode::from(2);
        }
    };
    if matches!(arguments.command, Command::Serve(_) | Command::Demo(_)) {
        allocator::settle();
    }
    let result = match arguments.command {
        Command::Serve(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Upload(command) => return command.run(),
        Command::Import(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Simulate(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Retention(command) => command.run(),
        Command::Suite(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::User(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Policy(command) => command.run(),
        Command::Webhook(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Openapi(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the list has seen enough.
        Err(error) if error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", sentence(&*error));
            // The address of the database is checked late, so that a wrong one is not repeated with its password.
            let is_input = matches!(error.downcast_ref(), Some(replay::InvalidStream::Line { .. }));
            let is_usage = error.is::<InvalidDatabaseUrl>() || error.is::<InvalidRunCounts>();
            if is_usage || is_input { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// One sentence for wrong usage; help and version, which come the same way, are shown as they are.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    match text.split("\n\n").next() {
        Some(told) if told.starts_with("error: ") => {
            let told: Vec<&str> = told.split_whitespace().collect();
            eprintln!("{}; --help tells more", told.join(" "));
        }
        // Standard output or error may be closed; nothing more can be said then.
        _ => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// The error and its causes in one line, without saying anything twice.
fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text.replace('\n', " ")
}
