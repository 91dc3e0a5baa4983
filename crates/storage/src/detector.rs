//! What the detector keeps and asks for: states, evidence, episodes, changes of health, judgements. All bytes are the
//! detector's own.

mod episodes;

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::rollups;
use crate::value::{Row, Value, values};
use casebook_model::branch::BranchClass;
use casebook_model::evidence::EvidenceKind;
use casebook_model::health::Health;
use casebook_model::id::{RunId, SuiteId, TestId, UploadId, VariantId};
use casebook_model::key::Key;
use casebook_model::rollup::{RollupChunk, chunk_of};
use casebook_model::time::Timestamp;
use std::collections::BTreeMap;

pub(crate) use episodes::{CHANGED_EPISODES, LATEST_EPISODES, RECENT_EPISODES};
pub use episodes::{
    StoredEpisode, changed_episodes, episodes, latest_episodes, put_episode, recent_episodes,
};

const VERSION: &str = "/* detector.version */ select version from detector_suite where suite_id = $1";
const SUITE: &str =
    "/* detector.suite */ select version, positions, body from detector_suite where suite_id = $1";
const PUT_SUITE: &str = "/* detector.put_suite */ insert into detector_suite (suite_id, version, positions, body) values ($1, $2, $3, $4) \
     on conflict (suite_id) do update set version = excluded.version, positions = excluded.positions, body = excluded.body";
const STATES: &str = "/* detector.states */ select test_id, body from detector_state where suite_id = $1";
const STATES_OF: &str = "/* detector.states_of */ select test_id, body, since from detector_state where suite_id = $1 and test_id = any($2)";
pub(crate) const WITH_HEALTH: &str = "/* detector.with_health */ select test_id from detector_state \
     where suite_id = $1 and health = any($2) and test_id > $3 order by test_id limit $4";
const STATE: &str =
    "/* detector.state */ select body from detector_state where suite_id = $1 and test_id = $2";
const PUT_STATE: &str = "/* detector.put_state */ insert into detector_state (suite_id, test_id, health, since, due_at, body) \
     values ($1, $2, $3, $4, $5, $6) on conflict (suite_id, test_id) do update set health = excluded.health, \
     since = excluded.since, due_at = excluded.due_at, body = excluded.body";
const ADVANCE: &str = "/* detector.advance */ update detector_state set health = $3, since = $4, due_at = $5 \
     where suite_id = $1 and test_id = $2";
pub(crate) const DUE: &str = "/* detector.due */ select suite_id, test_id, due_at from detector_state where due_at <= $1 \
     order by due_at, suite_id, test_id limit $2";
const FORGET_DUE: &str =
    "/* detector.forget_due */ update detector_state set due_at = null where suite_id = $1";
const DUE_AT: &str =
    "/* detector.due_at */ select due_at from detector_state where suite_id = $1 and test_id = $2";
const STORED: &str =
    "/* detector.stored */ select health, since from detector_state where suite_id = $1 and test_id = $2";
pub(crate) const CELLS: &str = "/* detector.cells */ select chunk, day, branch_class, cells from rollup /*+ rollup_by_chunk */ \
     where suite_id = $1 and chunk = any($2) and day >= $3 order by day, branch_class";
pub(crate) const UPLOADS_OF_COMMIT: &str = "/* detector.uploads_of_commit */ select upload_id, run_id, at, job from upload /*+ upload_by_commit */ \
     where suite_id = $1 and commit_sha = $2 and upload_id < $3 and at > $4";
const UPLOADS_OF_RUN: &str = "/* detector.uploads_of_run */ select upload_id, run_id, at, job from upload /*+ upload_by_run */ \
     where suite_id = $1 and run_id = $2 and upload_id < $3 and at > $4 and commit_sha is null";
pub(crate) const PASSED: &str = "/* detector.passed */ select test_id, upload_id, variant_id, instance from execution \
     where suite_id = $1 and run_id = any($2) and test_id = any($3) and outcome = 0 and (flags & 2) = 0";
const POSITION: &str =
    "/* detector.position */ select position from branch_position where suite_id = $1 and commit_sha = $2";
const PUT_POSITION: &str = "/* detector.put_position */ insert into branch_position (suite_id, commit_sha, position, first_at) \
     values ($1, $2, $3, $4)";
const VARIANT: &str =
    "/* detector.variant */ select tags from variant where suite_id = $1 and variant_id = $2";
const PUT_EVIDENCE: &str = "/* detector.put_evidence */ insert into evidence (suite_id, test_id, run_id, kind, at, commit_sha, weight, signature) \
     values ($1, $2, $3, $4, $5, (select commit_sha from run where suite_id = $1 and run_id = $3), $6, $7) \
     on conflict (suite_id, test_id, run_id, kind) do update set at = excluded.at, weight = excluded.weight, \
     signature = excluded.signature";
const DROP_EVIDENCE: &str = "/* detector.drop_evidence */ delete from evidence where suite_id = $1 and test_id = $2 and run_id = $3 and kind = $4";
const EVIDENCE: &str = "/* detector.evidence */ select run_id, kind, at, commit_sha, weight from evidence \
     where suite_id = $1 and test_id = $2 order by at desc, run_id desc, kind limit $3";
pub(crate) const OBSERVED_BETWEEN: &str = "/* detector.observed_between */ select test_id, run_id, at from evidence /*+ evidence_by_time */ \
     where suite_id = $1 and at >= $2 and at <= $3 order by test_id, run_id";
const PUT_CHANGE: &str = "/* detector.put_change */ insert into health_change (suite_id, test_id, at, to_health, from_health, upload_id) \
     values ($1, $2, $3, $4, $5, $6) on conflict do nothing";
const CHANGES: &str = "/* detector.changes */ select at, from_health, to_health from health_change \
     where suite_id = $1 and test_id = $2 order by at desc, to_health limit $3";
const JUDGE: &str = "/* detector.judge */ update failure set p_flake = $5, p_regression = $6, p_incident = $7 \
     where suite_id = $1 and run_id = $2 and test_id = $3 and attempt = $4";
const INCIDENT: &str =
    "/* detector.incident */ update run set incident = 1 where suite_id = $1 and run_id = $2";

/// The suite's part, as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredSuite {
    /// Goes up whenever a state changes.
    pub version: i64,
    /// Commits of the default branch that were numbered.
    pub positions: i64,
    /// The detector's bytes.
    pub body: Vec<u8>,
}

/// The version of what is stored; none before the first upload.
///
/// # Errors
/// The database fails.
pub fn version(db: &mut Db<'_>, suite: SuiteId) -> Result<Option<i64>, StorageError> {
    db.find(VERSION, values![suite.get()], |row| row.get(0))
}

/// The suite's part.
///
/// # Errors
/// The database fails.
pub fn suite(db: &mut Db<'_>, suite: SuiteId) -> Result<Option<StoredSuite>, StorageError> {
    db.find(SUITE, values![suite.get()], |row| {
        Ok(StoredSuite { version: row.get(0)?, positions: row.get(1)?, body: row.get(2)? })
    })
}

/// Stores the suite's part.
///
/// # Errors
/// The database fails.
pub fn put_suite(db: &mut Db<'_>, suite: SuiteId, stored: &StoredSuite) -> Result<(), StorageError> {
    let StoredSuite { version, positions, body } = stored;
    db.execute(PUT_SUITE, values![suite.get(), *version, *positions, body.as_slice()])?;
    Ok(())
}

/// The bytes of every state of a suite.
///
/// # Errors
/// The database fails.
pub fn states(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<(TestId, Vec<u8>)>, StorageError> {
    db.query(STATES, values![suite.get()], |row| Ok((TestId(row.get(0)?), row.get(1)?)))
}

/// The bytes of the states that some tests have, and since when each has its health.
///
/// # Errors
/// The database fails.
pub fn states_of(
    db: &mut Db<'_>,
    suite: SuiteId,
    tests: &[TestId],
) -> Result<Vec<(TestId, Vec<u8>, Timestamp)>, StorageError> {
    let tests: Vec<i64> = tests.iter().map(|test| test.get()).collect();
    db.query(STATES_OF, &[suite.get().into(), Value::Ints(&tests)], |row| {
        Ok((TestId(row.get(0)?), row.get(1)?, Timestamp(row.get(2)?)))
    })
}

/// Tests after `after` whose stored health is one of these, by number, at most `most`.
///
/// # Errors
/// The database fails.
pub fn with_health(
    db: &mut Db<'_>,
    suite: SuiteId,
    health: &[Health],
    after: TestId,
    most: i64,
) -> Result<Vec<TestId>, StorageError> {
    let health: Vec<i64> = health.iter().map(|health| health.code()).collect();
    let values = [suite.get().into(), Value::Ints(&health), after.get().into(), most.into()];
    db.query(WITH_HEALTH, &values, |row| Ok(TestId(row.get(0)?)))
}

/// The bytes of one state.
///
/// # Errors
/// The database fails.
pub fn state(db: &mut Db<'_>, suite: SuiteId, test: TestId) -> Result<Option<Vec<u8>>, StorageError> {
    db.find(STATE, values![suite.get(), test.get()], |row| row.get(0))
}

/// Stores a state: health since a time, when the clock may change it, and the detector's bytes.
///
/// # Errors
/// The database fails.
pub fn put_state(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    health: (Health, Timestamp),
    due_at: Option<Timestamp>,
    body: &[u8],
) -> Result<(), StorageError> {
    let due_at = due_at.map(Timestamp::as_microseconds);
    let (health, since) = (health.0.code(), health.1.as_microseconds());
    db.execute(PUT_STATE, values![suite.get(), test.get(), health, since, due_at, body])?;
    Ok(())
}

/// Forgets what is due in a suite that was deleted.
///
/// # Errors
/// The database fails.
pub fn forget_due(db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
    db.execute(FORGET_DUE, values![suite.get()])?;
    Ok(())
}

/// When the clock may change the test next, if ever.
///
/// # Errors
/// The database fails.
pub fn due_at(db: &mut Db<'_>, suite: SuiteId, test: TestId) -> Result<Option<Timestamp>, StorageError> {
    let found = db.find(DUE_AT, values![suite.get(), test.get()], |row| row.get::<Option<i64>>(0))?;
    Ok(found.flatten().map(Timestamp))
}

/// The health that is stored of a test, and since when it has it.
///
/// # Errors
/// The database fails.
pub fn stored_health(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
) -> Result<Option<(Health, Timestamp)>, StorageError> {
    db.find(STORED, values![suite.get(), test.get()], |row| {
        let health = row.get(0)?;
        Ok((member(Health::from_code(health), health, "detector_state.health")?, Timestamp(row.get(1)?)))
    })
}

/// Stores what the clock did to a test.
///
/// # Errors
/// The database fails.
pub fn advance(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    health: (Health, Timestamp),
    due_at: Option<Timestamp>,
) -> Result<(), StorageError> {
    let due_at = due_at.map(Timestamp::as_microseconds);
    let (health, since) = (health.0.code(), health.1.as_microseconds());
    db.execute(ADVANCE, values![suite.get(), test.get(), health, since, due_at])?;
    Ok(())
}

/// Tests for which something is due by `now`, by time, suite and test; at most `most`.
///
/// # Errors
/// The database fails.
pub fn due(
    db: &mut Db<'_>,
    now: Timestamp,
    most: i64,
) -> Result<Vec<(SuiteId, TestId, Timestamp)>, StorageError> {
    db.query(DUE, values![now.as_microseconds(), most], |row| {
        Ok((SuiteId(row.get(0)?), TestId(row.get(1)?), Timestamp(row.get(2)?)))
    })
}

/// What one day and branch class hold of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCount {
    /// The UTC day.
    pub day: i64,
    /// The class.
    pub class: BranchClass,
    /// Executions that passed.
    pub passed: u64,
    /// Executions of any outcome, without measured ones.
    pub executions: u64,
}

/// The counts of some tests from a day on, by test; days without executions are left out.
///
/// # Errors
/// The database fails, or a packed chunk is damaged.
pub fn days(
    db: &mut Db<'_>,
    suite: SuiteId,
    tests: &[TestId],
    from_day: i64,
) -> Result<BTreeMap<TestId, Vec<DayCount>>, StorageError> {
    let mut by_chunk: BTreeMap<i64, Vec<TestId>> = BTreeMap::new();
    for test in tests {
        by_chunk.entry(chunk_of(test.get())).or_default().push(*test);
    }
    let chunks: Vec<i64> = by_chunk.keys().copied().collect();
    let mut found: BTreeMap<TestId, Vec<DayCount>> = BTreeMap::new();
    db.each(CELLS, &[suite.get().into(), Value::Ints(&chunks), from_day.into()], |row| {
        let (chunk, class): (i64, i64) = (row.get(0)?, row.get(2)?);
        let class = member(BranchClass::from_code(class), class, "rollup.branch_class")?;
        let cells: RollupChunk = rollups::unpack(&row.get::<Vec<u8>>(3)?)?;
        for test in by_chunk.get(&chunk).into_iter().flatten() {
            let Some(cell) = cells.cell(test.get()).filter(|cell| cell.executions() > 0) else { continue };
            let (passed, executions) = (cell.passed, cell.executions());
            found.entry(*test).or_default().push(DayCount { day: row.get(1)?, class, passed, executions });
        }
        Ok(())
    })?;
    Ok(found)
}

/// An upload that ran on some source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceUpload {
    /// The upload.
    pub upload: UploadId,
    /// Its run.
    pub run: RunId,
    /// Its time.
    pub at: Timestamp,
    /// Its job.
    pub job: Option<String>,
}

/// Uploads before `before` that ran on `commit`, or without one in `run`, and began after `since`.
///
/// # Errors
/// The database fails.
pub fn uploads_of_source(
    db: &mut Db<'_>,
    suite: SuiteId,
    commit: Option<&str>,
    run: RunId,
    before: UploadId,
    since: Timestamp,
) -> Result<Vec<SourceUpload>, StorageError> {
    let (before, since) = (before.get(), since.as_microseconds());
    let read = |row: &Row<'_>| {
        Ok(SourceUpload {
            upload: UploadId(row.get(0)?),
            run: RunId(row.get(1)?),
            at: Timestamp(row.get(2)?),
            job: row.get(3)?,
        })
    };
    match commit {
        Some(commit) => db.query(UPLOADS_OF_COMMIT, values![suite.get(), commit, before, since], read),
        None => db.query(UPLOADS_OF_RUN, values![suite.get(), run.get(), before, since], read),
    }
}

/// An execution that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// The test.
    pub test: TestId,
    /// The upload that brought it.
    pub upload: UploadId,
    /// Its environment.
    pub variant: VariantId,
    /// Which of several instances of one name.
    pub instance: i64,
}

/// Executions of `tests` in `runs` that passed; those that come from metrics are left out.
///
/// # Errors
/// The database fails.
pub fn passes(
    db: &mut Db<'_>,
    suite: SuiteId,
    runs: &[RunId],
    tests: &[TestId],
) -> Result<Vec<Pass>, StorageError> {
    let runs: Vec<i64> = runs.iter().map(|run| run.get()).collect();
    let tests: Vec<i64> = tests.iter().map(|test| test.get()).collect();
    db.query(PASSED, &[suite.get().into(), Value::Ints(&runs), Value::Ints(&tests)], |row| {
        Ok(Pass {
            test: TestId(row.get(0)?),
            upload: UploadId(row.get(1)?),
            variant: VariantId(row.get(2)?),
            instance: row.get(3)?,
        })
    })
}

/// The place of a source on the default branch, if it has one.
///
/// # Errors
/// The database fails.
pub fn position(db: &mut Db<'_>, suite: SuiteId, source: &str) -> Result<Option<i64>, StorageError> {
    db.find(POSITION, values![suite.get(), source], |row| row.get(0))
}

/// Gives a source a place on the default branch.
///
/// # Errors
/// The database fails, or it has one.
pub fn put_position(
    db: &mut Db<'_>,
    suite: SuiteId,
    source: &str,
    position: i64,
    first_at: Timestamp,
) -> Result<(), StorageError> {
    db.execute(PUT_POSITION, values![suite.get(), source, position, first_at.as_microseconds()])?;
    Ok(())
}

/// The tags of a variant as text; none if nothing is known of it.
///
/// # Errors
/// The database fails.
pub fn variant_tags(
    db: &mut Db<'_>,
    suite: SuiteId,
    variant: VariantId,
) -> Result<Option<String>, StorageError> {
    let tags: Option<String> = db.find(VARIANT, values![suite.get(), variant.get()], |row| row.get(0))?;
    Ok(tags.filter(|tags| tags != "{}" && !tags.is_empty()))
}

/// Evidence as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvidence {
    /// The run whose failure turned out not to depend on the code.
    pub run: RunId,
    /// What was observed.
    pub kind: EvidenceKind,
    /// When the result that completed it was made.
    pub at: Timestamp,
    /// The commit, if known.
    pub commit: Option<String>,
    /// Above 0, at most 1.
    pub weight: f64,
}

/// Stores a piece of evidence, or takes it back if it weighs nothing.
///
/// # Errors
/// The database fails.
pub fn put_evidence(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    evidence: &StoredEvidence,
    signature: Option<&Key>,
) -> Result<(), StorageError> {
    let StoredEvidence { run, kind, at, commit: _, weight } = evidence;
    let key = [suite.get(), test.get(), run.get(), kind.code()];
    if *weight == 0.0 {
        db.execute(DROP_EVIDENCE, &key.map(Value::Int))?;
    } else {
        let [suite, test, run, kind] = key;
        db.execute(PUT_EVIDENCE, values![suite, test, run, kind, at.as_microseconds(), *weight, signature])?;
    }
    Ok(())
}

/// The evidence about a test, newest first, at most `most`.
///
/// # Errors
/// The database fails.
pub fn evidence(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    most: i64,
) -> Result<Vec<StoredEvidence>, StorageError> {
    db.query(EVIDENCE, values![suite.get(), test.get(), most], |row| {
        let kind = row.get(1)?;
        Ok(StoredEvidence {
            run: RunId(row.get(0)?),
            kind: member(EvidenceKind::from_code(kind), kind, "evidence.kind")?,
            at: Timestamp(row.get(2)?),
            commit: row.get(3)?,
            weight: row.get(4)?,
        })
    })
}

/// Evidence of a time, by test and run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed(Vec<(TestId, RunId, Timestamp)>);

impl Observed {
    /// Runs that gave evidence of a test since `since`: what came before its episode does not count.
    #[must_use]
    pub fn count(&self, test: TestId, since: Timestamp) -> i64 {
        let first = self.0.partition_point(|(other, ..)| *other < test);
        let of_test = self.0.iter().skip(first).take_while(|(other, ..)| *other == test);
        let mut runs: Vec<RunId> = of_test.filter(|(.., at)| *at >= since).map(|(_, run, _)| *run).collect();
        runs.dedup();
        runs.len() as i64
    }
}

/// The evidence between two times.
///
/// # Errors
/// The database fails.
pub fn observed_between(
    db: &mut Db<'_>,
    suite: SuiteId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Observed, StorageError> {
    let values = values![suite.get(), from.as_microseconds(), to.as_microseconds()];
    let read = |row: &Row<'_>| Ok((TestId(row.get(0)?), RunId(row.get(1)?), Timestamp(row.get(2)?)));
    db.query(OBSERVED_BETWEEN, values, read).map(Observed)
}

/// A change of health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthChange {
    /// When.
    pub at: Timestamp,
    /// Health before.
    pub from: Health,
    /// Health from then on.
    pub to: Health,
}

/// Stores a change of health, made by an upload or by the clock.
///
/// # Errors
/// The database fails.
pub fn put_change(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    change: HealthChange,
    upload: Option<UploadId>,
) -> Result<(), StorageError> {
    let HealthChange { at, from, to } = change;
    let upload = upload.map(UploadId::get);
    let values = values![suite.get(), test.get(), at.as_microseconds(), to.code(), from.code(), upload];
    db.execute(PUT_CHANGE, values)?;
    Ok(())
}

/// The changes of a test's health, newest first, at most `most`.
///
/// # Errors
/// The database fails.
pub fn changes(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    most: i64,
) -> Result<Vec<HealthChange>, StorageError> {
    db.query(CHANGES, values![suite.get(), test.get(), most], |row| {
        let (from, to) = (row.get(1)?, row.get(2)?);
        Ok(HealthChange {
            at: Timestamp(row.get(0)?),
            from: member(Health::from_code(from), from, "health_change.from_health")?,
            to: member(Health::from_code(to), to, "health_change.to_health")?,
        })
    })
}

/// Stores what is to be thought of a failure: P(flake), P(regression), P(incident).
///
/// # Errors
/// The database fails.
pub fn judge(
    db: &mut Db<'_>,
    suite: SuiteId,
    place: (RunId, TestId, i64),
    [flake, regression, incident]: [f64; 3],
) -> Result<(), StorageError> {
    let (run, test, attempt) = place;
    db.execute(JUDGE, values![suite.get(), run.get(), test.get(), attempt, flake, regression, incident])?;
    Ok(())
}

/// Marks a run as an incident.
///
/// # Errors
/// The database fails.
pub fn mark_incident(db: &mut Db<'_>, suite: SuiteId, run: RunId) -> Result<(), StorageError> {
    db.execute(INCIDENT, values![suite.get(), run.get()])?;
    Ok(())
}
