//! Peaks of a process as what each test added to them.

use casebook_model::id::{RunId, VariantId};

/// Workers remembered, those that were heard of last.
pub(super) const WORKERS: usize = 64;

/// A process that runs tests one after the other: one session on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// The session.
    pub run: RunId,
    /// The machine.
    pub variant: VariantId,
}

/// The peak that each worker reached. What a process took at most so far is inherited by every later test, so a test is only
/// answerable for what it added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Peaks {
    /// The worker heard of last comes last.
    pub(super) workers: Vec<(Worker, f64)>,
}

impl Peaks {
    /// What the next test of a worker added to its peak, in MiB. The first counts from the baseline of its reporter, 0.
    pub fn increase(&mut self, worker: Worker, peak: f64) -> f64 {
        let before = match self.workers.iter().position(|(known, _)| *known == worker) {
            Some(index) => self.workers.remove(index).1,
            None => 0.0,
        };
        if self.workers.len() == WORKERS {
            self.workers.remove(0);
        }
        self.workers.push((worker, peak.max(before)));
        (peak - before).max(0.0)
    }
}
