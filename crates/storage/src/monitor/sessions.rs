//! Reading sessions, and the pipelines and builds that their tags name.

use super::matching::begins;
use super::paging::{Paged, Place, Wanted};
use super::record::folded;
use super::words::{self, Kind};
use crate::db::Db;
use crate::error::StorageError;
use crate::page::{Page, Side};
use crate::value::{Row, Value, values};
use casebook_model::id::{RunId, SuiteId};
use casebook_model::measurement::{MetricWord, Session};
use std::collections::HashSet;

const COUNT: &str =
    "/* monitor.count_sessions */ select sessions_kept from suite_counter where suite_id = $1";
pub(crate) const LIST: &str = "/* monitor.sessions */ select key, run_date, scm_ref, tags from monitor_session \
     where suite_id = $1 order by session_no limit $2 offset $3";
pub(crate) const LIST_FROM_END: &str = "/* monitor.sessions_from_end */ select key, run_date, scm_ref, tags from monitor_session \
     where suite_id = $1 order by session_no desc limit $2 \
     offset (select case when sessions_kept > $3 then sessions_kept - $3 else 0 end from suite_counter where suite_id = $1)";
const BY_NUMBERS: &str = "/* monitor.sessions_by_number */ select key, run_date, scm_ref, tags from monitor_session \
     where suite_id = $1 and session_no = any($2) order by session_no";
const BY_PREFIX: &str = "/* monitor.sessions_by_prefix */ select session_no, key, scm_ref, tags \
     from monitor_session /*+ session_by_prefix */ where suite_id = $1 and folded >= $2 and folded < $3";
pub(crate) const BY_SCM: &str = "/* monitor.sessions_by_scm */ select session_no, key, scm_ref, tags \
     from monitor_session /*+ session_by_scm */ where suite_id = $1 and scm_folded >= $2 and scm_folded < $3";
const SCAN: &str = "/* monitor.scan_sessions */ select session_no, key, scm_ref, tags from monitor_session where suite_id = $1 order by session_no";
const WORDS_OF_SCM: &str = "/* monitor.session_words_of_scm */ select scm_ref, session_word \
     from monitor_session /*+ session_by_scm */ where suite_id = $1 and scm_folded >= $2 and scm_folded < $3";
pub(crate) const OF_PIPELINE: &str = "/* monitor.sessions_of_pipeline */ select session_word, run_id \
     from monitor_session /*+ session_by_pipeline */ where suite_id = $1 and pipeline_word = $2";
pub(crate) const OF_BUILD: &str = "/* monitor.sessions_of_build */ select session_word, run_id \
     from monitor_session /*+ session_by_pipeline */ where suite_id = $1 and pipeline_word = $2 and build_word = $3";
pub(crate) const BUILDS: &str = "/* monitor.builds */ select build_word, min(session_no) from monitor_session /*+ session_by_pipeline */ \
     where suite_id = $1 and pipeline_word = $2 and build_word is not null group by build_word order by 2";
const KEYS_OF_BUILD: &str = "/* monitor.session_keys_of_build */ select key from monitor_session /*+ session_by_pipeline */ \
     where suite_id = $1 and pipeline_word = $2 and build_word = $3 order by session_no";
// SQLite keeps the order of a cross join: it was seen to go through all sessions.
pub(crate) const OF_COMPONENT: &str = "/* monitor.sessions_of_component */ select s.key, s.pipeline_word, s.build_word \
     from monitor_component_session c cross join monitor_session s \
     where c.suite_id = $1 and c.component_word = $2 and s.suite_id = c.suite_id and s.session_word = c.session_word \
     order by c.first_metric";

/// Which sessions; everything that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// The identifier begins so.
    pub prefix: Option<String>,
    /// The reference begins so.
    pub scm_prefix: Option<String>,
    /// Tags, each with its value, or any that is not empty.
    pub tags: Vec<(String, Option<String>)>,
    /// All tags must fit; else one is enough.
    pub every_tag: bool,
}

impl SessionFilter {
    fn admits(&self, key: &str, scm_ref: Option<&str>, tags: &str) -> bool {
        let by_prefix = self.prefix.as_ref().is_none_or(|prefix| begins(key, prefix));
        let by_scm =
            self.scm_prefix.as_ref().is_none_or(|prefix| scm_ref.is_some_and(|scm| begins(scm, prefix)));
        by_prefix && by_scm && (self.tags.is_empty() || self.admits_tags(&words::tags_from_text(tags)))
    }

    fn admits_tags(&self, tags: &[(String, Option<String>)]) -> bool {
        let fits = |(name, wanted): &(String, Option<String>)| {
            let value = tags.iter().find(|(tag, _)| tag == name).and_then(|(_, value)| value.as_deref());
            match wanted {
                Some(wanted) => value == Some(wanted),
                None => value.is_some_and(|value| !value.is_empty()),
            }
        };
        if self.every_tag { self.tags.iter().all(fits) } else { self.tags.iter().any(fits) }
    }
}

/// How many sessions the suite has.
///
/// # Errors
/// The database fails.
pub fn count(db: &mut Db<'_>, suite: SuiteId) -> Result<i64, StorageError> {
    db.get(COUNT, values![suite.get()], |row| row.get(0))
}

/// A page of sessions in the order of their arrival.
///
/// # Errors
/// The database fails.
pub fn page(
    db: &mut Db<'_>,
    suite: SuiteId,
    filter: &SessionFilter,
    wanted: Wanted,
) -> Result<Paged<Session>, StorageError> {
    let numbers = match filter {
        SessionFilter { prefix: None, scm_prefix: None, tags, .. } if tags.is_empty() => None,
        filter => Some(admitted(db, suite, filter)?),
    };
    let total = match &numbers {
        None => count(db, suite)?,
        Some(numbers) => numbers.len() as i64,
    };
    let (page, pages, rows) = match wanted.place(total) {
        Place::Nothing => return Ok(Paged::Nothing),
        Place::NoSuchPage => return Ok(Paged::NoSuchPage),
        Place::Rows { page, pages, rows } => (page, pages, rows),
    };
    let items = match numbers {
        None => {
            let page = Page { offset: rows.start, limit: rows.end - rows.start };
            page.by_nearer_end(total, |limit, side| {
                let (statement, place) = match side {
                    Side::Start { offset } => (LIST, offset),
                    Side::End { to } => (LIST_FROM_END, to),
                };
                db.query(statement, values![suite.get(), limit, place], read)
            })?
        }
        Some(numbers) => {
            let numbers = &numbers[rows.start as usize..rows.end as usize];
            db.query(BY_NUMBERS, &[suite.get().into(), Value::Ints(numbers)], read)?
        }
    };
    Ok(Paged::Page { items, page, pages })
}

fn admitted(db: &mut Db<'_>, suite: SuiteId, filter: &SessionFilter) -> Result<Vec<i64>, StorageError> {
    let mut numbers = Vec::new();
    let mut visit = |row: &Row<'_>| {
        let (key, scm, tags): (String, Option<String>, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
        if filter.admits(&key, scm.as_deref(), &tags) {
            numbers.push(row.get(0)?);
        }
        Ok(())
    };
    let (of_key, of_scm) =
        (filter.prefix.as_deref().and_then(range), filter.scm_prefix.as_deref().and_then(range));
    let (statement, range) = if of_key.is_some() { (BY_PREFIX, of_key) } else { (BY_SCM, of_scm) };
    match range {
        Some((from, to)) => {
            db.each(statement, values![suite.get(), from.as_slice(), to.as_slice()], &mut visit)?;
        }
        None => db.each(SCAN, values![suite.get()], &mut visit)?,
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The range of folded identifiers that begin so; none for the empty text.
pub(crate) fn range(prefix: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let from = folded(prefix);
    let mut to = from.clone();
    // No byte of UTF-8 is the largest.
    *to.last_mut()? += 1;
    Some((from, to))
}

fn read(row: &Row<'_>) -> Result<Session, StorageError> {
    let tags: String = row.get(3)?;
    Ok(Session {
        key: row.get(0)?,
        run_date: row.get(1)?,
        scm_ref: row.get(2)?,
        tags: words::tags_from_text(&tags),
    })
}

/// A known session.
pub(super) struct Known {
    /// Its identifier's word.
    pub(super) word: i64,
    pub(super) run: RunId,
}

/// The words of the known sessions whose reference begins so.
pub(super) fn of_scm(db: &mut Db<'_>, suite: SuiteId, prefix: &str) -> Result<Vec<i64>, StorageError> {
    let Some((from, to)) = range(prefix) else { return Ok(Vec::new()) };
    let mut words = Vec::new();
    db.each(WORDS_OF_SCM, values![suite.get(), from.as_slice(), to.as_slice()], |row| {
        if begins(&row.get::<String>(0)?, prefix) {
            words.push(row.get(1)?);
        }
        Ok(())
    })?;
    Ok(words)
}

/// The known sessions of a pipeline, or of one of its builds.
pub(super) fn of_pipeline(
    db: &mut Db<'_>,
    suite: SuiteId,
    pipeline: &str,
    build: Option<&str>,
) -> Result<Vec<Known>, StorageError> {
    let Some(pipeline) = words::find(db, suite, Kind::Pipeline, pipeline)? else { return Ok(Vec::new()) };
    let read = |row: &Row<'_>| Ok(Known { word: row.get(0)?, run: RunId(row.get(1)?) });
    let Some(build) = build else { return db.query(OF_PIPELINE, values![suite.get(), pipeline], read) };
    match words::find(db, suite, Kind::Build, build)? {
        Some(build) => db.query(OF_BUILD, values![suite.get(), pipeline, build], read),
        None => Ok(Vec::new()),
    }
}

/// What is asked of pipelines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// The names of the pipelines.
    Pipelines,
    /// The builds of one.
    Builds(String),
    /// The identifiers of the sessions of a build.
    Sessions(String, String),
}

/// Pipelines, builds or sessions, each once: in the order of the sessions, or with a component, of the first metric of it
/// that leads to each.
///
/// # Errors
/// The database fails.
pub fn pipelines(
    db: &mut Db<'_>,
    suite: SuiteId,
    component: Option<&str>,
    level: &Level,
) -> Result<Vec<String>, StorageError> {
    let wanted = match level {
        Level::Pipelines => (None, None),
        Level::Builds(pipeline) => (words::find(db, suite, Kind::Pipeline, pipeline)?, None),
        Level::Sessions(pipeline, build) => {
            let pipeline = words::find(db, suite, Kind::Pipeline, pipeline)?;
            (pipeline, words::find(db, suite, Kind::Build, build)?)
        }
    };
    let Some(component) = component else { return of_all(db, suite, level, wanted) };
    let Some(component) = words::find(db, suite, MetricWord::Component, component)? else {
        return Ok(Vec::new());
    };
    let (mut seen, mut found, mut keys) = (HashSet::new(), Vec::new(), Vec::new());
    db.each(OF_COMPONENT, values![suite.get(), component], |row| {
        let (pipeline, build): (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
        match level {
            Level::Pipelines => found.extend(pipeline.filter(|word| seen.insert(*word))),
            Level::Builds(_) if wanted.0.is_some() && pipeline == wanted.0 => {
                found.extend(build.filter(|word| seen.insert(*word)));
            }
            Level::Sessions(..)
                if wanted.0.is_some() && wanted.1.is_some() && (pipeline, build) == wanted =>
            {
                keys.push(row.get(0)?);
            }
            _ => {}
        }
        Ok(())
    })?;
    if matches!(level, Level::Sessions(..)) { Ok(keys) } else { names(db, suite, &found) }
}

/// The same of all sessions; `wanted` are the words of the pipeline and build that are asked about.
fn of_all(
    db: &mut Db<'_>,
    suite: SuiteId,
    level: &Level,
    wanted: (Option<i64>, Option<i64>),
) -> Result<Vec<String>, StorageError> {
    match (level, wanted) {
        (Level::Pipelines, _) => words::pipelines(db, suite),
        (Level::Builds(_), (Some(pipeline), _)) => {
            let found: Vec<i64> = db.query(BUILDS, values![suite.get(), pipeline], |row| row.get(0))?;
            names(db, suite, &found)
        }
        (Level::Sessions(..), (Some(pipeline), Some(build))) => {
            db.query(KEYS_OF_BUILD, values![suite.get(), pipeline, build], |row| row.get(0))
        }
        _ => Ok(Vec::new()),
    }
}

/// The texts of words, in their order.
fn names(db: &mut Db<'_>, suite: SuiteId, words: &[i64]) -> Result<Vec<String>, StorageError> {
    let mut texts = words::texts(db, suite, words)?;
    Ok(words.iter().filter_map(|word| texts.remove(word)).collect())
}

/// The components whose name begins with `prefix`, in the order of the first metric of each; the empty name stands for none.
///
/// # Errors
/// The database fails.
pub fn components(db: &mut Db<'_>, suite: SuiteId, prefix: &str) -> Result<Vec<String>, StorageError> {
    let mut found = words::components(db, suite)?;
    found.retain(|name| begins(name, prefix));
    Ok(found)
}
