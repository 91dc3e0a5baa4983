//! Words: texts that many metrics share, by number. They are only ever added, so a memory that is behind reads the newer ones.

use super::names::Names;
use super::word_key;
use crate::db::Db;
use crate::error::StorageError;
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::id::SuiteId;
use casebook_model::key::Key;
use casebook_model::measurement::MetricWord;
use std::collections::{HashMap, HashSet};

const SINCE: &str = "/* monitor.words_since */ select word_id, kind, word_key from monitor_word where suite_id = $1 and word_id > $2";
const FIND: &str = "/* monitor.find_word */ select word_id from monitor_word where suite_id = $1 and kind = $2 and word_key = $3";
const OF_KIND: &str = "/* monitor.words_of_kind */ select word_id, word from monitor_word where suite_id = $1 and kind = $2 order by word_id";
// Words outlive what retention takes away of them.
pub(crate) const COMPONENTS: &str = "/* monitor.components */ select w.word from monitor_word w /*+ word_by_key */ \
     where w.suite_id = $1 and w.kind = 6 and exists \
     (select 1 from monitor_list l where l.suite_id = $1 and l.word_id = w.word_id) order by w.word_id";
pub(crate) const PIPELINES: &str = "/* monitor.pipelines */ select w.word from monitor_word w /*+ word_by_key */ \
     where w.suite_id = $1 and w.kind = 9 and exists \
     (select 1 from monitor_session s /*+ session_by_pipeline */ where s.suite_id = $1 and s.pipeline_word = w.word_id) \
     order by w.word_id";
const BY_IDS: &str =
    "/* monitor.words */ select word_id, word from monitor_word where suite_id = $1 and word_id = any($2)";
const PUT: Insert =
    Insert { into: "monitor_word (suite_id, word_id, kind, word_key, word)", columns: 5, conflict: "" };

/// What a word is: a text of metrics, or the pipeline or build of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Of(MetricWord),
    Pipeline,
    Build,
}

impl Kind {
    const fn code(self) -> i64 {
        match self {
            Self::Of(word) => word.code(),
            Self::Pipeline => 9,
            Self::Build => 10,
        }
    }
}

impl From<MetricWord> for Kind {
    fn from(word: MetricWord) -> Self {
        Self::Of(word)
    }
}

/// What the writer remembers of a suite's words and names.
#[derive(Default)]
pub(crate) struct Memory {
    upto: i64,
    words: HashMap<(i64, Key), i64>,
    pub(super) names: Names,
    /// Components with spellings of their tests that are surely stored.
    spellings: HashSet<(i64, Key)>,
}

impl Memory {
    /// How many, for the bound on all suites.
    pub(crate) fn len(&self) -> usize {
        self.words.len() + self.names.len() + self.spellings.len()
    }

    /// Reads the words that came since. The suite's counter row is locked, and says that there are `words`.
    pub(super) fn refresh(
        &mut self,
        db: &mut Db<'_>,
        suite: SuiteId,
        words: i64,
    ) -> Result<(), StorageError> {
        if self.upto == words {
            return Ok(());
        }
        if self.upto > words {
            self.words.clear();
            self.spellings.clear();
            self.upto = 0;
        }
        db.each(SINCE, values![suite.get(), self.upto], |row| {
            self.words.insert((row.get(1)?, row.get(2)?), row.get(0)?);
            Ok(())
        })?;
        self.upto = words;
        Ok(())
    }
}

/// Gives words their numbers while a group is written.
pub(super) struct Numbering<'a> {
    memory: &'a mut Memory,
    made: &'a mut i64,
    new: Vec<(i64, Kind, Key, &'a str)>,
}

impl<'a> Numbering<'a> {
    pub(super) fn new(memory: &'a mut Memory, made: &'a mut i64) -> Self {
        Self { memory, made, new: Vec::new() }
    }

    /// The number of a word, new or known.
    pub(super) fn number(&mut self, kind: impl Into<Kind>, key: Key, text: &'a str) -> i64 {
        let kind = kind.into();
        *self.memory.words.entry((kind.code(), key)).or_insert_with(|| {
            *self.made += 1;
            self.new.push((*self.made, kind, key, text));
            *self.made
        })
    }

    /// Whether it is not known yet that tests spelled so have metrics of a component; it is from now on.
    pub(super) fn is_new_spelling(&mut self, component: i64, spelling: Key) -> bool {
        self.memory.spellings.insert((component, spelling))
    }

    /// Writes the words that are new.
    pub(super) fn finish(self, db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
        self.memory.upto = *self.made;
        let mut rows: Vec<Value<'_>> = Vec::with_capacity(self.new.len() * PUT.columns);
        for (id, kind, key, text) in &self.new {
            rows.extend_from_slice(values![suite.get(), *id, kind.code(), key, *text]);
        }
        PUT.rows(db, &rows)
    }
}

/// The number of a word, if any metric or session has it.
pub(super) fn find(
    db: &mut Db<'_>,
    suite: SuiteId,
    kind: impl Into<Kind>,
    text: &str,
) -> Result<Option<i64>, StorageError> {
    db.find(FIND, values![suite.get(), kind.into().code(), &word_key(text)], |row| row.get(0))
}

/// The words of a kind that `admit` takes, in the order in which they came first. Reads all words of the suite one after another.
pub(super) fn of_kind(
    db: &mut Db<'_>,
    suite: SuiteId,
    kind: impl Into<Kind>,
    admit: impl Fn(&str) -> bool,
) -> Result<Vec<i64>, StorageError> {
    let mut found = Vec::new();
    db.each(OF_KIND, values![suite.get(), kind.into().code()], |row| {
        if admit(&row.get::<String>(1)?) {
            found.push(row.get(0)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// The components that have metrics, in the order of the first of each.
pub(super) fn components(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<String>, StorageError> {
    db.query(COMPONENTS, values![suite.get()], |row| row.get(0))
}

/// The pipelines that have sessions, in the order of the first of each.
pub(super) fn pipelines(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<String>, StorageError> {
    db.query(PIPELINES, values![suite.get()], |row| row.get(0))
}

/// The texts of words.
pub(super) fn texts(
    db: &mut Db<'_>,
    suite: SuiteId,
    ids: &[i64],
) -> Result<HashMap<i64, String>, StorageError> {
    let found =
        db.query(BY_IDS, &[suite.get().into(), Value::Ints(ids)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.into_iter().collect())
}

/// Tags as they are stored: a JSON list of name and value, in the order in which they were sent.
pub(super) fn tags_text(tags: &[(String, Option<String>)]) -> String {
    let list = tags.iter().map(|(name, value)| serde_json::json!([name, value]));
    serde_json::Value::Array(list.collect()).to_string()
}

/// Reads tags as they are stored.
pub(super) fn tags_from_text(text: &str) -> Vec<(String, Option<String>)> {
    serde_json::from_str(text).unwrap_or_default()
}
