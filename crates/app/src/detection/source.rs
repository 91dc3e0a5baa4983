//! What results ran on: their source, and the lane within it.

use casebook_analysis::upload::{BranchKey, CommitKey, Lane, Signature};
use casebook_model::branch;
use casebook_model::id::{SuiteId, VariantId};
use casebook_model::key::Key;
use casebook_storage::ingest::FoldStep;
use casebook_storage::{Db, StorageError, detector as stored};
use std::collections::HashMap;

/// A signature as it is stored.
pub(crate) fn signature(key: Key) -> Signature {
    Signature(u128::from_be_bytes(key))
}

/// The source of an upload's results.
pub(crate) struct Source {
    pub(crate) key: CommitKey,
    pub(crate) branch: Option<BranchKey>,
    /// The commit's text; for results without one the name of their run stands in its place on the default branch.
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn of(step: &FoldStep<'_>) -> Self {
        let branch = step.branch.map(|branch| BranchKey::of(branch::compared(branch.as_str())));
        match step.commit {
            Some(commit) => {
                Self { key: CommitKey::of(commit.as_str()), branch, text: commit.as_str().to_owned() }
            }
            None => {
                Self { key: CommitKey::of_run(step.run), branch, text: format!("run {}", step.run.get()) }
            }
        }
    }
}

/// The text of a lane: `variant` if something is known of the environment, else none, and then the job tells lanes apart.
/// Different instances of one name are never compared.
pub(crate) fn lane_text(tags: Option<&str>, instance: i64) -> Option<String> {
    match (tags, instance) {
        (None, 0) => None,
        (tags, 0) => tags.map(str::to_owned),
        (tags, instance) => Some(format!("{}#{instance}", tags.unwrap_or(""))),
    }
}

/// Lanes of executions, and the tags of variants as far as they were asked for.
pub(crate) struct Lanes<'a> {
    suite: SuiteId,
    variants: &'a mut HashMap<VariantId, Option<String>>,
}

impl<'a> Lanes<'a> {
    pub(crate) const fn new(suite: SuiteId, variants: &'a mut HashMap<VariantId, Option<String>>) -> Self {
        Self { suite, variants }
    }

    pub(crate) fn lane(
        &mut self,
        db: &mut Db<'_>,
        variant: VariantId,
        instance: i64,
        job: Option<&str>,
    ) -> Result<Lane, StorageError> {
        if !self.variants.contains_key(&variant) {
            self.variants.insert(variant, stored::variant_tags(db, self.suite, variant)?);
        }
        let tags = self.variants.get(&variant).and_then(Option::as_deref);
        Ok(match lane_text(tags, instance) {
            Some(text) => Lane::of_variant(text.as_bytes()),
            None => Lane::of_job(job),
        })
    }
}
