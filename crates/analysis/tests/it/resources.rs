//! Baselines and shifts of resources, on synthetic series with known truth.

use casebook_analysis::resources::{
    Change, Direction, Fold, Peaks, Sample, Series, SeriesChunk, SuiteResources, Worker,
};
use casebook_model::id::{RunId, TestId, UploadId, VariantId};
use casebook_model::resources::Measure;
use casebook_model::time::{DAY_US, Timestamp};

const HOUR_US: i64 = DAY_US / 24;

/// Random numbers that are the same everywhere.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Takes one value a run, an hour apart; what was confirmed, each with the number of values until then.
fn follow(measure: Measure, amounts: impl IntoIterator<Item = f64>) -> Vec<(usize, Change)> {
    let mut series = Series::default();
    let mut found = Vec::new();
    for (number, amount) in amounts.into_iter().enumerate() {
        let at = Timestamp(number as i64 * HOUR_US);
        let upload = UploadId(number as i64 + 1);
        if let Some(change) = series.take(measure, upload, at, amount).change {
            found.push((number + 1, change));
        }
    }
    found
}

/// Shifts told in `tests` series of `runs` values that never shift.
fn false_alarms(tests: u64, runs: usize, mut value: impl FnMut(&mut Dice, usize) -> f64) -> usize {
    (0..tests)
        .map(|seed| {
            let mut dice = Dice(seed * 7919);
            follow(Measure::Duration, (0..runs).map(|run| value(&mut dice, run)).collect::<Vec<_>>()).len()
        })
        .sum()
}

#[test]
fn stable_noise_raises_next_to_no_alarm() {
    // Two hundred tests over a thousand runs each.
    let told = [
        ("normal, 10 %", false_alarms(200, 1000, |dice, _| 2.0 * (1.0 + 0.1 * dice.normal()).max(0.01))),
        ("lognormal, 30 %", false_alarms(200, 1000, |dice, _| 2.0 * (0.3 * dice.normal()).exp())),
        ("lognormal, 70 %", false_alarms(200, 1000, |dice, _| 2.0 * (0.7 * dice.normal()).exp())),
        (
            "two kinds of machines",
            false_alarms(200, 1000, |dice, _| {
                let machine = if dice.uniform() < 0.4 { 1.8 } else { 1.0 };
                machine * (1.0 + 0.05 * dice.normal())
            }),
        ),
        (
            "outliers",
            false_alarms(200, 1000, |dice, _| {
                let outlier = if dice.uniform() < 0.05 { 10.0 } else { 1.0 };
                outlier * (1.0 + 0.05 * dice.normal())
            }),
        ),
        ("constant", false_alarms(10, 1000, |_, _| 0.1)),
        (
            "below the smallest difference",
            false_alarms(100, 1000, |dice, run| {
                let shifted = if run > 500 { 0.03 } else { 0.01 };
                shifted * (1.0 + 0.1 * dice.normal())
            }),
        ),
    ];
    println!("{told:?}");
    for (shape, told) in told {
        // Of 200,000 values.
        assert!(told <= 8, "{shape}: {told}");
    }
}

#[test]
fn slow_drift_is_followed_and_not_told() {
    // Half as much again over 1,000 runs.
    let told = false_alarms(200, 1000, |dice, run| {
        2.0 * (0.0004 * run as f64).exp() * (1.0 + 0.1 * dice.normal()).max(0.01)
    });
    assert!(told <= 4, "{told}");
}

#[test]
fn thirty_percent_more_are_told_within_a_few_runs() {
    for (noise, most, at_least) in [(0.03, 8, 94), (0.1, 14, 85), (0.2, 36, 50)] {
        let (mut delays, mut others) = (Vec::new(), 0);
        for seed in 0..100 {
            let mut dice = Dice(seed);
            let value = |run| if run < 100 { 2.0 } else { 2.6 };
            let noisy: Vec<f64> = (0..140).map(|run| value(run) * (noise * dice.normal()).exp()).collect();
            for (number, change) in follow(Measure::Duration, noisy) {
                if number <= 100 || (change.share - 0.3).abs() > 0.35 {
                    others += 1;
                    continue;
                }
                delays.push(number - 100);
                assert!(change.p < 1e-4 && change.values_after >= 4, "{change:?}");
                assert!(change.after < change.until && change.upload <= change.until, "{change:?}");
            }
        }
        delays.sort_unstable();
        let in_time = delays.iter().filter(|delay| **delay <= most).count();
        println!(
            "noise {noise}: {} told, median {}, {in_time} within {most}",
            delays.len(),
            delays[delays.len() / 2]
        );
        assert!(in_time >= at_least && others <= 3, "noise {noise}: {delays:?}, {others} others");
    }
}

#[test]
fn the_range_holds_the_true_place() {
    let (mut held, mut widths) = (0, Vec::new());
    for seed in 0..200 {
        let mut dice = Dice(seed + 500);
        let value = |run| if run < 60 { 1.0 } else { 1.5 };
        let noisy: Vec<f64> = (0..90).map(|run| value(run) * (0.1 * dice.normal()).exp()).collect();
        let told = follow(Measure::Duration, noisy);
        let Some((_, change)) = told.first() else { continue };
        // Upload 60 is the last before, 61 the first after.
        held += usize::from(change.after <= UploadId(60) && change.until >= UploadId(61));
        widths.push(change.until.get() - change.after.get());
    }
    widths.sort_unstable();
    assert!(held >= 190 && widths[100] <= 4 && widths[185] <= 20, "{held} of 200: {widths:?}");
}

#[test]
fn a_recovery_is_told_too() {
    let mut dice = Dice(3);
    let value = |run: usize| if (40..70).contains(&run) { 3.0 } else { 2.0 };
    let noisy: Vec<f64> = (0..110).map(|run| value(run) * (0.05 * dice.normal()).exp()).collect();
    let told = follow(Measure::Duration, noisy);
    let directions: Vec<Direction> = told.iter().map(|(_, change)| change.direction()).collect();
    assert_eq!(directions, [Direction::Up, Direction::Down], "{told:?}");
    assert_eq!((told[0].1.upload, told[1].1.upload), (UploadId(41), UploadId(71)), "{told:?}");
    assert!((told[1].1.after_amount - 2.0).abs() < 0.15, "{told:?}");
}

#[test]
fn a_step_that_does_not_last_is_not_told() {
    let mut dice = Dice(4);
    let value = |run: usize| if (40..43).contains(&run) { 3.0 } else { 2.0 };
    let noisy: Vec<f64> = (0..110).map(|run| value(run) * (0.05 * dice.normal()).exp()).collect();
    assert_eq!(follow(Measure::Duration, noisy), []);
}

#[test]
fn memory_needs_ten_percent_and_five_mib() {
    for (before, after, told) in
        [(100.0, 115.0, 1), (100.0, 107.0, 0), (20.0, 24.0, 0), (0.0, 6.0, 1), (0.0, 4.0, 0)]
    {
        let mut dice = Dice(9);
        let value = |run| if run < 50 { before } else { after };
        let noisy: Vec<f64> = (0..90).map(|run| value(run) * (0.01 * dice.normal()).exp()).collect();
        let found = follow(Measure::Memory, noisy);
        assert_eq!(found.len(), told, "{before} to {after}: {found:?}");
    }
}

#[test]
fn a_test_that_runs_once_a_week_is_told_of_too() {
    let (mut series, mut dice, mut told) = (Series::default(), Dice(5), Vec::new());
    for week in 0..40i64 {
        let amount = if week < 25 { 10.0 } else { 14.0 } * (0.05 * dice.normal()).exp();
        let at = Timestamp(week * 7 * DAY_US);
        told.extend(series.take(Measure::Duration, UploadId(week * 280 + 1), at, amount).change);
    }
    let [change] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((change.after, change.upload), (UploadId(24 * 280 + 1), UploadId(25 * 280 + 1)));
}

#[test]
fn results_that_come_more_than_a_day_late_are_left_out() {
    let steady = |series: &mut Series, from: i64, count: i64, at: i64, amount: f64| {
        let taken = (from..from + count)
            .map(|n| series.take(Measure::Duration, UploadId(n), Timestamp((at + n) * HOUR_US), amount));
        taken.filter_map(|taken| taken.change).count()
    };
    let mut series = Series::default();
    assert_eq!(steady(&mut series, 1, 40, 1000, 1.0), 0);
    let before = series.clone();
    assert_eq!(steady(&mut series, 41, 20, 100, 5.0), 0);
    assert_eq!(series, before, "what is late changes nothing");
    // Runs that overtake each other within a day are taken as they come.
    let mut swapped = Series::default();
    let told: usize = (0..60i64)
        .map(|n| {
            let at = Timestamp((n ^ 3) * HOUR_US);
            let amount = if n < 30 { 1.0 } else { 2.0 };
            usize::from(swapped.take(Measure::Duration, UploadId(n), at, amount).change.is_some())
        })
        .sum();
    assert_eq!(told, 1);
}

/// Runs of 40 tests with noise, of which some take half as long again from run 50 on.
fn fold_of(slow: impl Fn(i64) -> bool) -> (Fold, Vec<bool>) {
    let (mut fold, mut dice, mut marks) = (Fold::default(), Dice(77), Vec::new());
    for run in 0..90i64 {
        let samples: Vec<Sample> = (1..=40)
            .map(|test| {
                let amount = if run >= 50 && slow(test) { 3.0 } else { 2.0 } * (0.1 * dice.normal()).exp();
                Sample { test: TestId(test), class: 1, measure: Measure::Duration, amount }
            })
            .collect();
        let told = fold.fold(UploadId(run + 1), RunId(run + 1), Timestamp(run * HOUR_US), &samples);
        marks.extend(told.iter().map(|shift| shift.machine_wide));
    }
    (fold, marks)
}

#[test]
fn a_slow_machine_is_told_from_slow_code() {
    let (_, everywhere) = fold_of(|_| true);
    assert!(everywhere.len() >= 38 && everywhere.iter().all(|machine| *machine), "{everywhere:?}");
    let (_, few) = fold_of(|test| test <= 4);
    assert!((4..=5).contains(&few.len()) && few.iter().all(|machine| !machine), "{few:?}");
}

#[test]
fn states_go_through_their_bytes() {
    let (fold, _) = fold_of(|test| test % 2 == 0);
    assert_eq!(SuiteResources::from_bytes(&fold.suite.to_bytes()).unwrap(), fold.suite);
    for chunk in fold.chunks.values() {
        let bytes = chunk.to_bytes();
        assert_eq!(SeriesChunk::from_bytes(&bytes).as_ref(), Ok(chunk));
        for end in 0..bytes.len() {
            assert!(SeriesChunk::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
    }
}

#[test]
fn what_a_test_added_to_the_peak_of_its_process() {
    let mut peaks = Peaks::default();
    let worker = |variant| Worker { run: RunId(1), variant: VariantId(variant) };
    let added: Vec<f64> = [10.0, 10.0, 35.0, 30.0, 36.0].map(|peak| peaks.increase(worker(1), peak)).to_vec();
    assert_eq!(added, [10.0, 0.0, 25.0, 0.0, 1.0]);
    // Another process begins anew.
    assert_eq!(peaks.increase(worker(2), 12.0), 12.0);
    assert_eq!(peaks.increase(worker(1), 37.0), 1.0);
}
