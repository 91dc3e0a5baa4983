//! Runs.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::insert::Insert;
use crate::page::{Listed, Page};
use crate::value::{Row, Value, values};
use casebook_model::branch::BranchClass;
use casebook_model::id::{RunId, SuiteId};
use casebook_model::key::Key;
use casebook_model::name::{Branch, Commit};
use casebook_model::run::{OutcomeCounts, Protocol, Run, RunAttributes, VerdictCounts};
use casebook_model::time::Timestamp;

macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ",
            $name,
            " */ select suite_id, run_id, protocol, key, branch, branch_class, commit_sha, message, url, number, provider, \
             started_at, updated_at, uploads, passed, failed, error, skipped, unknown, verdicts_passed, verdicts_failed, \
             verdicts_flaky, verdicts_skipped, verdicts_unknown, duration_us, run_key from run ",
            $rest
        )
    };
}

const FIND: &str = select!("runs.find", "where suite_id = $1 and run_id = $2");
pub(crate) const BY_KEYS: &str =
    select!("runs.by_keys", "/*+ run_by_key */ where suite_id = $1 and run_key = any($2::bytea[])");
pub(crate) const NEWEST: &str = select!(
    "runs.newest",
    "/*+ run_by_time */ where suite_id = $1 order by started_at desc, run_id desc limit $2 offset $3"
);
pub(crate) const OF_COMMIT: &str = select!(
    "runs.of_commit",
    "/*+ run_by_commit */ where suite_id = $1 and commit_sha = $2 order by run_id desc limit $3"
);
pub(crate) const NEWEST_IDS: &str = "/* runs.newest_ids */ select run_id from run /*+ run_by_time */ where suite_id = $1 \
     order by started_at desc, run_id desc limit $2";
const NUMBERS_BY_KEYS: &str = "/* runs.numbers_by_keys */ select run_id from run /*+ run_by_key */ \
     where suite_id = $1 and run_key = any($2::bytea[])";
const NEWEST_COMMITS: &str = "/* runs.newest_commits */ select run_id, commit_sha from run /*+ run_by_time */ where suite_id = $1 \
     order by started_at desc, run_id desc limit $2";
const KEPT: &str = "/* runs.kept */ select runs_kept from suite_counter where suite_id = $1";

const PUT: Insert = Insert {
    into: "run (suite_id, run_id, protocol, run_key, key, branch, branch_class, commit_sha, message, url, number, provider, \
           started_at, updated_at, uploads, passed, failed, error, skipped, unknown, verdicts_passed, verdicts_failed, \
           verdicts_flaky, verdicts_skipped, verdicts_unknown, duration_us)",
    columns: 26,
    conflict: "on conflict (suite_id, run_id) do update set branch = excluded.branch, branch_class = excluded.branch_class, \
               commit_sha = excluded.commit_sha, message = excluded.message, url = excluded.url, number = excluded.number, \
               provider = excluded.provider, updated_at = excluded.updated_at, uploads = excluded.uploads, \
               passed = excluded.passed, failed = excluded.failed, error = excluded.error, skipped = excluded.skipped, \
               unknown = excluded.unknown, verdicts_passed = excluded.verdicts_passed, \
               verdicts_failed = excluded.verdicts_failed, verdicts_flaky = excluded.verdicts_flaky, \
               verdicts_skipped = excluded.verdicts_skipped, verdicts_unknown = excluded.verdicts_unknown, \
               duration_us = excluded.duration_us",
};

/// The run with that number.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, suite: SuiteId, run: RunId) -> Result<Option<Run>, StorageError> {
    db.find(FIND, values![suite.get(), run.get()], read)
}

/// The runs with these keys ([`Protocol::run_key`]).
///
/// # Errors
/// The database fails.
pub fn find_by_keys(db: &mut Db<'_>, suite: SuiteId, keys: &[Key]) -> Result<Vec<(Key, Run)>, StorageError> {
    db.query(BY_KEYS, &[suite.get().into(), Value::Keys(keys)], |row| Ok((row.get(25)?, read(row)?)))
}

/// The numbers of the runs with these keys.
///
/// # Errors
/// The database fails.
pub(crate) fn numbers_by_keys(
    db: &mut Db<'_>,
    suite: SuiteId,
    keys: &[Key],
) -> Result<Vec<RunId>, StorageError> {
    db.query(NUMBERS_BY_KEYS, &[suite.get().into(), Value::Keys(keys)], |row| Ok(RunId(row.get(0)?)))
}

/// The numbers of the newest runs of a suite, newest first.
///
/// # Errors
/// The database fails.
pub fn newest(db: &mut Db<'_>, suite: SuiteId, limit: i64) -> Result<Vec<RunId>, StorageError> {
    db.query(NEWEST_IDS, values![suite.get(), limit], |row| Ok(RunId(row.get(0)?)))
}

/// The commits of the newest runs of a suite, as far as they have one.
///
/// # Errors
/// The database fails.
pub fn newest_commits(
    db: &mut Db<'_>,
    suite: SuiteId,
    limit: i64,
) -> Result<Vec<(RunId, Option<String>)>, StorageError> {
    db.query(NEWEST_COMMITS, values![suite.get(), limit], |row| Ok((RunId(row.get(0)?), row.get(1)?)))
}

/// The runs of a suite, newest first by the time of their results, whenever they arrived.
///
/// # Errors
/// The database fails.
pub fn list(db: &mut Db<'_>, suite: SuiteId, page: Page) -> Result<Listed<Run>, StorageError> {
    let total = db.get(KEPT, values![suite.get()], |row| row.get(0))?;
    let items = db.query(NEWEST, values![suite.get(), page.limit, page.offset], read)?;
    Ok(Listed { items, total })
}

/// The newest `limit` runs of one commit.
///
/// # Errors
/// The database fails.
pub fn of_commit(
    db: &mut Db<'_>,
    suite: SuiteId,
    commit: &Commit,
    limit: i64,
) -> Result<Vec<Run>, StorageError> {
    db.query(OF_COMMIT, values![suite.get(), commit.as_str(), limit], read)
}

/// Inserts or updates whole runs.
pub(crate) fn put<'a>(
    db: &mut Db<'_>,
    runs: impl Iterator<Item = (&'a Run, &'a Key)>,
) -> Result<(), StorageError> {
    let mut rows: Vec<Value<'_>> = Vec::new();
    for (run, key) in runs {
        let Run {
            suite,
            id,
            protocol,
            branch_class,
            started_at,
            updated_at,
            uploads,
            outcomes,
            verdicts,
            ..
        } = run;
        let RunAttributes { branch, commit, message, url, number, provider } = &run.attributes;
        rows.extend_from_slice(values![
            suite.get(),
            id.get(),
            protocol.code(),
            key,
            &run.key,
            branch.as_ref().map(Branch::as_str),
            branch_class.code(),
            commit.as_ref().map(Commit::as_str),
            message.as_deref(),
            url.as_deref(),
            number.as_deref(),
            provider.as_deref(),
            started_at.as_microseconds(),
            updated_at.as_microseconds(),
            *uploads,
            outcomes.passed,
            outcomes.failed,
            outcomes.error,
            outcomes.skipped,
            outcomes.unknown,
            verdicts.passed,
            verdicts.failed,
            verdicts.flaky,
            verdicts.skipped,
            verdicts.unknown,
            run.duration_us,
        ]);
    }
    PUT.rows(db, &rows)
}

fn read(row: &Row<'_>) -> Result<Run, StorageError> {
    let (protocol, class) = (row.get(2)?, row.get(5)?);
    Ok(Run {
        suite: SuiteId(row.get(0)?),
        id: RunId(row.get(1)?),
        protocol: member(Protocol::from_code(protocol), protocol, "run.protocol")?,
        key: row.get(3)?,
        attributes: RunAttributes {
            branch: row.get::<Option<String>>(4)?.as_deref().and_then(Branch::new),
            commit: row.get::<Option<String>>(6)?.as_deref().and_then(Commit::new),
            message: row.get(7)?,
            url: row.get(8)?,
            number: row.get(9)?,
            provider: row.get(10)?,
        },
        branch_class: member(BranchClass::from_code(class), class, "run.branch_class")?,
        started_at: Timestamp(row.get(11)?),
        updated_at: Timestamp(row.get(12)?),
        uploads: row.get(13)?,
        outcomes: OutcomeCounts {
            passed: row.get(14)?,
            failed: row.get(15)?,
            error: row.get(16)?,
            skipped: row.get(17)?,
            unknown: row.get(18)?,
        },
        verdicts: VerdictCounts {
            passed: row.get(19)?,
            failed: row.get(20)?,
            flaky: row.get(21)?,
            skipped: row.get(22)?,
            unknown: row.get(23)?,
        },
        duration_us: row.get(24)?,
    })
}
