//! Shifts: where what a test takes went up or down.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::insert::Insert;
use crate::value::{Row, Value, values};
use casebook_model::id::{RunId, SuiteId, TestId, UploadId};
use casebook_model::resources::Measure;
use casebook_model::time::Timestamp;
use std::collections::HashMap;

macro_rules! select {
    ($name:literal, $hint:literal, $rest:literal) => {
        concat!(
            "/* ",
            $name,
            " */ select s.shift_id, s.test_id, s.measure, s.at, s.after_upload, s.upload_id, s.until_upload, s.before_amount, \
             s.after_amount, s.share, s.p, s.values_before, s.values_after, s.machine_wide, h.name, t.class_name, t.name \
             from resource_shift s ",
            $hint,
            " join host_class h on h.suite_id = s.suite_id and h.host_class_id = s.host_class_id \
             join test t on t.suite_id = s.suite_id and t.test_id = s.test_id where s.suite_id = $1 and s.shift_id < $2 \
             and ($3 < 0 or s.measure = $3) and ($4 < 0 or s.machine_wide = $4) ",
            $rest
        )
    };
}

pub(crate) const NEWEST: &str = select!("shifts.newest", "", "order by s.shift_id desc limit $5");
pub(crate) const OF_TEST: &str = select!(
    "shifts.of_test_newest",
    "/*+ shift_by_test */",
    "and s.test_id = $6 order by s.shift_id desc limit $5"
);
const PUT: Insert = Insert {
    into: "resource_shift (suite_id, shift_id, test_id, host_class_id, measure, at, after_upload, upload_id, until_upload, \
           before_amount, after_amount, share, p, values_before, values_after, machine_wide)",
    columns: 16,
    conflict: "",
};
const MARK: &str = "/* shifts.mark */ update resource_shift set machine_wide = 1 where suite_id = $1 and host_class_id = $2 \
     and measure = $3 and until_upload > $4 and after_upload < $5 and machine_wide = 0 and (share >= 0) = (cast($6 as double precision) >= 0)";
const UPLOADS: &str = "/* shifts.uploads_of_shifts */ select u.upload_id, u.run_id, coalesce(u.commit_sha, r.commit_sha), b.position \
     from upload u join run r on r.suite_id = u.suite_id and r.run_id = u.run_id \
     left join branch_position b on b.suite_id = u.suite_id and b.commit_sha = coalesce(u.commit_sha, r.commit_sha) \
     where u.suite_id = $1 and u.upload_id = any($2)";

/// A shift to store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewShift {
    /// Its number in the suite, from 1.
    pub number: i64,
    /// The test.
    pub test: TestId,
    /// The host class.
    pub class: i64,
    /// What shifted.
    pub measure: Measure,
    /// The time of the results that confirmed it.
    pub at: Timestamp,
    /// The last upload that is surely before it.
    pub after: UploadId,
    /// The upload that most likely has it first.
    pub upload: UploadId,
    /// The first upload that surely has it.
    pub until: UploadId,
    /// Seconds or MiB before.
    pub before_amount: f64,
    /// Seconds or MiB after.
    pub after_amount: f64,
    /// The difference as a share of what was before.
    pub share: f64,
    /// Probability that chance makes the like.
    pub p: f64,
    /// Runs compared before it.
    pub values_before: i64,
    /// Runs compared after it.
    pub values_after: i64,
    /// It is the machine's.
    pub machine_wide: bool,
}

/// Stores new shifts.
///
/// # Errors
/// The database fails.
pub fn put_shifts(db: &mut Db<'_>, suite: SuiteId, shifts: &[NewShift]) -> Result<(), StorageError> {
    let mut rows: Vec<Value<'_>> = Vec::with_capacity(shifts.len() * PUT.columns);
    for shift in shifts {
        rows.extend_from_slice(values![
            suite.get(),
            shift.number,
            shift.test.get(),
            shift.class,
            shift.measure.code(),
            shift.at.as_microseconds(),
            shift.after.get(),
            shift.upload.get(),
            shift.until.get(),
            shift.before_amount,
            shift.after_amount,
            shift.share,
            shift.p,
            shift.values_before,
            shift.values_after,
            i64::from(shift.machine_wide),
        ]);
    }
    PUT.rows(db, &rows)
}

/// Shifts that turned out to be the machine's: all of a host class and measure that went one way in a range of uploads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MachineWide {
    /// The host class.
    pub class: i64,
    /// What shifted.
    pub measure: Measure,
    /// The range begins behind this upload.
    pub after: UploadId,
    /// The range ends with this upload.
    pub until: UploadId,
    /// Positive if it went up.
    pub share: f64,
}

/// Marks those that were stored before it showed.
///
/// # Errors
/// The database fails.
pub fn mark_machine_wide(db: &mut Db<'_>, suite: SuiteId, wide: &MachineWide) -> Result<(), StorageError> {
    let MachineWide { class, measure, after, until, share } = *wide;
    db.execute(MARK, values![suite.get(), class, measure.code(), after.get(), until.get(), share])?;
    Ok(())
}

/// Which shifts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShiftFilter {
    /// Only of this test.
    pub test: Option<TestId>,
    /// Only of this measure.
    pub measure: Option<Measure>,
    /// Only those that are the machine's, or only those that are not.
    pub machine_wide: Option<bool>,
}

/// An upload at the edge of a shift, as far as it is still kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShiftUpload {
    /// Its run.
    pub run: RunId,
    /// Its commit.
    pub commit: Option<String>,
    /// The commit's place on the default branch.
    pub position: Option<i64>,
}

/// A shift as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredShift {
    /// What was found.
    pub number: i64,
    /// The test.
    pub test: TestId,
    /// Class name of the test.
    pub class_name: String,
    /// Name of the test.
    pub name: String,
    /// Name of the host class.
    pub host_class: String,
    /// What shifted.
    pub measure: Measure,
    /// The time of the results that confirmed it.
    pub at: Timestamp,
    /// Seconds or MiB before and after.
    pub amounts: (f64, f64),
    /// The difference as a share of what was before.
    pub share: f64,
    /// Probability that chance makes the like.
    pub p: f64,
    /// Runs compared before and after.
    pub values: (i64, i64),
    /// It is the machine's.
    pub machine_wide: bool,
    /// Surely before it, most likely the first with it, surely with it.
    pub uploads: [Option<ShiftUpload>; 3],
}

/// Shifts before number `before`, newest first, at most `most`.
///
/// # Errors
/// The database fails.
pub fn shifts(
    db: &mut Db<'_>,
    suite: SuiteId,
    filter: ShiftFilter,
    before: Option<i64>,
    most: i64,
) -> Result<Vec<StoredShift>, StorageError> {
    let before = before.unwrap_or(i64::from(i32::MAX));
    let measure = filter.measure.map_or(-1, Measure::code);
    let wide = filter.machine_wide.map_or(-1, i64::from);
    let found = match filter.test {
        None => db.query(NEWEST, values![suite.get(), before, measure, wide, most], read)?,
        Some(test) => {
            db.query(OF_TEST, values![suite.get(), before, measure, wide, most, test.get()], read)?
        }
    };
    let mut wanted: Vec<i64> = found.iter().flat_map(|(_, uploads)| *uploads).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let uploads = db.query(UPLOADS, &[suite.get().into(), Value::Ints(&wanted)], |row| {
        let upload = ShiftUpload { run: RunId(row.get(1)?), commit: row.get(2)?, position: row.get(3)? };
        Ok((row.get::<i64>(0)?, upload))
    })?;
    let uploads: HashMap<i64, ShiftUpload> = uploads.into_iter().collect();
    let complete = |(mut shift, wanted): (StoredShift, [i64; 3])| {
        shift.uploads = wanted.map(|upload| uploads.get(&upload).cloned());
        shift
    };
    Ok(found.into_iter().map(complete).collect())
}

fn read(row: &Row<'_>) -> Result<(StoredShift, [i64; 3]), StorageError> {
    let measure = row.get(2)?;
    let shift = StoredShift {
        number: row.get(0)?,
        test: TestId(row.get(1)?),
        class_name: row.get(15)?,
        name: row.get(16)?,
        host_class: row.get(14)?,
        measure: member(Measure::from_code(measure), measure, "resource_shift.measure")?,
        at: Timestamp(row.get(3)?),
        amounts: (row.get(7)?, row.get(8)?),
        share: row.get(9)?,
        p: row.get(10)?,
        values: (row.get(11)?, row.get(12)?),
        machine_wide: row.flag(13)?,
        uploads: [None, None, None],
    };
    Ok((shift, [row.get(4)?, row.get(5)?, row.get(6)?]))
}
