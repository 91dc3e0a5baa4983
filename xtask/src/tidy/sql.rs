//! SQL stays in the storage crate, and there each statement starts with its name as a comment, so that slow
//! query logs explain themselves.

use super::Violation;
use super::rust_source::RustSource;

/// The crates whose sources may hold SQL.
const SQL_CRATES: [&str; 2] = ["crates/storage/", "crates/bench/"];

/// The sources whose statements are named.
const NAMED: &str = "crates/storage/src/";

pub(super) fn check(path: &str, source: &RustSource) -> Vec<Violation> {
    let foreign = path.contains("/src/") && !SQL_CRATES.iter().any(|room| path.starts_with(room));
    let named = path.starts_with(NAMED);
    let message = |text: &str| match Statement::read(text)? {
        _ if foreign => Some("SQL belongs in crates/storage, move this statement there"),
        Statement { is_named: false, is_definition: false } if named => {
            Some("start the statement with its name, as in /* runs.find */")
        }
        _ => None,
    };
    let literals = source.literals.iter();
    literals.filter_map(|literal| Some(Violation::new(path, literal.line, message(&literal.text)?))).collect()
}

/// What a string literal that looks like SQL is.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    is_named: bool,
    /// Definitions need no name: they run once.
    is_definition: bool,
}

impl Statement {
    fn read(literal: &str) -> Option<Statement> {
        let (name, text) = split_comment(trim_start(literal));
        let text = trim_start(text).to_ascii_lowercase();
        let words: Vec<&str> = text.split_whitespace().take(12).collect();
        let is_definition = match words.as_slice() {
            ["create", "table", ..] => true,
            ["select", ..] if text.len() > "select".len() => false,
            ["insert", "into", ..] | ["insert", "or", _, "into", ..] | ["delete", "from", ..] => false,
            ["update", _, "set", ..] | ["update", _, _, "set", ..] | ["update", _, "as", _, "set", ..] => {
                false
            }
            ["with", rest @ ..] if begins_subquery(rest) => false,
            _ => return None,
        };
        Some(Statement { is_named: !name.is_empty(), is_definition })
    }
}

/// Leaves out white space, also where it is written as an escape.
fn trim_start(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some(next) = ["\\n", "\\r", "\\t", "\\\n"].iter().find_map(|escape| rest.strip_prefix(escape)) {
        rest = next.trim_start();
    }
    rest
}

/// The text of a `/* comment */` in front, and what follows it.
fn split_comment(text: &str) -> (&str, &str) {
    let comment = text.strip_prefix("/*").and_then(|text| text.split_once("*/"));
    comment.map_or(("", text), |(comment, rest)| (comment.trim(), rest))
}

/// Whether words go on like `recursive name (column, column) as materialized (`.
fn begins_subquery(words: &[&str]) -> bool {
    let Some(as_at) = words.iter().position(|word| *word == "as" || word.starts_with("as(")) else {
        return false;
    };
    let opens = |word: &&str| word.starts_with('(') || word.starts_with("materialized");
    as_at > 0
        && (words[as_at].starts_with("as(")
            || words.get(as_at + 1).is_some_and(opens)
            || words.get(as_at + 1..as_at + 3).is_some_and(|next| next[0] == "not" && opens(&next[1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_sql(literal: &str) -> bool {
        Statement::read(literal).is_some()
    }

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(path, &RustSource::read(text)).iter().map(|violation| violation.line).collect()
    }

    /// Written in two halves, because this file may not hold SQL either.
    #[test]
    fn statements_are_recognized() {
        for literal in [
            concat!("sel", "ect 1"),
            concat!("SEL", "ECT 1"),
            concat!("\\n  sel", "ect id\n from run"),
            concat!("/* runs.find */ sel", "ect 1"),
            concat!("/* a */\n  ins", "ert into run values ($1)"),
            concat!("ins", "ert or ignore into run values ($1)"),
            concat!("upd", "ate run set a = 1"),
            concat!("upd", "ate run as r set a = 1"),
            concat!("del", "ete from run"),
            concat!("cre", "ate table run (id bigint)"),
            concat!("wi", "th newest as (sel"),
            concat!("wi", "th recursive a (b, c) as not materialized (sel"),
        ] {
            assert!(is_sql(literal), "{literal}");
        }
    }

    #[test]
    fn english_is_not_sql() {
        for literal in [
            "select",
            "selection of runs",
            "update failed",
            "updates are off",
            "delete",
            "with this as a start",
            "",
        ] {
            assert!(!is_sql(literal), "{literal}");
        }
    }

    #[test]
    fn sql_stays_in_storage() {
        let text = "fn a() {}\nconst B: &str = \"/* b */ delete from run\"; // \"select 1\"\n";
        assert_eq!(lines("crates/app/src/uploads.rs", text), [2]);
        assert_eq!(lines("crates/protocols/buildkite/src/lib.rs", text), [2]);
        assert_eq!(lines("crates/storage/src/runs.rs", text), [0; 0]);
        assert_eq!(lines("crates/bench/src/main.rs", text), [0; 0]);
        assert_eq!(lines("crates/app/tests/it/main.rs", text), [0; 0]);
    }

    #[test]
    fn storage_names_its_statements() {
        let text = "const A: &str = \"select 1\";\nconst B: &str = \"/* b */ select 1\";\n\
                    const C: &str = \"/**/ select 1\";\nconst D: &str = \"create table d (id bigint)\";\n";
        assert_eq!(lines("crates/storage/src/runs.rs", text), [1, 3]);
        assert_eq!(lines("crates/storage/tests/it/main.rs", text), [0; 0]);
    }
}
