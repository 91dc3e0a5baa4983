//! The states of suites in memory, as long as they are what is stored.

use super::source::Source;
use casebook_analysis::Damaged;
use casebook_analysis::health::Rules;
use casebook_analysis::lookup::PassBase;
use casebook_analysis::suite_state::SuiteState;
use casebook_analysis::test_state::TestState;
use casebook_analysis::upload::CommitKey;
use casebook_model::branch::BranchClass;
use casebook_model::id::{SuiteId, TestId, VariantId};
use casebook_storage::detector::StoredSuite;
use casebook_storage::ingest::FoldStep;
use casebook_storage::{Db, StorageError, detector as stored};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// States kept in memory over all suites; past it, others are dropped and read again when needed.
const MOST_STATES: usize = 100_000;

/// Places on the default branch that are remembered for a suite.
const MOST_POSITIONS: usize = 4_000;

/// The states of a suite's tests, with what tells their passes since.
pub(crate) type States = HashMap<TestId, (TestState, PassBase)>;

/// The detector's memory, shared by all who write.
#[derive(Default)]
pub(crate) struct Detector {
    suites: Mutex<HashMap<SuiteId, Held>>,
}

/// What is held of a suite while its uploads are folded.
pub(crate) struct Held {
    version: i64,
    positions: i64,
    pub(crate) rules: Rules,
    pub(crate) suite: SuiteState,
    pub(crate) states: States,
    pub(crate) variants: HashMap<VariantId, Option<String>>,
    places: HashMap<CommitKey, i64>,
    pub(crate) changed: bool,
}

impl Detector {
    /// Takes a suite out, reading what is stored if it has changed since. The suite's counter row is locked.
    pub(crate) fn take(&self, db: &mut Db<'_>, suite: SuiteId, rules: Rules) -> Result<Held, StorageError> {
        let version = stored::version(db, suite)?.unwrap_or(0);
        let held = self.lock().remove(&suite).filter(|held| held.version == version);
        match held {
            Some(held) => Ok(Held { rules, ..held }),
            None => Held::read(db, suite, rules),
        }
    }

    /// Stores the suite's part, and keeps all of it in memory.
    pub(crate) fn put_back(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        mut held: Held,
    ) -> Result<(), StorageError> {
        if held.changed {
            held.version += 1;
            held.changed = false;
            let Held { version, positions, .. } = held;
            stored::put_suite(db, suite, &StoredSuite { version, positions, body: held.suite.to_bytes() })?;
        }
        let mut suites = self.lock();
        let kept: usize = suites.values().map(|held| held.states.len()).sum();
        if kept + held.states.len() > MOST_STATES {
            suites.clear();
        }
        suites.insert(suite, held);
        Ok(())
    }

    /// Forgets suites whose transaction was undone.
    pub(crate) fn forget(&self, undone: impl Iterator<Item = SuiteId>) {
        let mut suites = self.lock();
        for suite in undone {
            suites.remove(&suite);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SuiteId, Held>> {
        self.suites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn read(db: &mut Db<'_>, suite: SuiteId, rules: Rules) -> Result<Self, StorageError> {
        let found = stored::suite(db, suite)?;
        let found = found.unwrap_or(StoredSuite { version: 0, positions: 0, body: Vec::new() });
        let state = if found.body.is_empty() {
            SuiteState::default()
        } else {
            SuiteState::from_bytes(&found.body).map_err(|error| damaged(&error))?
        };
        let mut states = States::new();
        for (test, body) in stored::states(db, suite)? {
            states.insert(test, unpack(&body)?);
        }
        Ok(Self {
            version: found.version,
            positions: found.positions,
            rules,
            suite: state,
            states,
            variants: HashMap::new(),
            places: HashMap::new(),
            changed: false,
        })
    }

    /// The place of the upload's source on the default branch: sources are numbered as they come there first.
    pub(crate) fn position(
        &mut self,
        db: &mut Db<'_>,
        step: &FoldStep<'_>,
        source: &Source,
    ) -> Result<Option<i64>, StorageError> {
        if step.branch_class != BranchClass::Default {
            return Ok(None);
        }
        if let Some(position) = self.places.get(&source.key) {
            return Ok(Some(*position));
        }
        let position = match stored::position(db, step.suite, &source.text)? {
            Some(position) => position,
            None => {
                self.positions += 1;
                self.changed = true;
                stored::put_position(db, step.suite, &source.text, self.positions, step.at)?;
                self.positions
            }
        };
        if self.places.len() >= MOST_POSITIONS {
            self.places.clear();
        }
        self.places.insert(source.key, position);
        Ok(Some(position))
    }
}

/// A state as it is stored: what tells its passes since, then the detector's bytes.
pub(crate) fn pack(state: &TestState, base: &PassBase) -> Vec<u8> {
    let PassBase { from_day, sums } = base;
    let mut bytes = Vec::with_capacity(33 + 400);
    bytes.push(u8::from(from_day.is_some()));
    bytes.extend_from_slice(&from_day.unwrap_or(0).to_le_bytes());
    for sum in sums {
        bytes.extend_from_slice(&sum.to_le_bytes());
    }
    bytes.extend_from_slice(&state.to_bytes());
    bytes
}

/// Reads [`pack`].
pub(crate) fn unpack(bytes: &[u8]) -> Result<(TestState, PassBase), StorageError> {
    let short = || StorageError::Damaged { place: "detector_state.body", found: "too few bytes".to_owned() };
    let (flag, rest) = bytes.split_first().ok_or_else(short)?;
    let (day, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    let mut rest = rest;
    let mut sums = [0; 3];
    for sum in &mut sums {
        let (value, after) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        *sum = u64::from_le_bytes(*value);
        rest = after;
    }
    let from_day = (*flag == 1).then(|| i64::from_le_bytes(*day));
    let state = TestState::from_bytes(rest).map_err(|error| damaged(&error))?;
    Ok((state, PassBase { from_day, sums }))
}

pub(super) fn damaged(error: &Damaged) -> StorageError {
    StorageError::Damaged { place: "detector_state.body", found: error.to_string() }
}
