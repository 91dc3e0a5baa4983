//! `cargo xtask ci`: every check and every test, in one order, stopping at the first failure.

use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::clients::{self, Clients};
use crate::command::{self, cargo};
use crate::pg::{Cluster, Durability};
use crate::plugin;
use crate::tidy;
use crate::tools::{self, PostgresBinaries};

/// What the command line asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Leave PostgreSQL out: nothing is tested on it.
    sqlite_only: bool,
    /// Test the plugin on every major version of pytest, not only on the oldest and the newest.
    all: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Options> {
        let mut options = Options::default();
        for argument in arguments {
            match argument.to_str() {
                Some("--sqlite-only") => options.sqlite_only = true,
                Some("--all") => options.all = true,
                _ => bail!(
                    "`ci` does not know `{}`, its options are --sqlite-only and --all",
                    argument.display()
                ),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(options: Options) -> Result<()> {
    let mut steps = Steps::default();
    let tools = steps.run("tools", || Tools::prepare(options))?;
    steps.run("fmt", || command::run(&mut cargo(["fmt", "--all", "--check"])))?;
    steps.run("tidy", tidy::run)?;
    steps.run("clippy", || {
        let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        command::run(&mut cargo(clippy))
    })?;
    steps.run("doc", || {
        let doc = ["doc", "--workspace", "--no-deps", "--locked"];
        command::run(cargo(doc).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    let cluster = match &tools.postgres {
        Some(binaries) => Some(steps.run("postgres", || Cluster::start(binaries, Durability::Off))?),
        None => None,
    };
    // Doctests first: the last count that is read is then that of the tests.
    steps.run("doctests", || {
        let doctests = cargo(["test", "--workspace", "--doc", "--locked"]);
        command::run(&mut with_test_environment(doctests, &tools.clients, cluster.as_ref()))
    })?;
    steps.run("tests", || {
        let nextest = cargo(["nextest", "run", "--workspace", "--locked"]);
        command::run(&mut with_test_environment(nextest, &tools.clients, cluster.as_ref()))
    })?;
    drop(cluster);
    steps.run("plugin", || plugin::run(options.all))?;
    steps.print_table();
    Ok(())
}

/// What the later steps need from the machine.
struct Tools {
    postgres: Option<PostgresBinaries>,
    clients: Clients,
}

impl Tools {
    fn prepare(options: Options) -> Result<Tools> {
        let postgres = if options.sqlite_only { None } else { Some(tools::postgres()?) };
        if let Some(binaries) = &postgres {
            println!("PostgreSQL {}: {}", binaries.major_version, binaries.folder.display());
        }
        tools::nextest()?;
        let clients = clients::prepare()?;
        for (variable, path) in clients.environment() {
            println!("{variable}={}", path.display());
        }
        Ok(Tools { postgres, clients })
    }
}

/// Tells tests where the engines and the client programs are. What an outer shell says about engines is
/// overruled: this run answers for exactly the engines it was asked to test.
fn with_test_environment(mut command: Command, clients: &Clients, cluster: Option<&Cluster>) -> Command {
    command.envs(clients.environment());
    match cluster {
        Some(cluster) => {
            command.env("CASEBOOK_TEST_POSTGRES", cluster.url()).env_remove("CASEBOOK_TEST_ENGINES")
        }
        None => command.env("CASEBOOK_TEST_ENGINES", "sqlite").env_remove("CASEBOOK_TEST_POSTGRES"),
    };
    command
}

/// The steps that are behind us, with the time each took.
#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    fn run<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}");
        let started = Instant::now();
        let result = step();
        let elapsed = started.elapsed();
        println!("    {name} took {}", seconds(elapsed));
        self.done.push((name, elapsed));
        result.with_context(|| format!("step `{name}` failed"))
    }

    fn print_table(&self) {
        println!("\n{:<10} {:>10}", "step", "time");
        for (name, elapsed) in &self.done {
            println!("{name:<10} {:>10}", seconds(*elapsed));
        }
        let total = self.done.iter().map(|(_, elapsed)| *elapsed).sum();
        println!("{:<10} {:>10}", "all", seconds(total));
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        assert_eq!(Options::parse(&[]).unwrap(), Options::default());
        let sqlite_only = Options { sqlite_only: true, ..Options::default() };
        assert_eq!(Options::parse(&["--sqlite-only".into()]).unwrap(), sqlite_only);
        let both = Options { sqlite_only: true, all: true };
        assert_eq!(Options::parse(&["--all".into(), "--sqlite-only".into()]).unwrap(), both);
        assert!(Options::parse(&["--keep-going".into()]).is_err());
    }

    #[test]
    fn a_failed_step_is_named() {
        let error = Steps::default().run("fmt", || -> Result<()> { bail!("not formatted") }).unwrap_err();
        assert_eq!(format!("{error:#}"), "step `fmt` failed: not formatted");
    }
}
