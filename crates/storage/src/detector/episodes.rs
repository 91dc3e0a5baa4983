//! Episodes: from the first evidence until resolution.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::{Row, Value, values};
use casebook_model::evidence::EpisodeEnd;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::time::Timestamp;

const PUT_EPISODE: &str = "/* detector.put_episode */ insert into episode \
     (suite_id, test_id, number, opened_at, announced_at, announced_commit, last_evidence_at, ended_at, ended_by, version) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (suite_id, test_id, number) do update set \
     opened_at = excluded.opened_at, announced_at = excluded.announced_at, \
     announced_commit = coalesce(episode.announced_commit, excluded.announced_commit), \
     last_evidence_at = excluded.last_evidence_at, ended_at = excluded.ended_at, ended_by = excluded.ended_by, \
     version = case when excluded.version > 0 then excluded.version else episode.version end";
const EPISODES: &str = "/* detector.episodes */ select number, opened_at, announced_at, last_evidence_at, ended_at, ended_by from episode \
     where suite_id = $1 and test_id = $2 order by number desc";
pub(crate) const RECENT_EPISODES: &str = "/* detector.recent_episodes */ select test_id, number, opened_at, announced_at, last_evidence_at, ended_at, ended_by \
     from episode /*+ episode_by_evidence */ where suite_id = $1 and last_evidence_at >= $2 order by test_id, number";
pub(crate) const CHANGED_EPISODES: &str = "/* detector.changed_episodes */ select distinct test_id from episode /*+ episode_by_version */ \
     where suite_id = $1 and version > $2";
pub(crate) const LATEST_EPISODES: &str = "/* detector.latest_episodes */ select test_id, number, opened_at, announced_at, last_evidence_at, ended_at, ended_by \
     from episode where suite_id = $1 and test_id = any($2) order by test_id, number";

/// An episode as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEpisode {
    /// Counts the episodes of the test from 1.
    pub number: i64,
    /// Time of the evidence that opened it.
    pub opened_at: Timestamp,
    /// When the test was flagged, if it was.
    pub announced_at: Option<Timestamp>,
    /// Time of the latest evidence.
    pub last_evidence_at: Timestamp,
    /// When and how it ended, if it has.
    pub ended: Option<(Timestamp, EpisodeEnd)>,
}

/// Stores an episode; `commit` is that of the evidence which announced it, if that has just happened. `version` is that of a
/// change which clients are told of ([`crate::policies::next_episode_version`]); other changes have none.
///
/// # Errors
/// The database fails.
pub fn put_episode(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    episode: &StoredEpisode,
    commit: Option<&str>,
    version: Option<i64>,
) -> Result<(), StorageError> {
    let StoredEpisode { number, opened_at, announced_at, last_evidence_at, ended } = episode;
    let values = values![
        suite.get(),
        test.get(),
        *number,
        opened_at.as_microseconds(),
        announced_at.map(Timestamp::as_microseconds),
        commit,
        last_evidence_at.as_microseconds(),
        ended.map(|(at, _)| at.as_microseconds()),
        ended.map(|(_, how)| how.code()),
        version.unwrap_or(0),
    ];
    db.execute(PUT_EPISODE, values)?;
    Ok(())
}

/// The episodes of a test, newest first.
///
/// # Errors
/// The database fails.
pub fn episodes(db: &mut Db<'_>, suite: SuiteId, test: TestId) -> Result<Vec<StoredEpisode>, StorageError> {
    db.query(EPISODES, values![suite.get(), test.get()], |row| read_episode(row, 0))
}

/// The latest episode of each test that has one with evidence since `since`, by test; with `announced` among those alone
/// that were announced.
///
/// # Errors
/// The database fails.
pub fn recent_episodes(
    db: &mut Db<'_>,
    suite: SuiteId,
    since: Timestamp,
    announced: bool,
) -> Result<Vec<(TestId, StoredEpisode)>, StorageError> {
    let mut latest: Vec<(TestId, StoredEpisode)> = Vec::new();
    db.each(RECENT_EPISODES, values![suite.get(), since.as_microseconds()], |row| {
        let (test, episode) = (TestId(row.get(0)?), read_episode(row, 1)?);
        if !announced || episode.announced_at.is_some() {
            keep_latest(&mut latest, test, episode);
        }
        Ok(())
    })?;
    Ok(latest)
}

/// The tests whose episodes have changed since a version in a way that clients are told of.
///
/// # Errors
/// The database fails.
pub fn changed_episodes(db: &mut Db<'_>, suite: SuiteId, since: i64) -> Result<Vec<TestId>, StorageError> {
    db.query(CHANGED_EPISODES, values![suite.get(), since], |row| Ok(TestId(row.get(0)?)))
}

/// The latest episode of each of these tests that has any, by test.
///
/// # Errors
/// The database fails.
pub fn latest_episodes(
    db: &mut Db<'_>,
    suite: SuiteId,
    tests: &[TestId],
) -> Result<Vec<(TestId, StoredEpisode)>, StorageError> {
    let tests: Vec<i64> = tests.iter().map(|test| test.get()).collect();
    let mut latest = Vec::new();
    db.each(LATEST_EPISODES, &[suite.get().into(), Value::Ints(&tests)], |row| {
        keep_latest(&mut latest, TestId(row.get(0)?), read_episode(row, 1)?);
        Ok(())
    })?;
    Ok(latest)
}

/// Episodes come by test and number: a later one of the same test takes the place of the one before.
fn keep_latest(latest: &mut Vec<(TestId, StoredEpisode)>, test: TestId, episode: StoredEpisode) {
    match latest.last_mut() {
        Some((last, known)) if *last == test => *known = episode,
        _ => latest.push((test, episode)),
    }
}

/// Reads an episode whose columns begin at `first`.
fn read_episode(row: &Row<'_>, first: usize) -> Result<StoredEpisode, StorageError> {
    let (ended_at, ended_by): (Option<i64>, Option<i64>) = (row.get(first + 4)?, row.get(first + 5)?);
    let ended = match (ended_at, ended_by) {
        (Some(at), Some(how)) => {
            Some((Timestamp(at), member(EpisodeEnd::from_code(how), how, "episode.ended_by")?))
        }
        _ => None,
    };
    Ok(StoredEpisode {
        number: row.get(first)?,
        opened_at: Timestamp(row.get(first + 1)?),
        announced_at: row.get::<Option<i64>>(first + 2)?.map(Timestamp),
        last_evidence_at: Timestamp(row.get(first + 3)?),
        ended,
    })
}
