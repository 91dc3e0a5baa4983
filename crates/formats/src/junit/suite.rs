//! Suites: where a file is named for all their testcases, and hints at what should be there.

use super::case::attributes;
use super::characters::{self, Repairs};
use super::seconds::{Mark, Seconds, Time};
use super::volatile;
use crate::Malformed;
use casebook_model::failure::cut_middle;
use casebook_model::report::ReportedResult;
use quick_xml::events::BytesStart;

/// Longest name of a suite that is kept.
const LONGEST_NAME: usize = 1000;

/// Suites with wrong counters that are told.
const MOST_MISSING: usize = 1000;

/// Longest path of a suite's file that is kept.
const LONGEST_FILE: usize = 16 * 1024;

/// An open suite.
pub(super) struct Suite {
    pub(super) name: String,
    /// Its name says nothing about where a test belongs.
    pub(super) volatile: bool,
    pub(super) file: Option<String>,
    /// How many tests it says it holds.
    tests: Option<usize>,
    /// How many it says were skipped.
    pub(super) skipped: usize,
    pub(super) time: Time,
    /// Testcases directly in it.
    pub(super) direct: usize,
    /// Testcases in it and in the suites it holds, and earlier attempts, which some producers count as tests.
    pub(super) held: usize,
    /// Durations of its own testcases that can be read in one way only.
    clear_us: i64,
    /// Results whose duration can be read in two ways.
    commas: Vec<TwoWays>,
}

/// Tests that a suite speaks of and does not hold.
pub(super) struct Missing {
    pub(super) tests: usize,
    pub(super) sentence: String,
}

/// What the counters of a root's suites say, until it is known which tests were left out on purpose.
#[derive(Default)]
pub(super) struct Counters {
    missing: Vec<Missing>,
    /// Skipped tests, as the root says and as its suites say.
    skipped_by_root: usize,
    skipped_by_suites: usize,
    /// Testcases that were skipped.
    skipped: usize,
}

impl Counters {
    pub(super) fn begin(skipped_by_root: usize) -> Self {
        Self { skipped_by_root, ..Self::default() }
    }

    pub(super) fn saw_skipped(&mut self) {
        self.skipped += 1;
    }

    pub(super) fn close(&mut self, suite: &Suite) {
        self.skipped_by_suites += suite.skipped;
        self.missing.extend(suite.mismatch().filter(|_| self.missing.len() < MOST_MISSING));
    }

    /// What is missing, unless that many tests were skipped and left out: Mocha's reporters count pending tests.
    pub(super) fn sentences(&mut self) -> impl Iterator<Item = String> + use<> {
        let told = self.skipped_by_root.max(self.skipped_by_suites);
        let left_out = told.saturating_sub(self.skipped);
        let missing = std::mem::take(&mut self.missing);
        let explained = missing.iter().map(|missing| missing.tests).sum::<usize>() <= left_out;
        missing.into_iter().filter(move |_| !explained).map(|missing| missing.sentence)
    }
}

struct TwoWays {
    result: usize,
    thousands: i64,
    decimal: i64,
}

impl Suite {
    pub(super) fn read(element: &BytesStart<'_>) -> Result<Self, Malformed> {
        let mut suite = Self {
            name: String::new(),
            volatile: true,
            file: None,
            tests: None,
            skipped: 0,
            time: Time::default(),
            direct: 0,
            held: 0,
            clear_us: 0,
            commas: Vec::new(),
        };
        let mut repairs = Repairs::default();
        for attribute in attributes(element) {
            let (name, raw) = attribute?;
            let value = characters::value(&raw, &mut repairs)?;
            match name {
                "name" => {
                    suite.name = value.into_owned();
                    cut_middle(&mut suite.name, LONGEST_NAME);
                    suite.volatile = volatile::is_volatile(suite.name.trim());
                }
                "file" if !value.is_empty() => {
                    let mut file = value.into_owned();
                    cut_middle(&mut file, LONGEST_FILE);
                    suite.file = Some(file);
                }
                "tests" => suite.tests = value.trim().parse().ok(),
                "skipped" | "skips" | "ignored" => suite.skipped = value.trim().parse().unwrap_or(0),
                "time" => suite.time = Time::read(&value),
                _ => {}
            }
        }
        Ok(suite)
    }

    /// How many more tests it says it holds than it does, and a sentence: the producer may have crashed.
    pub(super) fn mismatch(&self) -> Option<Missing> {
        // pytest counts subtests and teardowns as well, and writes its report only when it is done.
        let counted = self.tests.filter(|_| self.direct > 0 && self.name != "pytest");
        let tests = counted.filter(|tests| *tests > self.held)?;
        let name: String = self.name.chars().take(80).collect();
        let sentence = format!("the suite {name:?} says {tests} tests, the file holds {}", self.held);
        Some(Missing { tests: tests - self.held, sentence })
    }
}

/// The durations of a file, as far as how to read them depends on the others.
#[derive(Default)]
pub(super) struct Durations {
    point_seen: bool,
    comma_seen: bool,
    commas: Vec<TwoWays>,
}

impl Durations {
    /// Notes how a time of this file is written.
    pub(super) fn saw(&mut self, time: Time) {
        match time.mark {
            Some(Mark::Point) => self.point_seen = true,
            Some(Mark::Comma) => self.comma_seen = true,
            None => {}
        }
    }

    /// Notes the time of a testcase, which became the result `result` of the file.
    pub(super) fn add(&mut self, result: usize, time: Time, suite: Option<&mut Suite>) {
        self.saw(time);
        match (time.seconds, suite) {
            (Some(Seconds::Clear(duration)), Some(suite)) => {
                suite.clear_us = suite.clear_us.saturating_add(duration);
            }
            (Some(Seconds::Comma { thousands, decimal }), suite) => {
                let commas = suite.map_or(&mut self.commas, |suite| &mut suite.commas);
                commas.push(TwoWays { result, thousands, decimal });
            }
            _ => {}
        }
    }

    /// Reads the durations of a suite so that they add up to its own time, if that is clear.
    pub(super) fn settle_suite(&mut self, suite: Suite, results: &mut [ReportedResult]) {
        let Some(Seconds::Clear(total)) = suite.time.seconds else {
            return self.commas.extend(suite.commas);
        };
        let sum = |reading: fn(&TwoWays) -> i64| {
            suite.commas.iter().map(reading).fold(suite.clear_us, i64::saturating_add)
        };
        let (thousands, decimal) = (sum(|two| two.thousands), sum(|two| two.decimal));
        if decimal.abs_diff(total) < thousands.abs_diff(total) {
            use_decimals(&suite.commas, results);
        }
    }

    /// Reads the durations that are left, also those of suites that were never closed, like the others of the file.
    pub(super) fn settle(mut self, open: Vec<Suite>, results: &mut [ReportedResult]) {
        self.commas.extend(open.into_iter().flat_map(|suite| suite.commas));
        if self.comma_seen && !self.point_seen {
            use_decimals(&self.commas, results);
        }
    }
}

fn use_decimals(commas: &[TwoWays], results: &mut [ReportedResult]) {
    for two in commas {
        if let Some(result) = results.get_mut(two.result) {
            result.duration_us = Some(two.decimal);
        }
    }
}
