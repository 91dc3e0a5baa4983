//! Columns: one value of [`BLOCK`] neighbouring metrics in one row, so that the largest of a million are found by reading
//! eight megabytes. A block is written when all its metrics are there; the newest metrics are read themselves.

use super::numbers::Numbers;
use crate::db::Db;
use crate::error::StorageError;
use crate::insert::Insert;
use crate::value::{Row, Value, values};
use casebook_model::id::SuiteId;
use casebook_model::measurement::Resource;

/// Metrics of a block; the first block begins with metric 1.
pub(super) const BLOCK: i64 = 512;

const VALUES: &str = "/* monitor.values */ select metric_no, measured from monitor_metric where suite_id = $1 and metric_no >= $2 and metric_no <= $3 order by metric_no";
const BLOCKS: &str = "/* monitor.blocks */ select block, body from monitor_column where suite_id = $1 and resource = $2 order by block";
const SOME_BLOCKS: &str = "/* monitor.some_blocks */ select block, body from monitor_column \
     where suite_id = $1 and resource = $2 and block = any($3) order by block";
const NEWEST: &str = "/* monitor.newest_values */ select metric_no, measured from monitor_metric where suite_id = $1 and metric_no > $2 order by metric_no";
const FILLED: &str = "/* monitor.filled */ select metrics from suite_counter where suite_id = $1";
const PUT: Insert =
    Insert { into: "monitor_column (suite_id, resource, block, body)", columns: 4, conflict: "" };
const REPLACE: Insert = Insert {
    into: "monitor_column (suite_id, resource, block, body)",
    columns: 4,
    conflict: "on conflict (suite_id, resource, block) do update set body = excluded.body",
};
const DROP: &str =
    "/* monitor.drop_columns */ delete from monitor_column where suite_id = $1 and block = any($2)";

/// Blocks that are cleared at once.
const AT_ONCE: usize = 256;

/// Writes the blocks that became full when the last metric became number `after` instead of `before`.
pub(super) fn fill(db: &mut Db<'_>, suite: SuiteId, before: i64, after: i64) -> Result<(), StorageError> {
    for block in before / BLOCK..after / BLOCK {
        let mut bodies: [Vec<u8>; 5] = std::array::from_fn(|_| Vec::with_capacity(BLOCK as usize * 8));
        let mut next = block * BLOCK + 1;
        db.each(VALUES, values![suite.get(), next, (block + 1) * BLOCK], |row| {
            let number: i64 = row.get(0)?;
            // What retention took away has no value.
            for _ in next..number {
                bodies.iter_mut().for_each(|body| body.extend_from_slice(&f64::NAN.to_le_bytes()));
            }
            next = number + 1;
            for (value, body) in measured(row, 1)?.iter().zip(&mut bodies) {
                body.extend_from_slice(&value.to_le_bytes());
            }
            Ok(())
        })?;
        let mut rows: Vec<Value<'_>> = Vec::with_capacity(bodies.len() * PUT.columns);
        for (resource, body) in Resource::ALL.iter().zip(&bodies) {
            rows.extend_from_slice(values![suite.get(), resource.code(), block, body.as_slice()]);
        }
        PUT.rows(db, &rows)?;
    }
    Ok(())
}

/// Takes the values of metrics that are no longer there out of the full blocks; blocks that nothing is left of go.
pub(super) fn clear(db: &mut Db<'_>, suite: SuiteId, gone: &Numbers) -> Result<(), StorageError> {
    let metrics: i64 = db.get(FILLED, values![suite.get()], |row| row.get(0))?;
    for blocks in gone.blocks(metrics / BLOCK).chunks(AT_ONCE) {
        let mut empty: Vec<i64> = Vec::new();
        for resource in Resource::ALL {
            let place = [suite.get().into(), resource.code().into(), Value::Ints(blocks)];
            let mut bodies =
                db.query(SOME_BLOCKS, &place, |row| Ok((row.get::<i64>(0)?, row.bytes(1)?.to_vec())))?;
            bodies.retain_mut(|(block, body)| {
                let (values, _) = body.as_chunks_mut::<8>();
                for at in gone.of_block(*block) {
                    if let Some(value) = values.get_mut(at) {
                        *value = f64::NAN.to_le_bytes();
                    }
                }
                values.iter().any(|value| !f64::from_le_bytes(*value).is_nan())
            });
            let mut rows: Vec<Value<'_>> = Vec::with_capacity(bodies.len() * REPLACE.columns);
            for (block, body) in &bodies {
                rows.extend_from_slice(values![suite.get(), resource.code(), *block, body.as_slice()]);
            }
            REPLACE.rows(db, &rows)?;
            let left = |block: &i64| bodies.iter().any(|(kept, _)| kept == block);
            empty = blocks.iter().copied().filter(|block| !left(block)).collect();
        }
        // All five values of a metric go together, so what is empty of one resource is empty of all.
        db.execute(DROP, &[suite.get().into(), Value::Ints(&empty)])?;
    }
    Ok(())
}

/// Calls `visit` with number and value of each of `members`, or of all metrics, in rising order of the numbers.
pub(super) fn each(
    db: &mut Db<'_>,
    suite: SuiteId,
    resource: Resource,
    members: Option<&Numbers>,
    mut visit: impl FnMut(i64, f64),
) -> Result<(), StorageError> {
    let metrics: i64 = db.get(FILLED, values![suite.get()], |row| row.get(0))?;
    let filled = metrics / BLOCK;
    let (suite_value, code) = (Value::from(suite.get()), Value::from(resource.code()));
    let mut read = |row: &Row<'_>| {
        let (block, body): (i64, _) = (row.get(0)?, row.bytes(1)?);
        let first = block * BLOCK + 1;
        let mut visit = |(number, value): (i64, f64)| {
            if !value.is_nan() {
                visit(number, value);
            }
        };
        match members {
            None => (first..).zip(numbers(body)).for_each(visit),
            Some(members) => {
                let (values, _) = body.as_chunks::<8>();
                for at in members.of_block(block) {
                    if let Some(value) = values.get(at) {
                        visit((first + at as i64, f64::from_le_bytes(*value)));
                    }
                }
            }
        }
        Ok(())
    };
    let some = members.map(|members| members.blocks(filled));
    match &some {
        // Most blocks are read sooner one after another than one by one.
        Some(some) if 2 * some.len() < filled as usize => {
            db.each(SOME_BLOCKS, &[suite_value, code, Value::Ints(some)], &mut read)?;
        }
        _ => db.each(BLOCKS, &[suite_value, code], &mut read)?,
    }
    newest(db, suite, resource, filled * BLOCK, |number, value| {
        if members.is_none_or(|members| members.contains(number)) {
            visit(number, value);
        }
    })
}

/// The values of the metrics after number `filled`.
fn newest(
    db: &mut Db<'_>,
    suite: SuiteId,
    resource: Resource,
    filled: i64,
    mut visit: impl FnMut(i64, f64),
) -> Result<(), StorageError> {
    let place = resource.code() as usize - 1;
    let until = filled + BLOCK;
    db.each(NEWEST, values![suite.get(), filled], |row| {
        let number = row.get(0)?;
        // Metrics of the next block may have come meanwhile.
        if number <= until {
            visit(number, measured(row, 1)?[place]);
        }
        Ok(())
    })
}

fn numbers(body: &[u8]) -> impl Iterator<Item = f64> {
    body.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap_or_default()))
}

/// Values as they are stored with their metric: bit by bit, which a column of numbers is not on SQLite (it has no -0.0).
pub(super) fn packed(values: &[f64; 5]) -> [u8; 40] {
    let mut bytes = [0; 40];
    for (place, value) in bytes.chunks_exact_mut(8).zip(values) {
        place.copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// The values of a metric in column number `index`.
pub(super) fn measured(row: &Row<'_>, index: usize) -> Result<[f64; 5], StorageError> {
    let bytes = row.bytes(index)?;
    let mut values = [0.0; 5];
    if bytes.len() != 40 {
        return Err(StorageError::Damaged {
            place: "monitor_metric.measured",
            found: format!("{} bytes", bytes.len()),
        });
    }
    for (value, stored) in values.iter_mut().zip(numbers(bytes)) {
        *value = stored;
    }
    Ok(values)
}
