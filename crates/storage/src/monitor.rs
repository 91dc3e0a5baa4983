//! pytest-monitor's sessions, machines and metrics, in the order in which they arrived.
//!
//! Texts that metrics share are words with numbers. Every listing that the protocol promises is a list of metric numbers,
//! packed (`lists`): of all metrics, and of each session, context, item, variant, kind and component. Patterns and filters
//! merge lists. The values lie in columns (`columns`), so the largest and smallest are found without reading metrics.

mod columns;
mod lists;
mod matching;
mod names;
mod numbers;
mod paging;
mod record;
mod removal;

pub mod metrics;
pub mod scope;
pub mod sessions;
pub(crate) mod words;

pub use paging::{Paged, Wanted};

pub(crate) use names::identify;
pub(crate) use paging::Place;
pub(crate) use record::{examine, folded, write};
pub(crate) use removal::drop_sessions;
pub(crate) use sessions::range as prefix_range;
pub(crate) use words::Memory;

use casebook_model::key::{Key, key_of};
use casebook_model::measurement::{Metric, MetricWord, Session};

/// A record that comes with an upload. The upload's run is the session, whether or not the session itself is known.
#[derive(Debug, Clone)]
pub enum Record {
    /// A session.
    Session(Box<NewSession>),
    /// A metric.
    Metric(Box<NewMetric>),
}

/// A session to be stored.
#[derive(Debug, Clone)]
pub struct NewSession {
    session: Session,
    key: Key,
    tags: String,
    pipeline: Option<Key>,
    build: Option<Key>,
}

impl NewSession {
    /// Prepares what the writer need not do.
    #[must_use]
    pub fn new(session: Session) -> Self {
        let key = word_key(&session.key);
        let tags = words::tags_text(&session.tags);
        let (pipeline, build) = (session.pipeline().map(word_key), session.build().map(word_key));
        Self { session, key, tags, pipeline, build }
    }
}

/// A metric to be stored.
#[derive(Debug, Clone)]
pub struct NewMetric {
    metric: Metric,
    keys: [Key; 8],
    spelling: Option<Key>,
}

impl NewMetric {
    /// Prepares what the writer need not do; `spelling` is the key of how it names its test, if it names one.
    #[must_use]
    pub fn new(metric: Metric, spelling: Option<Key>) -> Self {
        let keys = std::array::from_fn(|index| word_key(&metric.words[index]));
        Self { metric, keys, spelling }
    }
}

/// Why a session is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is there already, and says the same.
    #[error("the session is known already")]
    Known,
    /// One with its identifier is there, and says something else.
    #[error("there is a session with this identifier and other content: send another session_h")]
    Different,
}

/// The key under which the text of a word is found.
fn word_key(text: &str) -> Key {
    key_of(&[text])
}

/// Words whose metrics are listed.
const LISTED: [MetricWord; 6] = [
    MetricWord::Session,
    MetricWord::Context,
    MetricWord::Item,
    MetricWord::Variant,
    MetricWord::Kind,
    MetricWord::Component,
];

/// The place of a word among a metric's.
const fn slot(word: MetricWord) -> usize {
    word.code() as usize - 1
}
