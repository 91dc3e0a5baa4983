//! Retention: runs whose results are older than a moment go with everything below them. Roll-ups, tests, evidence, episodes and
//! baselines stay, so what was learned of a test is not forgotten.

use crate::avocado::jobs;
use crate::db::Db;
use crate::error::{StorageError, member};
use crate::ingest;
use crate::insert::Insert;
use crate::monitor;
use crate::value::{Value, values};
use casebook_model::id::{RunId, SuiteId};
use casebook_model::key::Key;
use casebook_model::run::Protocol;
use casebook_model::time::Timestamp;
use std::collections::HashMap;

/// Runs and executions of one step at most, but always one run: uploads wait while a step is under way.
const MOST_RUNS: i64 = 20;
const MOST_EXECUTIONS: i64 = 20_000;

pub(crate) const NEXT: &str = "/* retention.next */ select run_id, protocol, key, run_key, passed + failed + error + skipped + unknown \
     from run /*+ run_by_time */ where suite_id = $1 and started_at < $2 and pinned = 0 and not exists \
     (select 1 from upload /*+ upload_by_run */ where upload.suite_id = $1 and upload.run_id = run.run_id and upload.at >= $2) \
     order by started_at, run_id limit $3";
const LAST_UPLOADS: &str = "/* retention.last_uploads */ select run_id, max(upload_id), max(at) from upload \
     where suite_id = $1 and run_id = any($2) group by run_id";
const LAST_OFFSETS: &str = "/* retention.last_offsets */ select run_id, max(offset_ms) from execution \
     where suite_id = $1 and run_id = any($2) group by run_id";
const TEXTS: &str = "/* retention.texts */ select distinct text_key from failure \
     where suite_id = $1 and run_id = any($2) and text_key is not null";
pub(crate) const DROP_TEXTS: &str = "/* retention.drop_texts */ delete from failure_text where suite_id = $1 and text_key = any($2::bytea[]) \
     and not exists (select 1 from failure where failure.suite_id = $1 and failure.text_key = failure_text.text_key)";
const DROP_EXECUTIONS: &str =
    "/* retention.executions */ delete from execution where suite_id = $1 and run_id = any($2)";
const DROP: &[&str] = &[
    "/* retention.failures */ delete from failure where suite_id = $1 and run_id = any($2)",
    "/* retention.execution_tags */ delete from execution_tags where suite_id = $1 and run_id = any($2)",
    "/* retention.execution_spans */ delete from execution_spans where suite_id = $1 and run_id = any($2)",
    "/* retention.execution_resources */ delete from execution_resources where suite_id = $1 and run_id = any($2)",
    "/* retention.uploads */ delete from upload where suite_id = $1 and run_id = any($2)",
    "/* retention.runs */ delete from run where suite_id = $1 and run_id = any($2)",
];
const REMEMBER: Insert = Insert {
    into: "dropped_run (suite_id, run_key, run_id, upload_id, last_at)",
    columns: 5,
    conflict: "on conflict (suite_id, run_key) do update set run_id = excluded.run_id, upload_id = excluded.upload_id, \
               last_at = excluded.last_at",
};
const COUNT: &str =
    "/* retention.count */ update suite_counter set runs_kept = runs_kept - $2 where suite_id = $1";
const DROPPED: &str =
    "/* retention.dropped */ select runs - runs_kept from suite_counter where suite_id = $1";
const PIN: &str = "/* retention.pin */ update run set pinned = $3 where suite_id = $1 and run_id = $2";

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Runs.
    pub runs: u64,
    /// Attempts of tests in them.
    pub executions: u64,
    /// pytest-monitor's metrics of them.
    pub metrics: u64,
}

impl Dropped {
    /// Adds what another step dropped.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.executions += other.executions;
        self.metrics += other.metrics;
    }
}

/// A run that is old enough.
struct Old {
    id: RunId,
    protocol: Protocol,
    key: String,
    run_key: Key,
}

/// Drops the oldest runs of a suite all of whose results are of before `before`, a bounded number of them; none if there is no
/// such run. Pinned runs stay. Runs inside a transaction.
///
/// # Errors
/// The database fails, or there is no such suite.
pub fn step(db: &mut Db<'_>, suite: SuiteId, before: Timestamp) -> Result<Option<Dropped>, StorageError> {
    ingest::lock_suite(db, suite)?;
    let runs = next(db, suite, before)?;
    if runs.is_empty() {
        return Ok(None);
    }
    let ids: Vec<i64> = runs.iter().map(|run| run.id.get()).collect();
    let place = [suite.get().into(), Value::Ints(&ids)];
    remember(db, suite, &runs, &place)?;
    let texts: Vec<Key> = db.query(TEXTS, &place, |row| row.get(0))?;
    let executions = db.execute(DROP_EXECUTIONS, &place)?;
    for statement in DROP {
        db.execute(statement, &place)?;
    }
    if !texts.is_empty() {
        db.execute(DROP_TEXTS, &[suite.get().into(), Value::Keys(&texts)])?;
    }
    db.execute(COUNT, values![suite.get(), runs.len() as i64])?;
    let of = |protocol| runs.iter().filter(move |run| run.protocol == protocol).map(|run| run.key.as_str());
    let sessions: Vec<&str> = of(Protocol::Monitor).collect();
    let metrics = monitor::drop_sessions(db, suite, &sessions)?;
    for job in of(Protocol::Avocado) {
        jobs::remove(db, suite, job)?;
    }
    Ok(Some(Dropped { runs: runs.len() as u64, executions, metrics }))
}

/// The oldest runs that are to go, as many as one step takes.
fn next(db: &mut Db<'_>, suite: SuiteId, before: Timestamp) -> Result<Vec<Old>, StorageError> {
    let values = values![suite.get(), before.as_microseconds(), MOST_RUNS];
    let found = db.query(NEXT, values, |row| {
        let protocol: i64 = row.get(1)?;
        let old = Old {
            id: RunId(row.get(0)?),
            protocol: member(Protocol::from_code(protocol), protocol, "run.protocol")?,
            key: row.get(2)?,
            run_key: row.get(3)?,
        };
        Ok((old, row.get::<i64>(4)?))
    })?;
    let mut executions = 0;
    let fitting = found.into_iter().enumerate().take_while(|(index, (_, count))| {
        executions += count;
        *index == 0 || executions <= MOST_EXECUTIONS
    });
    Ok(fitting.map(|(_, (run, _))| run).collect())
}

/// Remembers until when each run had results, so that sending them again changes nothing.
fn remember(db: &mut Db<'_>, suite: SuiteId, runs: &[Old], place: &[Value<'_>]) -> Result<(), StorageError> {
    let offsets = db.query(LAST_OFFSETS, place, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let offsets: HashMap<i64, i64> = offsets.into_iter().collect();
    let uploads = db.query(LAST_UPLOADS, place, |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    let uploads: HashMap<i64, (i64, i64)> = uploads.into_iter().collect();
    let mut rows: Vec<Value<'_>> = Vec::with_capacity(runs.len() * REMEMBER.columns);
    for run in runs {
        let (upload, at) = uploads.get(&run.id.get()).copied().unwrap_or_default();
        let offset = offsets.get(&run.id.get()).copied().unwrap_or(0).max(0);
        let last_at = at.saturating_add(offset.saturating_mul(1_000));
        rows.extend_from_slice(values![suite.get(), &run.run_key, run.id.get(), upload, last_at]);
    }
    REMEMBER.rows(db, &rows)
}

/// How many runs of a suite were dropped.
///
/// # Errors
/// The database fails, or there is no such suite.
pub fn dropped(db: &mut Db<'_>, suite: SuiteId) -> Result<i64, StorageError> {
    db.find(DROPPED, values![suite.get()], |row| row.get(0))?.ok_or(StorageError::NoSuchSuite)
}

/// Keeps a run whatever its age, or no longer; false if it is not there.
///
/// # Errors
/// The database fails.
pub fn pin(db: &mut Db<'_>, suite: SuiteId, run: RunId, pinned: bool) -> Result<bool, StorageError> {
    Ok(db.execute(PIN, values![suite.get(), run.get(), i64::from(pinned)])? > 0)
}
