//! Dispositions and labels: what the team has decided and noted about tests. Few tests have either.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::insert::Insert;
use crate::policies;
use crate::value::{Value, values};
use casebook_model::disposition::Disposition;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::time::Timestamp;

const DECIDE: &str = "/* dispositions.decide */ insert into test_disposition (suite_id, test_id, disposition, decided_at) \
     values ($1, $2, $3, $4) on conflict (suite_id, test_id) do update set disposition = excluded.disposition, \
     decided_at = excluded.decided_at, owner = null, reason = null, expires_at = null, decided_by = null";
const WITH: &str = "/* dispositions.with */ select test_id from test_disposition \
     where suite_id = $1 and disposition = $2 order by test_id";
const NOT_ACTIVE: &str = "/* dispositions.not_active */ select test_id, disposition, reason, decided_at, expires_at from test_disposition \
     where suite_id = $1 and disposition <> $2 order by test_id";
const ADD_LABELS: Insert =
    Insert { into: "test_label (suite_id, test_id, label)", columns: 3, conflict: "on conflict do nothing" };
const REMOVE_LABEL: &str = "/* dispositions.remove_label */ delete from test_label where suite_id = $1 and test_id = $2 and label = $3";

/// A test that is muted or skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotActive {
    /// The test.
    pub test: TestId,
    /// What was decided.
    pub disposition: Disposition,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub decided_at: Timestamp,
    /// Until when, if not for ever.
    pub expires_at: Option<Timestamp>,
}

/// Stores what was decided about a test; an earlier decision ends with it.
///
/// # Errors
/// The database fails.
pub fn decide(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    disposition: Disposition,
    now: Timestamp,
) -> Result<(), StorageError> {
    let values = values![suite.get(), test.get(), disposition.code(), now.as_microseconds()];
    db.execute(DECIDE, values)?;
    policies::changed(db, suite)
}

/// The tests that are not active, with the reason that was given and the time at which that ends.
///
/// # Errors
/// The database fails.
pub fn not_active(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<NotActive>, StorageError> {
    db.query(NOT_ACTIVE, values![suite.get(), Disposition::Active.code()], |row| {
        let disposition = row.get(1)?;
        Ok(NotActive {
            test: TestId(row.get(0)?),
            disposition: member(
                Disposition::from_code(disposition),
                disposition,
                "test_disposition.disposition",
            )?,
            reason: row.get(2)?,
            decided_at: Timestamp(row.get(3)?),
            expires_at: row.get::<Option<i64>>(4)?.map(Timestamp),
        })
    })
}

/// The tests with that disposition, in order of first arrival; for active ones only those that were not so before.
///
/// # Errors
/// The database fails.
pub fn with(db: &mut Db<'_>, suite: SuiteId, disposition: Disposition) -> Result<Vec<TestId>, StorageError> {
    db.query(WITH, values![suite.get(), disposition.code()], |row| Ok(TestId(row.get(0)?)))
}

/// Adds labels to a test; those it has stay.
///
/// # Errors
/// The database fails.
pub fn add_labels(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    labels: &[String],
) -> Result<(), StorageError> {
    let mut rows: Vec<Value<'_>> = Vec::with_capacity(labels.len() * ADD_LABELS.columns);
    for label in labels {
        rows.extend_from_slice(values![suite.get(), test.get(), label]);
    }
    ADD_LABELS.rows(db, &rows)
}

/// Takes labels away from a test; those it does not have are no error.
///
/// # Errors
/// The database fails.
pub fn remove_labels(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    labels: &[String],
) -> Result<(), StorageError> {
    for label in labels {
        db.execute(REMOVE_LABEL, values![suite.get(), test.get(), label])?;
    }
    Ok(())
}
