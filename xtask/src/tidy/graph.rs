//! Which crate may depend on which: the table below is the architecture.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Violation;
use crate::command::{self, cargo};

/// Each crate with the crates of ours that it may depend on.
/// Development dependencies may also go to `casebook-testkit` and to anything further down.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "casebook",
        &[
            "casebook-server",
            "casebook-uploader",
            "casebook-buildkite",
            "casebook-aviator",
            "casebook-monitor",
            "casebook-avocado",
            "casebook-app",
            "casebook-api",
            "casebook-formats",
            "casebook-analysis",
            "casebook-storage",
            "casebook-model",
        ],
    ),
    (
        "casebook-server",
        &[
            "casebook-buildkite",
            "casebook-aviator",
            "casebook-monitor",
            "casebook-avocado",
            "casebook-http",
            "casebook-app",
            "casebook-api",
            "casebook-model",
        ],
    ),
    ("casebook-http", &["casebook-app"]),
    ("casebook-uploader", &["casebook-api", "casebook-formats", "casebook-model"]),
    ("casebook-buildkite", PROTOCOL),
    ("casebook-aviator", PROTOCOL),
    ("casebook-monitor", PROTOCOL),
    ("casebook-avocado", PROTOCOL),
    ("casebook-app", &["casebook-formats", "casebook-analysis", "casebook-storage", "casebook-model"]),
    ("casebook-api", &["casebook-model"]),
    ("casebook-formats", &["casebook-model"]),
    ("casebook-analysis", &["casebook-model"]),
    ("casebook-storage", &["casebook-model"]),
    ("casebook-model", &[]),
    ("casebook-testkit", &["casebook-model"]),
    ("casebook-bench", ANY),
    ("xtask", &[]),
];

/// What every protocol may use; protocols do not know each other.
const PROTOCOL: &[&str] = &["casebook-http", "casebook-app", "casebook-formats", "casebook-model"];

const ANY: &[&str] = &["*"];

const TESTKIT: &str = "casebook-testkit";

/// Crates of others that are at home in few places.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "axum",
        &[
            "casebook-server",
            "casebook-http",
            "casebook-buildkite",
            "casebook-aviator",
            "casebook-monitor",
            "casebook-avocado",
            "casebook-testkit",
        ],
    ),
    ("rusqlite", &["casebook-storage", "casebook-bench"]),
    ("postgres", &["casebook-storage", "casebook-bench", "casebook-testkit"]),
    ("quick-xml", &["casebook-formats"]),
];

/// Crates of others that a crate of ours does without.
const BANNED: &[(&str, &[&str])] = &[("casebook-model", &["tokio", "serde", "axum", "rusqlite", "postgres"])];

pub(super) fn check(root: &Path) -> Result<Vec<Violation>> {
    let metadata = command::output(&mut cargo(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let mut violations = Vec::new();
    for package in packages(&metadata) {
        let manifest = fs::read_to_string(package.manifest)
            .with_context(|| format!("could not read {}", package.manifest.display()))?;
        let path = package.manifest.strip_prefix(root).unwrap_or(package.manifest);
        for (dependency, message) in problems(&package) {
            violations.push(Violation::new(&path.to_string_lossy(), line_of(&manifest, dependency), message));
        }
    }
    Ok(violations)
}

struct Package<'a> {
    name: &'a str,
    manifest: &'a Path,
    dependencies: Vec<Dependency<'a>>,
}

struct Dependency<'a> {
    name: &'a str,
    is_development: bool,
}

fn packages(metadata: &Value) -> impl Iterator<Item = Package<'_>> {
    list(metadata, "packages").map(|package| Package {
        name: text(package, "name"),
        manifest: Path::new(text(package, "manifest_path")),
        dependencies: list(package, "dependencies")
            .map(|dependency| Dependency {
                name: text(dependency, "name"),
                is_development: text(dependency, "kind") == "dev",
            })
            .collect(),
    })
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Each forbidden dependency with what is wrong about it.
fn problems<'a>(package: &Package<'a>) -> Vec<(&'a str, String)> {
    let name = package.name;
    let Some(allowed) = lookup(ALLOWED, name) else {
        return vec![("", format!("{name} has no line in the table of xtask/src/tidy/graph.rs, add one"))];
    };
    let dependencies = package.dependencies.iter();
    let problem = |dependency: &Dependency<'a>| {
        let Dependency { name: to, is_development } = *dependency;
        let is_allowed = if is_ours(to) {
            allows(allowed, to) || is_development && (to == TESTKIT || is_below(name, to))
        } else {
            is_development || has_room(name, to)
        };
        (!is_allowed).then(|| (to, format!("{name} must not depend on {to}, see xtask/src/tidy/graph.rs")))
    };
    dependencies.filter_map(problem).collect()
}

fn is_ours(name: &str) -> bool {
    lookup(ALLOWED, name).is_some() || name.starts_with("casebook")
}

fn allows(allowed: &[&str], to: &str) -> bool {
    allowed == ANY || allowed.contains(&to)
}

/// Whether `to` can be reached from `from` by allowed dependencies.
fn is_below(from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(name) = waiting.pop() {
        let allowed = lookup(ALLOWED, name).unwrap_or_default();
        if allows(allowed, to) {
            return true;
        }
        waiting.extend(allowed.iter().filter(|next| seen.insert(**next)));
    }
    false
}

fn has_room(name: &str, external: &str) -> bool {
    let is_at_home = lookup(ROOMS, external).is_none_or(|rooms| rooms.contains(&name));
    is_at_home && !lookup(BANNED, name).is_some_and(|banned| banned.contains(&external))
}

fn lookup<'a>(table: &'a [(&str, &'a [&'a str])], key: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(name, _)| *name == key).map(|(_, values)| *values)
}

/// Where the manifest names the dependency; the first line if it is not written plainly.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names_it = |line: &str| {
        let rest = line.trim_start().strip_prefix(dependency);
        !dependency.is_empty() && rest.is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    };
    manifest.lines().position(names_it).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad<'a>(name: &'a str, dependencies: &[(&'a str, &str)]) -> Vec<&'a str> {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name, is_development: *kind == "dev" })
            .collect();
        let package = Package { name, manifest: Path::new("Cargo.toml"), dependencies };
        problems(&package).into_iter().map(|(dependency, _)| dependency).collect()
    }

    #[test]
    fn dependencies_point_down() {
        assert_eq!(bad("casebook-app", &[("casebook-storage", ""), ("casebook-model", "")]), [""; 0]);
        assert_eq!(bad("casebook-app", &[("casebook-server", "")]), ["casebook-server"]);
        assert_eq!(bad("casebook-formats", &[("casebook-storage", "")]), ["casebook-storage"]);
        assert_eq!(bad("casebook-model", &[("casebook-formats", "")]), ["casebook-formats"]);
        assert_eq!(bad("casebook-buildkite", &[("casebook-aviator", "")]), ["casebook-aviator"]);
        assert_eq!(bad("casebook-server", &[("casebook-storage", "")]), ["casebook-storage"]);
        assert_eq!(bad("casebook-bench", &[("casebook", ""), ("casebook-testkit", "")]), [""; 0]);
        assert_eq!(bad("casebook", &[("casebook-testkit", "")]), ["casebook-testkit"]);
    }

    #[test]
    fn tests_may_use_the_testkit_and_what_is_below() {
        assert_eq!(
            bad("casebook-server", &[("casebook-testkit", "dev"), ("casebook-storage", "dev")]),
            [""; 0]
        );
        assert_eq!(bad("casebook-storage", &[("casebook-testkit", "dev")]), [""; 0]);
        assert_eq!(bad("casebook-storage", &[("casebook-app", "dev")]), ["casebook-app"]);
        assert_eq!(bad("casebook-storage", &[("casebook-testkit", "")]), ["casebook-testkit"]);
    }

    #[test]
    fn other_crates_have_their_rooms() {
        assert_eq!(bad("casebook-server", &[("axum", ""), ("rusqlite", ""), ("serde", "")]), ["rusqlite"]);
        assert_eq!(bad("casebook-storage", &[("rusqlite", ""), ("postgres", ""), ("axum", "")]), ["axum"]);
        assert_eq!(
            bad("casebook-testkit", &[("axum", ""), ("postgres", ""), ("rusqlite", "")]),
            ["rusqlite"]
        );
        assert_eq!(bad("casebook-model", &[("jiff", ""), ("serde", ""), ("tokio", "")]), ["serde", "tokio"]);
    }

    #[test]
    fn every_crate_has_a_line_in_the_table() {
        assert_eq!(bad("casebook-new", &[]), [""]);
        for (_, allowed) in ALLOWED {
            let known = |name: &&&str| **name == "*" || lookup(ALLOWED, name).is_some();
            assert!(allowed.iter().all(|name| known(&name)), "{allowed:?}");
        }
    }

    #[test]
    fn packages_are_read_from_metadata() {
        let metadata = serde_json::json!({"packages": [{
            "name": "casebook-app",
            "manifest_path": "/a/Cargo.toml",
            "dependencies": [{"name": "axum", "kind": null}, {"name": "postgres", "kind": "dev"}],
        }]});
        let packages: Vec<Package<'_>> = packages(&metadata).collect();
        assert_eq!(packages.len(), 1);
        let bad: Vec<&str> = problems(&packages[0]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(bad, ["axum"]);
    }

    #[test]
    fn violations_point_at_the_line() {
        let manifest = "[dependencies]\naxum-core = \"1\"\naxum.workspace = true\n";
        assert_eq!(line_of(manifest, "axum"), 3);
        assert_eq!(line_of(manifest, "tokio"), 1);
    }
}
