//! Amounts as levels: whole thousandths of a natural logarithm, so that a share of an amount is the same step everywhere,
//! a stored value takes two bytes, and equal values give equal states on every machine.

use crate::math;
use casebook_model::resources::Measure;

/// Thousandths of the logarithm of an amount over the smallest that matters.
pub(super) type Level = u16;

const STEPS: f64 = 1000.0;

/// What counts as a shift of a measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Amounts below are taken for this one: seconds or MiB.
    pub floor: f64,
    /// Smallest share of the amount before.
    pub least_share: f64,
    /// Smallest difference, in seconds or MiB.
    pub least_amount: f64,
}

/// The rule of a measure.
#[must_use]
pub const fn rule(measure: Measure) -> Rule {
    match measure {
        Measure::Duration | Measure::Cpu => Rule { floor: 0.001, least_share: 0.20, least_amount: 0.050 },
        Measure::Memory => Rule { floor: 0.1, least_share: 0.10, least_amount: 5.0 },
    }
}

/// The level of an amount.
pub(super) fn level(measure: Measure, amount: f64) -> Level {
    let rule = rule(measure);
    let above = if amount.is_finite() { (amount / rule.floor).max(1.0) } else { 1.0 };
    // Truncation is wanted: no amount that is stored reaches the end of the scale.
    (math::ln(above) * STEPS).round().min(f64::from(Level::MAX)) as Level
}

/// The amount at a level.
pub(super) fn amount(measure: Measure, level: f64) -> f64 {
    rule(measure).floor * math::exp(level / STEPS)
}

/// By which factor an amount grows over a difference of levels.
pub(super) fn factor(difference: f64) -> f64 {
    math::exp(difference / STEPS)
}

impl Rule {
    /// Whether going from one amount to another is enough to matter; with `leniency` below 1, whether it nearly is.
    pub(super) fn matters(&self, before: f64, after: f64, leniency: f64) -> bool {
        let difference = (after - before).abs();
        difference >= leniency * self.least_amount && difference >= leniency * self.least_share * before
    }
}
