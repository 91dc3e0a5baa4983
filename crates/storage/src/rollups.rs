//! Roll-ups: packed counts per suite, day, branch class and chunk of tests ([`casebook_model::rollup`]).

use crate::db::Db;
use crate::error::StorageError;
use crate::ingest::NewUpload;
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::branch::BranchClass;
use casebook_model::execution::{Execution, ExecutionFlags, Outcome};
use casebook_model::id::{SuiteId, TestId};
use casebook_model::rollup::{RollupCell, RollupChunk, chunk_of};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(crate) const SOME: &str = "/* rollups.some */ select chunk, cells from rollup \
     where suite_id = $1 and day = $2 and branch_class = $3 and chunk = any($4)";
pub(crate) const WINDOW: &str = "/* rollups.window */ select chunk, branch_class, cells from rollup \
     where suite_id = $1 and day >= $2 and day <= $3";
pub(crate) const OF_TEST: &str = "/* rollups.of_test */ select day, branch_class, cells from rollup \
     where suite_id = $1 and day = any($2) and branch_class = any($3) and chunk = $4 order by day, branch_class";
pub(crate) const VERSIONS: &str =
    "/* rollups.versions */ select uploads, past_changes from suite_counter where suite_id = $1";
const PUT: Insert = Insert {
    into: "rollup (suite_id, day, branch_class, chunk, cells)",
    columns: 5,
    conflict: "on conflict (suite_id, day, branch_class, chunk) do update set cells = excluded.cells",
};

/// Roll-ups of the days that are being written to, unpacked: an upload then only adds and packs.
///
/// They are exact as long as every upload of the suite went through this cache, which the number of uploads tells.
#[derive(Default)]
pub(crate) struct RollupCache {
    uploads: i64,
    days: HashMap<(i64, i64), BTreeMap<i64, RollupChunk>>,
}

/// Days and branch classes kept at one time.
const MOST_DAYS: usize = 3;

/// Chunks kept of one day; larger suites are read again each time.
const MOST_CHUNKS: usize = 1000;

impl RollupCache {
    /// Forgets everything if another server has written since. The suite's counter row is locked.
    pub(crate) fn check(&mut self, uploads: i64) {
        if self.uploads != uploads {
            self.days.clear();
        }
    }

    /// Adds the executions of new uploads to the roll-ups of their days; `after` is the suite's number of uploads then.
    pub(crate) fn add(
        &mut self,
        db: &mut Db<'_>,
        suite: SuiteId,
        uploads: &[NewUpload],
        executions: &[Vec<Execution>],
        after: i64,
    ) -> Result<(), StorageError> {
        self.uploads = after;
        let mut touched: BTreeMap<(i64, i64), BTreeSet<i64>> = BTreeMap::new();
        for (upload, executions) in uploads.iter().zip(executions) {
            for same_chunk in executions.chunk_by(|a, b| place(upload, a) == place(upload, b)) {
                let (day, chunk) = place(upload, &same_chunk[0]);
                touched.entry((day, upload.branch_class.code())).or_default().insert(chunk);
            }
        }
        if self.days.len() + touched.len() > MOST_DAYS {
            self.days.retain(|day, _| touched.contains_key(day));
        }
        for (day, numbers) in &touched {
            self.load(db, suite, *day, numbers)?;
        }
        for (upload, executions) in uploads.iter().zip(executions) {
            for same_chunk in executions.chunk_by(|a, b| place(upload, a) == place(upload, b)) {
                let (day, number) = place(upload, &same_chunk[0]);
                let chunks = self.days.entry((day, upload.branch_class.code())).or_default();
                let chunk = chunks.entry(number).or_default();
                for execution in same_chunk {
                    count(chunk.cell_mut(execution.id.test.get()), execution);
                }
            }
        }
        for (day, numbers) in touched {
            self.write(db, suite, day, &numbers)?;
        }
        Ok(())
    }

    /// Reads the chunks of a day that are not here yet.
    fn load(
        &mut self,
        db: &mut Db<'_>,
        suite: SuiteId,
        (day, class): (i64, i64),
        numbers: &BTreeSet<i64>,
    ) -> Result<(), StorageError> {
        let chunks = self.days.entry((day, class)).or_default();
        let missing: Vec<i64> =
            numbers.iter().copied().filter(|number| !chunks.contains_key(number)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        db.each(SOME, &[suite.get().into(), day.into(), class.into(), Value::Ints(&missing)], |row| {
            chunks.insert(row.get(0)?, unpack(&row.get::<Vec<u8>>(1)?)?);
            Ok(())
        })
    }

    fn write(
        &mut self,
        db: &mut Db<'_>,
        suite: SuiteId,
        (day, class): (i64, i64),
        numbers: &BTreeSet<i64>,
    ) -> Result<(), StorageError> {
        let Some(chunks) = self.days.get(&(day, class)) else { return Ok(()) };
        let packed: Vec<(i64, Vec<u8>)> =
            numbers.iter().filter_map(|number| Some((*number, chunks.get(number)?.pack()))).collect();
        let mut rows = Vec::with_capacity(packed.len() * PUT.columns);
        for (chunk, cells) in &packed {
            rows.extend_from_slice(values![suite.get(), day, class, *chunk, cells.as_slice()]);
        }
        PUT.rows(db, &rows)?;
        if chunks.len() > MOST_CHUNKS {
            self.days.remove(&(day, class));
        }
        Ok(())
    }
}

/// How many of `uploads` change the roll-ups of days that were over when they were received: what is kept of those days
/// elsewhere is no longer exact then.
pub(crate) fn past_changes(uploads: &[NewUpload], executions: &[Vec<Execution>]) -> i64 {
    let changes = uploads.iter().zip(executions).filter(|(upload, executions)| {
        let today = upload.received_at.day();
        executions.iter().any(|execution| place(upload, execution).0 < today)
    });
    changes.count() as i64
}

/// Day and chunk of an execution.
fn place(upload: &NewUpload, execution: &Execution) -> (i64, i64) {
    (upload.at.plus(execution.offset_ms * 1000).day(), chunk_of(execution.id.test.get()))
}

/// Counts one execution into its cell. Executions that come from metrics are left out of every rate.
pub(crate) fn count(cell: &mut RollupCell, execution: &Execution) {
    if execution.flags.contains(ExecutionFlags::MEASURED) {
        cell.measured += 1;
        return;
    }
    *match execution.outcome {
        Outcome::Passed => &mut cell.passed,
        Outcome::Failed => &mut cell.failed,
        Outcome::Error => &mut cell.error,
        Outcome::Skipped => &mut cell.skipped,
        Outcome::Unknown => &mut cell.unknown,
    } += 1;
    cell.pending += u64::from(execution.flags.contains(ExecutionFlags::PENDING));
    if let Some(duration) = execution.duration_us {
        cell.add_duration(duration);
    }
}

/// Numbers that tell whether what was read before is still exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// Uploads of the suite.
    pub uploads: i64,
    /// Uploads that changed the roll-ups of a day that was over when they arrived.
    pub past_changes: i64,
}

/// The versions of a suite's roll-ups, if there is such a suite.
///
/// # Errors
/// The database fails.
pub fn versions(db: &mut Db<'_>, suite: SuiteId) -> Result<Option<Versions>, StorageError> {
    db.find(VERSIONS, values![suite.get()], |row| {
        Ok(Versions { uploads: row.get(0)?, past_changes: row.get(1)? })
    })
}

/// Days of a window, both ends included, and whose branches count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// First UTC day.
    pub first_day: i64,
    /// Last UTC day.
    pub last_day: i64,
    /// Only this class of branches.
    pub branch_class: Option<BranchClass>,
}

/// What happened in `window` to every test of the suite that ran in it, by test.
///
/// # Errors
/// The database fails, or a packed chunk is damaged.
pub fn window(
    db: &mut Db<'_>,
    suite: SuiteId,
    window: Window,
) -> Result<Vec<(TestId, RollupCell)>, StorageError> {
    let mut chunks: BTreeMap<i64, RollupChunk> = BTreeMap::new();
    let class = window.branch_class.map(BranchClass::code);
    db.each(WINDOW, values![suite.get(), window.first_day, window.last_day], |row| {
        if class.is_none() || class == Some(row.get(1)?) {
            chunks.entry(row.get(0)?).or_default().merge(&unpack(&row.get::<Vec<u8>>(2)?)?);
        }
        Ok(())
    })?;
    let cells = chunks.iter().flat_map(|(number, chunk)| chunk.cells(*number));
    Ok(cells.map(|(test, cell)| (TestId(test), *cell)).collect())
}

/// What happened to one test on each day of `window`, day by day and class by class.
///
/// # Errors
/// The database fails, or a packed chunk is damaged.
pub fn of_test(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    window: Window,
) -> Result<Vec<(i64, BranchClass, RollupCell)>, StorageError> {
    let days: Vec<i64> = (window.first_day..=window.last_day).collect();
    let classes: Vec<i64> = match window.branch_class {
        Some(class) => vec![class.code()],
        None => BranchClass::ALL.iter().map(|class| class.code()).collect(),
    };
    let chunk = chunk_of(test.get());
    let values = [suite.get().into(), Value::Ints(&days), Value::Ints(&classes), chunk.into()];
    let found = db.query(OF_TEST, &values, |row| {
        let class = row.get(1)?;
        let class = crate::error::member(BranchClass::from_code(class), class, "rollup.branch_class")?;
        let cell = unpack(&row.get::<Vec<u8>>(2)?)?.cell(test.get()).copied();
        Ok(cell.map(|cell| row.get(0).map(|day| (day, class, cell))))
    })?;
    found.into_iter().flatten().collect()
}

pub(crate) fn unpack(bytes: &[u8]) -> Result<RollupChunk, StorageError> {
    RollupChunk::unpack(bytes)
        .map_err(|error| StorageError::Damaged { place: "rollup.cells", found: error.to_string() })
}
