//! What a simulation measures, and how it is told.

use super::rivals::Rivals;
use super::{Bench, Options, RIVALS};
use std::fmt;

/// Least rate of each band of flaky tests, and its name.
const BANDS: [(f64, &str); 4] = [(0.05, ">=5%"), (0.01, "1-5%"), (0.001, ".1-1%"), (0.0, "<.1%")];

/// How well a rule found the flaky tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality {
    /// The rule.
    pub name: String,
    /// Flagged tests that are flaky, by all that were flagged; 1 if none was.
    pub precision: f64,
    /// Flaky tests that were flagged, by band of their rate: 5 % and more, 1 to 5 %, .1 to 1 %, less.
    pub recall: [f64; 4],
    /// Half of the flagged tests of 1 % and more were flagged within so many days.
    pub median_days: f64,
}

/// What was predicted with which probability, and how often it was true, by tenths.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calibration {
    /// Number of predictions, their sum, and how many were true.
    pub tenths: [(u64, f64, u64); 10],
}

impl Calibration {
    pub(super) fn add(&mut self, p: f64, is_true: bool) {
        let tenth = &mut self.tenths[((p * 10.0) as usize).min(9)];
        tenth.0 += 1;
        tenth.1 += p;
        tenth.2 += u64::from(is_true);
    }
}

/// Everything that is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The rules of others, then ours.
    pub rules: Vec<Quality>,
    /// Resolutions of tests that are as flaky as ever.
    pub false_resolves: u32,
    /// Runs that were red after retries.
    pub red: u32,
    /// Those that need not have blocked anybody.
    pub avoided: u32,
    /// Failures of broken code.
    pub regressions: u32,
    /// Those that were excused as flaky.
    pub delayed: u32,
    /// P(flake), P(regression) and P(incident) against the truth.
    pub calibration: [Calibration; 3],
}

impl Report {
    /// How well our detector did.
    #[must_use]
    pub fn ours(&self) -> &Quality {
        &self.rules[RIVALS.len()]
    }
}

pub(super) fn report(rates: &[f64], options: &Options, bench: &Bench, rivals: &Rivals) -> Report {
    let mut rules: Vec<Quality> = RIVALS
        .iter()
        .zip(&rivals.flagged)
        .map(|(name, flagged)| quality((*name).to_owned(), rates, flagged))
        .collect();
    let ours = format!("casebook, {}", options.rules.detection);
    rules.push(quality(ours, rates, &bench.flagged));
    Report {
        rules,
        false_resolves: bench.false_resolves,
        red: bench.red,
        avoided: bench.red - bench.still_red,
        regressions: bench.regressions,
        delayed: bench.delayed,
        calibration: bench.calibration.clone(),
    }
}

fn quality(name: String, rates: &[f64], flagged: &[Option<f64>]) -> Quality {
    let share = |some: usize, all: usize| if all == 0 { 1.0 } else { some as f64 / all as f64 };
    let all = flagged.iter().flatten().count();
    let right = rates.iter().zip(flagged).filter(|(rate, flagged)| **rate > 0.0 && flagged.is_some()).count();
    let recall = std::array::from_fn(|band| {
        let most = if band == 0 { f64::INFINITY } else { BANDS[band - 1].0 };
        let of_band = |rate: f64| rate > 0.0 && rate >= BANDS[band].0 && rate < most;
        let members: Vec<bool> =
            rates.iter().zip(flagged).filter(|(rate, _)| of_band(**rate)).map(|(_, f)| f.is_some()).collect();
        share(members.iter().filter(|found| **found).count(), members.len())
    });
    let mut days: Vec<f64> =
        rates.iter().zip(flagged).filter(|(rate, _)| **rate >= 0.01).filter_map(|(_, f)| *f).collect();
    days.sort_by(f64::total_cmp);
    let median_days = days.get(days.len() / 2).copied().unwrap_or(f64::NAN);
    Quality { name, precision: share(right, all), recall, median_days }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<42}{:>10}", "rule", "precision")?;
        for (_, band) in BANDS {
            write!(f, "{band:>8}")?;
        }
        writeln!(f, "{:>13}", "median days")?;
        for Quality { name, precision, recall, median_days } in &self.rules {
            write!(f, "{name:<42}{precision:>10.3}")?;
            for recall in recall {
                write!(f, "{recall:>8.3}")?;
            }
            writeln!(f, "{median_days:>13.2}")?;
        }
        let Self { false_resolves, red, avoided, regressions, delayed, .. } = self;
        writeln!(f, "resolved although as flaky as ever: {false_resolves}")?;
        writeln!(f, "red runs: {red}, avoided by excusing known flakes: {avoided}")?;
        writeln!(f, "failures of broken code: {regressions}, excused as flakes: {delayed}")?;
        for (name, calibration) in ["flake", "regression", "incident"].iter().zip(&self.calibration) {
            writeln!(f, "P({name}): predicted -> true (failures)")?;
            for (count, sum, right) in calibration.tenths.iter().filter(|tenth| tenth.0 > 0) {
                let count_f = *count as f64;
                writeln!(f, "  {:.3} -> {:.3} ({count})", sum / count_f, *right as f64 / count_f)?;
            }
        }
        Ok(())
    }
}
