//! What the detector keeps of one test: bounded, and only for tests that ever failed or that a person spoke about.
//!
//! The fold is defined on exactly these bytes. Health is not among them: it follows from the state and a time
//! ([`crate::health`]), so that it does not matter when the clock-driven part ran.

use crate::codec::{Damaged, Reader, Writer};
use crate::health::Rules;
use crate::rates::Rates;
use crate::upload::{BranchKey, CommitKey, Lane, Upload};
use casebook_model::branch::BranchClass;
use casebook_model::evidence::EvidenceKind;
use casebook_model::id::RunId;
use casebook_model::time::{DAY_US, Timestamp};

const VERSION: u8 = 1;

/// Failed sources kept until the same source passes.
pub(crate) const MOST_PENDING: usize = 8;
/// Pieces of evidence kept; more than two are only needed to explain.
pub(crate) const MOST_EVIDENCE: usize = 8;
/// Lanes of the default branch that may be failing at one time.
pub(crate) const MOST_BLOCKS: usize = 4;
/// How long a failed source waits for a pass, in microseconds.
pub const PENDING_US: i64 = 14 * DAY_US;

/// The state of one test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestState {
    pub(crate) rates: Rates,
    /// First UTC day with results of the test.
    pub(crate) first_day: i64,
    /// Passes ever, for the end of being new.
    pub(crate) passes: u64,
    /// Passes since the last evidence.
    pub(crate) clean: u64,
    /// Whether the latest source of the default branch passed; none before the first.
    pub(crate) default_clean: Option<bool>,
    /// Consecutive sources of the default branch with a failure, also one that passed on retry, and the last of them.
    pub(crate) failing_sources: u32,
    pub(crate) failing_position: i64,
    pub(crate) blocks: Vec<Block>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) evidence: Vec<Mark>,
    pub(crate) episode: Option<Episode>,
    /// Episodes so far.
    pub(crate) episodes: u32,
    /// When the announced episode before the present one was resolved.
    pub(crate) resolved_at: Option<Timestamp>,
    /// Since when evidence counts: the latest "not flaky" of a person.
    pub(crate) dismissed_at: Option<Timestamp>,
    pub(crate) repair: Option<Repair>,
}

/// Consecutive sources of the default branch, in one lane, in which every attempt failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Block {
    pub(crate) lane: Lane,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Failing attempts.
    pub(crate) attempts: u32,
    pub(crate) sources: u32,
    /// What the block added to the expected failures on good code, decayed with them.
    pub(crate) contribution: f64,
    /// The source before it passed.
    pub(crate) clean_before: bool,
    pub(crate) broken_at: Option<Timestamp>,
    /// Clean sources since a broken block ended.
    pub(crate) clean_after: u32,
}

/// A source in which every attempt so far failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pending {
    pub(crate) commit: CommitKey,
    pub(crate) lane: Lane,
    pub(crate) run: RunId,
    pub(crate) class: BranchClass,
    /// The change it belongs to.
    pub(crate) origin: u64,
    pub(crate) attempts: u32,
    pub(crate) at: Timestamp,
    pub(crate) signature: u64,
    /// Its own part of the expected failures; 0 while an open block carries it.
    pub(crate) contribution: f64,
}

/// A piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mark {
    pub(crate) commit: CommitKey,
    pub(crate) origin: u64,
    pub(crate) run: RunId,
    pub(crate) kind: EvidenceKind,
    pub(crate) weight: f64,
    pub(crate) at: Timestamp,
    pub(crate) signature: u64,
    /// Position on the default branch, where the source has one.
    pub(crate) position: i64,
}

/// From the first evidence on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Episode {
    pub(crate) opened_at: Timestamp,
    pub(crate) announced_at: Option<Timestamp>,
    pub(crate) last_at: Timestamp,
    /// Failure probability when it was flagged.
    pub(crate) q: f64,
    /// Days without evidence under the proven rule.
    pub(crate) quiet_days: u32,
    /// Ended before its time, by a repair.
    pub(crate) repaired_at: Option<Timestamp>,
}

/// A commit that promises to repair the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Repair {
    pub(crate) commit: CommitKey,
    pub(crate) needed: u32,
    pub(crate) passed: u32,
}

/// The part of a branch or commit that counts as one change.
pub(crate) fn origin(class: BranchClass, branch: Option<BranchKey>, commit: CommitKey) -> u64 {
    match (class, branch) {
        (BranchClass::PullRequest, Some(branch)) => branch.0,
        _ => commit.0,
    }
}

impl TestState {
    pub(crate) fn new(day: i64, first_day: i64) -> Self {
        Self {
            rates: Rates::new(day),
            first_day,
            passes: 0,
            clean: 0,
            default_clean: None,
            failing_sources: 0,
            failing_position: 0,
            blocks: Vec::new(),
            pending: Vec::new(),
            evidence: Vec::new(),
            episode: None,
            episodes: 0,
            resolved_at: None,
            dismissed_at: None,
            repair: None,
        }
    }

    /// Whether a pass in `upload` can change more than the counters. Other passes need not be brought to the fold.
    #[must_use]
    pub fn watches(&self, upload: &Upload<'_>) -> bool {
        let is_default = upload.branch_class == BranchClass::Default;
        is_default && !self.blocks.is_empty()
            || self.pending.iter().any(|pending| pending.commit == upload.commit)
            || self.repair.is_some_and(|repair| repair.commit == upload.commit)
    }

    /// Whether a promise of `commit` to repair the test is worth anything at `at`, with `since` passes since the state was
    /// changed: an episode is open, the promise is new, and the test is not known to have failed there.
    #[must_use]
    pub fn takes_repair(&self, commit: CommitKey, at: Timestamp, since: u64, rules: Rules) -> bool {
        let is_open = self.episode(at, since, rules).is_some_and(|episode| episode.ended.is_none());
        let is_counted = self.repair.is_some_and(|repair| repair.commit == commit);
        let failed = self.pending.iter().any(|pending| pending.commit == commit)
            || self.evidence.iter().any(|mark| mark.commit == commit);
        is_open && !is_counted && !failed
    }

    /// Whether every pass on the default branch can.
    #[must_use]
    pub fn watches_default_branch(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// The estimated probability that an attempt fails although the code is good.
    #[must_use]
    pub fn failure_probability(&self) -> f64 {
        self.rates.mean()
    }

    /// The estimate of that probability below which it lies with probability `share`.
    #[must_use]
    pub fn failure_bound(&self, share: f64) -> f64 {
        self.rates.quantile(share)
    }

    /// Pieces of evidence that are remembered, at most eight.
    #[must_use]
    pub fn evidence_count(&self) -> usize {
        self.evidence.len()
    }

    /// Whether the test is failing steadily on the default branch.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.blocks.iter().any(|block| block.broken_at.is_some())
    }

    /// Notes that a source of the default branch passed in every attempt.
    pub(crate) fn note_clean_source(&mut self) {
        self.default_clean = Some(true);
        self.failing_sources = 0;
    }

    /// Notes that one had a failure.
    pub(crate) fn note_failing_source(&mut self, position: i64) {
        self.default_clean = Some(false);
        if self.failing_sources == 0 || position > self.failing_position {
            self.failing_sources += 1;
            self.failing_position = position;
        }
    }

    /// The bytes that are stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        self.rates.write(&mut out);
        out.signed(self.first_day);
        out.unsigned(self.passes);
        out.unsigned(self.clean);
        out.optional(self.default_clean.map(i64::from));
        out.unsigned(u64::from(self.failing_sources));
        out.signed(self.failing_position);
        out.unsigned(self.blocks.len() as u64);
        for block in &self.blocks {
            block.write(&mut out);
        }
        out.unsigned(self.pending.len() as u64);
        for pending in &self.pending {
            pending.write(&mut out);
        }
        out.unsigned(self.evidence.len() as u64);
        for mark in &self.evidence {
            mark.write(&mut out);
        }
        match &self.episode {
            None => out.unsigned(0),
            Some(episode) => {
                out.unsigned(1);
                episode.write(&mut out);
            }
        }
        out.unsigned(u64::from(self.episodes));
        out.optional(self.resolved_at.map(Timestamp::as_microseconds));
        out.optional(self.dismissed_at.map(Timestamp::as_microseconds));
        match &self.repair {
            None => out.unsigned(0),
            Some(Repair { commit, needed, passed }) => {
                out.unsigned(1);
                out.fixed(commit.0);
                out.unsigned(u64::from(*needed));
                out.unsigned(u64::from(*passed));
            }
        }
        out.0
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// The bytes are damaged or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(bytes, VERSION, "detector state")?;
        let mut state = Self::new(0, 0);
        state.rates = Rates::read(&mut from)?;
        state.first_day = from.signed()?;
        state.passes = from.unsigned()?;
        state.clean = from.unsigned()?;
        state.default_clean = from.optional()?.map(|value| value != 0);
        state.failing_sources = from.small()?;
        state.failing_position = from.signed()?;
        for _ in 0..from.length(MOST_BLOCKS)? {
            state.blocks.push(Block::read(&mut from)?);
        }
        for _ in 0..from.length(MOST_PENDING)? {
            state.pending.push(Pending::read(&mut from)?);
        }
        for _ in 0..from.length(MOST_EVIDENCE)? {
            state.evidence.push(Mark::read(&mut from)?);
        }
        if from.length(1)? == 1 {
            state.episode = Some(Episode::read(&mut from)?);
        }
        state.episodes = from.small()?;
        state.resolved_at = from.optional()?.map(Timestamp);
        state.dismissed_at = from.optional()?.map(Timestamp);
        if from.length(1)? == 1 {
            let commit = CommitKey(from.fixed()?);
            state.repair = Some(Repair { commit, needed: from.small()?, passed: from.small()? });
        }
        from.end()?;
        Ok(state)
    }
}

impl Block {
    fn write(&self, out: &mut Writer) {
        out.fixed(self.lane.get());
        out.signed(self.first);
        out.signed(self.last);
        out.unsigned(u64::from(self.attempts));
        out.unsigned(u64::from(self.sources));
        out.float(self.contribution);
        out.unsigned(u64::from(self.clean_before));
        out.optional(self.broken_at.map(Timestamp::as_microseconds));
        out.unsigned(u64::from(self.clean_after));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            lane: Lane::from_stored(from.fixed()?),
            first: from.signed()?,
            last: from.signed()?,
            attempts: from.small()?,
            sources: from.small()?,
            contribution: from.float()?,
            clean_before: from.unsigned()? != 0,
            broken_at: from.optional()?.map(Timestamp),
            clean_after: from.small()?,
        })
    }
}

impl Pending {
    fn write(&self, out: &mut Writer) {
        out.fixed(self.commit.0);
        out.fixed(self.lane.get());
        out.signed(self.run.get());
        out.signed(self.class.code());
        out.fixed(self.origin);
        out.unsigned(u64::from(self.attempts));
        out.signed(self.at.as_microseconds());
        out.fixed(self.signature);
        out.float(self.contribution);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            commit: CommitKey(from.fixed()?),
            lane: Lane::from_stored(from.fixed()?),
            run: RunId(from.signed()?),
            class: BranchClass::from_code(from.signed()?).ok_or(from.damaged())?,
            origin: from.fixed()?,
            attempts: from.small()?,
            at: Timestamp(from.signed()?),
            signature: from.fixed()?,
            contribution: from.float()?,
        })
    }
}

impl Mark {
    fn write(&self, out: &mut Writer) {
        out.fixed(self.commit.0);
        out.fixed(self.origin);
        out.signed(self.run.get());
        out.signed(self.kind.code());
        out.float(self.weight);
        out.signed(self.at.as_microseconds());
        out.fixed(self.signature);
        out.signed(self.position);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            commit: CommitKey(from.fixed()?),
            origin: from.fixed()?,
            run: RunId(from.signed()?),
            kind: EvidenceKind::from_code(from.signed()?).ok_or(from.damaged())?,
            weight: from.float()?,
            at: Timestamp(from.signed()?),
            signature: from.fixed()?,
            position: from.signed()?,
        })
    }
}

impl Episode {
    fn write(&self, out: &mut Writer) {
        out.signed(self.opened_at.as_microseconds());
        out.optional(self.announced_at.map(Timestamp::as_microseconds));
        out.signed(self.last_at.as_microseconds());
        out.float(self.q);
        out.unsigned(u64::from(self.quiet_days));
        out.optional(self.repaired_at.map(Timestamp::as_microseconds));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            opened_at: Timestamp(from.signed()?),
            announced_at: from.optional()?.map(Timestamp),
            last_at: Timestamp(from.signed()?),
            q: from.float()?,
            quiet_days: from.small()?,
            repaired_at: from.optional()?.map(Timestamp),
        })
    }
}
