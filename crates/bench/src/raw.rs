//! The raw append rate: the same rows into the executions table alone, every column bound, one durable transaction for each
//! 5,000; on SQLite by one thread with multi-row statements, on PostgreSQL by COPY.

use crate::fixture::TESTS;
use crate::setting::{Database, Engine, Failure};
use casebook_storage::{DatabaseUrl, Store};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::Type;
use std::time::Instant;

/// Rows in one statement: faster than a statement for each row.
const ROWS: usize = 64;

pub(crate) fn append(engine: Engine, uploads: usize) -> Result<f64, Failure> {
    let database = Database::new(engine)?;
    let url: DatabaseUrl = database.url.parse()?;
    drop(Store::open(&url)?);
    let seconds = match engine {
        Engine::Sqlite => append_sqlite(database.url.trim_start_matches("sqlite:"), uploads)?,
        Engine::Postgres => append_postgres(&database.url, uploads)?,
    };
    Ok((uploads * TESTS) as f64 / seconds)
}

fn duration_us(run: usize, test: usize) -> i64 {
    (4_000 + (test % 97) * 3_000 + (run % 13) * 700) as i64
}

fn append_sqlite(path: &str, uploads: usize) -> Result<f64, Failure> {
    let mut connection = rusqlite::Connection::open(path)?;
    connection.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 4000; pragma cache_size = -16000",
    )?;
    let insert = |rows: usize| {
        let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        format!(
            "insert into execution (suite_id, run_id, test_id, attempt, upload_id, variant_id, offset_ms, instance, outcome, \
             flags, duration_us, external_hash) values {}",
            vec![row; rows].join(",")
        )
    };
    let started = Instant::now();
    for run in 1..=uploads {
        let transaction = connection.transaction()?;
        let mut test = 0;
        while test < TESTS {
            let rows = ROWS.min(TESTS - test);
            let mut statement = transaction.prepare_cached(&insert(rows))?;
            let mut index = 1;
            for test in test..test + rows {
                let hash = (run as i64)
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(test as i64 * 1_442_695_041);
                let run_id = run as i64;
                let duration = duration_us(run, test);
                for value in [1, run_id, test as i64 + 1, 1, run_id, 1, 0, 0, 0, 0, duration, hash] {
                    statement.raw_bind_parameter(index, value)?;
                    index += 1;
                }
            }
            statement.raw_execute()?;
            test += rows;
        }
        transaction.commit()?;
    }
    Ok(started.elapsed().as_secs_f64())
}

fn append_postgres(url: &str, uploads: usize) -> Result<f64, Failure> {
    let mut client = postgres::Client::connect(url, postgres::NoTls)?;
    let types = [
        Type::INT4,
        Type::INT4,
        Type::INT4,
        Type::INT2,
        Type::INT4,
        Type::INT4,
        Type::INT4,
        Type::INT2,
        Type::INT2,
        Type::INT2,
        Type::INT8,
        Type::INT8,
    ];
    let started = Instant::now();
    for run in 1..=uploads {
        let mut transaction = client.transaction()?;
        let writer = transaction.copy_in(
            "copy execution (suite_id, run_id, test_id, attempt, upload_id, variant_id, offset_ms, instance, outcome, flags, \
             duration_us, external_hash) from stdin binary",
        )?;
        let mut writer = BinaryCopyInWriter::new(writer, &types);
        for test in 0..TESTS {
            let hash = (run as i64)
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(test as i64 * 1_442_695_041);
            let (run_id, test_id) = (run as i32, test as i32 + 1);
            writer.write(&[
                &1i32,
                &run_id,
                &test_id,
                &1i16,
                &run_id,
                &1i32,
                &0i32,
                &0i16,
                &0i16,
                &0i16,
                &duration_us(run, test),
                &hash,
            ])?;
        }
        writer.finish()?;
        transaction.commit()?;
    }
    Ok(started.elapsed().as_secs_f64())
}
