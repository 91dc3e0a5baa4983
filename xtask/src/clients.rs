//! The client programs that tests run against the server: Python and npm packages, pinned, kept in a cache
//! folder outside the repository.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::tools;

/// Programs whose packages do not go together each have a Python of their own.
const VENVS: &[Venv] = &[
    Venv {
        name: "python",
        variable: "CASEBOOK_TEST_PYTHON",
        requirements: include_str!("../clients/python.txt"),
    },
    Venv {
        name: "aviator-7",
        variable: "CASEBOOK_TEST_AVIATOR_7",
        requirements: include_str!("../clients/aviator-7.txt"),
    },
    Venv {
        name: "aviator-8",
        variable: "CASEBOOK_TEST_AVIATOR_8",
        requirements: include_str!("../clients/aviator-8.txt"),
    },
    // The client library's own requirements are those of the server that it comes with, so the list is complete.
    Venv {
        name: "monitor",
        variable: "CASEBOOK_TEST_MONITOR",
        requirements: include_str!("../clients/monitor.txt"),
    },
    Venv {
        name: "avocado",
        variable: "CASEBOOK_TEST_AVOCADO",
        requirements: include_str!("../clients/avocado.txt"),
    },
    // The last release that came with clients of Avocado Server.
    Venv {
        name: "avocado-69",
        variable: "CASEBOOK_TEST_AVOCADO_69",
        requirements: include_str!("../clients/avocado-69.txt"),
    },
];

/// Packages of which tests run programs that their installation leaves out: the source goes into the folder `source`.
const SOURCES: &[(&str, &str)] = &[("avocado-69", "avocado-framework==69.0")];

const NODE_PACKAGE: &str = include_str!("../clients/package.json");

/// Written last, so that a half-made folder is recognized and made again.
const MARKER: &str = ".complete";

/// A virtual environment of Python.
struct Venv {
    name: &'static str,
    /// Tests find its interpreter through this variable.
    variable: &'static str,
    requirements: &'static str,
}

/// Where the prepared clients are: variables through which tests find them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clients(Vec<(&'static str, PathBuf)>);

impl Clients {
    /// The variables and their values.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.0.iter().map(|(variable, path)| (*variable, path.as_path()))
    }
}

/// `cargo xtask clients`.
pub(crate) fn command() -> Result<()> {
    for (variable, path) in prepare()?.environment() {
        println!("{variable}={}", path.display());
    }
    Ok(())
}

/// Installs what is missing.
pub(crate) fn prepare() -> Result<Clients> {
    let folders = Folders::locate()?;
    let _lock = lock(&folders.cache)?;
    for (venv, folder) in VENVS.iter().zip(&folders.venvs) {
        prepare_venv(venv.name, venv.requirements, folder)?;
    }
    if !folders.node_is_ready() {
        make(&folders.node, make_node)?;
    }
    Ok(folders.clients())
}

/// The interpreter of a Python environment with these packages; it is made if it is missing.
pub(crate) fn python(name: &str, requirements: &str) -> Result<PathBuf> {
    let cache = cache_folder()?;
    let folder = venv_folder(&cache, name, requirements);
    let _lock = lock(&cache)?;
    prepare_venv(name, requirements, &folder)?;
    Ok(python_in(&folder))
}

/// Two runs at once must not build the same folder. The lock ends with the file handle.
fn lock(cache: &Path) -> Result<File> {
    fs::create_dir_all(cache)
        .with_context(|| format!("could not make the cache folder {}", cache.display()))?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock().context("could not lock the cache folder")?;
    Ok(lock)
}

fn venv_folder(cache: &Path, name: &str, requirements: &str) -> PathBuf {
    cache.join(format!("{name}-{:016x}", fnv1a(requirements)))
}

fn prepare_venv(name: &str, requirements: &str, folder: &Path) -> Result<()> {
    if python_is_ready(folder) {
        return Ok(());
    }
    make(folder, |folder| make_venv(name, requirements, folder))
}

/// The clients, if an earlier run prepared them.
pub(crate) fn find_prepared() -> Result<Option<Clients>> {
    let folders = Folders::locate()?;
    let ready = folders.venvs.iter().all(|folder| python_is_ready(folder)) && folders.node_is_ready();
    Ok(ready.then(|| folders.clients()))
}

/// The folders are named after their content, so a changed pin makes a new folder.
struct Folders {
    cache: PathBuf,
    /// In the order of [`VENVS`].
    venvs: Vec<PathBuf>,
    node: PathBuf,
}

impl Folders {
    fn locate() -> Result<Folders> {
        let cache = cache_folder()?;
        let folder = |venv: &Venv| venv_folder(&cache, venv.name, venv.requirements);
        let venvs = VENVS.iter().map(folder).collect();
        let node = cache.join(format!("node-{:016x}", fnv1a(NODE_PACKAGE)));
        Ok(Folders { cache, venvs, node })
    }

    fn node_is_ready(&self) -> bool {
        self.node.join(MARKER).is_file()
    }

    fn clients(&self) -> Clients {
        let pythons = VENVS.iter().zip(&self.venvs).map(|(venv, folder)| (venv.variable, python_in(folder)));
        let node = ("CASEBOOK_TEST_NODE_MODULES", self.node.join("node_modules"));
        Clients(pythons.chain([node]).collect())
    }
}

/// A venv points at the Python it was made with, which may have gone since.
fn python_is_ready(folder: &Path) -> bool {
    folder.join(MARKER).is_file()
        && command::succeeds(Command::new(python_in(folder)).args(["-c", "import pip"]))
}

fn cache_folder() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("CASEBOOK_CACHE_DIR")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("casebook")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache/casebook")))
        .context("there is no HOME to keep a cache in: set CASEBOOK_CACHE_DIR to a folder")?;
    Ok(std::path::absolute(folder)?)
}

fn make(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    println!("preparing {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("could not remove the half-made folder {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    fill(folder)?;
    fs::write(folder.join(MARKER), "")?;
    Ok(())
}

fn make_venv(name: &str, packages: &str, folder: &Path) -> Result<()> {
    tools::python_venv()?;
    command::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, packages)?;
    let mut pip = Command::new(python_in(folder));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    if name == "monitor" {
        pip.arg("--no-deps");
    }
    pip.arg("--requirement");
    command::run(pip.arg(requirements))
        .with_context(|| format!("the Python packages of xtask/clients/{name}.txt could not be installed"))?;
    for (_, package) in SOURCES.iter().filter(|(of, _)| *of == name) {
        unpack_source(package, folder).with_context(|| format!("no source of {package} could be had"))?;
    }
    Ok(())
}

fn unpack_source(package: &str, folder: &Path) -> Result<()> {
    let source = folder.join("source");
    let mut pip = Command::new(python_in(folder));
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    command::run(pip.args(["--no-binary", ":all:", package, "--dest"]).arg(&source))?;
    for entry in fs::read_dir(&source)? {
        let mut unpack = Command::new("tar");
        command::run(
            unpack.arg("-xzf").arg(entry?.path()).arg("-C").arg(&source).arg("--strip-components=1"),
        )?;
    }
    Ok(())
}

fn make_node(folder: &Path) -> Result<()> {
    if !command::succeeds(Command::new("npm").arg("--version")) {
        anyhow::bail!("npm was not found: install Node.js 20 or newer with npm");
    }
    fs::write(folder.join("package.json"), NODE_PACKAGE)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]);
    command::run(npm.current_dir(folder))
        .context("the npm packages of xtask/clients/package.json could not be installed")
}

fn python_in(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

/// A hash that stays the same from one Rust release to the next, which std's hashers do not promise.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_fnv1a() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn every_python_requirement_is_pinned() {
        for Venv { requirements, .. } in VENVS {
            assert!(requirements.lines().all(|line| line.contains("==")), "{requirements}");
        }
    }

    #[test]
    fn every_npm_dependency_is_pinned() {
        let package: serde_json::Value = serde_json::from_str(NODE_PACKAGE).unwrap();
        for (name, version) in package["dependencies"].as_object().unwrap() {
            let version = version.as_str().unwrap();
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{name} {version}");
        }
    }
}
