//! Projects that real clients run in, and what they need to find the server.

use casebook_testkit::TestServer;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) const BUILD: &str = "0199a3c1-5d1e-4b7e-9a3c-2f1d6f0a7b11";
pub(crate) const JOB: &str = "0199a3c2-0b44-4e7f-8b1a-6c5d4e3f2a10";
pub(crate) const COMMIT: &str = "3b0d1f6c2a9e47d58c1f0e6a7b8c9d0e1f2a3b4c";
pub(crate) const BRANCH: &str = "feature/vouchers";

/// Where `cargo xtask` put clients of one kind.
pub(crate) fn clients(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty());
    let path = value.unwrap_or_else(|| {
        panic!("{variable} is not set: run the tests through cargo xtask ci, or cargo xtask pg after cargo xtask clients")
    });
    PathBuf::from(path)
}

/// Writes the files of a project into a fresh folder.
pub(crate) fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

/// A program in the folder, as Buildkite's agent would run it: with these variables and the user's path alone.
pub(crate) fn in_build(program: &Path, folder: &Path, token: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder);
    command
        .env("CI", "true")
        .env("BUILDKITE_ANALYTICS_TOKEN", token)
        .env("BUILDKITE_BUILD_ID", BUILD)
        .env("BUILDKITE_BUILD_URL", "https://buildkite.com/acme/cart/builds/1042")
        .env("BUILDKITE_BUILD_NUMBER", "1042")
        .env("BUILDKITE_JOB_ID", JOB)
        .env("BUILDKITE_BRANCH", BRANCH)
        .env("BUILDKITE_COMMIT", COMMIT)
        .env("BUILDKITE_MESSAGE", "Apply vouchers before tax\n\nSigned-off-by: Dana Käfer");
    command
}

/// Runs it to its end, which must be with that code, and returns what it printed.
pub(crate) fn finish(mut command: Command, server: &TestServer, code: i32) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{text}\n{}", server.log());
    text
}
