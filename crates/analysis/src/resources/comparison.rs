//! Whether the values of a series before and after a moment differ: where they part, by how much, and how surely.

use super::Direction;
use super::levels;
use super::series::{Entry, SIDE};
use crate::math;
use casebook_model::id::UploadId;
use casebook_model::resources::Measure;

/// A shift is one only if chance makes one like it more rarely than this.
const MOST_LIKELY_CHANCE: f64 = 1e-4;

/// Values on either side of a change, at least.
const FEWEST: usize = 4;

/// How far off an effect may be before it is worth a closer look.
const NEARLY: f64 = 0.8;

/// Of the places where the values may part, the least likely ones left out on either end.
const TAIL: f64 = 0.005;

/// The most that one value says about the place: half the square of four spreads.
const MOST_SAID: f64 = 8.0;

/// A shift of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The last upload that is surely (99 %) before it.
    pub after: UploadId,
    /// The upload that most likely has it first.
    pub upload: UploadId,
    /// The first upload that surely (99 %) has it.
    pub until: UploadId,
    /// Median before, in seconds or MiB.
    pub before_amount: f64,
    /// The median before, moved by the shift.
    pub after_amount: f64,
    /// The shift by Hodges and Lehmann, as a share of the amount before: .3 is 30 % more.
    pub share: f64,
    /// Probability that chance makes the like anywhere in the series (Mann-Whitney, exact, both sides, times the places).
    pub p: f64,
    /// Values compared before it.
    pub values_before: u32,
    /// Values compared after it.
    pub values_after: u32,
}

impl Change {
    /// Which way it went.
    #[must_use]
    pub fn direction(&self) -> Direction {
        if self.share >= 0.0 { Direction::Up } else { Direction::Down }
    }
}

/// The change of a series whose CUSUM began to gather at `onset`, and the index of its first value; none if there is none
/// that matters.
pub(super) fn change(
    measure: Measure,
    entries: &[Entry],
    onset: usize,
    spread: i32,
) -> Option<(Change, usize)> {
    let rule = levels::rule(measure);
    let (before, after) = sides(entries, onset)?;
    let medians = (median(before), median(after));
    let amounts = [medians.0, medians.1].map(|level| levels::amount(measure, level));
    if !rule.matters(amounts[0], amounts[1], NEARLY) {
        return None;
    }
    let place = place(entries, medians, f64::from(spread));
    let (before, after) = sides(entries, place.begin)?;
    let shift = shift(before, after);
    let factor = levels::factor(shift);
    let before_amount = levels::amount(measure, median(before));
    let after_amount = before_amount * factor;
    if !rule.matters(before_amount, after_amount, 1.0) {
        return None;
    }
    // The place was chosen among many, so chance had as many tries.
    let p = (chance(before, after, shift > 0.0) * (entries.len() - 1) as f64).min(1.0);
    if p >= MOST_LIKELY_CHANCE {
        return None;
    }
    let change = Change {
        after: entries[place.first - 1].upload,
        upload: entries[place.begin].upload,
        until: entries[place.last].upload,
        before_amount,
        after_amount,
        share: factor - 1.0,
        p,
        values_before: before.len() as u32,
        values_after: after.len() as u32,
    };
    Some((change, place.begin))
}

/// The values compared on either side of `begin`.
fn sides(entries: &[Entry], begin: usize) -> Option<(&[Entry], &[Entry])> {
    let (before, after) = entries.split_at(begin.min(entries.len()));
    let before = &before[before.len().saturating_sub(SIDE)..];
    let after = &after[..after.len().min(SIDE)];
    (before.len() >= FEWEST && after.len() >= FEWEST).then_some((before, after))
}

fn median(entries: &[Entry]) -> f64 {
    let mut levels: Vec<u16> = entries.iter().map(|entry| entry.level).collect();
    levels.sort_unstable();
    let middle = levels.len() / 2;
    if levels.len() % 2 == 1 {
        f64::from(levels[middle])
    } else {
        f64::midpoint(f64::from(levels[middle - 1]), f64::from(levels[middle]))
    }
}

/// Where values part: indices of the first value behind the change.
struct Place {
    /// The earliest that is likely.
    first: usize,
    /// The most likely.
    begin: usize,
    /// The latest that is likely.
    last: usize,
}

/// Weighs every place where a level can have given way to the other, and leaves out the tails.
fn place(entries: &[Entry], (before, after): (f64, f64), spread: f64) -> Place {
    let said = |entry: &Entry, centre: f64| {
        let distance = (f64::from(entry.level) - centre) / spread;
        (distance * distance / 2.0).min(MOST_SAID)
    };
    // What speaks against a change before value 1, then before value 2 ...
    let mut against: f64 = said(&entries[0], before);
    against += entries[1..].iter().map(|entry| said(entry, after)).sum::<f64>();
    let mut all = vec![against];
    for entry in &entries[1..entries.len() - 1] {
        against += said(entry, before) - said(entry, after);
        all.push(against);
    }
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let weights: Vec<f64> = all.iter().map(|against| math::exp(least - against)).collect();
    let total: f64 = weights.iter().sum();
    let mut seen = 0.0;
    let (mut first, mut last) = (1, all.len());
    for (index, weight) in weights.iter().enumerate() {
        if seen <= TAIL * total {
            first = index + 1;
        }
        seen += weight;
        if seen >= (1.0 - TAIL) * total {
            last = index + 1;
            break;
        }
    }
    // The last of equals: nothing speaks for a change that came earlier.
    let begin = 1 + all.iter().rposition(|against| *against == least).unwrap_or(0);
    Place { first: first.min(begin), begin, last: last.max(begin) }
}

/// The median of all differences between a value after and one before, in levels (Hodges and Lehmann).
fn shift(before: &[Entry], after: &[Entry]) -> f64 {
    let mut differences: Vec<i32> = Vec::with_capacity(before.len() * after.len());
    for later in after {
        differences.extend(before.iter().map(|earlier| i32::from(later.level) - i32::from(earlier.level)));
    }
    let middle = differences.len() / 2;
    let (_, median, _) = differences.select_nth_unstable(middle);
    f64::from(*median)
}

/// How probable it is, on both sides, that chance alone ranks the values so far apart. Values that are equal count against it,
/// so that the exact distribution of values without equals is never too hopeful.
fn chance(before: &[Entry], after: &[Entry], up: bool) -> f64 {
    let wrong = |earlier: &Entry, later: &Entry| {
        if up { earlier.level >= later.level } else { earlier.level <= later.level }
    };
    let count = |later: &Entry| before.iter().filter(|earlier| wrong(earlier, later)).count();
    let pairs_wrong: usize = after.iter().map(count).sum();
    if 2 * pairs_wrong >= before.len() * after.len() {
        return 1.0;
    }
    (2.0 * share_of_orders(before.len(), after.len(), pairs_wrong)).min(1.0)
}

/// The share of all orders of `m` and `n` values in which at most `most` pairs stand the wrong way: the coefficients of the
/// Gaussian binomial up to that power, each step a product by `1 - x^(m + i)` over `1 - x^i`, scaled by its value at 1.
fn share_of_orders(m: usize, n: usize, most: usize) -> f64 {
    let mut orders = vec![0.0f64; most + 1];
    orders[0] = 1.0;
    for i in 1..=n {
        for power in (m + i..=most).rev() {
            orders[power] -= orders[power - m - i];
        }
        for power in i..=most {
            orders[power] += orders[power - i];
        }
        let scale = i as f64 / (m + i) as f64;
        for value in &mut orders {
            *value *= scale;
        }
    }
    orders.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_orders_are_those_of_the_tables() {
        // All orders of 2 and 2 values: 1, 1, 2, 1, 1 of 6 by the number of wrong pairs.
        for (most, expected) in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 5.0), (4, 6.0)] {
            assert!((share_of_orders(2, 2, most) - expected / 6.0).abs() < 1e-12, "{most}");
        }
        // 1 of C(36, 4).
        assert!((share_of_orders(32, 4, 0) - 1.0 / 58_905.0).abs() < 1e-12);
        assert!((share_of_orders(32, 32, 512) - 0.5).abs() < 0.01);
    }

    #[test]
    fn equal_values_say_nothing() {
        let entries = |level| vec![Entry { upload: UploadId(1), level }; 20];
        assert_eq!(chance(&entries(5), &entries(5), true), 1.0);
        assert!(chance(&entries(5), &entries(6), true) < 1e-9);
        assert_eq!(chance(&entries(5), &entries(6), false), 1.0);
    }
}
