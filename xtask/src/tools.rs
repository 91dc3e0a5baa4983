//! The programs our steps need: found, or installed where we may.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

use crate::command::{self, cargo};

/// The oldest PostgreSQL we support.
const OLDEST_POSTGRES: u32 = 15;

/// Where the PostgreSQL server programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PostgresBinaries {
    pub(crate) folder: PathBuf,
    pub(crate) major_version: u32,
}

/// Finds the PostgreSQL server programs, or installs them as root on a system with apt.
pub(crate) fn postgres() -> Result<PostgresBinaries> {
    if let Some(folder) = std::env::var_os("CASEBOOK_PG_BIN") {
        return binaries_in(Path::new(&folder)).with_context(|| {
            format!(
                "CASEBOOK_PG_BIN must name a folder with initdb, postgres and pg_ctl of PostgreSQL \
                     {OLDEST_POSTGRES} or newer"
            )
        });
    }
    if let Some(found) = find_postgres() {
        return Ok(found);
    }
    if !may_install()? {
        bail!(
            "no PostgreSQL server ({OLDEST_POSTGRES} or newer) was found: install the package `postgresql`, or \
             set CASEBOOK_PG_BIN, or leave PostgreSQL out with `cargo xtask ci --sqlite-only`"
        );
    }
    install_postgres()?;
    find_postgres().context("the package `postgresql` is installed, but its server programs were not found")
}

/// Makes sure that `cargo nextest` works.
pub(crate) fn nextest() -> Result<()> {
    if command::succeeds(&mut cargo(["nextest", "--version"])) {
        return Ok(());
    }
    println!("cargo-nextest is missing, installing it");
    command::run(&mut cargo(["install", "cargo-nextest", "--locked"]))
}

/// Makes sure that `python3 -m venv` works.
pub(crate) fn python_venv() -> Result<()> {
    let modules_are_there =
        || command::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"]));
    if modules_are_there() {
        return Ok(());
    }
    if may_install()? {
        apt_install(&["python3-venv"])?;
    }
    if !modules_are_there() {
        bail!("`python3 -m venv` does not work: install Python 3.11 or newer and the package `python3-venv`");
    }
    Ok(())
}

fn find_postgres() -> Option<PostgresBinaries> {
    let from_pg_config = command::output(Command::new("pg_config").arg("--bindir")).ok().map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    from_pg_config
        .and_then(|folder| binaries_in(&folder).ok())
        .or_else(newest_packaged)
        .or_else(|| std::env::split_paths(&path).find_map(|folder| binaries_in(&folder).ok()))
}

/// Debian keeps each major version in a folder of its own, outside PATH.
fn newest_packaged() -> Option<PostgresBinaries> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|entry| entry.path().join("bin"));
    folders.filter_map(|folder| binaries_in(&folder).ok()).max_by_key(|found| found.major_version)
}

fn binaries_in(folder: &Path) -> Result<PostgresBinaries> {
    for program in ["initdb", "postgres", "pg_ctl"] {
        if !folder.join(program).is_file() {
            bail!("{} has no {program}", folder.display());
        }
    }
    let version = command::output(Command::new(folder.join("postgres")).arg("--version"))?;
    match major_version(&version) {
        Some(major_version) if major_version >= OLDEST_POSTGRES => {
            Ok(PostgresBinaries { folder: folder.to_owned(), major_version })
        }
        _ => bail!("{} holds {version}", folder.display()),
    }
}

/// Reads the 15 of `postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)`; also `16beta1`.
fn major_version(text: &str) -> Option<u32> {
    let number = text.split_once("(PostgreSQL) ")?.1;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

fn install_postgres() -> Result<()> {
    println!("PostgreSQL is missing, installing it");
    // The package would make and start a cluster of its own, which nobody here uses.
    apt_install(&["postgresql-common"])?;
    let settings = Path::new("/etc/postgresql-common/createcluster.conf");
    let mut text = fs::read_to_string(settings).unwrap_or_default();
    text.push_str("\ncreate_main_cluster = false\n");
    fs::write(settings, text).with_context(|| format!("could not write {}", settings.display()))?;
    apt_install(&["postgresql"])
}

/// Whether packages can be installed without asking anybody: as root, on a system with apt.
fn may_install() -> Result<bool> {
    Ok(command::is_root()? && command::succeeds(Command::new("apt-get").arg("--version")))
}

fn apt_install(packages: &[&str]) -> Result<()> {
    static UPDATED: AtomicBool = AtomicBool::new(false);
    if !UPDATED.swap(true, Ordering::Relaxed) {
        command::run(Command::new("apt-get").args(["-q", "update"]))?;
    }
    let mut install = Command::new("apt-get");
    install.args(["-q", "install", "--yes", "--no-install-recommends"]).args(packages);
    command::run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_versions() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_version("postgres (PostgreSQL) 17"), Some(17));
        assert_eq!(major_version("something else"), None);
    }

    #[test]
    fn a_folder_without_the_programs_is_refused() {
        let error = binaries_in(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere has no initdb");
    }
}
