//! Columns: one value of [`BLOCK`] neighbouring metrics in one row, so that the largest of a million are found by reading
//! eight megabytes. A block is written when all its metrics are there; the newest metrics are read themselves.

use crate::db::Db;
use crate::error::StorageError;
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::id::SuiteId;
use casebook_model::measurement::Resource;

/// Metrics of a block; the first block begins with metric 1.
pub(super) const BLOCK: i64 = 512;

const VALUES: &str = "/* monitor.values */ select metric_no, total_time, user_time, kernel_time, cpu_usage, memory_usage \
     from monitor_metric where suite_id = $1 and metric_no >= $2 and metric_no <= $3 order by metric_no";
const PUT: Insert =
    Insert { into: "monitor_column (suite_id, resource, block, body)", columns: 4, conflict: "" };

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
            for (index, body) in bodies.iter_mut().enumerate() {
                body.extend_from_slice(&row.get::<f64>(index + 1)?.to_le_bytes());
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
