//! `cargo xtask tidy`: house rules that no other tool checks. docs/development.md lists them.

mod graph;
mod links;
mod migrations;
mod rust_source;
mod sql;
mod text;
mod tree;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::command;
use rust_source::RustSource;

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Violation {
        Violation { path: path.to_owned(), line, message: message.into() }
    }
}

/// Prints every violation, not just the first.
pub(crate) fn run() -> Result<()> {
    let root = command::repository_root();
    let paths = tree::list(root)?;
    let mut violations = graph::check(root)?;
    violations.extend(migrations::check(&paths));
    for path in paths.iter().filter(|path| is_checked(path)) {
        let text = fs::read_to_string(root.join(path)).with_context(|| format!("could not read {path}"))?;
        violations.extend(check_file(path, &text));
        if path.ends_with(".md") {
            violations.extend(links::check(root, path, &text));
        }
    }
    violations.sort();
    for Violation { path, line, message } in &violations {
        println!("{path}:{line}: {message}");
    }
    match violations.len() {
        0 => Ok(()),
        1 => bail!("1 place breaks the house rules, see docs/development.md"),
        count => bail!("{count} places break the house rules, see docs/development.md"),
    }
}

fn is_checked(path: &str) -> bool {
    [".rs", ".md", ".toml", ".sql"].iter().any(|extension| path.ends_with(extension))
}

/// The rules that need nothing but the file itself.
fn check_file(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = text::trailing_whitespace(path, text);
    if path.ends_with(".rs") {
        let source = RustSource::read(text);
        violations.extend(text::file_name(path));
        violations.extend(text::length(path, text));
        violations.extend(text::forbidden_code(path, &source));
        violations.extend(text::unfinished_comments(path, &source));
        violations.extend(sql::check(path, &source));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_violations_of_a_file_are_found() {
        let text = "// TODO: more \nconst A: &str = \"select 1\";\n#[allow(unused)]\nfn a() {}\n";
        let found = check_file("crates/app/src/a/mod.rs", text);
        let mut lines: Vec<usize> = found.iter().map(|violation| violation.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [1, 1, 1, 2, 3], "{found:?}");
    }
}
