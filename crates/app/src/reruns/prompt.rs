//! Answers that do not wait for a database that is busy storing results.
//!
//! Test plugins wait for what they are told before a run begins. Where server and database share few processors, look-ups of a
//! fraction of a millisecond wait for those that store results, tens of times as long. Meanwhile clients are told what was found
//! out a moment ago, with all that this server has stored and people have decided here since.

use super::RerunList;
use crate::App;
use crate::access::Credential;
use crate::secrets;
use casebook_model::suite::Suite;
use casebook_model::time::Timestamp;
use casebook_storage::StorageError;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long something is remembered, in microseconds: decisions and revocations by other processes may be seen as late as this.
const GOOD_FOR_US: i64 = 1_000_000;

/// Age past which the database is asked again, beside the answer, in microseconds.
const FRESH_FOR_US: i64 = 50_000;

/// Questions that are remembered; past it all are forgotten.
const MOST: usize = 1_000;

/// What clients are told of a suite before a run.
#[derive(Debug, Clone)]
pub struct Told {
    /// The suite.
    pub suite: Arc<Suite>,
    /// What to do with its tests.
    pub list: Arc<RerunList>,
    /// How many tests it knows, if its clients run new tests several times.
    pub known_tests: Option<i64>,
}

/// Who asks, and for which suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question([u8; 32]);

impl Question {
    /// The question of whoever has `credential` for the suite that goes by `names`. Nothing is remembered of passwords: a
    /// fast hash would help to guess them.
    #[must_use]
    pub fn new(credential: &Credential, names: &[Option<&str>]) -> Option<Self> {
        let Credential::Token(token) = credential else { return None };
        let mut digest = Sha256::new_with_prefix(secrets::token_hash(token));
        for name in names {
            // The length in front keeps names apart; one that is not there is longer than any.
            digest.update(name.map_or(u64::MAX, |name| name.len() as u64).to_be_bytes());
            digest.update(name.unwrap_or_default());
        }
        Some(Self(digest.finalize().into()))
    }
}

/// What was found out a moment ago.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<State>);

#[derive(Default)]
struct State {
    /// How often everything was forgotten: what was asked before is not put down afterwards.
    forgotten: u64,
    answers: HashMap<Question, Answer>,
}

#[derive(Clone)]
struct Answer {
    suite: Arc<Suite>,
    known_tests: Option<i64>,
    at: Timestamp,
    /// Somebody is asking the database again.
    renewing: bool,
}

impl Remembered {
    /// Forgets everything: something was decided of which the next answer must know.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.forgotten += 1;
        state.answers.clear();
    }

    fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// The last answer, and whether the caller is to ask the database again.
    fn find(&self, question: Question, now: Timestamp) -> Option<(Answer, bool)> {
        let mut state = self.lock();
        let answer = state.answers.get_mut(&question)?;
        let age = now.as_microseconds() - answer.at.as_microseconds();
        if !(0..=GOOD_FOR_US).contains(&age) {
            return None;
        }
        let renew = age > FRESH_FOR_US && !answer.renewing;
        answer.renewing |= renew;
        Some((answer.clone(), renew))
    }

    /// Puts `answer` down, or takes the last one away, unless something was decided meanwhile.
    fn put(&self, question: Question, answer: Option<Answer>, forgotten: u64) {
        let mut state = self.lock();
        if state.forgotten != forgotten {
            return;
        }
        if state.answers.len() >= MOST && !state.answers.contains_key(&question) {
            state.answers.clear();
        }
        match answer {
            Some(answer) => drop(state.answers.insert(question, answer)),
            None => drop(state.answers.remove(&question)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// What clients are told of the suite that `find` finds for `question`; none if it finds none.
    ///
    /// # Errors
    /// Those of `find`; the database fails, or the suite was deleted.
    pub async fn tell<E>(
        self: &Arc<Self>,
        question: Option<Question>,
        find: impl Future<Output = Result<Option<Suite>, E>> + Send + 'static,
    ) -> Result<Option<Told>, E>
    where
        E: From<StorageError> + Send + 'static,
    {
        let Some(question) = question else { return self.find_out(find).await };
        let (app, forgotten, at) = (Arc::clone(self), self.remembered.forgotten(), self.now());
        let found = async move {
            let told = app.find_out(find).await;
            let known = told.as_ref().ok().and_then(Option::as_ref);
            let answer = known.map(|Told { suite, known_tests, .. }| Answer {
                suite: Arc::clone(suite),
                known_tests: *known_tests,
                at,
                renewing: false,
            });
            app.remembered.put(question, answer, forgotten);
            told
        };
        match self.recall(question) {
            Some((told, renew)) => {
                if renew {
                    tokio::spawn(found);
                }
                Ok(Some(told))
            }
            None => found.await,
        }
    }

    /// Asks the database.
    async fn find_out<E: From<StorageError>>(
        self: &Arc<Self>,
        find: impl Future<Output = Result<Option<Suite>, E>>,
    ) -> Result<Option<Told>, E> {
        let Some(suite) = find.await? else { return Ok(None) };
        let suite = Arc::new(suite);
        let list = self.rerun_list(Arc::clone(&suite)).await?;
        let known_tests = match suite.attributes.new_tests {
            true => Some(self.known_test_count(suite.id).await?),
            false => None,
        };
        Ok(Some(Told { suite, list, known_tests }))
    }

    /// What was told a moment ago, while results are being stored, and whether the database is to be asked again.
    fn recall(self: &Arc<Self>, question: Question) -> Option<(Told, bool)> {
        if !self.group_commit.is_storing() {
            return None;
        }
        let (Answer { suite, known_tests, .. }, renew) = self.remembered.find(question, self.now())?;
        let list = self.rerun_lists.latest(suite.id)?;
        self.count_the_rest(suite.id, &list);
        Some((Told { suite, list, known_tests }, renew))
    }
}
