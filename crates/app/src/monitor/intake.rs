//! Taking over what was recorded elsewhere: a file of pytest-monitor, or another server. Repeatable: of each session only the
//! metrics are taken that come after those which are there, because both places keep them in the order of their arrival.

use super::{Put, Selection, metrics_upload};
use crate::App;
use crate::uploads::NotRecorded;
use casebook_model::machine::Machine;
use casebook_model::measurement::{Metric, MetricWord, Session};
use casebook_model::suite::Suite;
use casebook_storage::ingest::Refusal;
use casebook_storage::monitor as stored;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;

/// Metrics of one upload at most.
const MOST_METRICS: usize = 1000;

/// Uploads that are put into the queue together, so that they share transactions.
const TOGETHER: usize = 256;

/// What was taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Sessions that are new.
    pub sessions: usize,
    /// Metrics that are new.
    pub metrics: usize,
    /// Metrics that were there already.
    pub known: usize,
    /// Sessions and machines that are there with other content, by identifier; they and their metrics were left out.
    pub different: Vec<String>,
}

/// Takes records over into one suite, in their order.
pub struct Intake {
    app: Arc<App>,
    suite: Suite,
    sessions: HashMap<String, Place>,
    taken: Taken,
}

/// How far a session is.
struct Place {
    /// Metrics that were there before; none of a session that is left out.
    stored: Option<i64>,
    seen: i64,
}

impl Intake {
    /// Begins.
    #[must_use]
    pub fn new(app: Arc<App>, suite: Suite) -> Self {
        Self { app, suite, sessions: HashMap::new(), taken: Taken::default() }
    }

    /// What was taken over so far.
    #[must_use]
    pub fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Takes a machine.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn machine(&mut self, machine: Machine) -> Result<(), NotRecorded> {
        let key = machine.key.clone();
        if self.app.put_machine(self.suite.id, machine).await? == Put::Different {
            self.taken.different.push(key);
        }
        Ok(())
    }

    /// Takes a session; its metrics come later.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn session(&mut self, session: Session) -> Result<(), NotRecorded> {
        let key = session.key.clone();
        let upload = super::session_upload(&self.suite, None, session, Vec::new(), self.app.now());
        match self.app.record(upload).await {
            Ok(_) => self.taken.sessions += 1,
            Err(NotRecorded::Refused(Refusal::Monitor(stored::Refusal::Known))) => {}
            Err(NotRecorded::Refused(Refusal::Monitor(stored::Refusal::Different))) => {
                self.taken.different.push(key.clone());
                self.sessions.insert(key, Place { stored: None, seen: 0 });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes metrics, which go on where those of the last call ended.
    ///
    /// # Errors
    /// They cannot be stored.
    pub async fn metrics(&mut self, metrics: Vec<Metric>) -> Result<(), NotRecorded> {
        let mut new = Vec::with_capacity(metrics.len());
        for metric in metrics {
            if self.is_new(metric.word(MetricWord::Session)).await? {
                new.push(metric);
            }
        }
        self.taken.metrics += new.len();
        let mut uploads = Vec::new();
        let now = self.app.now();
        while !new.is_empty() {
            let session = new[0].word(MetricWord::Session).to_owned();
            let same = |metric: &&Metric| metric.word(MetricWord::Session) == session;
            let count = new.iter().take(MOST_METRICS).take_while(same).count();
            let part = new.drain(..count).collect();
            uploads.push(metrics_upload(&self.suite, None, &session, part, now));
            if uploads.len() == TOGETHER || new.is_empty() {
                // All are put into the queue, in their order, before any is waited for.
                for recorded in join_all(uploads.drain(..).map(|upload| self.app.record(upload))).await {
                    recorded?;
                }
            }
        }
        Ok(())
    }

    /// Whether the next metric of a session is new.
    async fn is_new(&mut self, session: &str) -> Result<bool, NotRecorded> {
        if !self.sessions.contains_key(session) {
            let selection = Selection::Word(MetricWord::Session, session.to_owned());
            let stored = self.app.count_metrics(self.suite.id, selection).await?;
            self.sessions.insert(session.to_owned(), Place { stored: Some(stored), seen: 0 });
        }
        let Some(place) = self.sessions.get_mut(session) else { return Ok(false) };
        place.seen += 1;
        match place.stored {
            Some(stored) if place.seen > stored => Ok(true),
            Some(_) => {
                self.taken.known += 1;
                Ok(false)
            }
            None => Ok(false),
        }
    }
}
