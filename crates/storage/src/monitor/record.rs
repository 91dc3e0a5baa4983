//! Storing records with the upload that brings them.

use super::words::{Kind, Memory, Numbering, tags_from_text};
use super::{LISTED, NewMetric, NewSession, Record, Refusal, columns, lists, slot};
use crate::db::Db;
use crate::error::StorageError;
use crate::ingest::{self, Counter, NewUpload, Written};
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::id::{RunId, SuiteId};
use casebook_model::key::Key;
use casebook_model::measurement::{Metric, MetricWord, Session};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const SESSIONS: &str = "/* monitor.sessions_by_key */ select w.word_key, s.run_date, s.scm_ref, s.tags from monitor_word w \
     join monitor_session s on s.suite_id = w.suite_id and s.session_word = w.word_id \
     where w.suite_id = $1 and w.kind = 1 and w.word_key = any($2::bytea[])";
const PUT_SESSIONS: Insert = Insert {
    into: "monitor_session (suite_id, session_no, session_word, folded, key, run_id, run_date, scm_ref, scm_folded, tags, \
           pipeline_word, build_word)",
    columns: 12,
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

const PUT_SPELLINGS: Insert = Insert {
    into: "monitor_component_spelling (suite_id, component_word, spelling_key)",
    columns: 3,
    conflict: "on conflict (suite_id, component_word, spelling_key) do nothing",
};

/// What is compared of a session that comes again. The order of its tags says nothing: they are members of an object.
#[derive(PartialEq)]
struct Content {
    run_date: String,
    scm_ref: Option<String>,
    tags: BTreeMap<String, Option<String>>,
}

impl Content {
    fn of(new: &NewSession) -> Self {
        let Session { run_date, scm_ref, tags, .. } = &new.session;
        Self { run_date: run_date.clone(), scm_ref: scm_ref.clone(), tags: tags.iter().cloned().collect() }
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
        let tags = tags_from_text(&row.get::<String>(3)?).into_iter().collect();
        Ok((row.get(0)?, Content { run_date: row.get(1)?, scm_ref: row.get(2)?, tags }))
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

/// Rows to write.
#[derive(Default)]
struct Rows<'a> {
    sessions: Vec<SessionRow<'a>>,
    metrics: Vec<(i64, [i64; 8], &'a Metric)>,
    /// The new members of each word's list.
    lists: BTreeMap<i64, Vec<i64>>,
    /// The first metric of each component and session.
    pairs: BTreeMap<(i64, i64), i64>,
    spellings: Vec<(i64, Key)>,
}

struct SessionRow<'a> {
    number: i64,
    word: i64,
    run: RunId,
    pipeline: Option<i64>,
    build: Option<i64>,
    new: &'a NewSession,
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
    let mut rows = Rows::default();
    let stored = written.uploads.iter().zip(written.received).zip(numbers);
    for ((upload, received), numbers) in stored.filter(|((_, received), _)| received.recorded) {
        for record in &upload.records {
            let ingest::Record::Monitor(record) = record else { continue };
            match record {
                Record::Session(new) => {
                    counter.sessions += 1;
                    counter.sessions_kept += 1;
                    numbers.push(counter.sessions);
                    rows.session(counter.sessions, received.receipt.run, new, &mut numbering);
                }
                Record::Metric(new) => {
                    counter.metrics += 1;
                    numbers.push(counter.metrics);
                    rows.metric(counter.metrics, new, &mut numbering);
                }
            }
        }
    }
    numbering.finish(db, suite)?;
    rows.put(db, suite)?;
    if counter.metrics > metrics_before {
        rows.lists.insert(lists::ALL, (metrics_before + 1..=counter.metrics).collect());
        lists::append(db, suite, &rows.lists)?;
        columns::fill(db, suite, metrics_before, counter.metrics)?;
    }
    Ok(())
}

impl<'a> Rows<'a> {
    fn session(&mut self, number: i64, run: RunId, new: &'a NewSession, numbering: &mut Numbering<'a>) {
        let NewSession { session, key, pipeline, build, .. } = new;
        let word = numbering.number(MetricWord::Session, *key, &session.key);
        let mut tag =
            |kind, key: Option<Key>, text: Option<&'a str>| Some(numbering.number(kind, key?, text?));
        let pipeline = tag(Kind::Pipeline, *pipeline, session.pipeline());
        let build = tag(Kind::Build, *build, session.build());
        self.sessions.push(SessionRow { number, word, run, pipeline, build, new });
    }

    fn metric(&mut self, number: i64, new: &'a NewMetric, numbering: &mut Numbering<'a>) {
        let NewMetric { metric, keys, spelling } = new;
        let words: [i64; 8] = std::array::from_fn(|index| {
            numbering.number(MetricWord::ALL[index], keys[index], &metric.words[index])
        });
        for word in LISTED {
            self.lists.entry(words[slot(word)]).or_default().push(number);
        }
        let component = words[slot(MetricWord::Component)];
        self.pairs.entry((component, words[slot(MetricWord::Session)])).or_insert(number);
        if let Some(spelling) = spelling
            && numbering.is_new_spelling(component, *spelling)
        {
            self.spellings.push((component, *spelling));
        }
        self.metrics.push((number, words, metric));
    }

    fn put(&self, db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
        let packed: Vec<[u8; 40]> =
            self.metrics.iter().map(|(.., metric)| columns::packed(&metric.values)).collect();
        let mut rows: Vec<Value<'_>> = Vec::with_capacity(self.metrics.len() * PUT_METRICS.columns);
        for ((number, words, metric), measured) in self.metrics.iter().zip(&packed) {
            rows.extend_from_slice(values![suite.get(), *number]);
            rows.extend(words.map(Value::Int));
            rows.push(metric.started.as_str().into());
            rows.push(measured.into());
        }
        PUT_METRICS.rows(db, &rows)?;
        rows.clear();
        for ((component, session), first) in &self.pairs {
            rows.extend_from_slice(values![suite.get(), *component, *session, *first]);
        }
        PUT_PAIRS.rows(db, &rows)?;
        rows.clear();
        for (component, spelling) in &self.spellings {
            rows.extend_from_slice(values![suite.get(), *component, spelling]);
        }
        PUT_SPELLINGS.rows(db, &rows)?;
        self.put_sessions(db, suite)
    }

    fn put_sessions(&self, db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
        let folded: Vec<(Vec<u8>, Option<Vec<u8>>)> = self
            .sessions
            .iter()
            .map(|row| {
                let Session { key, scm_ref, .. } = &row.new.session;
                (folded(key), scm_ref.as_deref().map(folded))
            })
            .collect();
        let mut rows: Vec<Value<'_>> = Vec::with_capacity(self.sessions.len() * PUT_SESSIONS.columns);
        for (SessionRow { number, word, run, pipeline, build, new }, (folded, scm_folded)) in
            self.sessions.iter().zip(&folded)
        {
            let NewSession { session, tags, .. } = new;
            rows.extend_from_slice(values![
                suite.get(),
                *number,
                *word,
                folded.as_slice(),
                &session.key,
                run.get(),
                &session.run_date,
                session.scm_ref.as_deref(),
                scm_folded.as_deref(),
                tags,
                *pipeline,
                *build,
            ]);
        }
        PUT_SESSIONS.rows(db, &rows)
    }
}

/// Longest part of an identifier that is indexed, in bytes.
const FOLDED: usize = 128;

/// The beginning of an identifier as it is searched for: ASCII letters without regard to case.
pub(crate) fn folded(key: &str) -> Vec<u8> {
    let bytes = key.as_bytes();
    bytes.get(..FOLDED).unwrap_or(bytes).to_ascii_lowercase()
}
