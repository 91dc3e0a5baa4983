//! Whether a shift is the machine's: how many tests of a host class shift in the same run.

use super::series::Taken;
use super::{Direction, HostClassId};
use casebook_model::id::RunId;
use casebook_model::resources::Measure;

/// Runs remembered of a measure of a host class.
pub(super) const RUNS: usize = 8;

/// Measures of host classes remembered, those that ran last.
pub(super) const GROUPS: usize = 96;

/// Fewer tests are no crowd, whatever their share.
const FEWEST: u32 = 5;

/// One in so many tests: 20 %.
const SHARE: u32 = 5;

/// What the tests of a host class did in one run, as far as it has come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunCount {
    pub(super) run: RunId,
    /// Tests with a baseline.
    pub(super) tests: u32,
    /// Those that take more than usual, or have just begun to.
    pub(super) up: u32,
    /// Those that take less.
    pub(super) down: u32,
}

impl RunCount {
    const fn towards(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }
}

/// A measure of a host class, with its newest runs, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) class: HostClassId,
    pub(super) measure: Measure,
    pub(super) runs: Vec<RunCount>,
}

/// The newest runs of every host class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// The group that ran last comes last.
    pub(super) groups: Vec<Group>,
}

impl Neighbours {
    /// Counts what became of a value of a run.
    pub fn note(&mut self, class: HostClassId, measure: Measure, run: RunId, taken: &Taken) {
        let count = self.count(class, measure, run);
        count.tests += u32::from(taken.has_baseline);
        count.up += u32::from(taken.shifting == Some(Direction::Up));
        count.down += u32::from(taken.shifting == Some(Direction::Down));
    }

    /// Whether at least 20 % of the tests of the class, and at least five, shift one way in this run or did in the one before.
    ///
    /// A run may still be coming in: it is measured by the fullest of the newest runs.
    #[must_use]
    pub fn are_shifting(
        &self,
        class: HostClassId,
        measure: Measure,
        run: RunId,
        direction: Direction,
    ) -> bool {
        let Some(group) =
            self.groups.iter().rev().find(|group| (group.class, group.measure) == (class, measure))
        else {
            return false;
        };
        let tests = group.runs.iter().map(|count| count.tests).max().unwrap_or(0);
        let this = group.runs.iter().position(|count| count.run == run).unwrap_or(0);
        let shifting =
            group.runs[this.saturating_sub(1)..=this].iter().map(|count| count.towards(direction)).max();
        shifting.is_some_and(|shifting| shifting >= FEWEST && shifting * SHARE >= tests)
    }

    fn count(&mut self, class: HostClassId, measure: Measure, run: RunId) -> &mut RunCount {
        let found = self.groups.iter().rposition(|group| (group.class, group.measure) == (class, measure));
        let index = match found {
            Some(index) => index,
            None => {
                if self.groups.len() == GROUPS {
                    self.groups.remove(0);
                }
                self.groups.push(Group { class, measure, runs: Vec::new() });
                self.groups.len() - 1
            }
        };
        let known = self.groups[index].runs.iter().rposition(|count| count.run == run);
        if let Some(known) = known {
            return &mut self.groups[index].runs[known];
        }
        // A run that begins brings its group to the end.
        let mut group = self.groups.remove(index);
        if group.runs.len() == RUNS {
            group.runs.remove(0);
        }
        let last = group.runs.len();
        group.runs.push(RunCount { run, tests: 0, up: 0, down: 0 });
        self.groups.push(group);
        let end = self.groups.len() - 1;
        &mut self.groups[end].runs[last]
    }
}
