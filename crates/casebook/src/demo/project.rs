//! A made-up project: a web shop with 180 tests, six weeks of builds, a few flaky tests, a regression and an incident.
//!
//! Everything follows from the seed and the day it is made on, so that the same demo can be shown twice.

use casebook_model::time::{DAY_US, Timestamp};
use serde_json::{Value, json};

const WEEKS: i64 = 4;
const AREAS: &[&str] = &["cart", "catalog", "checkout", "payments", "search", "shipping"];
const CASES: &[&str] = &[
    "adds_an_item",
    "removes_an_item",
    "keeps_the_order",
    "rounds_to_cents",
    "applies_a_voucher",
    "refuses_bad_input",
    "survives_a_timeout",
    "sends_a_receipt",
    "shows_the_total",
    "restores_a_session",
];

/// Tests whose outcome does not depend on the code, and how often they fail.
const FLAKY: &[(usize, f64)] = &[(13, 0.12), (57, 0.05), (101, 0.3), (144, 0.08)];

/// A test that a change broke, and the builds of the default branch in which it stayed broken.
const REGRESSION: (usize, std::ops::Range<usize>) = (88, 14..19);

/// The build in which the payment sandbox was down.
const INCIDENT: usize = 24;

/// A build: one upload.
pub(crate) struct Build {
    /// The body of `POST /v1/uploads`.
    pub(crate) upload: Value,
    /// Its results.
    pub(crate) results: usize,
}

/// A small random generator (SplitMix64): a demo needs no better one.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            0x8000 | (b >> 48 & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }
}

struct Test {
    scope: String,
    name: String,
    file: String,
    line: usize,
    seconds: f64,
}

/// The builds of the project, oldest first, the last one shortly before `now`.
pub(crate) fn builds(seed: u64, now: Timestamp) -> Vec<Build> {
    let mut random = Random(seed);
    let tests = tests(&mut random);
    let count = (WEEKS * 14) as usize;
    let step = WEEKS * 7 * DAY_US / count as i64;
    (0..count)
        .map(|number| {
            let at = now.plus(-(count as i64 - number as i64) * step + step / 2);
            build(&mut random, &tests, number, at)
        })
        .collect()
}

fn tests(random: &mut Random) -> Vec<Test> {
    let mut tests = Vec::new();
    for area in AREAS {
        for (part, class) in ["TestBasics", "TestLimits", "TestStorage"].into_iter().enumerate() {
            let file = format!("tests/{area}/test_{}.py", ["basics", "limits", "storage"][part]);
            for (index, case) in CASES.iter().enumerate() {
                let slow = if random.share() < 0.04 { 40.0 } else { 1.0 };
                tests.push(Test {
                    scope: format!("{file}::{class}"),
                    name: format!("test_{case}"),
                    file: file.clone(),
                    line: 10 + 9 * index,
                    seconds: slow * (0.004 + 0.12 * random.share() * random.share()),
                });
            }
        }
    }
    tests
}

fn build(random: &mut Random, tests: &[Test], number: usize, at: Timestamp) -> Build {
    // Every third build is a pull request's.
    let pull_request = number % 3 == 2;
    let branch = if pull_request { format!("feature/{}", number / 3) } else { "main".to_owned() };
    let commit = format!("{:016x}{:016x}{:08x}", random.next(), random.next(), number);
    let mut data = Vec::new();
    let mut clock = 0.0;
    for (index, test) in tests.iter().enumerate() {
        let cause = cause(random, index, number, pull_request);
        let mut attempts = vec![cause];
        // The runner runs a failed test once more. A flake and an outage are gone by then; a broken test is not.
        if let Some(cause) = cause {
            attempts.push(cause.again(random));
        }
        for (attempt, cause) in attempts.into_iter().enumerate() {
            let seconds = test.seconds * (0.85 + 0.3 * random.share());
            data.push(result(random, test, clock, seconds, attempt, cause));
            clock += seconds;
        }
    }
    let results = data.len();
    let upload = json!({
        "format": "json",
        "run_env": {
            "CI": "buildkite",
            "key": random.uuid(),
            "number": (100 + number).to_string(),
            "branch": branch,
            "commit_sha": commit,
            "message": format!("Change number {number}"),
            "url": format!("https://ci.example/shop/builds/{}", 100 + number),
            "collector": "casebook-demo",
            "version": env!("CARGO_PKG_VERSION"),
            "language_version": "3.12.4",
            "test_runner": "pytest",
            "started_at": at.to_rfc3339_millis(),
        },
        "tags": { "os": "linux", "team": "shop" },
        "data": data,
    });
    Build { upload, results }
}

/// Why a test fails in a build.
#[derive(Clone, Copy)]
enum Cause {
    Flake(f64),
    Regression,
    Outage,
}

impl Cause {
    /// What the next attempt meets.
    fn again(self, random: &mut Random) -> Option<Self> {
        match self {
            Self::Flake(rate) => (random.share() < rate).then_some(self),
            Self::Regression => Some(self),
            Self::Outage => None,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Flake(_) => "TimeoutError: the page did not settle within 5 s",
            Self::Regression => "AssertionError: assert Decimal('19.98') == Decimal('19.99')",
            Self::Outage => "ConnectionError: payment sandbox refused the connection",
        }
    }
}

fn cause(random: &mut Random, test: usize, build: usize, pull_request: bool) -> Option<Cause> {
    let share = random.share();
    if build == INCIDENT && (90..120).contains(&test) {
        return Some(Cause::Outage);
    }
    if test == REGRESSION.0 && REGRESSION.1.contains(&build) && !pull_request {
        return Some(Cause::Regression);
    }
    let (_, rate) = FLAKY.iter().find(|(flaky, _)| *flaky == test)?;
    (share < *rate).then_some(Cause::Flake(*rate))
}

fn result(
    random: &mut Random,
    test: &Test,
    clock: f64,
    seconds: f64,
    attempt: usize,
    cause: Option<Cause>,
) -> Value {
    let mut result = json!({
        "id": random.uuid(),
        "scope": test.scope,
        "name": test.name,
        "location": format!("{}:{}", test.file, test.line),
        "file_name": test.file,
        "result": if cause.is_some() { "failed" } else { "passed" },
        "history": { "start_at": clock, "end_at": clock + seconds, "duration": seconds },
    });
    if let Some(cause) = cause {
        result["failure_reason"] = cause.message().into();
        result["failure_expanded"] = json!([{
            "expanded": [cause.message(), format!("attempt {}", attempt + 1)],
            "backtrace": [format!("{}:{}: in {}", test.file, test.line + 4, test.name)],
        }]);
    }
    if test.file.contains("checkout") && random.share() < 0.1 {
        result["history"]["children"] = json!([{
            "section": "http",
            "start_at": clock,
            "end_at": clock + seconds / 3.0,
            "duration": seconds / 3.0,
            "detail": { "method": "GET", "url": "https://api.example/basket", "lib": "requests" },
        }]);
    }
    result
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_project() {
        let now = Timestamp(1_790_000_000_000_000);
        let (one, two) = (builds(7, now), builds(7, now));
        let total: usize = one.iter().map(|build| build.results).sum();
        assert!((10_000..12_000).contains(&total), "{total}");
        assert!(one.iter().zip(&two).all(|(a, b)| a.upload == b.upload));
        assert_ne!(one[0].upload, builds(8, now)[0].upload);
    }
}
