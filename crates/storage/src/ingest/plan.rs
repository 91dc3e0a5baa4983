//! Which results are new, which attempt each is, and how the verdicts of their runs change.

use super::{NewUpload, Origin, Resolved, TouchedRun};
use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::Value;
use casebook_model::execution::{ExecutionFlags, Outcome};
use casebook_model::id::{UploadId, VariantId};
use casebook_model::verdict::Attempts;

pub(crate) const PRIOR: &str = "/* ingest.prior */ select test_id, attempt, variant_id, outcome, external_hash, upload_id from execution \
     where suite_id = $1 and run_id = $2 and test_id = any($3)";

/// Most results of one test in one run; public ids have no room for more.
const MOST_ATTEMPTS: i64 = (1 << 15) - 1;

/// The results that will be stored, sorted by run, test and attempt, and what was counted on the way.
pub(crate) struct Plan {
    pub(crate) executions: Vec<Planned>,
    pub(crate) tallies: Vec<Tally>,
}

/// A result that will be stored.
#[derive(Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) run_index: usize,
    pub(crate) test: i64,
    pub(crate) attempt: i64,
    pub(crate) variant: VariantId,
    pub(crate) upload_index: usize,
    pub(crate) result_index: usize,
}

/// Counts of one upload.
#[derive(Default, Clone)]
pub(crate) struct Tally {
    pub(crate) accepted: i64,
    pub(crate) duplicate: i64,
    pub(crate) rejected: i64,
    /// Where its first repeated result was stored.
    pub(crate) origin: Option<Origin>,
}

/// An execution that was stored before.
struct Prior {
    run_index: usize,
    test: i64,
    attempt: i64,
    variant: i64,
    outcome: Outcome,
    external_hash: Option<i64>,
    upload: UploadId,
}

#[derive(Clone, Copy)]
struct Item {
    run_index: usize,
    test: i64,
    upload_index: usize,
    result_index: usize,
}

pub(crate) fn plan(
    db: &mut Db<'_>,
    uploads: &[NewUpload],
    touched: &mut [TouchedRun],
    run_of: &[usize],
    resolved: &Resolved,
) -> Result<Plan, StorageError> {
    let mut items = Vec::with_capacity(resolved.iter().map(Vec::len).sum());
    for (upload_index, tests) in resolved.iter().enumerate() {
        for (result_index, (test, _)) in tests.iter().enumerate() {
            items.push(Item { run_index: run_of[upload_index], test: *test, upload_index, result_index });
        }
    }
    // Stable: results of one test stay in order of arrival.
    items.sort_by_key(|item| (touched[item.run_index].run.id, item.test));
    let prior = prior(db, &items, touched)?;

    let mut plan =
        Plan { executions: Vec::with_capacity(items.len()), tallies: vec![Tally::default(); uploads.len()] };
    let mut earlier = prior.as_slice();
    for group in items.chunk_by(|a, b| (a.run_index, a.test) == (b.run_index, b.test)) {
        let place = (group[0].run_index, group[0].test);
        let count = earlier.iter().take_while(|prior| (prior.run_index, prior.test) == place).count();
        let (own, rest) = earlier.split_at(count);
        earlier = rest;
        let history = History::of(own);
        plan.add_group(group, history, uploads, &mut touched[place.0], resolved);
    }
    Ok(plan)
}

/// Executions of the group's tests in runs that were there before, in the order of `items`.
fn prior(db: &mut Db<'_>, items: &[Item], touched: &[TouchedRun]) -> Result<Vec<Prior>, StorageError> {
    let mut found = Vec::new();
    for of_run in items.chunk_by(|a, b| a.run_index == b.run_index) {
        let run_index = of_run[0].run_index;
        let TouchedRun { run, is_new, .. } = &touched[run_index];
        if *is_new || run.outcomes.total() == 0 {
            continue;
        }
        let mut tests: Vec<i64> = of_run.iter().map(|item| item.test).collect();
        tests.dedup();
        let start = found.len();
        db.each(PRIOR, &[run.suite.get().into(), run.id.get().into(), Value::Ints(&tests)], |row| {
            let outcome = row.get(3)?;
            found.push(Prior {
                run_index,
                test: row.get(0)?,
                attempt: row.get(1)?,
                variant: row.get(2)?,
                outcome: member(Outcome::from_code(outcome), outcome, "execution.outcome")?,
                external_hash: row.get(4)?,
                upload: UploadId(row.get(5)?),
            });
            Ok(())
        })?;
        found[start..].sort_unstable_by_key(|prior| (prior.test, prior.attempt));
    }
    Ok(found)
}

/// What is known of one test in one run.
struct History {
    last_attempt: i64,
    /// Few: one entry a variant.
    variants: Vec<(VariantId, Attempts)>,
    /// Few: one entry an attempt with an id.
    seen: Vec<(i64, Origin)>,
}

impl History {
    fn of(prior: &[Prior]) -> Self {
        let mut history = Self { last_attempt: 0, variants: Vec::new(), seen: Vec::new() };
        for execution in prior {
            history.last_attempt = history.last_attempt.max(execution.attempt);
            history.attempts(VariantId(execution.variant)).add(execution.outcome);
            if let Some(hash) = execution.external_hash {
                history.seen.push((hash, Origin::Stored(execution.upload)));
            }
        }
        history
    }

    fn attempts(&mut self, variant: VariantId) -> &mut Attempts {
        let index = self.variants.iter().position(|(other, _)| *other == variant).unwrap_or_else(|| {
            self.variants.push((variant, Attempts::default()));
            self.variants.len() - 1
        });
        &mut self.variants[index].1
    }
}

impl Plan {
    fn add_group(
        &mut self,
        group: &[Item],
        mut history: History,
        uploads: &[NewUpload],
        touched: &mut TouchedRun,
        resolved: &Resolved,
    ) {
        let run = &mut touched.run;
        for item in group {
            let result = &uploads[item.upload_index].results[item.result_index];
            let tally = &mut self.tallies[item.upload_index];
            let counts = i64::from(!result.flags.contains(ExecutionFlags::EARLIER));
            if let Some(hash) = result.external_hash {
                if let Some((_, origin)) = history.seen.iter().find(|(seen, _)| *seen == hash) {
                    tally.duplicate += counts;
                    tally.origin.get_or_insert(*origin);
                    continue;
                }
                history.seen.push((hash, Origin::Here(item.upload_index)));
            }
            if history.last_attempt >= MOST_ATTEMPTS {
                tally.rejected += counts;
                continue;
            }
            history.last_attempt += 1;
            tally.accepted += counts;
            let variant = resolved[item.upload_index][item.result_index].1;
            let attempts = history.attempts(variant);
            let before = attempts.verdict();
            attempts.add(result.outcome);
            if let (before, Some(after)) = (before, attempts.verdict())
                && before != Some(after)
            {
                if let Some(before) = before {
                    run.verdicts.add(before, -1);
                }
                run.verdicts.add(after, 1);
            }
            run.outcomes.add(result.outcome);
            run.duration_us = run.duration_us.saturating_add(result.duration_us.unwrap_or(0));
            self.executions.push(Planned {
                run_index: item.run_index,
                test: item.test,
                attempt: history.last_attempt,
                variant,
                upload_index: item.upload_index,
                result_index: item.result_index,
            });
        }
    }
}
