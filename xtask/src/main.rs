//! Automation for developers and continuous integration. `cargo xtask ci` is the one test command.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod bench;
mod ci;
mod clients;
mod command;
mod pg;
mod plugin;
mod tidy;
mod tools;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask <command>

Commands:
  ci [--sqlite-only] [--all]
                         check and test everything, as continuous integration does
  plugin [--all]         test the pytest plugin on the oldest and newest pytest, or on every major version
  tidy                   check the house rules
  pg [-- command...]     start a throw-away PostgreSQL, run the command with it or wait for Ctrl-C
  bench [args...]        run the benchmarks, with a PostgreSQL that syncs to disk
  clients                prepare the Python and npm packages that tests use, print where they are

docs/development.md says more.";

/// Exit code for a command line that makes no sense.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[OsString]) -> Result<ExitCode> {
    let Some((name, rest)) = arguments.split_first() else {
        eprintln!("{HELP}");
        return Ok(ExitCode::from(USAGE));
    };
    match name.to_str() {
        Some("-h" | "--help" | "help") => println!("{HELP}"),
        Some("ci") => ci::run(ci::Options::parse(rest)?)?,
        Some("tidy") => {
            refuse_arguments("tidy", rest)?;
            tidy::run()?;
        }
        Some("pg") => return pg::command(rest),
        Some("bench") => bench::run(rest)?,
        Some("plugin") => plugin::command(rest)?,
        Some("clients") => {
            refuse_arguments("clients", rest)?;
            clients::command()?;
        }
        _ => {
            eprintln!("error: there is no command `{}`\n\n{HELP}", name.display());
            return Ok(ExitCode::from(USAGE));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse_arguments(command: &str, rest: &[OsString]) -> Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(first) => bail!("`cargo xtask {command}` takes no arguments, remove `{}`", first.display()),
    }
}
