//! What the fold is defined on: stored bytes, and the order of uploads of one test.

use crate::project::{New, Project, hour, on_change, on_main};
use casebook_analysis::suite_state::SuiteState;
use casebook_analysis::test_state::TestState;
use casebook_model::execution::Outcome;
use proptest::prelude::*;

/// A stream of uploads of six tests: mostly passing, retried now and then, some late, some on one commit.
fn stream() -> impl Strategy<Value = Vec<New>> {
    let attempt = (0i64..6, 0u8..10, prop::option::of(0u8..2));
    let upload = (0i64..30, 0i64..25, any::<bool>(), 0i64..400, prop::collection::vec(attempt, 1..8));
    prop::collection::vec(upload, 1..60).prop_map(|uploads| {
        let new = |(index, (run, commit, on_default, back, attempts)): (usize, _)| {
            let at = hour(index as i64 * 40 - if back > 380 { back } else { 0 });
            let attempts: Vec<(i64, u8, Option<u8>)> = attempts;
            let new = if on_default { on_main(run, commit, at) } else { on_change(run, commit, at) };
            attempts.into_iter().fold(new, |new, (test, outcome, variant)| {
                let outcome = match outcome {
                    0..=3 => Outcome::Failed,
                    4 => Outcome::Error,
                    _ => Outcome::Passed,
                };
                match variant {
                    Some(variant) => new.on(&variant.to_string(), test, outcome),
                    None if outcome == Outcome::Failed => new.failed(test),
                    None if outcome == Outcome::Error => new.error(test),
                    None => new.passed(test),
                }
            })
        };
        uploads.into_iter().enumerate().map(new).collect()
    })
}

fn fold_all(uploads: &[New], between: impl Fn(&mut Project, usize)) -> Project {
    let mut project = Project::new();
    for (index, upload) in uploads.iter().enumerate() {
        let _ = project.fold(upload.clone());
        between(&mut project, index);
    }
    project
}

proptest! {
    #[test]
    fn states_are_what_is_stored(uploads in stream()) {
        let kept = fold_all(&uploads, |_, _| {});
        let reloaded = fold_all(&uploads, |project, _| project.memory.reload().unwrap());
        prop_assert_eq!(kept.bytes(), reloaded.bytes());
        prop_assert_eq!(kept.memory.suite().to_bytes(), reloaded.memory.suite().to_bytes());
        prop_assert_eq!(kept.changes, reloaded.changes);
    }

    #[test]
    fn passes_nobody_watches_may_be_left_to_the_counters(uploads in stream()) {
        // A pass that touches nothing: the state before and after is equal bit for bit.
        let mut project = Project::new();
        for upload in uploads {
            let before = project.bytes();
            let clean = New { attempts: Vec::new(), commit: "elsewhere".to_owned(), ..upload.clone() };
            let clean = on_change(10_000 + clean.run, "elsewhere", clean.at).all(0..6, Outcome::Passed);
            let step = project.fold(clean);
            prop_assert!(step.tests.is_empty());
            prop_assert_eq!(before, project.bytes());
            let _ = project.fold(upload);
        }
    }

    #[test]
    fn uploads_of_different_tests_commute(uploads in stream(), at in 0usize..60) {
        // Two uploads of one instant, each of one test that the other does not have, in a run of its own.
        let at = at.min(uploads.len());
        let time = hour(at as i64 * 40);
        let one = on_change(900, "p", time).failed(0).passed(0);
        let other = on_change(901, "q", time).failed(1).failed(1);
        let run_with = |pair: [&New; 2]| {
            let mut project = Project::new();
            for (index, upload) in uploads.iter().enumerate() {
                if index == at {
                    for new in pair {
                        let _ = project.fold(new.clone());
                    }
                }
                let _ = project.fold(upload.clone());
            }
            project.bytes()
        };
        if at < 15 {
            prop_assert_eq!(run_with([&one, &other]), run_with([&other, &one]));
        }
    }

    #[test]
    fn judgements_sum_to_one(uploads in stream()) {
        let mut project = Project::new();
        for upload in uploads {
            for judged in project.fold(upload).judged {
                let judgement = judged.judgement;
                let parts = [judgement.flake, judgement.regression, judgement.incident];
                prop_assert!(parts.iter().all(|p| (0.0..=1.0).contains(p)), "{judgement:?}");
                prop_assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                prop_assert!(!judgement.reasons().is_empty() && judgement.sentence().ends_with('.'));
            }
        }
    }

    #[test]
    fn states_stay_small(uploads in stream()) {
        for (_, bytes) in fold_all(&uploads, |_, _| {}).bytes() {
            prop_assert!(bytes.len() < 1200, "{}", bytes.len());
        }
    }

    #[test]
    fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        bytes.insert(0, 1);
        let _ = TestState::from_bytes(&bytes);
        let _ = SuiteState::from_bytes(&bytes);
    }
}
