//! Each migration exists for both engines.

use std::collections::BTreeSet;

use super::Violation;

const ENGINES: [&str; 2] = ["sqlite", "postgres"];

pub(super) fn check(paths: &[String]) -> Vec<Violation> {
    let [sqlite, postgres] = ENGINES.map(|engine| names(paths, engine));
    let missing = |engine: &str, name: &&str| {
        let path = format!("crates/storage/migrations/{engine}/{name}");
        Violation::new(&path, 1, "this migration is missing: it exists for the other engine only")
    };
    let from_postgres = sqlite.difference(&postgres).map(|name| missing("postgres", name));
    let from_sqlite = postgres.difference(&sqlite).map(|name| missing("sqlite", name));
    from_postgres.chain(from_sqlite).collect()
}

fn names<'a>(paths: &'a [String], engine: &str) -> BTreeSet<&'a str> {
    let folder = format!("crates/storage/migrations/{engine}/");
    paths.iter().filter_map(|path| path.strip_prefix(&folder)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_come_in_pairs() {
        let paths = ["sqlite/0001_init.sql", "postgres/0001_init.sql", "sqlite/0002_more.sql"]
            .map(|name| format!("crates/storage/migrations/{name}"));
        let found = check(&paths);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "crates/storage/migrations/postgres/0002_more.sql");
        assert_eq!(check(&paths[..2]), []);
        assert_eq!(check(&[]), []);
    }
}
