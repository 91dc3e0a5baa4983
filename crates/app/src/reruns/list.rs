//! One suite's list: what is known of its tests, and how that is kept up.

use super::counts::{self, Counted, Wanted};
use super::{Listed, RerunList};
use crate::detection::states;
use casebook_analysis::health::{QUIET_DAYS, Rules};
use casebook_analysis::rerun_policy::{most_reruns, policy_of};
use casebook_analysis::test_state::TestState;
use casebook_model::disposition::Disposition;
use casebook_model::evidence::EpisodeEnd;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::policy::RunCounts;
use casebook_model::run::Protocol;
use casebook_model::suite::{ResolveRule, Suite};
use casebook_model::test::Identity;
use casebook_model::time::{DAY_US, Timestamp};
use casebook_storage::detector::StoredEpisode;
use casebook_storage::dispositions::{self, NotActive};
use casebook_storage::policies::{self, Versions};
use casebook_storage::{Db, StorageError, detector as stored, tests};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// How long a list is kept up before it is made anew, in microseconds: single pieces of evidence, passes and new tests change it
/// a little, unnoticed.
const GOOD_FOR_US: i64 = 60 * 1_000_000;

/// No episode stays open for longer without evidence.
const LONGEST_QUIET_DAYS: i64 = 61;

/// What is known of a suite's tests, and the list that follows from it.
#[derive(Default)]
pub(super) struct Kept {
    suite: Option<Arc<Suite>>,
    versions: Option<Versions>,
    good_until: Option<Timestamp>,
    open: HashMap<TestId, Open>,
    decisions: Decisions,
    named: HashMap<TestId, Named>,
    /// Tests with run counts of their own of which somebody said last that they are not flaky.
    dismissed: HashSet<TestId>,
    list: Arc<RerunList>,
}

/// A test under suspicion or known to be flaky.
pub(super) struct Open {
    pub(super) episode: StoredEpisode,
    due_at: Option<Timestamp>,
    counts: RunCounts,
    /// Counts by the share of failing first attempts.
    pub(super) counted: Option<Counted>,
    /// What stands for them until they are counted: the detector's estimate.
    pub(super) estimated: f64,
}

/// What people have decided.
#[derive(Default)]
struct Decisions {
    of_tests: HashMap<TestId, RunCounts>,
    of_suite: Option<RunCounts>,
    held_back: HashMap<TestId, NotActive>,
}

struct Named {
    identity: Identity,
    ending: String,
}

impl Kept {
    /// The list as of `now`, brought up to `versions`.
    pub(super) fn list(
        &mut self,
        db: &mut Db<'_>,
        suite: &Arc<Suite>,
        versions: Versions,
        now: Timestamp,
    ) -> Result<Arc<RerunList>, StorageError> {
        let is_good = self.good_until.is_some_and(|until| now <= until);
        match self.versions {
            Some(known) if is_good => {
                if known == versions {
                    return Ok(Arc::clone(&self.list));
                }
                if known.episodes != versions.episodes {
                    let changed = stored::changed_episodes(db, suite.id, known.episodes)?;
                    let episodes = stored::latest_episodes(db, suite.id, &changed)?;
                    for test in &changed {
                        self.open.remove(test);
                    }
                    self.take_in(db, suite, episodes, now)?;
                }
                if known.decisions != versions.decisions {
                    self.decisions = Decisions::read(db, suite.id)?;
                }
            }
            _ => self.begin(db, suite, now)?,
        }
        // What fails on the way is done again.
        self.versions = None;
        self.name(db, suite.id)?;
        self.dismissed = self.decisions.dismissed(db, suite.id)?;
        self.make(now);
        self.versions = Some(versions);
        self.suite = Some(Arc::clone(suite));
        Ok(Arc::clone(&self.list))
    }

    /// The suite, while its list is good for what is asked next. Afterwards whoever asks makes it anew.
    pub(super) fn suite_asked_for(&self, now: Timestamp) -> Option<Arc<Suite>> {
        self.good_until.filter(|until| now <= *until).and(self.versions).and(self.suite.clone())
    }

    /// Whether nothing was asked of the suite yet.
    pub(super) fn is_new(&self) -> bool {
        self.good_until.is_none()
    }

    /// The tests to count next.
    pub(super) fn wanted(&self, now: Timestamp, most: usize) -> Vec<Wanted> {
        counts::wanted(&self.open, now, most)
    }

    /// Takes in what was counted meanwhile; the list is made again.
    pub(super) fn put(&mut self, counted: Vec<(TestId, Counted)>, now: Timestamp) -> Arc<RerunList> {
        for (test, counted) in counted {
            if let Some(open) = self.open.get_mut(&test) {
                open.counted = Some(counted);
            }
        }
        // A list that failed half-way is made from the database first.
        if self.versions.is_some() {
            self.make(now);
        }
        Arc::clone(&self.list)
    }

    /// Reads everything anew; counts and names that are known stay.
    fn begin(&mut self, db: &mut Db<'_>, suite: &Suite, now: Timestamp) -> Result<(), StorageError> {
        let since = now.plus(-LONGEST_QUIET_DAYS * DAY_US);
        let episodes = stored::recent_episodes(db, suite.id, since, false)?;
        let before = std::mem::take(&mut self.open);
        self.take_in(db, suite, episodes, now)?;
        for (test, known) in before {
            if let Some(open) = self.open.get_mut(&test) {
                open.counted = known.counted;
            }
        }
        self.named.clear();
        self.decisions = Decisions::read(db, suite.id)?;
        self.good_until = Some(now.plus(GOOD_FOR_US));
        Ok(())
    }

    /// Adds the tests whose episode is open at `now`.
    fn take_in(
        &mut self,
        db: &mut Db<'_>,
        suite: &Suite,
        episodes: Vec<(TestId, StoredEpisode)>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let rules = Rules { detection: suite.attributes.sensitivity, resolve: suite.attributes.resolve_rule };
        let mut episodes: HashMap<TestId, StoredEpisode> =
            episodes.into_iter().filter(|(_, episode)| episode.ended.is_none()).collect();
        let ids: Vec<TestId> = episodes.keys().copied().collect();
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
                self.open.insert(test, Open::new(episode, &state, now, rules));
            }
        }
        Ok(())
    }

    /// Names the tests that are not named yet.
    fn name(&mut self, db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
        let mut missing: Vec<TestId> = self.listed().filter(|test| !self.named.contains_key(test)).collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let shown = tests::by_ids(db, suite, &missing, Protocol::Aviator)?;
        let names: Vec<&str> = shown.iter().map(|shown| shown.test.identity.name.as_str()).collect();
        let namesakes = tests::namesakes(db, suite, &names)?;
        for shown in shown {
            let identity = shown.test.identity;
            let others = namesakes.get(&identity.name).map_or(&[][..], Vec::as_slice);
            let ending = ending(&identity.class_name, others).to_owned();
            self.named.insert(shown.test.id, Named { identity, ending });
        }
        Ok(())
    }

    /// The tests that may be listed, some of them more than once.
    fn listed(&self) -> impl Iterator<Item = TestId> {
        let Decisions { of_tests, held_back, .. } = &self.decisions;
        self.open.keys().chain(of_tests.keys()).chain(held_back.keys()).copied()
    }

    /// Makes the list of what is known.
    fn make(&mut self, now: Timestamp) {
        let mut until = self.good_until.unwrap_or(now);
        let mut listed: BTreeMap<(Option<Timestamp>, TestId), Arc<Listed>> = BTreeMap::new();
        for test in self.listed() {
            let Some(Named { identity, ending }) = self.named.get(&test) else { continue };
            let open = self.open.get(&test);
            if let Some(due) = open.and_then(|open| open.due_at) {
                until = until.min(due.plus(-1));
            }
            let held_back = self.decisions.held_back.get(&test);
            let held_back = held_back.filter(|decided| decided.expires_at.is_none_or(|end| end > now));
            if let Some(end) = held_back.and_then(|decided| decided.expires_at) {
                until = until.min(end.plus(-1));
            }
            let of_suite = self.decisions.of_suite.filter(|_| open.is_some());
            let own = self.decisions.of_tests.get(&test).copied();
            let wanted = own.filter(|_| open.is_some() || !self.dismissed.contains(&test)).or(of_suite);
            let place = (open.map(|open| open.episode.last_evidence_at), test);
            listed.entry(place).or_insert_with(|| {
                Arc::new(Listed {
                    test,
                    identity: identity.clone(),
                    ending: ending.clone(),
                    opened_at: open.map(|open| open.episode.opened_at),
                    last_run_counts: wanted.or(open.map(Open::last_run_counts)).unwrap_or(RunCounts::ONCE),
                    counts: wanted.or(open.map(|open| open.counts)).unwrap_or(RunCounts::ONCE),
                    disposition: held_back.map_or(Disposition::Active, |decided| decided.disposition),
                    reason: held_back.and_then(|decided| decided.reason.clone()),
                })
            });
        }
        self.good_until = Some(until);
        let estimated = self.open.values().any(|open| open.waits(now));
        self.list = Arc::new(RerunList { tests: listed.into_values().collect(), estimated });
    }
}

impl Open {
    fn new(episode: StoredEpisode, state: &TestState, now: Timestamp, rules: Rules) -> Self {
        Self {
            episode,
            due_at: state.due_at(now, rules),
            counts: computed(state),
            counted: None,
            estimated: state.failure_probability(),
        }
    }

    /// Whether it is to be counted: for the first time, or again.
    pub(super) fn waits(&self, now: Timestamp) -> bool {
        self.counted.is_none_or(|counted| !counted.is_good(&self.episode, now))
    }

    fn last_run_counts(&self) -> RunCounts {
        self.counted.map_or_else(|| counts::of_share(self.estimated), |counted| counted.counts)
    }
}

impl Decisions {
    fn read(db: &mut Db<'_>, suite: SuiteId) -> Result<Self, StorageError> {
        let held_back = dispositions::not_active(db, suite)?;
        Ok(Self {
            of_tests: policies::of_tests(db, suite)?.into_iter().collect(),
            of_suite: policies::of_suite(db, suite)?,
            held_back: held_back.into_iter().map(|decided| (decided.test, decided)).collect(),
        })
    }
}

impl Decisions {
    /// The tests with run counts of their own whose latest episode ended because somebody said that they are not flaky.
    fn dismissed(&self, db: &mut Db<'_>, suite: SuiteId) -> Result<HashSet<TestId>, StorageError> {
        let tests: Vec<TestId> = self.of_tests.keys().copied().collect();
        if tests.is_empty() {
            return Ok(HashSet::new());
        }
        let latest = stored::latest_episodes(db, suite, &tests)?.into_iter();
        let dismissed =
            latest.filter(|(_, episode)| episode.ended.is_some_and(|(_, how)| how == EpisodeEnd::Dismissed));
        Ok(dismissed.map(|(test, _)| test).collect())
    }
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
