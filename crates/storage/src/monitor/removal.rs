//! Taking sessions away with their metrics. Words stay, because writers remember them; lists close the gaps, columns keep them.

use super::columns;
use super::lists::{self, ALL};
use super::words;
use crate::db::Db;
use crate::error::StorageError;
use crate::value::{Value, values};
use casebook_model::id::SuiteId;
use casebook_model::measurement::MetricWord;
use std::collections::BTreeSet;

const LISTS_OF: &str = "/* monitor.words_of_metrics */ select distinct context_word, item_word, variant_word, kind_word, component_word \
     from monitor_metric where suite_id = $1 and metric_no = any($2)";
const DROP_METRICS: &str =
    "/* monitor.drop_metrics */ delete from monitor_metric where suite_id = $1 and metric_no = any($2)";
const DROP_PAIRS: &str = "/* monitor.drop_component_sessions */ delete from monitor_component_session \
     where suite_id = $1 and session_word = any($2)";
const DROP_SESSIONS: &str = "/* monitor.drop_sessions */ delete from monitor_session /*+ session_by_word */ \
     where suite_id = $1 and session_word = any($2)";
const COUNT: &str = "/* monitor.uncount_sessions */ update suite_counter set sessions_kept = sessions_kept - $2 where suite_id = $1";

/// Metrics or words of one statement.
const AT_ONCE: usize = 4_096;

/// Takes away the sessions with these identifiers, as far as they are known, and their metrics; says how many metrics that
/// were. The suite's counter row is locked.
pub(crate) fn drop_sessions(db: &mut Db<'_>, suite: SuiteId, sessions: &[&str]) -> Result<u64, StorageError> {
    let mut known = Vec::with_capacity(sessions.len());
    for session in sessions {
        known.extend(words::find(db, suite, MetricWord::Session, session)?);
    }
    if known.is_empty() {
        return Ok(0);
    }
    let gone = lists::all(db, suite, &known)?;
    let numbers = gone.places(0..gone.len());
    let mut listed: BTreeSet<i64> = known.iter().copied().collect();
    for part in numbers.chunks(AT_ONCE) {
        let place = [suite.get().into(), Value::Ints(part)];
        db.each(LISTS_OF, &place, |row| {
            for column in 0..5 {
                listed.insert(row.get(column)?);
            }
            Ok(())
        })?;
        db.execute(DROP_METRICS, &place)?;
    }
    if !numbers.is_empty() {
        listed.insert(ALL);
        let listed: Vec<i64> = listed.into_iter().collect();
        for part in listed.chunks(AT_ONCE) {
            lists::remove(db, suite, part, &gone)?;
        }
        columns::clear(db, suite, &gone)?;
    }
    let place = [suite.get().into(), Value::Ints(&known)];
    db.execute(DROP_PAIRS, &place)?;
    let sessions = db.execute(DROP_SESSIONS, &place)?;
    db.execute(COUNT, values![suite.get(), sessions as i64])?;
    Ok(numbers.len() as u64)
}
