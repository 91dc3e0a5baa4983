//! What the detector keeps of a suite: the clock, how much evidence a run usually brings, and how often code breaks.
//!
//! What uploads of one day add to the learned rates is counted in whole numbers and takes effect with the next day, so
//! that it does not matter in which order uploads of different tests come.

use crate::codec::{Damaged, Reader, Writer};
use crate::rates::Breaks;
use casebook_model::branch::BranchClass;
use casebook_model::evidence::EvidenceKind;
use casebook_model::id::{RunId, TestId};
use casebook_model::time::Timestamp;

const VERSION: u8 = 1;

/// Runs that may still grow; an older run that grows again is counted as a new one.
const MOST_OPEN: usize = 16;
/// Tests whose evidence of a run can still lose weight when the run turns out to bring too much.
pub(crate) const MOST_FULL: usize = 64;
/// Weight of a new run in the usual amount of evidence.
const NEWEST: f64 = 0.03;
/// Runs after which the usual amount is known.
const FIRST_RUNS: u64 = 20;
/// Tests of a run whose evidence has its full weight before that (detection rules, B.7 step 2).
const EARLY_FULL: f64 = 60.0;
/// Breaks of a block are counted in millionths.
const MILLION: f64 = 1e6;

/// The suite's part of the state.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteState {
    pub(crate) clock: Timestamp,
    /// Usual number of tests with new evidence in a run, by group of kinds.
    pub(crate) usual: [Usual; GROUPS],
    /// Usual number of newly failing tests in a run.
    pub(crate) usual_failing: Usual,
    pub(crate) open: Vec<OpenRun>,
    pub(crate) learned: [Learned; 3],
    today: [Tally; 3],
    day: i64,
}

/// Groups of kinds that are counted apart: within a run, between runs, isolated.
pub(crate) const GROUPS: usize = 3;

/// The group of a kind of evidence.
pub(crate) const fn group(kind: EvidenceKind) -> usize {
    match kind {
        EvidenceKind::Retry | EvidenceKind::Manual => 0,
        EvidenceKind::CrossRun | EvidenceKind::CrossJob => 1,
        EvidenceKind::Isolated => 2,
    }
}

/// A usual number: a mean over runs in which the newest weigh more.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Usual {
    pub(crate) mean: f64,
    /// Runs it was learned from.
    pub(crate) runs: u64,
}

impl Usual {
    fn learn(&mut self, x: u32) {
        // While little is known, a plain mean finds its level at once.
        let weight = if self.is_early() { 1.0 / (self.runs + 1) as f64 } else { NEWEST };
        // No single run can lift it far.
        let most = self.mean + 3.0 * self.mean.sqrt() + 3.0;
        self.mean += weight * (f64::from(x).min(most) - self.mean);
        self.runs += 1;
    }

    pub(crate) const fn is_early(&self) -> bool {
        self.runs < FIRST_RUNS
    }

    /// How much of their weight `x` surprises keep.
    pub(crate) fn share(&self, x: u32) -> f64 {
        let x = f64::from(x);
        if self.is_early() {
            (EARLY_FULL / x).min(1.0)
        } else if x <= (self.mean + 3.0 * self.mean.sqrt()).max(3.0) {
            1.0
        } else {
            self.mean.max(0.5) / x
        }
    }
}

/// A run that may still grow.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OpenRun {
    pub(crate) run: RunId,
    pub(crate) class: BranchClass,
    /// Tests that were not known to be flaky and brought evidence, by group.
    pub(crate) surprising: [u32; GROUPS],
    /// Those of them whose evidence has its full weight, while they are few.
    pub(crate) full: Vec<(TestId, RunId, EvidenceKind)>,
    /// Tests that newly failed.
    pub(crate) failing: u32,
    pub(crate) executions: u64,
    pub(crate) errors: u64,
    pub(crate) incident: bool,
}

/// Broken blocks among verdicts of a branch class, decayed by half in 60 days.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Learned {
    verdicts: f64,
    broken: f64,
    broken_sources: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Tally {
    verdicts: u64,
    broken: u64,
    broken_sources: u64,
}

/// Rate of breaks that is assumed before anything is learned, and how many verdicts it is worth.
const PRIOR_BREAKS: [(f64, f64); 3] = [(5e-4, 2e5), (1e-3, 2e5), (2e-3, 2e5)];
/// Learned rates stay within this factor of what is assumed.
const LEARNING: f64 = 20.0;

const fn index(class: BranchClass) -> usize {
    match class {
        BranchClass::Default => 0,
        BranchClass::MergeQueue => 1,
        BranchClass::PullRequest => 2,
    }
}

impl Default for SuiteState {
    fn default() -> Self {
        Self {
            clock: Timestamp(i64::MIN),
            usual: [Usual::default(); GROUPS],
            usual_failing: Usual::default(),
            open: Vec::new(),
            learned: [Learned::default(); 3],
            today: [Tally::default(); 3],
            day: i64::MIN,
        }
    }
}

impl SuiteState {
    /// The largest time folded; the beginning of time before the first upload.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Moves the clock forward, and lets what was learned on the days before take effect.
    pub(crate) fn move_clock(&mut self, at: Timestamp) {
        self.clock = self.clock.max(at);
        let day = self.clock.day();
        if day == self.day {
            return;
        }
        let days = day.saturating_sub(self.day).min(10_000) as f64;
        let factor = crate::math::exp2(-days / 60.0);
        for (learned, today) in self.learned.iter_mut().zip(&mut self.today) {
            learned.verdicts = (learned.verdicts + today.verdicts as f64) * factor;
            learned.broken = (learned.broken + today.broken as f64 / MILLION) * factor;
            learned.broken_sources =
                (learned.broken_sources + today.broken_sources as f64 / MILLION) * factor;
            *today = Tally::default();
        }
        self.day = day;
    }

    /// The open run, opened if it is not there; its index.
    pub(crate) fn open_run(&mut self, run: RunId, class: BranchClass) -> usize {
        if let Some(found) = self.open.iter().position(|open| open.run == run) {
            return found;
        }
        if self.open.len() == MOST_OPEN {
            let closed = self.open.remove(0);
            self.learn_usual(&closed);
        }
        self.open.push(OpenRun {
            run,
            class,
            surprising: [0; GROUPS],
            full: Vec::new(),
            failing: 0,
            executions: 0,
            errors: 0,
            incident: false,
        });
        self.open.len() - 1
    }

    fn learn_usual(&mut self, closed: &OpenRun) {
        let isolated = group(EvidenceKind::Isolated);
        for (index, (usual, x)) in self.usual.iter_mut().zip(closed.surprising).enumerate() {
            // Only the default branch can bring isolated failures.
            if index != isolated || closed.class == BranchClass::Default {
                usual.learn(x);
            }
        }
        self.usual_failing.learn(closed.failing);
    }

    pub(crate) fn count_verdicts(&mut self, class: BranchClass, verdicts: u64) {
        self.today[index(class)].verdicts += verdicts;
    }

    /// Counts an ended block that was broken code with probability `broken`.
    pub(crate) fn count_block(&mut self, class: BranchClass, broken: f64, sources: u32) {
        let tally = &mut self.today[index(class)];
        let millionths = (broken * MILLION) as u64;
        tally.broken += millionths;
        tally.broken_sources += millionths * u64::from(sources);
    }

    /// What is known of breaks on branches of `class`.
    pub(crate) fn breaks(&self, class: BranchClass) -> Breaks {
        let class = index(class);
        let (rate, worth) = PRIOR_BREAKS[class];
        let learned = self.learned[class];
        let breaks = (rate * worth + learned.broken) / (worth + learned.verdicts);
        // A break lasts five sources before anything is learned.
        let repaired = (20.0 + learned.broken) / (100.0 + learned.broken_sources);
        Breaks {
            breaks: breaks.clamp(rate / LEARNING, rate * LEARNING),
            fails: 0.97,
            repaired: repaired.clamp(0.02, 0.9),
        }
    }

    /// The bytes that are stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.signed(self.clock.as_microseconds());
        out.signed(self.day);
        for usual in self.usual.iter().chain([&self.usual_failing]) {
            out.float(usual.mean);
            out.unsigned(usual.runs);
        }
        for (learned, today) in self.learned.iter().zip(&self.today) {
            out.float(learned.verdicts);
            out.float(learned.broken);
            out.float(learned.broken_sources);
            out.unsigned(today.verdicts);
            out.unsigned(today.broken);
            out.unsigned(today.broken_sources);
        }
        out.unsigned(self.open.len() as u64);
        for open in &self.open {
            out.signed(open.run.get());
            out.signed(open.class.code());
            open.surprising.iter().for_each(|x| out.unsigned(u64::from(*x)));
            out.unsigned(open.full.len() as u64);
            for (test, run, kind) in &open.full {
                out.signed(test.get());
                out.signed(run.get());
                out.signed(kind.code());
            }
            out.unsigned(u64::from(open.failing));
            out.unsigned(open.executions);
            out.unsigned(open.errors);
            out.unsigned(u64::from(open.incident));
        }
        out.0
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// The bytes are damaged or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(bytes, VERSION, "detector state of the suite")?;
        let mut state = Self { clock: Timestamp(from.signed()?), day: from.signed()?, ..Self::default() };
        for usual in state.usual.iter_mut().chain([&mut state.usual_failing]) {
            *usual = Usual { mean: from.float()?, runs: from.unsigned()? };
        }
        for (learned, today) in state.learned.iter_mut().zip(&mut state.today) {
            *learned =
                Learned { verdicts: from.float()?, broken: from.float()?, broken_sources: from.float()? };
            *today = Tally {
                verdicts: from.unsigned()?,
                broken: from.unsigned()?,
                broken_sources: from.unsigned()?,
            };
        }
        for _ in 0..from.length(MOST_OPEN)? {
            state.open.push(OpenRun::read(&mut from)?);
        }
        from.end()?;
        Ok(state)
    }
}

impl OpenRun {
    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let run = RunId(from.signed()?);
        let class = BranchClass::from_code(from.signed()?).ok_or(from.damaged())?;
        let surprising = [from.small()?, from.small()?, from.small()?];
        let mut full = Vec::new();
        for _ in 0..from.length(MOST_FULL)? {
            let (test, failed) = (TestId(from.signed()?), RunId(from.signed()?));
            full.push((test, failed, EvidenceKind::from_code(from.signed()?).ok_or(from.damaged())?));
        }
        Ok(Self {
            run,
            class,
            surprising,
            full,
            failing: from.small()?,
            executions: from.unsigned()?,
            errors: from.unsigned()?,
            incident: from.unsigned()? != 0,
        })
    }
}
