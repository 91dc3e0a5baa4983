//! The tests of the pytest plugin, `python/pytest-casebook`, on several versions of pytest.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::clients;
use crate::command::{self, cargo, repository_root};

/// A version of pytest and what is tested with it.
struct Version {
    name: &'static str,
    requirements: &'static str,
    /// Files of tests; none for all.
    tests: &'static [&'static str],
}

/// The oldest that is supported, with the plugin this one replaces, which works on nothing newer.
const OLDEST: Version =
    Version { name: "pytest-7.0", requirements: include_str!("../clients/pytest-7.0.txt"), tests: &[] };

/// The newest, with the plugins this one works beside and the checks of the source.
const NEWEST: Version =
    Version { name: "pytest-9", requirements: include_str!("../clients/pytest-9.txt"), tests: &[] };

/// The last of the other major lines, and the newest with plugins that are large or seldom seen beside ours.
const MORE: &[Version] = &[
    Version { name: "pytest-7", requirements: include_str!("../clients/pytest-7.txt"), tests: &[] },
    Version { name: "pytest-8", requirements: include_str!("../clients/pytest-8.txt"), tests: &[] },
    Version {
        name: "pytest-beside",
        requirements: include_str!("../clients/pytest-beside.txt"),
        tests: &["tests/test_ddtrace.py", "tests/test_neighbours.py", "tests/test_kinds.py"],
    },
];

/// Processes that run tests side by side: most tests wait for other processes.
const PROCESSES: &str = "4";

/// `cargo xtask plugin`.
pub(crate) fn command(arguments: &[OsString]) -> Result<()> {
    match arguments {
        [] => run(false),
        [all] if all == "--all" => run(true),
        [first, ..] => bail!("`plugin` does not know `{}`, its only option is --all", first.display()),
    }
}

/// Checks the source, then runs the tests on the oldest and the newest pytest; with `all` also the slow ones, and with what
/// there is more.
pub(crate) fn run(all: bool) -> Result<()> {
    command::run(&mut cargo(["build", "--package", "casebook", "--locked"]))?;
    let server = server()?;
    let newest = clients::python(NEWEST.name, NEWEST.requirements)?;
    for check in [&["ruff", "check", "."][..], &["ruff", "format", "--check", "."], &["mypy"]] {
        command::run(Command::new(&newest).arg("-m").args(check).current_dir(folder()))?;
    }
    let more = if all { MORE } else { &[] };
    for version in [&OLDEST].into_iter().chain(more).chain([&NEWEST]) {
        let python = clients::python(version.name, version.requirements)?;
        test(version, &python, &server, all)
            .with_context(|| format!("the plugin fails with {}", version.name))?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    repository_root().join("python/pytest-casebook")
}

fn target() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    repository_root().join(named.unwrap_or_else(|| "target".into()))
}

/// The server against which a part of the tests runs.
fn server() -> Result<PathBuf> {
    let path = target().join("debug").join("casebook");
    path.canonicalize().with_context(|| format!("{} was not built", path.display()))
}

/// Builds the package as it would be published, installs that beside the cached environment, and tests it.
fn test(version: &Version, python: &Path, server: &Path, all: bool) -> Result<()> {
    println!("--- {}", version.name);
    let installed = target().join("plugin").join(version.name);
    if installed.exists() {
        std::fs::remove_dir_all(&installed)?;
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--no-build-isolation", "--target"]).arg(&installed).arg(folder());
    command::run(&mut pip)?;
    let mut tests = Command::new(python);
    tests.args(["-m", "pytest", "-q", "-p", "xdist.plugin", "-p", "no:cacheprovider", "-n", PROCESSES]);
    if !all {
        tests.args(["-m", "not slow"]);
    }
    tests.args(version.tests);
    // Other plugins are there to be tested beside ours, not to take part.
    tests.env("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    tests.env("PYTHONPATH", &installed).env("CASEBOOK_BINARY", server);
    command::run(tests.current_dir(folder()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_pinned() {
        for Version { name, requirements, .. } in MORE.iter().chain([&OLDEST, &NEWEST]) {
            assert!(requirements.lines().all(|line| line.contains("==")), "{name}");
        }
    }
}
