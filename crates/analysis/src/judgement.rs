//! What is to be thought of a failure: flake, regression or incident (detection rules, B.7 step 4).

use crate::test_state::TestState;

/// Three probabilities that sum to 1, and what they rest on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Judgement {
    /// The test's outcome does not depend on the code.
    pub flake: f64,
    /// The code is broken.
    pub regression: f64,
    /// The machinery around the test failed.
    pub incident: f64,
    /// What it rests on.
    pub basis: Basis,
}

/// The numbers behind a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Basis {
    /// Probability that good code fails like this, from the history of the test and of its branch.
    pub good: f64,
    /// The same source also passed.
    pub mixed: bool,
    /// Failing attempts of the upload.
    pub attempts: u32,
    /// How the failure compares with those that were flaky.
    pub signatures: Signatures,
    /// The run it belongs to.
    pub run: RunShare,
}

/// A signature among those of the test's evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signatures {
    /// The failure said something, and so did evidence.
    pub known: bool,
    /// Pieces of evidence with the same signature.
    pub equal: u32,
    /// Pieces of evidence with any signature.
    pub all: u32,
    /// Different signatures among them.
    pub different: u32,
}

/// How usual a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunShare {
    /// It is marked as an incident.
    pub incident: bool,
    /// Share of its surprises that a usual run has too, at most 1.
    pub share: f64,
}

impl Default for RunShare {
    fn default() -> Self {
        Self { incident: false, share: 1.0 }
    }
}

/// One reason of a judgement, heaviest first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// It also passed on the same source.
    PassedToo,
    /// It failed in every attempt.
    FailedAlways {
        /// How many.
        attempts: u32,
        /// Probability that good code does that here.
        good: f64,
    },
    /// The same failure was flaky before.
    SeenBefore {
        /// In so many pieces of evidence.
        equal: u32,
        /// Of so many.
        all: u32,
    },
    /// No flaky failure of this test looked like this one.
    NeverSeen {
        /// Different failures that were flaky.
        different: u32,
    },
    /// The run is marked as an incident.
    Incident,
    /// More tests of the run surprise than usual.
    Crowd {
        /// Share of them that would be usual.
        share: f64,
    },
}

/// Probability that an incident explains a failure in it which no retry cured.
const INCIDENT_FAILS_ALWAYS: f64 = 0.9;
/// The same for a crowd that is no incident, at most: a broken build fails many tests too.
const CROWD_FAILS_ALWAYS: f64 = 0.8;
/// A change that breaks many tests is usual; only so small a share of usual failures makes a crowd.
const CROWD: f64 = 0.02;

/// Counts how often a failure like this was flaky before.
pub(crate) fn seen(state: &TestState, signature: u64) -> Signatures {
    let mut all: Vec<u64> = state.evidence.iter().map(|mark| mark.signature).filter(|s| *s != 0).collect();
    if signature == 0 || all.is_empty() {
        return Signatures::default();
    }
    let equal = all.iter().filter(|other| **other == signature).count() as u32;
    let count = all.len() as u32;
    all.sort_unstable();
    all.dedup();
    Signatures { known: true, equal, all: count, different: all.len() as u32 }
}

/// Judges the failing attempts of one test and lane in one upload. `good` is the probability that good code fails so.
pub(crate) fn judge(good: f64, mixed: bool, attempts: u32, seen: Signatures, run: RunShare) -> Judgement {
    let basis = Basis { good, mixed, attempts, signatures: seen, run };
    let incident = match (mixed, run.incident) {
        (true, true) => 0.99,
        (true, false) => 1.0 - run.share,
        (false, true) => INCIDENT_FAILS_ALWAYS,
        (false, false) => (1.0 - run.share / CROWD).max(0.0) * CROWD_FAILS_ALWAYS,
    };
    let mut flake = good;
    if seen.known && !mixed {
        let different = f64::from(seen.different);
        let of_flake = (f64::from(seen.equal) + 0.5) / (f64::from(seen.all) + 0.5 * (different + 1.0));
        let of_regression = 1.0 / (different + 1.0);
        let (one, other) = (good * of_flake, (1.0 - good) * of_regression);
        flake = if one + other > 0.0 { one / (one + other) } else { 0.0 };
    }
    let flake = (flake * (1.0 - incident)).clamp(0.0, 1.0);
    let regression = (1.0 - incident - flake).clamp(0.0, 1.0);
    Judgement { flake, regression, incident: 1.0 - flake - regression, basis }
}

impl Judgement {
    /// Whether the failure must block whatever is known of the test: it looks like nothing that was flaky before, or it
    /// fails every time in a way that flakiness hardly explains.
    #[must_use]
    pub fn blocks(&self) -> bool {
        let Basis { good, mixed, signatures, run, .. } = self.basis;
        let is_unseen = signatures.known && signatures.equal == 0;
        !run.incident && !mixed && (is_unseen || good < 0.2)
    }

    /// The reasons, heaviest first.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        let Basis { good, mixed, attempts, signatures, run } = self.basis;
        let mut reasons = Vec::new();
        if run.incident {
            reasons.push(Reason::Incident);
        } else if run.share < 1.0 {
            reasons.push(Reason::Crowd { share: run.share });
        }
        reasons.push(if mixed { Reason::PassedToo } else { Reason::FailedAlways { attempts, good } });
        let Signatures { known, equal, all, different } = signatures;
        if known && equal > 0 {
            reasons.push(Reason::SeenBefore { equal, all });
        } else if known {
            reasons.push(Reason::NeverSeen { different });
        }
        reasons
    }

    /// The judgement in words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (word, p) = [
            ("a flake", self.flake),
            ("a regression", self.regression),
            ("part of an incident", self.incident),
        ]
        .into_iter()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or(("unclear", 0.0));
        let reasons: Vec<String> = self.reasons().iter().map(Reason::words).collect();
        format!("Probably {word} ({:.0} %): {}.", p * 100.0, reasons.join("; "))
    }
}

impl Reason {
    fn words(&self) -> String {
        match self {
            Self::PassedToo => "it also passed on the same code".to_owned(),
            Self::FailedAlways { attempts: 1, good } => {
                format!("it failed, and good code explains that with {:.1} %", good * 100.0)
            }
            Self::FailedAlways { attempts, good } => {
                format!(
                    "it failed in all {attempts} attempts, and good code explains that with {:.1} %",
                    good * 100.0
                )
            }
            Self::SeenBefore { equal, all } => {
                format!("{equal} of {all} flaky failures of this test looked the same")
            }
            Self::NeverSeen { different: 1 } => "the flaky failures of this test looked different".to_owned(),
            Self::NeverSeen { different } => {
                format!("none of the {different} kinds of flaky failure of this test looked like it")
            }
            Self::Incident => "the run is an incident".to_owned(),
            Self::Crowd { share } => {
                format!(
                    "far more tests than usual fail in this run, {:.0} % of them would be usual",
                    share * 100.0
                )
            }
        }
    }
}
