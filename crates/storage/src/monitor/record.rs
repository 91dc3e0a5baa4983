//! Storing records with the upload that brings them.

use super::words::{Memory, Numbering};
use super::{LISTED, NewMetric, NewSession, Record, Refusal, columns, lists, slot};
use crate::db::Db;
use crate::error::StorageError;
use crate::ingest::{self, Counter, NewUpload, Written};
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::id::SuiteId;
use casebook_model::key::Key;
use casebook_model::measurement::{MetricWord, Session};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const SESSIONS: &str = "/* monitor.sessions_by_key */ select w.word_key, s.run_date, s.scm_ref, s.tags from monitor_word w \
     join monitor_session s on s.suite_id = w.suite_id and s.session_word = w.word_id \
     where w.suite_id = $1 and w.kind = 1 and w.word_key = any($2::bytea[])";
const PUT_SESSIONS: Insert = Insert {
    into: "monitor_session (suite_id, session_no, session_word, folded, key, run_id, run_date, scm_ref, tags, pipeline, build)",
    columns: 11,
    conflict: "",
};
const PUT_METRICS: Insert = Insert {
    into: "monitor_metric (suite_id, metric_no, session_word, context_word, item_word, variant_word, kind_word, component_word, \
           path_word, location_word, started, measured)",
    columns: 12,
    conflict: "",
};
const PUT_PAIRS: Insert = Insert {
    into: "monitor_component_session (suite_id, component_word, session_word, first_metric)",
    columns: 4,
    conflict: "on conflict (suite_id, component_word, session_word) do nothing",
};

/// What is compared of a session that comes again.
#[derive(PartialEq)]
struct Content {
    run_date: String,
    scm_ref: Option<String>,
    tags: String,
}

impl Content {
    fn of(new: &NewSession) -> Self {
        let Session { run_date, scm_ref, .. } = &new.session;
        Self { run_date: run_date.clone(), scm_ref: scm_ref.clone(), tags: new.tags.clone() }
    }
}

/// Refuses uploads with sessions that are there already.
pub(crate) fn examine(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    refusals: &mut [Option<ingest::Refusal>],
) -> Result<(), StorageError> {
    let keys: BTreeSet<Key> = uploads.iter().flat_map(sessions).map(|session| session.key).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let keys: Vec<Key> = keys.into_iter().collect();
    let stored = db.query(SESSIONS, &[suite.get().into(), Value::Keys(&keys)], |row| {
        Ok((row.get(0)?, Content { run_date: row.get(1)?, scm_ref: row.get(2)?, tags: row.get(3)? }))
    })?;
    let mut known: HashMap<Key, Content> = stored.into_iter().collect();
    for (upload, refusal) in uploads.iter().zip(refusals) {
        for session in sessions(upload) {
            let content = Content::of(session);
            match known.get(&session.key) {
                None => drop(known.insert(session.key, content)),
                Some(known) if *known == content => *refusal = Some(Refusal::Known.into()),
                Some(_) => *refusal = Some(Refusal::Different.into()),
            }
        }
    }
    Ok(())
}

fn sessions(upload: &NewUpload) -> impl Iterator<Item = &NewSession> {
    upload.records.iter().filter_map(|record| match record {
        ingest::Record::Monitor(Record::Session(session)) => Some(&**session),
        ingest::Record::Monitor(Record::Metric(_)) | ingest::Record::Avocado(_) => None,
    })
}

/// Writes sessions and metrics, and puts their numbers behind those of each upload.
pub(crate) fn write(
    db: &mut Db<'_>,
    written: &Written<'_>,
    counter: &mut Counter,
    memory: &mut Memory,
    numbers: &mut [Vec<i64>],
) -> Result<(), StorageError> {
    let suite = written.suite;
    memory.refresh(db, suite, counter.words)?;
    let mut numbering = Numbering::new(memory, &mut counter.words);
    let metrics_before = counter.metrics;
    let (mut session_rows, mut metric_rows) = (Vec::new(), Vec::new());
    let mut lists: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut pairs: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    let stored = written.uploads.iter().zip(written.received).zip(numbers);
    for ((upload, received), numbers) in stored.filter(|((_, received), _)| received.recorded) {
        for record in &upload.records {
            let ingest::Record::Monitor(record) = record else { continue };
            match record {
                Record::Session(new) => {
                    counter.sessions += 1;
                    numbers.push(counter.sessions);
                    let word = numbering.number(MetricWord::Session, new.key, &new.session.key);
                    session_rows.push((
                        counter.sessions,
                        word,
                        received.receipt.run,
                        &**new,
                        folded(&new.session.key),
                    ));
                }
                Record::Metric(new) => {
                    counter.metrics += 1;
                    let number = counter.metrics;
                    numbers.push(number);
                    let NewMetric { metric, keys } = &**new;
                    let words: [i64; 8] = std::array::from_fn(|index| {
                        numbering.number(MetricWord::ALL[index], keys[index], &metric.words[index])
                    });
                    for word in LISTED {
                        lists.entry(words[slot(word)]).or_default().push(number);
                    }
                    let pair = (words[slot(MetricWord::Component)], words[slot(MetricWord::Session)]);
                    pairs.entry(pair).or_insert(number);
                    metric_rows.push((number, words, metric, columns::packed(&metric.values)));
                }
            }
        }
    }
    numbering.finish(db, suite)?;
    let mut rows: Vec<Value<'_>> = Vec::with_capacity(metric_rows.len() * PUT_METRICS.columns);
    for (number, words, metric, measured) in &metric_rows {
        rows.extend_from_slice(values![suite.get(), *number]);
        rows.extend(words.map(Value::Int));
        rows.push(metric.started.as_str().into());
        rows.push(measured.into());
    }
    PUT_METRICS.rows(db, &rows)?;
    rows.clear();
    for (number, word, run, NewSession { session, tags, .. }, folded) in &session_rows {
        rows.extend_from_slice(values![
            suite.get(),
            *number,
            *word,
            folded.as_slice(),
            &session.key,
            run.get(),
            &session.run_date,
            session.scm_ref.as_deref(),
            tags,
            session.pipeline(),
            session.build(),
        ]);
    }
    PUT_SESSIONS.rows(db, &rows)?;
    rows.clear();
    for ((component, session), first) in &pairs {
        rows.extend_from_slice(values![suite.get(), *component, *session, *first]);
    }
    PUT_PAIRS.rows(db, &rows)?;
    if counter.metrics > metrics_before {
        lists.insert(lists::ALL, (metrics_before + 1..=counter.metrics).collect());
        lists::append(db, suite, &lists)?;
        columns::fill(db, suite, metrics_before, counter.metrics)?;
    }
    Ok(())
}

/// Longest part of an identifier that is indexed, in bytes.
const FOLDED: usize = 128;

/// The beginning of an identifier as it is searched for: ASCII letters without regard to case.
pub(crate) fn folded(key: &str) -> Vec<u8> {
    let bytes = key.as_bytes();
    bytes.get(..FOLDED).unwrap_or(bytes).to_ascii_lowercase()
}
