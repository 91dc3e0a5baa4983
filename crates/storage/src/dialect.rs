//! The few spellings in which SQLite differs from PostgreSQL, by name.
//!
//! Statements are written for PostgreSQL. For SQLite: `$1` becomes `?1` (SQLite numbers `$1` by first appearance, not by its
//! digits), `= any($2)` reads a JSON list, `= any($2::bytea[])` a JSON list of hexadecimal keys, `/*+ NAME */` behind a table
//! names the index that SQLite would not find by itself, and `for update` goes away, with `skip locked`, because SQLite
//! has one writer.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

/// SQLite's text of each statement seen so far. Statements are constants, so this stays small.
/// They are told apart by where they are, because some are too long to be compared with every use.
static SQLITE: LazyLock<RwLock<HashMap<(usize, usize), &'static str>>> = LazyLock::new(RwLock::default);

/// SQLite's text of `sql`.
pub(crate) fn for_sqlite(sql: &'static str) -> &'static str {
    let place = (sql.as_ptr().addr(), sql.len());
    if let Some(known) = SQLITE.read().unwrap_or_else(PoisonError::into_inner).get(&place) {
        return known;
    }
    let text: &'static str = String::leak(translate(sql));
    SQLITE.write().unwrap_or_else(PoisonError::into_inner).insert(place, text);
    text
}

fn translate(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 32);
    let mut rest = sql;
    while let Some(at) = rest.find("= any(") {
        out.push_str(&rest[..at]);
        let inner = &rest[at + "= any(".len()..];
        let end = inner.find(')').unwrap_or(inner.len());
        match inner[..end].strip_suffix("::bytea[]") {
            Some(parameter) => out.push_str(&format!("in (select unhex(value) from json_each({parameter}))")),
            None => out.push_str(&format!("in (select value from json_each({}))", &inner[..end])),
        }
        rest = inner.get(end + 1..).unwrap_or("");
    }
    out.push_str(rest);
    let mut out = out.replace(" for update skip locked", "").replace(" for update", "").replace('$', "?");
    while let Some(at) = out.find("/*+ ") {
        let Some(end) = out[at..].find(" */") else { break };
        let index = format!("indexed by {}", &out[at + "/*+ ".len()..at + end]);
        out.replace_range(at..at + end + " */".len(), &index);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        assert_eq!(
            for_sqlite(
                "/* t */ select a from t where b = $2 and c = any($1) and k = any($3::bytea[]) for update"
            ),
            "/* t */ select a from t where b = ?2 and c in (select value from json_each(?1)) and k in (select unhex(value) from json_each(?3))"
        );
        assert_eq!(for_sqlite("/* t */ select a from t for update skip locked"), "/* t */ select a from t");
        assert_eq!(
            for_sqlite("/* t */ select a from t /*+ t_by_a */ where b = $1"),
            "/* t */ select a from t indexed by t_by_a where b = ?1"
        );
    }
}
