//! Reading metrics: counts, numbered pages, and the largest and smallest of a resource.

use super::matching::Pattern;
use super::numbers::Numbers;
use super::paging::{Paged, Place, Wanted};
use super::{columns, lists, sessions, slot, words};
use crate::db::Db;
use crate::error::StorageError;
use crate::value::{Row, Value};
use casebook_model::id::SuiteId;
use casebook_model::measurement::{Metric, MetricWord, Resource};
use std::cmp::Ordering;
use std::collections::HashMap;

const BY_NUMBERS: &str = "/* monitor.metrics */ select metric_no, session_word, context_word, item_word, variant_word, \
     kind_word, component_word, path_word, location_word, started, measured \
     from monitor_metric where suite_id = $1 and metric_no = any($2) order by metric_no";

/// Which metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of the suite.
    All,
    /// Those with exactly this text.
    Word(MetricWord, String),
    /// Those of a component with exactly this text.
    InComponent(String, MetricWord, String),
    /// Those with a text that contains this pattern.
    Like(MetricWord, String),
    /// Those of known sessions whose reference begins so.
    Scm(String),
    /// Those of known sessions of a pipeline.
    Pipeline(String),
    /// Those of known sessions of a build of a pipeline.
    Build(String, String),
}

/// What is known of a selection before its metrics are read.
enum Members {
    /// One list.
    List(i64, lists::Head),
    /// Those of several lists, or common to two.
    Numbers(Numbers),
    /// No session is what was asked for.
    NoSession,
}

impl Members {
    fn len(&self) -> i64 {
        match self {
            Self::List(_, head) => head.size,
            Self::Numbers(numbers) => numbers.len(),
            Self::NoSession => 0,
        }
    }
}

/// How many metrics are selected.
///
/// # Errors
/// The database fails.
pub fn count(db: &mut Db<'_>, suite: SuiteId, selection: &Selection) -> Result<i64, StorageError> {
    Ok(members(db, suite, selection)?.len())
}

/// A page of the selected metrics, in the order of their arrival.
///
/// # Errors
/// The database fails.
pub fn page(
    db: &mut Db<'_>,
    suite: SuiteId,
    selection: &Selection,
    wanted: Wanted,
) -> Result<Paged<Metric>, StorageError> {
    let members = members(db, suite, selection)?;
    let (page, pages, rows) = match wanted.place(members.len()) {
        _ if matches!(members, Members::NoSession) => return Ok(Paged::Nothing),
        Place::Nothing => return Ok(Paged::Nothing),
        Place::NoSuchPage => return Ok(Paged::NoSuchPage),
        Place::Rows { page, pages, rows } => (page, pages, rows),
    };
    let numbers = match members {
        Members::List(word, head) => lists::members(db, suite, word, &head, rows)?,
        Members::Numbers(numbers) => numbers.places(rows),
        Members::NoSession => Vec::new(),
    };
    let found = by_numbers(db, suite, &numbers)?;
    Ok(Paged::Page { items: found.into_iter().map(|(_, metric)| metric).collect(), page, pages })
}

/// The end of an order by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The largest first.
    Head,
    /// The smallest first.
    Tail,
}

/// The `most` selected metrics with the largest or smallest values, equal ones in the order of their arrival.
///
/// # Errors
/// The database fails.
pub fn extremes(
    db: &mut Db<'_>,
    suite: SuiteId,
    selection: &Selection,
    resource: Resource,
    end: End,
    most: usize,
) -> Result<Vec<Metric>, StorageError> {
    let members = match members(db, suite, selection)? {
        Members::List(lists::ALL, head) if head.size > 0 => None,
        Members::List(word, _) => Some(lists::all(db, suite, &[word])?),
        Members::Numbers(numbers) => Some(numbers),
        Members::NoSession => Some(Numbers::default()),
    };
    let mut best = Best { end, most, found: Vec::with_capacity(2 * most), worst: None };
    if most > 0 {
        columns::each(db, suite, resource, members.as_ref(), |number, value| best.offer(number, value))?;
    }
    let numbers = best.finish();
    let mut metrics: HashMap<i64, Metric> = by_numbers(db, suite, &numbers)?.into_iter().collect();
    Ok(numbers.iter().filter_map(|number| metrics.remove(number)).collect())
}

/// The best of what is offered, in rising order of the numbers.
struct Best {
    end: End,
    most: usize,
    /// At most twice as many as wanted.
    found: Vec<(f64, i64)>,
    /// The worst value of the wanted number of better ones: what is not better than that is out, because it came later.
    worst: Option<f64>,
}

impl Best {
    fn offer(&mut self, number: i64, value: f64) {
        let is_out = |worst| if self.end == End::Head { value <= worst } else { value >= worst };
        if self.worst.is_some_and(is_out) {
            return;
        }
        if self.found.len() >= 2 * self.most {
            self.cut();
        }
        self.found.push((value, number));
    }

    fn order(&self) -> impl Fn(&(f64, i64), &(f64, i64)) -> Ordering + use<> {
        let end = self.end;
        move |a, b| {
            let by_value = a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal);
            let by_value = if end == End::Head { by_value.reverse() } else { by_value };
            by_value.then(a.1.cmp(&b.1))
        }
    }

    fn cut(&mut self) {
        let order = self.order();
        if self.found.len() > self.most {
            let (_, (worst, _), _) = self.found.select_nth_unstable_by(self.most - 1, order);
            self.worst = Some(*worst);
            self.found.truncate(self.most);
        }
    }

    fn finish(mut self) -> Vec<i64> {
        self.cut();
        let order = self.order();
        self.found.sort_unstable_by(order);
        self.found.into_iter().map(|(_, number)| number).collect()
    }
}

fn members(db: &mut Db<'_>, suite: SuiteId, selection: &Selection) -> Result<Members, StorageError> {
    let word = match selection {
        Selection::All => Some(lists::ALL),
        Selection::Word(kind, text) => words::find(db, suite, *kind, text)?,
        Selection::InComponent(component, kind, text) => {
            let component = words::find(db, suite, MetricWord::Component, component)?;
            let word = words::find(db, suite, *kind, text)?;
            return Ok(Members::Numbers(match (component, word) {
                (Some(component), Some(word)) => common(db, suite, component, word)?,
                _ => Numbers::default(),
            }));
        }
        Selection::Like(kind, text) => {
            let pattern = Pattern::new(text);
            let words = words::of_kind(db, suite, *kind, |word| pattern.matches(word))?;
            return Ok(Members::Numbers(lists::all(db, suite, &words)?));
        }
        Selection::Scm(reference) => {
            let words = sessions::of_scm(db, suite, reference)?;
            return of_sessions(db, suite, &words);
        }
        Selection::Pipeline(pipeline) => {
            let known = sessions::of_pipeline(db, suite, pipeline, None)?;
            return of_sessions(db, suite, &words_of(&known));
        }
        Selection::Build(pipeline, build) => {
            let known = sessions::of_pipeline(db, suite, pipeline, Some(build))?;
            return of_sessions(db, suite, &words_of(&known));
        }
    };
    match word {
        Some(word) => Ok(Members::List(word, lists::head(db, suite, word)?)),
        None => Ok(Members::Numbers(Numbers::default())),
    }
}

fn words_of(known: &[sessions::Known]) -> Vec<i64> {
    known.iter().map(|session| session.word).collect()
}

fn of_sessions(db: &mut Db<'_>, suite: SuiteId, words: &[i64]) -> Result<Members, StorageError> {
    if words.is_empty() {
        return Ok(Members::NoSession);
    }
    Ok(Members::Numbers(lists::all(db, suite, words)?))
}

/// The members that two lists have in common.
fn common(db: &mut Db<'_>, suite: SuiteId, one: i64, other: i64) -> Result<Numbers, StorageError> {
    let mut common = lists::all(db, suite, &[one])?;
    common.intersect(&lists::all(db, suite, &[other])?);
    Ok(common)
}

/// Metrics with their numbers, in rising order, as far as they are there.
pub(super) fn by_numbers(
    db: &mut Db<'_>,
    suite: SuiteId,
    numbers: &[i64],
) -> Result<Vec<(i64, Metric)>, StorageError> {
    let rows = db.query(BY_NUMBERS, &[suite.get().into(), Value::Ints(numbers)], read)?;
    let mut ids: Vec<i64> = rows.iter().flat_map(|row| row.words).collect();
    ids.sort_unstable();
    ids.dedup();
    let texts = words::texts(db, suite, &ids)?;
    let metrics = rows.into_iter().map(|StoredMetric { number, words, started, values }| {
        let words = words.map(|word| texts.get(&word).cloned().unwrap_or_default());
        (number, Metric { words, started, values })
    });
    Ok(metrics.collect())
}

struct StoredMetric {
    number: i64,
    /// In the order of [`MetricWord::ALL`].
    words: [i64; 8],
    started: String,
    values: [f64; 5],
}

fn read(row: &Row<'_>) -> Result<StoredMetric, StorageError> {
    let mut words = [0; 8];
    for (column, word) in (1..).zip(MetricWord::ALL) {
        words[slot(*word)] = row.get(column)?;
    }
    Ok(StoredMetric { number: row.get(0)?, words, started: row.get(9)?, values: columns::measured(row, 10)? })
}
