//! Reading sessions, and the pipelines and builds that their tags name.

use super::matching::begins;
use super::paging::{Paged, Place, Wanted};
use super::record::folded;
use super::words;
use crate::db::Db;
use crate::error::StorageError;
use crate::value::{Row, Value, values};
use casebook_model::id::SuiteId;
use casebook_model::measurement::{MetricWord, Session};

const COUNT: &str = "/* monitor.count_sessions */ select count(*) from monitor_session where suite_id = $1";
const LIST: &str = "/* monitor.sessions */ select key, run_date, scm_ref, tags from monitor_session where suite_id = $1 \
     order by session_no limit $2 offset $3";
const BY_NUMBERS: &str = "/* monitor.sessions_by_number */ select key, run_date, scm_ref, tags from monitor_session \
     where suite_id = $1 and session_no = any($2) order by session_no";
const BY_PREFIX: &str = "/* monitor.sessions_by_prefix */ select session_no, key, scm_ref, tags \
     from monitor_session /*+ session_by_prefix */ where suite_id = $1 and folded >= $2 and folded < $3";
const SCAN: &str = "/* monitor.scan_sessions */ select session_no, key, scm_ref, tags from monitor_session where suite_id = $1 order by session_no";
const KNOWN: &str = "/* monitor.known_sessions */ select key, scm_ref, pipeline, build, session_word from monitor_session \
     where suite_id = $1 order by session_no";
const OF_COMPONENT: &str = "/* monitor.sessions_of_component */ select s.key, s.scm_ref, s.pipeline, s.build, s.session_word \
     from monitor_component_session c join monitor_session s on s.suite_id = c.suite_id and s.session_word = c.session_word \
     where c.suite_id = $1 and c.component_word = $2 order by c.first_metric";

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
        None => db.query(LIST, values![suite.get(), rows.end - rows.start, rows.start], read)?,
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
    match filter.prefix.as_deref().and_then(range) {
        Some((from, to)) => {
            db.each(BY_PREFIX, values![suite.get(), from.as_slice(), to.as_slice()], &mut visit)?;
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

/// What decides whether a known session belongs to a pipeline or build.
pub(super) struct Known<'a> {
    pub(super) scm_ref: Option<&'a str>,
    pub(super) pipeline: Option<&'a str>,
    pub(super) build: Option<&'a str>,
}

/// The words of the known sessions that `admit` takes.
pub(super) fn words(
    db: &mut Db<'_>,
    suite: SuiteId,
    admit: impl Fn(&Known<'_>) -> bool,
) -> Result<Vec<i64>, StorageError> {
    let mut words = Vec::new();
    db.each(KNOWN, values![suite.get()], |row| {
        let (scm, pipeline, build): (Option<String>, Option<String>, Option<String>) =
            (row.get(1)?, row.get(2)?, row.get(3)?);
        let known = Known { scm_ref: scm.as_deref(), pipeline: pipeline.as_deref(), build: build.as_deref() };
        if admit(&known) {
            words.push(row.get(4)?);
        }
        Ok(())
    })?;
    Ok(words)
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
    let mut seen = std::collections::HashSet::new();
    let mut found = Vec::new();
    let mut visit = |row: &Row<'_>| {
        let (pipeline, build): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
        let name = match level {
            Level::Pipelines => pipeline,
            Level::Builds(wanted) => build.filter(|_| pipeline.as_ref() == Some(wanted)),
            Level::Sessions(wanted, number) => {
                let fits = pipeline.as_ref() == Some(wanted) && build.as_ref() == Some(number);
                if fits { Some(row.get(0)?) } else { None }
            }
        };
        if let Some(name) = name
            && seen.insert(name.clone())
        {
            found.push(name);
        }
        Ok(())
    };
    match component {
        None => db.each(KNOWN, values![suite.get()], &mut visit)?,
        Some(component) => {
            if let Some(word) = words::find(db, suite, MetricWord::Component, component)? {
                db.each(OF_COMPONENT, values![suite.get(), word], &mut visit)?;
            }
        }
    }
    Ok(found)
}

/// The components whose name begins with `prefix`, in the order of the first metric of each; the empty name stands for none.
///
/// # Errors
/// The database fails.
pub fn components(db: &mut Db<'_>, suite: SuiteId, prefix: &str) -> Result<Vec<String>, StorageError> {
    let found = words::of_kind(db, suite, MetricWord::Component, |name| begins(name, prefix))?;
    Ok(found.into_iter().map(|(_, name)| name).collect())
}
