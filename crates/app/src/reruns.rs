//! What clients are told to run again: the flaky tests of a suite with their run counts, kept in memory while nothing that
//! could change it has happened.

mod counts;

use crate::App;
use crate::detection::states;
use casebook_analysis::health::{QUIET_DAYS, Rules};
use casebook_analysis::rerun_policy::{most_reruns, policy_of};
use casebook_analysis::test_state::TestState;
use casebook_model::disposition::Disposition;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::policy::RunCounts;
use casebook_model::run::Protocol;
use casebook_model::suite::{ResolveRule, Suite};
use casebook_model::test::Identity;
use casebook_model::time::{DAY_US, Timestamp};
use casebook_storage::detector::StoredEpisode;
use casebook_storage::dispositions::{self, NotActive};
use casebook_storage::{Db, StorageError, detector as stored, policies, tests};
use counts::Measured;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// How long a list is good for at most, in microseconds: new tests and passes change it a little, unnoticed.
const GOOD_FOR_US: i64 = 60 * 1_000_000;

/// Lists that are kept; past it all are made again.
const MOST_LISTS: usize = 1_000;

/// No episode stays open for longer without evidence.
const LONGEST_QUIET_DAYS: i64 = 61;

/// What clients are told of a suite.
#[derive(Debug, Clone, PartialEq)]
pub struct RerunList {
    /// Tests that are not treated like all others; the one with the latest evidence last.
    pub tests: Vec<Listed>,
    version: i64,
    good_until: Timestamp,
    measured: HashMap<TestId, Measured>,
}

/// A test that is not treated like all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The test.
    pub test: TestId,
    /// Its class name and name.
    pub identity: Identity,
    /// The shortest dotted ending of the class name that tells it from other tests of the same name
    /// (`aviator.md` 4.4).
    pub ending: String,
    /// Since when it is under suspicion or known to be flaky, if it is.
    pub opened_at: Option<Timestamp>,
    /// Counts for clients that obey the last run (`aviator.md` 4.5).
    pub last_run_counts: RunCounts,
    /// Counts for clients that need enough passes (detection rules, B.8).
    pub counts: RunCounts,
    /// Whether it runs, and may block.
    pub disposition: Disposition,
    /// Why it is muted or skipped.
    pub reason: Option<String>,
}

impl Listed {
    /// Whether clients that know dispositions treat it differently from other tests.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.counts.max_runs() > 1 || self.disposition != Disposition::Active
    }
}

/// The lists that are kept, by suite. Whoever makes one holds its place, so that many who ask at once make it once.
#[derive(Default)]
pub(crate) struct RerunLists {
    suites: Mutex<HashMap<SuiteId, Place>>,
}

type Place = Arc<Mutex<Option<Arc<RerunList>>>>;

impl RerunLists {
    /// The list of `suite` as of `now`.
    pub(crate) fn get(
        &self,
        db: &mut Db<'_>,
        suite: &Suite,
        now: Timestamp,
    ) -> Result<Arc<RerunList>, StorageError> {
        let version = policies::version(db, suite.id)?.ok_or(StorageError::NoSuchSuite)?;
        let place = self.place(suite.id);
        let mut kept = place.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(list) if list.version == version && now <= list.good_until => Ok(Arc::clone(list)),
            old => {
                let list = Arc::new(make(db, suite, now, version, old.as_deref())?);
                *kept = Some(Arc::clone(&list));
                Ok(list)
            }
        }
    }

    fn place(&self, suite: SuiteId) -> Place {
        let mut suites = self.suites.lock().unwrap_or_else(PoisonError::into_inner);
        if suites.len() >= MOST_LISTS && !suites.contains_key(&suite) {
            suites.clear();
        }
        Arc::clone(suites.entry(suite).or_default())
    }
}

impl App {
    /// What clients are told of the tests of `suite`.
    ///
    /// # Errors
    /// The database fails, or the suite was deleted.
    pub async fn rerun_list(self: &Arc<Self>, suite: Suite) -> Result<Arc<RerunList>, StorageError> {
        let (app, now) = (Arc::clone(self), self.now());
        self.read(move |db| app.rerun_lists.get(db, &suite, now)).await
    }

    /// The run counts of the suite's flaky tests, if somebody has set them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn suite_policy(&self, suite: SuiteId) -> Result<Option<RunCounts>, StorageError> {
        self.read(move |db| policies::of_suite(db, suite)).await
    }

    /// Sets the run counts of a test, or without one of the flaky tests of the suite; without counts the history says them
    /// again.
    ///
    /// # Errors
    /// The database fails.
    pub async fn set_policy(
        &self,
        suite: SuiteId,
        test: Option<TestId>,
        counts: Option<RunCounts>,
    ) -> Result<(), StorageError> {
        let now = self.now();
        self.write(move |db| match counts {
            Some(counts) => policies::set(db, suite, test, counts, now),
            None => policies::clear(db, suite, test).map(drop),
        })
        .await
    }
}

/// A test under suspicion or known to be flaky.
struct Open {
    episode: StoredEpisode,
    state: TestState,
}

fn make(
    db: &mut Db<'_>,
    suite: &Suite,
    now: Timestamp,
    version: i64,
    old: Option<&RerunList>,
) -> Result<RerunList, StorageError> {
    let mut good_until = now.plus(GOOD_FOR_US);
    let open = open_episodes(db, suite, now, &mut good_until)?;
    let set: HashMap<TestId, RunCounts> = policies::of_tests(db, suite.id)?.into_iter().collect();
    let of_suite = policies::of_suite(db, suite.id)?;
    let mut held_back: HashMap<TestId, NotActive> = HashMap::new();
    for decided in dispositions::not_active(db, suite.id)? {
        match decided.expires_at {
            Some(end) if end <= now => continue,
            Some(end) => good_until = good_until.min(end.plus(-1)),
            None => {}
        }
        held_back.insert(decided.test, decided);
    }
    let ids: BTreeSet<TestId> = open.keys().chain(set.keys()).chain(held_back.keys()).copied().collect();
    let ids: Vec<TestId> = ids.into_iter().collect();
    let measured = counts::measure(db, suite.id, &open, now, old.map(|old| &old.measured))?;

    let shown = tests::by_ids(db, suite.id, &ids, Protocol::Aviator)?;
    let names: Vec<&str> = shown.iter().map(|shown| shown.test.identity.name.as_str()).collect();
    let namesakes = tests::namesakes(db, suite.id, &names)?;
    let mut listed: Vec<(Option<Timestamp>, Listed)> = Vec::with_capacity(shown.len());
    for shown in shown {
        let (id, identity) = (shown.test.id, shown.test.identity);
        let flaky = open.get(&id);
        let wanted = set.get(&id).copied().or(of_suite.filter(|_| flaky.is_some()));
        let others = namesakes.get(&identity.name).map_or(&[][..], Vec::as_slice);
        let decided = held_back.get(&id);
        listed.push((
            flaky.map(|open| open.episode.last_evidence_at),
            Listed {
                test: id,
                ending: ending(&identity.class_name, others).to_owned(),
                identity,
                opened_at: flaky.map(|open| open.episode.opened_at),
                last_run_counts: wanted
                    .or(measured.get(&id).map(|measured| measured.counts))
                    .unwrap_or(RunCounts::ONCE),
                counts: wanted.or(flaky.map(|open| computed(&open.state))).unwrap_or(RunCounts::ONCE),
                disposition: decided.map_or(Disposition::Active, |decided| decided.disposition),
                reason: decided.and_then(|decided| decided.reason.clone()),
            },
        ));
    }
    listed.sort_by_key(|(last, listed)| (*last, listed.test));
    let tests = listed.into_iter().map(|(_, listed)| listed).collect();
    Ok(RerunList { tests, version, good_until, measured })
}

/// The tests whose episode is open at `now`; `good_until` is brought forward to the first that ends.
fn open_episodes(
    db: &mut Db<'_>,
    suite: &Suite,
    now: Timestamp,
    good_until: &mut Timestamp,
) -> Result<HashMap<TestId, Open>, StorageError> {
    let rules = Rules { detection: suite.attributes.sensitivity, resolve: suite.attributes.resolve_rule };
    let since = now.plus(-LONGEST_QUIET_DAYS * DAY_US);
    let mut episodes: HashMap<TestId, StoredEpisode> = stored::recent_episodes(db, suite.id, since, false)?
        .into_iter()
        .filter(|(_, episode)| episode.ended.is_none())
        .collect();
    let ids: Vec<TestId> = episodes.keys().copied().collect();
    let mut open = HashMap::with_capacity(ids.len());
    for (test, body, _) in stored::states_of(db, suite.id, &ids)? {
        let Some(episode) = episodes.remove(&test) else { continue };
        let (state, base) = states::unpack(&body)?;
        // How often it passed since matters for proofs alone, and only once it has been quiet for long enough.
        let quiet = episode.last_evidence_at.plus(QUIET_DAYS * DAY_US) <= now;
        let clean = if rules.resolve == ResolveRule::Proven && quiet {
            let days = stored::days(db, suite.id, &[test], base.from_day.unwrap_or(-1_000_000))?;
            let cells = days.into_values().flatten().map(|count| (count.day, count.class, count.passed));
            base.since(cells).iter().sum()
        } else {
            0
        };
        if state.episode(now, clean, rules).is_some_and(|episode| episode.ended.is_none()) {
            *good_until = state.due_at(now, rules).map_or(*good_until, |due| due.plus(-1).min(*good_until));
            open.insert(test, Open { episode, state });
        }
    }
    Ok(open)
}

/// Counts that keep both errors in their bounds; where none do, as many attempts as are allowed.
fn computed(state: &TestState) -> RunCounts {
    let policy = policy_of(state).unwrap_or_else(|| most_reruns(state.failure_bound(0.8)));
    RunCounts::new(i64::from(policy.reruns) + 1, i64::from(policy.passes)).unwrap_or(RunCounts::ONCE)
}

/// The shortest ending of `class_name` at a dot that no other of `others` contains; all of it if there is none.
fn ending<'a>(class_name: &'a str, others: &[String]) -> &'a str {
    let is_other = |other: &&String| other.as_str() != class_name;
    let starts = class_name.rmatch_indices('.').map(|(at, _)| at + 1);
    starts
        .map(|start| &class_name[start..])
        .find(|ending| {
            !ending.is_empty() && !others.iter().filter(is_other).any(|other| other.contains(ending))
        })
        .unwrap_or(class_name)
}

#[cfg(test)]
mod tests_of_endings {
    use super::ending;

    #[test]
    fn an_ending_tells_a_class_from_its_namesakes() {
        let among = |class_name: &'static str, others: &[&str]| {
            let all: Vec<String> =
                others.iter().chain(&[class_name]).map(|text| (*text).to_owned()).collect();
            ending(class_name, &all)
        };
        assert_eq!(among("tests.test_x", &[]), "test_x");
        assert_eq!(among("test_x", &[]), "test_x");
        assert_eq!(among("", &["a.B"]), "");
        assert_eq!(among("a.b.C", &["a.x.C"]), "b.C");
        assert_eq!(among("a.b.C", &["a.x.D"]), "C");
        // Contained in the middle of another counts too.
        assert_eq!(among("a.test_x", &["b.test_xy"]), "a.test_x");
        // No ending is its own: the whole name is as good as it gets.
        assert_eq!(among("test_x", &["tests.test_x"]), "test_x");
        assert_eq!(among("a.b.", &[]), "b.");
    }
}
