//! Health and episodes: what a state says at a time (detection rules, B.7 step 3, rulings 1 to 3).
//!
//! Health is computed, not stored: a resolution takes place exactly when it is due, whenever somebody looks.

use crate::math::{ln, runs_to_reject};
use crate::test_state::{Episode, MOST_EVIDENCE, Mark, TestState};
use casebook_model::evidence::{EpisodeEnd, EvidenceKind};
use casebook_model::health::Health;
use casebook_model::suite::{ResolveRule, Sensitivity};
use casebook_model::time::{DAY_US, Timestamp};

/// Days without evidence after which a flaky test is resolved.
pub const QUIET_DAYS: i64 = 14;
/// Days in which evidence adds up, and after which a suspicion that was never announced lapses.
pub const WINDOW_DAYS: i64 = 28;
/// Days in which one piece of evidence brings a resolved test back.
pub const WATCH_DAYS: i64 = 30;
/// Days after which a dormant test is let go unproven.
pub const DORMANT_DAYS: i64 = 60;
/// Least weight of evidence that speaks alone.
pub const SPEAKS_ALONE: f64 = 0.5;
/// Sum of weights that flags under the robust rule, from two changes at least.
pub const FLAGS: f64 = 1.5;
/// A test is new for this many days and passes.
const NEW: (i64, u64) = (3, 20);

/// The suite's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How much evidence flags.
    pub detection: Sensitivity,
    /// When a flaky test is resolved.
    pub resolve: ResolveRule,
}

impl Default for Rules {
    fn default() -> Self {
        Self { detection: Sensitivity::Robust, resolve: ResolveRule::Quiet }
    }
}

/// A change of an episode, to be stored under its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpisodeChange {
    /// Counts the episodes of the test from 1.
    pub number: u32,
    /// Time of the evidence that opened it.
    pub opened_at: Timestamp,
    /// Whether this change opens it.
    pub opened_now: bool,
    /// Time of the evidence with which it was announced.
    pub announced_at: Option<Timestamp>,
    /// Whether this change announces it: the moment of `new_flaky_test`.
    pub announced_now: bool,
    /// Time of the latest evidence.
    pub last_evidence_at: Timestamp,
    /// When and how it ended.
    pub ended: Option<(Timestamp, EpisodeEnd)>,
}

/// Health of a test without a state, which never failed where it was seen.
#[must_use]
pub fn health_without_state(first_day: Option<i64>, passes: u64, now: Timestamp) -> Health {
    let is_new = passes < NEW.1 || first_day.is_none_or(|first| now.day() < first + NEW.0);
    if is_new { Health::New } else { Health::Healthy }
}

/// Confidence that a test with failure probability `q` before is repaired, after `clean` passes: `1 - (1 - q)^clean`.
#[must_use]
pub fn confidence(q: f64, clean: u64) -> f64 {
    1.0 - libm::exp(clean as f64 * libm::log1p(-q.clamp(0.0, 1.0 - 1e-12)))
}

/// Clean runs that prove a repair of a test with failure probability `q`: at 95 %, at least 20, at most 3,000.
#[must_use]
pub fn proof(q: f64) -> u32 {
    runs_to_reject(q).clamp(20.0, 3000.0) as u32
}

const fn days(days: i64) -> i64 {
    days * DAY_US
}

impl Episode {
    /// When and how it ends, if it has by `at`, with `clean` passes since its last evidence.
    pub(crate) fn end(&self, at: Timestamp, clean: u64, rules: Rules) -> Option<(Timestamp, EpisodeEnd)> {
        if let Some(repaired) = self.repaired_at.filter(|repaired| *repaired <= at) {
            return Some((repaired, EpisodeEnd::Resolved));
        }
        let end = match (self.announced_at, rules.resolve) {
            (None, _) => (self.last_at.plus(days(WINDOW_DAYS)), EpisodeEnd::Lapsed),
            (Some(_), ResolveRule::Quiet) => (self.last_at.plus(days(QUIET_DAYS)), EpisodeEnd::Resolved),
            (Some(_), ResolveRule::Proven) => {
                let is_proven = clean >= u64::from(proof(self.q));
                let wait = if is_proven { i64::from(self.quiet_days) } else { DORMANT_DAYS };
                (self.last_at.plus(days(wait)), EpisodeEnd::Resolved)
            }
        };
        (end.0 <= at).then_some(end)
    }
}

impl TestState {
    /// Health at `at`; `since` are the passes since the state was last changed.
    #[must_use]
    pub fn health(&self, at: Timestamp, since: u64, rules: Rules) -> Health {
        if self.is_broken() {
            return Health::Broken;
        }
        let mut resolved_at = self.resolved_at;
        if let Some(episode) = &self.episode {
            match (episode.end(at, self.clean + since, rules), episode.announced_at) {
                (None, Some(_)) => {
                    let is_quiet = episode.last_at.plus(days(i64::from(episode.quiet_days))) <= at;
                    let dormant = rules.resolve == ResolveRule::Proven && is_quiet;
                    return if dormant { Health::Dormant } else { Health::Flaky };
                }
                (None, None) => {
                    if self.weight_by(episode.last_at).0 >= SPEAKS_ALONE {
                        return Health::Suspect;
                    }
                }
                (Some((end, _)), Some(_)) => resolved_at = Some(end),
                (Some(_), None) => {}
            }
        }
        if resolved_at.is_some_and(|resolved| at < resolved.plus(days(WATCH_DAYS))) {
            return Health::Resolved;
        }
        health_without_state(Some(self.first_day), self.passes + since, at)
    }

    /// The next time after `after` at which the clock alone may change the health or end the episode.
    #[must_use]
    pub fn due_at(&self, after: Timestamp, rules: Rules) -> Option<Timestamp> {
        let mut times: Vec<Timestamp> = Vec::new();
        if let Some(resolved) = self.resolved_at {
            times.push(resolved.plus(days(WATCH_DAYS)));
        }
        if let Some(episode) = &self.episode {
            let quiet = i64::from(episode.quiet_days);
            let ends = match (episode.repaired_at, episode.announced_at, rules.resolve) {
                (Some(repaired), ..) => vec![repaired],
                (None, None, _) => vec![episode.last_at.plus(days(WINDOW_DAYS))],
                (None, Some(_), ResolveRule::Quiet) => vec![episode.last_at.plus(days(QUIET_DAYS))],
                // Whether enough clean runs came is looked at once a day.
                (None, Some(_), ResolveRule::Proven) => {
                    (quiet..=DORMANT_DAYS.max(quiet)).map(|day| episode.last_at.plus(days(day))).collect()
                }
            };
            if episode.announced_at.is_some() {
                times.extend(ends.iter().map(|end| end.plus(days(WATCH_DAYS))));
            }
            times.extend(ends);
        }
        times.into_iter().filter(|time| *time > after).min()
    }

    /// The episode as of `at`.
    #[must_use]
    pub fn episode(&self, at: Timestamp, since: u64, rules: Rules) -> Option<EpisodeChange> {
        let episode = self.episode?;
        Some(self.change(&episode, episode.end(at, self.clean + since, rules)))
    }

    /// Confidence that the test is repaired, from the passes since its last evidence; 0 without an episode.
    #[must_use]
    pub fn confidence(&self, since: u64) -> f64 {
        self.episode.map_or(0.0, |episode| confidence(episode.q, self.clean + since))
    }

    pub(crate) fn change(&self, episode: &Episode, ended: Option<(Timestamp, EpisodeEnd)>) -> EpisodeChange {
        EpisodeChange {
            number: self.episodes,
            opened_at: episode.opened_at,
            opened_now: false,
            announced_at: episode.announced_at,
            announced_now: false,
            last_evidence_at: episode.last_at,
            ended,
        }
    }

    /// Sum of the weights, each change counted once with its heaviest evidence, and the number of changes, in the window
    /// that ends with `at`.
    pub(crate) fn weight_by(&self, at: Timestamp) -> (f64, usize) {
        let in_window = |mark: &&Mark| mark.at <= at && mark.at.plus(days(WINDOW_DAYS)) > at;
        let mut heaviest: Vec<(u64, f64)> = Vec::new();
        for mark in self.evidence.iter().filter(in_window) {
            match heaviest.iter_mut().find(|(origin, _)| *origin == mark.origin) {
                Some((_, weight)) => *weight = weight.max(mark.weight),
                None => heaviest.push((mark.origin, mark.weight)),
            }
        }
        (heaviest.iter().map(|(_, weight)| weight).sum(), heaviest.len())
    }

    /// Takes a piece of evidence in. Returns what happened to episodes, in order.
    pub(crate) fn add_evidence(&mut self, mark: Mark, rules: Rules) -> Vec<EpisodeChange> {
        let mut changes = Vec::new();
        if self.dismissed_at.is_some_and(|dismissed| mark.at <= dismissed) {
            return changes;
        }
        let mut quiet_days = QUIET_DAYS as u32;
        if let Some(episode) = self.episode
            && let Some(end) = episode.end(mark.at, self.clean, rules)
        {
            changes.push(self.change(&episode, Some(end)));
            if episode.announced_at.is_some() {
                self.resolved_at = Some(end.0);
                quiet_days = (episode.quiet_days * 2).min(56);
            }
            self.episode = None;
        }
        if let Some(known) = self.evidence.iter_mut().find(|m| (m.run, m.kind) == (mark.run, mark.kind)) {
            known.at = known.at.max(mark.at);
            known.weight = mark.weight;
        } else {
            if self.evidence.len() == MOST_EVIDENCE {
                self.evidence.remove(0);
            }
            self.evidence.push(mark);
        }
        let q = self.failure_probability();
        let opened_now = self.episode.is_none();
        let mut episode = self.episode.take().unwrap_or_else(|| {
            self.episodes += 1;
            Episode {
                opened_at: mark.at,
                announced_at: None,
                last_at: mark.at,
                q,
                quiet_days,
                repaired_at: None,
            }
        });
        episode.last_at = episode.last_at.max(mark.at);
        episode.opened_at = episode.opened_at.min(mark.at);
        let announced_now = episode.announced_at.is_none() && self.flags(mark, episode.last_at, rules);
        if announced_now {
            episode.announced_at = Some(mark.at);
            episode.q = q;
        }
        self.episode = Some(episode);
        self.clean = 0;
        changes.push(EpisodeChange { opened_now, announced_now, ..self.change(&episode, None) });
        changes
    }

    fn flags(&self, mark: Mark, last_at: Timestamp, rules: Rules) -> bool {
        let reopens = self.resolved_at.is_some_and(|resolved| mark.at < resolved.plus(days(WATCH_DAYS)));
        let (sum, changes) = self.weight_by(last_at);
        let alone = mark.weight >= SPEAKS_ALONE;
        mark.kind == EvidenceKind::Manual
            || alone && (reopens || rules.detection == Sensitivity::Prompt)
            || sum >= FLAGS && changes >= 2
    }

    /// Whether the evidence of an episode that was announced would announce it now.
    pub(crate) fn still_flags(&self, episode: &Episode, rules: Rules) -> bool {
        let of_episode = |mark: &&Mark| mark.at >= episode.opened_at;
        self.evidence.iter().filter(of_episode).any(|mark| self.flags(*mark, episode.last_at, rules))
    }

    /// Whether it is known to be flaky at `at`: announced and not ended.
    pub(crate) fn is_announced(&self, at: Timestamp, since: u64, rules: Rules) -> bool {
        let open = |episode: &Episode| {
            episode.announced_at.is_some() && episode.end(at, self.clean + since, rules).is_none()
        };
        self.episode.as_ref().is_some_and(open)
    }
}

/// Log of the Bayes factor for broken code over a test that fails with probability `q`, from `attempts` failures.
pub(crate) fn broken_factor(q: f64, fails: f64, attempts: u32) -> f64 {
    f64::from(attempts) * ln(fails / q.max(1e-12))
}
