//! Events: what happened to a test, once for each episode, in the transaction that caused it.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::time::Timestamp;
use casebook_model::webhook::EventKind;

const INSERT: &str = "/* events.insert */ insert into event (suite_id, test_id, episode, kind, at, notified) \
     values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning event_id";
const TAKE_BACK: &str = "/* events.take_back */ update event set episode = null \
     where suite_id = $1 and test_id = $2 and episode = $3 \
     and exists (select 1 from event told where told.suite_id = $1 and told.test_id = $2 and told.episode = $3 and told.kind = 2)";
const ANNOUNCED: &str = "/* events.announced */ select at, notified from event \
     where suite_id = $1 and test_id = $2 and episode = $3 and kind = 1";

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEvent {
    /// The suite.
    pub suite: SuiteId,
    /// The test and the number of its episode; none for what is no test's.
    pub episode: Option<(TestId, i64)>,
    /// What.
    pub kind: EventKind,
    /// When it was found out.
    pub at: Timestamp,
    /// Whether anybody is told.
    pub notified: bool,
}

/// Keeps an event and returns its number; none if the same happened in the same episode before.
///
/// # Errors
/// The database fails.
pub fn insert(db: &mut Db<'_>, event: &NewEvent) -> Result<Option<i64>, StorageError> {
    let NewEvent { suite, episode, kind, at, notified } = *event;
    let (test, episode) = (episode.map(|(test, _)| test.get()), episode.map(|(_, number)| number));
    let values = values![suite.get(), test, episode, kind.code(), at.as_microseconds(), i64::from(notified)];
    db.find(INSERT, values, |row| row.get(0))
}

/// Lets an episode be announced and end once more, if its end was told: both events no longer count as its own. False if
/// it was not.
///
/// # Errors
/// The database fails.
pub fn take_back(db: &mut Db<'_>, suite: SuiteId, test: TestId, episode: i64) -> Result<bool, StorageError> {
    Ok(db.execute(TAKE_BACK, values![suite.get(), test.get(), episode])? > 0)
}

/// When the announcement of an episode was found out, and whether anybody was told.
///
/// # Errors
/// The database fails.
pub fn announced(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    episode: i64,
) -> Result<Option<(Timestamp, bool)>, StorageError> {
    let values = values![suite.get(), test.get(), episode];
    db.find(ANNOUNCED, values, |row| Ok((Timestamp(row.get(0)?), row.flag(1)?)))
}
