//! The schema: equal on both engines, and only ever migrated forward.

use casebook_storage::{StorageError, Store};
use casebook_testkit::{Engine, TestDatabase, both_engines};
use std::collections::BTreeMap;

both_engines!(
    opening_again_changes_nothing,
    a_newer_schema_is_refused,
    servers_that_start_together_migrate_once
);

fn open(database: &TestDatabase) -> Result<Store, StorageError> {
    Store::open(&database.url().parse().unwrap())
}

const SQLITE_COLUMNS: &str = "select m.name, c.name, c.\"notnull\", c.pk from sqlite_schema m join pragma_table_info(m.name) c \
     where m.type = 'table' and m.name not like 'sqlite_%' order by m.name, c.name";
const POSTGRES_COLUMNS: &str = "select cast(c.table_name as text), cast(c.column_name as text), \
     case when c.is_nullable = 'NO' then 1 else 0 end, \
     coalesce((select k.ordinal_position from information_schema.key_column_usage k \
       join information_schema.table_constraints t on t.constraint_name = k.constraint_name and t.constraint_type = 'PRIMARY KEY' \
       where k.table_name = c.table_name and k.column_name = c.column_name), 0)::bigint \
     from information_schema.columns c where c.table_schema = 'public' order by 1, 2";
const SQLITE_INDEXES: &str = "select name, tbl_name from sqlite_schema where type = 'index' and name not like 'sqlite_%' order by name";
const POSTGRES_INDEXES: &str = "select cast(indexname as text), cast(tablename as text) from pg_indexes \
     where schemaname = 'public' and not exists (select 1 from pg_constraint where conname = indexname) order by 1";

type Columns = BTreeMap<(String, String), (bool, i64)>;

fn columns(store: &Store, sql: &'static str) -> Columns {
    let read = store
        .read(|db| db.query(sql, &[], |row| Ok(((row.get(0)?, row.get(1)?), (row.flag(2)?, row.get(3)?)))));
    // An integer key of a row table may not be null either way, but only PostgreSQL says so.
    let rows = read.unwrap().into_iter().map(|(name, (required, key))| (name, (required || key > 0, key)));
    rows.collect()
}

fn indexes(store: &Store, sql: &'static str) -> Vec<(String, String)> {
    store.read(|db| db.query(sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))).unwrap()
}

#[test]
fn both_engines_have_the_same_tables_columns_and_indexes() {
    let sqlite = TestDatabase::new(Engine::Sqlite).unwrap();
    let Some(postgres) = TestDatabase::new(Engine::Postgres) else { return };
    let (sqlite, postgres) = (open(&sqlite).unwrap(), open(&postgres).unwrap());
    assert_eq!(columns(&sqlite, SQLITE_COLUMNS), columns(&postgres, POSTGRES_COLUMNS));
    assert_eq!(indexes(&sqlite, SQLITE_INDEXES), indexes(&postgres, POSTGRES_INDEXES));
}

fn opening_again_changes_nothing(database: &TestDatabase) {
    drop(open(database).unwrap());
    let store = open(database).unwrap();
    let versions: i64 =
        store.read(|db| db.get("select count(*) from schema_migration", &[], |row| row.get(0))).unwrap();
    assert_eq!(versions, 1);
}

fn a_newer_schema_is_refused(database: &TestDatabase) {
    let store = open(database).unwrap();
    let newer = "insert into schema_migration (version, program) values (99, 'tomorrow')";
    store.write(|db| db.execute(newer, &[])).unwrap();
    drop(store);
    let refused = open(database).map(drop).unwrap_err();
    assert!(matches!(refused, StorageError::NewerSchema { found: 99, known: 1 }), "{refused}");
}

fn servers_that_start_together_migrate_once(database: &TestDatabase) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| open(database).map(drop).unwrap());
        }
    });
}
