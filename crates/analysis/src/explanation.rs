//! A state in words and numbers, from the state alone: what somebody reads who asks why.

use crate::health::{QUIET_DAYS, Rules, WINDOW_DAYS, proof};
use crate::test_state::{Mark, TestState};
use crate::upload::CommitKey;
use casebook_model::evidence::EvidenceKind;
use casebook_model::health::Health;
use casebook_model::id::RunId;
use casebook_model::time::{DAY_US, Timestamp};

/// Why a test has its health.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The health.
    pub health: Health,
    /// The estimated probability that it fails on good code.
    pub q: f64,
    /// Where that lies with 90 % probability.
    pub interval: (f64, f64),
    /// Passes since the last evidence.
    pub clean: u64,
    /// Confidence that it is repaired; 0 if there was nothing to repair.
    pub confidence: f64,
    /// Passes that would prove a repair at 95 %.
    pub needed: u32,
    /// The evidence that is remembered, oldest first.
    pub evidence: Vec<Observation>,
    /// Sum of the weights by which it is flagged, and the number of changes behind it.
    pub weight: (f64, usize),
    /// The default branch, while it fails: first and last position, failing sources and attempts.
    pub failing: Option<Failing>,
    /// When the episode ends if nothing more happens.
    pub ends_at: Option<Timestamp>,
}

/// One piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The run that failed.
    pub run: RunId,
    /// Its commit.
    pub commit: CommitKey,
    /// What was observed.
    pub kind: EvidenceKind,
    /// Above 0, at most 1.
    pub weight: f64,
    /// When.
    pub at: Timestamp,
}

/// A stretch of failures on the default branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// Position of the first failing source: the break is there, or the last time it was not run before.
    pub first: i64,
    /// Position of the last.
    pub last: i64,
    /// Failing sources.
    pub sources: u32,
    /// Failing attempts.
    pub attempts: u32,
}

impl TestState {
    /// Explains the state at `at`, with the passes `since` it was stored.
    #[must_use]
    pub fn explain(&self, at: Timestamp, since: u64, rules: Rules) -> Explanation {
        let mut rates = self.rates;
        rates.settle(at.day(), since);
        let observe = |mark: &Mark| {
            let Mark { run, commit, kind, weight, at, .. } = *mark;
            Observation { run, commit, kind, weight, at }
        };
        let longest = self.blocks.iter().filter(|b| b.clean_after == 0).max_by_key(|block| block.sources);
        let q = rates.mean();
        Explanation {
            health: self.health(at, since, rules),
            q,
            interval: (rates.quantile(0.05), rates.quantile(0.95)),
            clean: self.clean + since,
            confidence: self.confidence(since),
            needed: proof(self.episode.map_or(q, |episode| episode.q)),
            evidence: self.evidence.iter().map(observe).collect(),
            weight: self.weight_by(self.episode.map_or(at, |episode| episode.last_at)),
            failing: longest.map(|block| Failing {
                first: block.first,
                last: block.last,
                sources: block.sources,
                attempts: block.attempts,
            }),
            ends_at: self.episode.and_then(|episode| {
                let end = episode.end(Timestamp(i64::MAX), self.clean + since, rules);
                end.map(|(end, _)| end).filter(|end| *end > at)
            }),
        }
    }
}

impl Explanation {
    /// Sentences for people, most important first.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(Failing { first, last, sources, attempts }) = self.failing {
            told.push(format!(
                "It failed in all {attempts} attempts on {sources} consecutive commits of the default branch, positions {first} to {last}."
            ));
        }
        let (weight, changes) = self.weight;
        if !self.evidence.is_empty() {
            told.push(format!(
                "{changes} independent changes within {WINDOW_DAYS} days show that its outcome does not depend on the code, with a weight of {weight:.2}."
            ));
        }
        told.extend(self.evidence.iter().rev().map(Observation::sentence));
        let (low, high) = self.interval;
        told.push(format!(
            "On good code it fails in about {:.2} % of its attempts (90 % interval {:.2} to {:.2} %).",
            self.q * 100.0,
            low * 100.0,
            high * 100.0
        ));
        if matches!(self.health, Health::Flaky | Health::Dormant | Health::Resolved) {
            told.push(format!(
                "It passed {} times since the last evidence; {} passes prove a repair at 95 %, so far the confidence is {:.1} %.",
                self.clean,
                self.needed,
                self.confidence * 100.0
            ));
        }
        if let Some(ends_at) = self.ends_at.filter(|_| matches!(self.health, Health::Flaky | Health::Dormant))
        {
            told.push(format!("Without new evidence it is resolved on {}.", ends_at.to_minutes()));
        }
        told
    }
}

impl Observation {
    fn sentence(&self) -> String {
        let what = match self.kind {
            EvidenceKind::Retry => "it failed and passed inside one run",
            EvidenceKind::CrossRun => "it failed in one run and passed in another of the same commit",
            EvidenceKind::CrossJob => "it failed in one job and passed in another of the same commit",
            EvidenceKind::Isolated => "it failed on one commit of the default branch between clean ones",
            EvidenceKind::Manual => "a person marked it flaky",
        };
        format!("{}: {what} (weight {:.2}).", self.at.to_minutes(), self.weight)
    }
}

/// Whole days until a flaky test is resolved if nothing more happens, for lists.
#[must_use]
pub fn quiet_days_left(last_evidence_at: Timestamp, now: Timestamp) -> i64 {
    let left = last_evidence_at.plus(QUIET_DAYS * DAY_US).as_microseconds() - now.as_microseconds();
    (left.max(0) + DAY_US - 1) / DAY_US
}
