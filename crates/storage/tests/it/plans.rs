//! Snapshots of the plans of hot reads, without and with statistics. A changed plan is a change to look at:
//! `UPDATE_PLANS=1` writes the new ones.

use crate::builder::{Fixture, NOON};
use casebook_model::execution::Outcome;
use casebook_model::time::DAY_US;
use casebook_storage::avocado::jobs::JobAttributes;
use casebook_storage::avocado::records::{self, Batch, NewJob, Of, Record};
use casebook_storage::hot_reads;
use casebook_testkit::{Engine, TestDatabase, both_engines};
use std::fmt::Write as _;
use std::path::Path;

both_engines!(hot_reads_keep_their_plans);

const TABLES: &[&str] = &[
    "token",
    "run",
    "execution",
    "failure",
    "failure_text",
    "execution_tags",
    "upload",
    "rollup",
    "test",
    "test_spelling",
    "machine",
    "avocado_job",
    "avocado_test",
    "avocado_activity",
    "avocado_datum",
];

fn hot_reads_keep_their_plans(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    if database.engine() == Engine::Postgres {
        // Statistics must come when this test says so.
        for table in TABLES {
            let off = format!("alter table {table} set (autovacuum_enabled = false)");
            fixture.store.write(|db| db.batch(&off)).unwrap();
        }
    }
    fill(&fixture);
    let mut text = String::from("# without statistics\n");
    text += &plans(&fixture);
    match database.engine() {
        Engine::Sqlite => fixture.store.refresh_statistics().unwrap(),
        Engine::Postgres => fixture.store.write(|db| db.batch("analyze")).unwrap(),
    }
    text += "\n# with statistics\n";
    text += &plans(&fixture);

    let name = match database.engine() {
        Engine::Sqlite => "sqlite.txt".to_owned(),
        Engine::Postgres => format!("postgres-{}.txt", fixture.number(MAJOR_VERSION)),
    };
    // Every version words its plans in its own way; what must never happen is the same for all.
    assert!(!text.contains("Seq Scan") && !text.contains("SCAN execution"), "{text}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/plans").join(name);
    if std::env::var_os("UPDATE_PLANS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    if !file.exists() {
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, expected, "plans differ from {}; look at them, then set UPDATE_PLANS=1", file.display());
}

const MAJOR_VERSION: &str = "select current_setting('server_version_num')::bigint / 10000";

/// 150 runs of 200 tests, each on a day of its own: rows that are never updated lie in the tables in one way only.
fn fill(fixture: &Fixture) {
    for n in 0..150 {
        let at = NOON.plus(-(150 - n) * DAY_US);
        let mut upload = fixture.upload(&format!("k{n}")).at(at).commit(&format!("c{}", n / 2));
        for test in 0..200 {
            let outcome = if (n + test) % 53 == 0 { Outcome::Failed } else { Outcome::Passed };
            upload = upload.result(&format!("t{test}"), outcome);
        }
        fixture.record(&[upload.build()]);
    }
    for n in 0..150 {
        fixture.store.write(|db| records::take_in(db, fixture.suite, &[&job(n)])).unwrap()[0].unwrap();
    }
}

/// A job of 50 tests, each with an activity and something kept with it.
fn job(n: i64) -> Batch {
    let attributes =
        JobAttributes { description: None, status: None, elapsed_seconds: 0.0, timeout: 0, priority: None };
    let at = NOON.plus(n);
    let mut all = vec![Record::Job(NewJob { unique_ident: None, attributes, created_at: at })];
    for test in 0..50 {
        let of = || Of::Tag(format!("t{test}"));
        all.push(Record::Activity { of: of(), activity: "STARTED".to_owned(), at, status: None });
        let (category, name) = ("result".to_owned(), "logdir".to_owned());
        all.push(Record::Datum { of: of(), category, name, value: None });
    }
    Batch { job: format!("j{n}"), records: all, repeatable: false }
}

fn plans(fixture: &Fixture) -> String {
    let mut text = String::new();
    for read in hot_reads::all() {
        let plan = fixture.store.read(|db| {
            if matches!(db, casebook_storage::Db::Postgres(_)) {
                // Small tables are read whole or by bitmap as the layout of the day has it; only the index matters here.
                db.batch("set enable_seqscan = off; set enable_bitmapscan = off")?;
            }
            db.plan(read.sql, &read.values)
        });
        let plan = plan.unwrap();
        let name = read.sql.trim_start_matches("/* ").split(" */").next().unwrap();
        writeln!(text, "\n{name}").unwrap();
        for line in plan.lines() {
            writeln!(text, "    {line}").unwrap();
        }
    }
    text
}
