//! Histories by hand, and what is to be thought of them.

use crate::project::{Project, hour, on_change, on_main};
use casebook_analysis::health::Rules;
use casebook_analysis::upload::{CommitKey, Decision};
use casebook_model::evidence::{EpisodeEnd, EvidenceKind};
use casebook_model::execution::Outcome::{Failed, Passed};
use casebook_model::health::Health;
use casebook_model::suite::{ResolveRule, Sensitivity};
use casebook_model::time::{DAY_US, Timestamp};

/// A calm suite of ten tests whose test 1 failed and passed on two pull requests; flagged by the second.
fn flaky_at_hour_101() -> Project {
    let mut project = Project::new();
    project.calm(0, 100, 0..10);
    let one = project.fold(on_change(1000, "a", hour(100)).failed(1).passed(1));
    assert_eq!(one.evidence.len(), 1);
    assert_eq!((one.evidence[0].kind, one.evidence[0].weight), (EvidenceKind::Retry, 1.0));
    assert_eq!(project.health(1, hour(100)), Some(Health::Suspect));
    let two = project.fold(on_change(1001, "b", hour(101)).failed(1).passed(1));
    assert!(two.tests[0].episodes.iter().any(|episode| episode.announced_now));
    assert_eq!(project.health(1, hour(101)), Some(Health::Flaky));
    project
}

#[test]
fn a_fixed_flake_is_resolved_after_14_times_24_hours() {
    let mut project = flaky_at_hour_101();
    let due = hour(101).plus(14 * DAY_US);
    project.wait(due.plus(-1));
    assert_eq!(project.changes.last().unwrap().to, Health::Flaky);
    project.wait(due);
    let resolved = project.changes.last().unwrap();
    assert_eq!((resolved.at, resolved.from, resolved.to), (due, Health::Flaky, Health::Resolved));
    project.wait(due.plus(30 * DAY_US));
    let healthy = project.changes.last().unwrap();
    assert_eq!((healthy.at, healthy.to), (due.plus(30 * DAY_US), Health::Healthy));
    assert_eq!(project.changes.len(), 4);
}

#[test]
fn a_state_explains_itself() {
    let project = flaky_at_hour_101();
    let explained = project.state(1).unwrap().explain(hour(200), 50, Rules::default());
    assert_eq!((explained.health, explained.evidence.len(), explained.weight), (Health::Flaky, 2, (2.0, 2)));
    assert!(explained.interval.0 < explained.q && explained.q < explained.interval.1);
    assert_eq!(explained.ends_at, Some(hour(101).plus(14 * DAY_US)));
    let text = explained.sentences().join("\n");
    for words in ["2 independent changes", "inside one run", "90 % interval", "50 times", "resolved on"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn it_does_not_matter_when_the_clock_was_looked_at() {
    let looks = |often: bool| {
        let mut project = flaky_at_hour_101();
        for day in (0..20).filter(|_| often) {
            project.wait(hour(101 + day * 24));
        }
        let _ = project.fold(on_change(2000, "c", hour(101 + 20 * 24)).failed(1).passed(1));
        (project.bytes(), project.changes)
    };
    assert_eq!(looks(true), looks(false));
    let (_, changes) = looks(true);
    let words: Vec<_> = changes.iter().map(|change| change.to).collect();
    assert_eq!(words, [Health::Suspect, Health::Flaky, Health::Resolved, Health::Flaky]);
}

#[test]
fn a_suspicion_that_stays_alone_lapses_silently() {
    let mut project = Project::new();
    project.calm(0, 100, 0..10);
    let step = project.fold(on_change(1000, "a", hour(100)).failed(1).passed(1));
    assert!(step.tests[0].episodes.iter().all(|episode| episode.announced_at.is_none()));
    project.wait(hour(100).plus(28 * DAY_US));
    let last = project.changes.last().unwrap();
    assert_eq!(
        (last.at, last.from, last.to),
        (hour(100).plus(28 * DAY_US), Health::Suspect, Health::Healthy)
    );
}

#[test]
fn prompt_detection_flags_at_once() {
    let mut project = Project::with(Rules { detection: Sensitivity::Prompt, ..Rules::default() });
    project.calm(0, 100, 0..10);
    let _ = project.fold(on_change(1000, "a", hour(100)).failed(1).passed(1));
    assert_eq!(project.health(1, hour(100)), Some(Health::Flaky));
}

#[test]
fn two_failures_of_one_change_are_one_source() {
    let mut project = Project::new();
    project.calm(0, 100, 0..10);
    for run in 0..4 {
        let _ = project.fold(on_change(1000 + run, "a", hour(100 + run)).failed(1).passed(1));
    }
    assert_eq!(project.health(1, hour(104)), Some(Health::Suspect));
}

#[test]
fn an_error_in_setup_that_passes_on_retry_is_a_failed_attempt() {
    let mut project = Project::new();
    project.calm(0, 100, 0..10);
    // The test's own setup: brought as failed. A lost worker is an error and says nothing about the test.
    let lost = project.fold(on_change(999, "z", hour(100)).error(2).passed(2).all(3..10, Passed));
    assert!(lost.evidence.is_empty() && project.state(2).is_none());
    let own = project.fold(on_change(1000, "a", hour(101)).failed(1).passed(1));
    assert_eq!(own.evidence.len(), 1);
}

#[test]
fn one_variant_that_fails_is_no_flake() {
    let mut project = Project::new();
    for run in 0..40 {
        let upload = on_main(run, run, hour(run)).on("linux", 1, Passed);
        let outcome = if run < 20 { Passed } else { Failed };
        let step = project.fold(upload.on("windows", 1, outcome));
        assert!(step.evidence.is_empty(), "{run}: {:?}", step.evidence);
    }
    assert_eq!(project.health(1, hour(40)), Some(Health::Broken));
    assert!(project.state(1).unwrap().failure_probability() < 0.01);
}

#[test]
fn jobs_of_unknown_variant_count_half_unless_one_followed_the_other() {
    let mut project = Project::new();
    project.calm(0, 100, 0..10);
    let _ = project.fold(on_change(1000, "a", hour(101)).job("unit 1").passed(1));
    let step = project.fold(on_change(1001, "a", hour(101)).job("unit 2").failed(1));
    assert_eq!((step.evidence[0].kind, step.evidence[0].weight), (EvidenceKind::CrossJob, 0.5));
    let _ = project.fold(on_change(1002, "b", hour(102)).job("unit 1").failed(2));
    let step = project.fold(on_change(1003, "b", hour(103)).job("unit 2").passed(2));
    assert_eq!((step.evidence[0].kind, step.evidence[0].weight), (EvidenceKind::CrossRun, 1.0));
}

#[test]
fn thirty_broken_commits_are_a_regression() {
    let mut project = Project::new();
    project.calm(0, 200, 0..10);
    for run in 200..230 {
        let step = project.fold(on_main(run, run, hour(run)).failed(1).failed(1));
        let judgement = step.judged[0].judgement;
        assert!(step.evidence.is_empty());
        assert!(judgement.regression > 0.95, "{run}: {judgement:?}");
        assert!(judgement.blocks());
    }
    assert_eq!(project.health(1, hour(230)), Some(Health::Broken));
    let q = project.state(1).unwrap().failure_probability();
    assert!((1e-5..3e-4).contains(&q), "{q}");
    project.calm(230, 1, 0..10);
    assert_eq!(project.health(1, hour(230)), Some(Health::Broken));
    project.calm(231, 1, 0..10);
    assert_eq!(project.health(1, hour(231)), Some(Health::Healthy));
}

#[test]
fn a_lone_failure_on_the_default_branch_is_evidence_once_it_is_over() {
    let mut project = Project::new();
    project.calm(0, 100, 0..10);
    let failed = project.fold(on_main(100, 100, hour(100)).failed(1).all(2..10, Passed));
    assert!(failed.evidence.is_empty());
    // A late result of an older commit does not end it.
    let late = project.fold(on_main(999, 50, hour(50)).all(0..10, Passed));
    assert!(late.evidence.is_empty());
    let over = project.fold(on_main(101, 101, hour(101)).all(0..10, Passed));
    assert_eq!(over.evidence.len(), 1);
    assert_eq!((over.evidence[0].kind, over.evidence[0].run.get()), (EvidenceKind::Isolated, 100));
}

#[test]
fn five_thousand_tests_that_recover_together_are_an_incident() {
    let mut project = Project::new();
    project.calm(0, 40, 0..5000);
    let mut upload = on_main(1000, "a", hour(41));
    for test in 0..5000 {
        upload = upload.failed(test).passed(test);
    }
    let step = project.fold(upload);
    assert_eq!(step.incidents.iter().map(|run| run.get()).collect::<Vec<_>>(), [1000]);
    assert!(step.evidence.is_empty());
    assert!(step.judged.iter().all(|judged| judged.judgement.incident > 0.9));
    assert!(step.tests.iter().all(|test| test.before == test.after));
    let q = project.state(7).unwrap().failure_probability();
    assert!(q < 1e-3, "{q}");
    // The same without retries: they fail, and pass with the next commit.
    let _ = project.fold(on_main(1003, "between", hour(41)).all(0..5000, Passed));
    let _ = project.fold(on_main(1001, "b", hour(42)).all(0..5000, Failed));
    let over = project.fold(on_main(1002, "c", hour(43)).all(0..5000, Passed));
    assert_eq!(over.incidents.iter().map(|run| run.get()).collect::<Vec<_>>(), [1001]);
    assert!(over.evidence.is_empty());
}

#[test]
fn evidence_given_before_an_incident_showed_is_withdrawn() {
    let mut project = Project::new();
    project.calm(0, 40, 0..200);
    let mut withdrawn = 0;
    for test in 0..100 {
        let step = project.fold(on_change(1000, "a", hour(41)).failed(test).passed(test));
        withdrawn += step.evidence.iter().filter(|evidence| evidence.weight == 0.0).count();
    }
    assert_eq!(withdrawn, 3);
    let suspects = (0..100).filter(|test| project.health(*test, hour(41)) == Some(Health::Suspect)).count();
    assert_eq!(suspects, 0);
}

#[test]
fn an_announcement_that_rests_on_an_incident_is_retracted() {
    let mut project = Project::new();
    project.calm(0, 40, 0..200);
    let _ = project.fold(on_change(999, "x", hour(41)).failed(0).passed(0));
    let announced = project.fold(on_change(1000, "a", hour(42)).failed(0).passed(0));
    assert!(announced.tests[0].episodes[0].announced_now);
    let mut ended = Vec::new();
    for test in 1..100 {
        let step = project.fold(on_change(1000, "a", hour(42)).failed(test).passed(test));
        ended.extend(
            step.tests.into_iter().filter(|test| test.test.get() == 0).flat_map(|test| test.episodes),
        );
    }
    let told: Vec<_> = ended.iter().map(|change| (change.number, change.opened_at, change.ended)).collect();
    let retracted = Some((hour(42), EpisodeEnd::Retracted));
    assert_eq!(told, [(1, hour(41), retracted), (2, hour(41), None)]);
    // What it had shown before still counts.
    assert_eq!(project.health(0, hour(42)), Some(Health::Suspect));
    let again = project.fold(on_change(1001, "b", hour(43)).failed(0).passed(0));
    assert!(again.tests[0].episodes[0].announced_now);
}

#[test]
fn late_results_count_with_their_own_time() {
    let mut project = flaky_at_hour_101();
    let _ = project.fold(on_change(3000, "late", hour(60)).failed(1).passed(1));
    // The latest evidence is still that of hour 101.
    project.wait(hour(101).plus(14 * DAY_US));
    assert_eq!(project.changes.last().unwrap().at, hour(101).plus(14 * DAY_US));
    // Evidence of before the resolution that comes after it takes the resolution back.
    let _ = project.fold(on_change(3001, "x", hour(101).plus(15 * DAY_US)).passed(3));
    let step = project.fold(on_change(3002, "later", hour(101).plus(10 * DAY_US)).failed(1).passed(1));
    let episode = step.tests[0].episodes.last().unwrap();
    assert_eq!((episode.number, episode.ended), (1, None));
    assert_eq!(project.health(1, project.memory.suite().clock()), Some(Health::Flaky));
}

#[test]
fn people_decide() {
    let mut project = Project::new();
    project.calm(0, 100, 0..10);
    let marked = project.decide(1, Decision::Flaky, hour(100));
    assert_eq!(marked.evidence[0].kind, EvidenceKind::Manual);
    assert_eq!(project.health(1, hour(100)), Some(Health::Flaky));
    let dismissed = project.decide(1, Decision::NotFlaky, hour(101));
    assert_eq!(dismissed.tests[0].episodes[0].ended, Some((hour(101), EpisodeEnd::Dismissed)));
    assert_eq!(project.health(1, hour(101)), Some(Health::Healthy));
    let old = project.fold(on_change(999, "o", hour(90)).failed(1).passed(1));
    assert!(old.tests[0].episodes.is_empty());
    let _ = project.fold(on_change(1000, "a", hour(102)).failed(1).passed(1));
    assert_eq!(project.health(1, hour(102)), Some(Health::Suspect));
}

#[test]
fn a_proven_repair_resolves_early() {
    let mut project = flaky_at_hour_101();
    let _ = project.decide(1, Decision::Repair(CommitKey::of("fix")), hour(102));
    for run in 0..400 {
        let _ = project.fold(on_change(4000 + run, "fix", hour(103)).passed(1));
    }
    assert_eq!(project.health(1, hour(103)), Some(Health::Resolved));
    let mut project = flaky_at_hour_101();
    let _ = project.decide(1, Decision::Repair(CommitKey::of("fix")), hour(102));
    let _ = project.fold(on_change(3999, "fix", hour(103)).failed(1));
    for run in 0..400 {
        let _ = project.fold(on_change(4000 + run, "other", hour(103)).passed(1));
    }
    assert_eq!(project.health(1, hour(103)), Some(Health::Flaky));
}

#[test]
fn a_proven_suite_wants_clean_runs_too() {
    let rules = Rules { resolve: ResolveRule::Proven, ..Rules::default() };
    let rare = |runs: i64| {
        let mut project = Project::with(rules);
        project.calm(0, 100, 0..10);
        for (run, commit) in [(1000, "a"), (1001, "b")] {
            let _ = project.fold(on_change(run, commit, hour(100)).failed(1).passed(1));
        }
        for run in 0..runs {
            let _ = project.fold(on_main(2000 + run, run, hour(110)).passed(1));
        }
        project.wait(hour(100).plus(61 * DAY_US));
        project.changes.iter().map(|change| (change.to, change.at)).collect::<Vec<_>>()
    };
    let day = |days: i64| hour(100).plus(days * DAY_US);
    let proven: Vec<(Health, Timestamp)> = rare(400);
    assert_eq!(proven[2..], [(Health::Resolved, day(14)), (Health::Healthy, day(44))]);
    assert_eq!(rare(3)[2..], [(Health::Dormant, day(14)), (Health::Resolved, day(60))]);
}
