//! Golden bounds of the simulation: a change of the detector that costs quality fails here. Figures of the full size are
//! in `docs/detector.md`.

use casebook_analysis::simulation::{Options, RIVALS, simulate};

/// A third of the data at its usual pace, short enough for tests that are not optimised.
fn reduced() -> Options {
    Options { seed: 7, days: 25, tests: 7000, regressions: 1.5, ..Options::default() }
}

#[test]
fn heavy_incidents_do_not_flag_and_flakes_are_found() {
    let report = simulate(&Options { incidents: 0.01, incident_share: (0.1, 0.9), ..reduced() });
    let ours = report.ours();
    assert!(ours.precision >= 0.98, "{report}");
    assert!(ours.recall[0] >= 0.99 && ours.recall[1] >= 0.99 && ours.recall[2] >= 0.7, "{report}");
    assert!(ours.median_days < 1.0, "{report}");
    // The rule of most systems, on the same runs.
    assert!(report.rules[0].precision < 0.2, "{report}");
    assert_eq!(report.rules.len(), RIVALS.len() + 1);
    assert!(report.delayed * 20 < report.regressions, "{report}");
}

#[test]
fn heavy_without_retries_precision_stays() {
    let report = simulate(&Options { retries: false, ..reduced() });
    assert!(report.ours().precision >= 0.99, "{report}");
    assert!(report.ours().recall[0] >= 0.99 && report.ours().recall[1] >= 0.85, "{report}");
}

#[test]
fn heavy_judgements_are_calibrated() {
    let report = simulate(&reduced());
    for calibration in &report.calibration {
        for (count, sum, right) in calibration.tenths {
            let (predicted, right) = (sum / count.max(1) as f64, right as f64 / count.max(1) as f64);
            assert!(count < 300 || (predicted - right).abs() < 0.25, "{predicted} {right}\n{report}");
        }
    }
}

#[test]
fn one_seed_is_one_project() {
    let small = Options { tests: 500, days: 5, ..Options::default() };
    assert_eq!(simulate(&small), simulate(&small));
    assert_ne!(simulate(&small), simulate(&Options { seed: 2, ..small }));
}
