//! One measure of one test on one host class, run after run.

use super::Direction;
use super::comparison::{self, Change};
use super::levels::{self, Level};
use casebook_model::id::UploadId;
use casebook_model::resources::Measure;
use casebook_model::time::{DAY_US, Timestamp};

/// Values compared on either side of a change, at most.
pub(super) const SIDE: usize = 32;

/// Values kept.
pub(super) const KEPT: usize = 2 * SIDE;

/// Values before a series has a baseline.
const FIRST_BASELINE: usize = 8;

/// A baseline is made anew after so many values.
const BASELINE_EVERY: u8 = 8;

/// Narrowest spread, in levels: 3 %. Values that are nearly constant would otherwise trigger by nothing.
const LEAST_SPREAD: i32 = 30;

/// CUSUM in hundredths of the spread: slack, threshold, and the most that one value counts, so that no single one triggers.
const SLACK: i32 = 50;
const THRESHOLD: i32 = 600;
const MOST: i32 = 400;

/// Results so much older than the newest are late: their place in the order has passed.
const LATE_US: i64 = DAY_US;

/// After so many values a series that shifted counts no more as shifting with others.
const STILL_SHIFTING: u64 = 16;

/// A value that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The upload that brought it.
    pub upload: UploadId,
    /// Thousandths of the logarithm of the amount.
    pub level: Level,
}

/// Centre and spread of a series, in levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) centre: i32,
    /// Median distance from the centre.
    pub(super) deviation: i32,
    /// One standard deviation, as the wider of two robust estimates.
    pub(super) spread: i32,
    /// Values since it was made.
    pub(super) age: u8,
}

/// One side of the CUSUM: how much has gathered, and over how many values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) sum: i32,
    pub(super) length: u8,
}

impl Side {
    fn add(&mut self, score: i32) {
        self.sum = (self.sum + score - SLACK).max(0);
        self.length = if self.sum == 0 { 0 } else { self.length.saturating_add(1) };
    }
}

/// What is usual for a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// Median, in seconds or MiB.
    pub median: f64,
    /// Median distance from the median, in seconds or MiB.
    pub deviation: f64,
    /// Values since the last shift, or the first.
    pub values: u64,
}

/// What became of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Taken {
    /// The series has a baseline.
    pub has_baseline: bool,
    /// It is shifting, or has just shifted.
    pub shifting: Option<Direction>,
    /// It is confirmed that it shifted.
    pub change: Option<Change>,
}

/// A series: at most 64 values and a few numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    pub(super) entries: Vec<Entry>,
    pub(super) values: u64,
    /// Time of the newest value.
    pub(super) newest: Option<Timestamp>,
    pub(super) reference: Option<Reference>,
    pub(super) up: Side,
    pub(super) down: Side,
    pub(super) last: Option<Direction>,
}

impl Series {
    /// Takes the next value, in the order of the uploads. Results that come more than a day late are left out.
    pub fn take(&mut self, measure: Measure, upload: UploadId, at: Timestamp, amount: f64) -> Taken {
        if self.newest.is_some_and(|newest| at.plus(LATE_US) < newest) {
            return self.taken(None);
        }
        self.newest = self.newest.max(Some(at));
        let level = levels::level(measure, amount);
        if self.entries.len() == KEPT {
            self.entries.remove(0);
        }
        self.entries.push(Entry { upload, level });
        self.values += 1;
        if let Some(reference) = &mut self.reference {
            let score = (i32::from(level) - reference.centre) * 100 / reference.spread;
            let score = score.clamp(-MOST, MOST);
            self.up.add(score);
            self.down.add(-score);
            reference.age = reference.age.saturating_add(1);
        }
        let change = self.triggered().and_then(|side| self.examine(measure, side));
        if change.is_none() && self.baseline_is_due() {
            self.renew_baseline();
        }
        self.taken(change)
    }

    /// What is usual, as soon as it can be told.
    #[must_use]
    pub fn baseline(&self, measure: Measure) -> Option<Baseline> {
        let reference = self.reference?;
        let median = levels::amount(measure, f64::from(reference.centre));
        let deviation = median * (levels::factor(f64::from(reference.deviation)) - 1.0);
        Some(Baseline { median, deviation, values: self.values })
    }

    fn taken(&self, change: Option<Change>) -> Taken {
        let just_shifted = self.last.filter(|_| self.values <= STILL_SHIFTING);
        let shifting = if self.up.sum > THRESHOLD {
            Some(Direction::Up)
        } else if self.down.sum > THRESHOLD {
            Some(Direction::Down)
        } else {
            just_shifted
        };
        Taken { has_baseline: self.reference.is_some() || self.last.is_some(), shifting, change }
    }

    /// The side whose sum is over the threshold.
    fn triggered(&self) -> Option<Side> {
        let side = if self.up.sum >= self.down.sum { self.up } else { self.down };
        (side.sum > THRESHOLD).then_some(side)
    }

    /// Looks closely at a series that triggered; if it shifted, it begins anew behind the change.
    fn examine(&mut self, measure: Measure, side: Side) -> Option<Change> {
        let reference = self.reference?;
        let onset = self.entries.len().saturating_sub(usize::from(side.length));
        if let Some((change, begin)) = comparison::change(measure, &self.entries, onset, reference.spread) {
            self.entries.drain(..begin);
            self.values = self.entries.len() as u64;
            self.last = Some(change.direction());
            self.settle();
            return Some(change);
        }
        if usize::from(side.length) >= SIDE {
            // It is no shift that matters, and has lasted: this is usual now.
            self.settle();
        }
        None
    }

    /// Forgets what has gathered, and takes the newest values for usual.
    fn settle(&mut self) {
        (self.up, self.down) = (Side::default(), Side::default());
        self.reference = None;
        self.renew_baseline();
    }

    fn baseline_is_due(&self) -> bool {
        self.reference.is_none_or(|reference| reference.age >= BASELINE_EVERY)
    }

    /// Takes the newest values for usual, without those that may be part of a shift.
    fn renew_baseline(&mut self) {
        let gathering = usize::from(self.up.length.max(self.down.length));
        let usual = &self.entries[..self.entries.len().saturating_sub(gathering)];
        if usual.len() < FIRST_BASELINE {
            if let Some(reference) = &mut self.reference {
                reference.age = 0;
            }
            return;
        }
        let newest = &usual[usual.len().saturating_sub(SIDE)..];
        self.reference = Some(Reference::of(newest));
    }
}

impl Reference {
    fn of(entries: &[Entry]) -> Self {
        let mut levels: Vec<i32> = entries.iter().map(|entry| i32::from(entry.level)).collect();
        levels.sort_unstable();
        let centre = levels[levels.len() / 2];
        // The outer tenths are left out, as the deviation leaves out the outer half: a few outliers widen neither.
        let outer = levels.len() / 10;
        let range = levels[levels.len() - 1 - outer] - levels[outer];
        let mut distances: Vec<i32> = levels.iter().map(|level| (level - centre).abs()).collect();
        distances.sort_unstable();
        let deviation = distances[distances.len() / 2];
        // Of a normal distribution: 1.4826 deviations, or the range without the outer tenths over 2.563. Values of two kinds
        // of machines have a narrow deviation and a wide range.
        let spread = (deviation * 148 / 100).max(range * 100 / 256).max(LEAST_SPREAD);
        Self { centre, deviation, spread, age: 0 }
    }
}
