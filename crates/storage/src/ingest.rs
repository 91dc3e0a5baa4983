//! Recording uploads: all of a group in one transaction, set by set, serial within a suite.
//!
//! The suite's counter row is locked first, so numbers, attempts, verdicts and the fold see uploads in one order, which is
//! the order of commit. Executions are written sorted by (run, test, attempt): appends for a new run.

mod counter;
pub(crate) mod dropped;
mod executions;
pub(crate) mod plan;
mod records;
mod repeats;
mod rows;

use crate::catalog::{Catalogs, Changes, Mention, SuiteCatalog};
use crate::db::Db;
use crate::error::StorageError;
use crate::{monitor, rollups, runs};
use casebook_model::branch::BranchClass;
use casebook_model::execution::{Execution, ExecutionFlags, Outcome};
use casebook_model::id::{RunId, SuiteId, TestId, UploadId, VariantId};
use casebook_model::key::Key;
use casebook_model::name::{Branch, Commit, Job, Shard};
use casebook_model::report::Problem;
use casebook_model::resources::Resources;
use casebook_model::run::{OutcomeCounts, Protocol, Run, RunAttributes, VerdictCounts};
use casebook_model::tags::Tags;
use casebook_model::test::{Identity, TestAttributes, canonical_class_name};
use casebook_model::time::Timestamp;
use casebook_model::variant::Variant;
use std::collections::HashMap;

pub(crate) use counter::Counter;
pub(crate) use records::Written;
pub use records::{Record, Refusal};
pub(crate) use repeats::Origin;
pub(crate) use rows::tags_from_json;
pub use rows::tags_json;

/// One upload, checked and ready to be stored.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// The suite it belongs to.
    pub suite: SuiteId,
    /// The protocol that brought it.
    pub protocol: Protocol,
    /// Key of the run it belongs to.
    pub run_key: String,
    /// What it says about the run.
    pub attributes: RunAttributes,
    /// Class of its branch.
    pub branch_class: BranchClass,
    /// The CI job.
    pub job: Option<Job>,
    /// The shard within the job.
    pub shard: Option<Shard>,
    /// Name and version of the client.
    pub collector: Option<String>,
    /// Number of the report's format (`docs/schema.md`, upload).
    pub format: i64,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The time of its results: as reported if in the past, else receipt.
    pub at: Timestamp,
    /// Digest of the report and job, for formats whose results have no ids: an equal one in the same run is a repetition.
    pub digest: Option<Key>,
    /// Tags of every execution in it.
    pub tags: Tags,
    /// The environments its results ran in.
    pub variants: Vec<Variant>,
    /// The results in the order of the report, earlier attempts before later ones.
    pub results: Vec<NewResult>,
    /// What its protocol keeps beside them.
    pub records: Vec<Record>,
    /// Records that were mended and kept.
    pub repaired: i64,
    /// Records that could not be used.
    pub rejected: i64,
    /// Why.
    pub problems: Vec<Problem>,
    /// Whether webhooks are told of what follows from it; history that is brought later concerns nobody any more.
    pub notify: bool,
}

/// One result of an upload.
#[derive(Debug, Clone)]
pub struct NewResult {
    /// Key of the protocol's spelling.
    pub spelling_key: Key,
    /// The protocol's group.
    pub scope: String,
    /// Canonical class name, where it does not follow from the scope ([`canonical_class_name`]).
    pub class_name: Option<String>,
    /// The name.
    pub name: String,
    /// Location and file.
    pub attributes: TestAttributes,
    /// [`TestAttributes::hash`] of them.
    pub attributes_hash: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What else is true of it.
    pub flags: ExecutionFlags,
    /// Which of several instances of one name.
    pub instance: i64,
    /// Milliseconds after the upload's time.
    pub offset_ms: i64,
    /// Wall time.
    pub duration_us: Option<i64>,
    /// Hash of the id that makes it a repetition.
    pub external_hash: Option<i64>,
    /// Index into the upload's variants.
    pub variant: usize,
    /// What it said about its failure.
    pub failure: Option<PackedFailure>,
    /// Its own tags.
    pub tags: Tags,
    /// Its spans, packed.
    pub spans: Option<Vec<u8>>,
    /// What it took.
    pub resources: Option<Resources>,
}

impl NewResult {
    /// The identity of the test. Asked for only when the spelling is new, so it is not made ahead.
    pub(crate) fn identity(&self) -> Identity {
        let class_name =
            self.class_name.clone().unwrap_or_else(|| canonical_class_name(&self.scope).into_owned());
        Identity { class_name, name: self.name.clone() }
    }
}

/// A failure as it is stored ([`crate::failures::pack`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedFailure {
    /// What identifies the failure whatever its numbers and times are, and the version of how it was made.
    pub signature: Option<(Key, i64)>,
    /// Digest of the text.
    pub key: Key,
    /// The text, packed.
    pub body: Vec<u8>,
}

/// What became of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The run it belongs to.
    pub run: RunId,
    /// The upload; of a repetition, the one it repeats.
    pub upload: UploadId,
    /// Results that were stored.
    pub accepted: i64,
    /// Results that were there already.
    pub duplicate: i64,
    /// Results that could not be stored, beyond those the report's parser rejected.
    pub rejected: i64,
    /// Running numbers of its records, in their order; none for a repetition.
    pub records: Vec<i64>,
}

impl Receipt {
    /// The receipt of an upload that brought only records which belong to no run.
    const BESIDE_RUNS: Self = Self {
        run: RunId(0),
        upload: UploadId(0),
        accepted: 0,
        duplicate: 0,
        rejected: 0,
        records: Vec::new(),
    };
}

/// Called once for each recorded upload, in the order of commit, inside its transaction and under the suite's lock.
pub trait Fold {
    /// Uploads of a suite are about to be folded.
    ///
    /// # Errors
    /// Any error undoes the whole transaction.
    fn begin(&mut self, _db: &mut Db<'_>, _suite: SuiteId) -> Result<(), StorageError> {
        Ok(())
    }

    /// All uploads of a group were folded.
    ///
    /// # Errors
    /// Any error undoes the whole transaction.
    fn finish(&mut self, _db: &mut Db<'_>, _suite: SuiteId) -> Result<(), StorageError> {
        Ok(())
    }

    /// Takes one upload's executions in.
    ///
    /// # Errors
    /// Any error undoes the whole transaction.
    fn fold(&mut self, db: &mut Db<'_>, step: &FoldStep<'_>) -> Result<(), StorageError>;
}

/// Nothing is folded.
impl Fold for () {
    fn fold(&mut self, _: &mut Db<'_>, _: &FoldStep<'_>) -> Result<(), StorageError> {
        Ok(())
    }
}

/// What one upload adds to the fold.
pub struct FoldStep<'a> {
    /// The suite.
    pub suite: SuiteId,
    /// The run.
    pub run: RunId,
    /// The upload; its number is the place in the fold.
    pub upload: UploadId,
    /// The upload's time.
    pub at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Whether webhooks are told of what follows from it.
    pub notify: bool,
    /// Class of its branch.
    pub branch_class: BranchClass,
    /// Its branch.
    pub branch: Option<&'a Branch>,
    /// Its commit.
    pub commit: Option<&'a Commit>,
    /// Its job.
    pub job: Option<&'a Job>,
    /// Its executions by test and attempt.
    pub executions: &'a [Execution],
    /// What its results said of their failures, by test and attempt.
    pub said: &'a [Said],
    /// What comes after it in the same transaction and is in the roll-ups already.
    pub later: &'a [Vec<Execution>],
    /// The uploads of [`Self::later`].
    pub later_uploads: &'a [NewUpload],
}

/// That a result said something of a failure, and what identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The test.
    pub test: TestId,
    /// Which attempt.
    pub attempt: i64,
    /// What identifies the failure.
    pub signature: Option<Key>,
}

/// A run that the group touches.
pub(crate) struct TouchedRun {
    pub(crate) run: Run,
    pub(crate) key: Key,
    pub(crate) is_new: bool,
}

/// Records `uploads` of one suite, and answers for each in order. Runs inside a transaction.
///
/// # Errors
/// The database or the fold fails; then nothing of the group is stored.
pub fn record(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    catalogs: &Catalogs,
    fold: &mut dyn Fold,
) -> Result<Vec<Result<Receipt, Refusal>>, StorageError> {
    let counter = Counter::lock(db, suite)?;
    let dropped = dropped::answers(db, suite, uploads, &counter)?;
    if dropped.iter().all(Option::is_none) {
        return record_kept(db, suite, uploads, counter, catalogs, fold);
    }
    let kept = uploads.iter().zip(&dropped).filter(|(_, dropped)| dropped.is_none());
    let kept: Vec<NewUpload> = kept.map(|(upload, _)| upload.clone()).collect();
    let mut answers = record_kept(db, suite, &kept, counter, catalogs, fold)?.into_iter();
    Ok(dropped.into_iter().filter_map(|dropped| dropped.map(Ok).or_else(|| answers.next())).collect())
}

/// Records uploads whose runs are kept, if their protocols do not refuse them. The suite's counter row is locked.
fn record_kept(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    counter: Counter,
    catalogs: &Catalogs,
    fold: &mut dyn Fold,
) -> Result<Vec<Result<Receipt, Refusal>>, StorageError> {
    let refusals = records::examine(db, suite, uploads)?;
    let is_beside = |upload: &NewUpload| records::is_beside_runs(upload);
    if refusals.iter().all(Option::is_none) && !uploads.iter().any(is_beside) {
        let receipts = record_taken(db, suite, uploads, counter, catalogs, fold)?;
        return Ok(receipts.into_iter().map(Ok).collect());
    }
    // Few are refused or beside runs, and those that come with them are small.
    let taken: Vec<NewUpload> = uploads
        .iter()
        .zip(&refusals)
        .filter(|(upload, refusal)| refusal.is_none() && !is_beside(upload))
        .map(|(upload, _)| upload.clone())
        .collect();
    let mut receipts = record_taken(db, suite, &taken, counter, catalogs, fold)?.into_iter();
    let answers = refusals.into_iter().zip(uploads).map(|(refusal, upload)| match refusal {
        Some(refusal) => Some(Err(refusal)),
        None if is_beside(upload) => Some(Ok(Receipt::BESIDE_RUNS)),
        None => receipts.next().map(Ok),
    });
    Ok(answers.flatten().collect())
}

/// Records uploads that no protocol refuses. The suite's counter row is locked.
fn record_taken(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    mut counter: Counter,
    catalogs: &Catalogs,
    fold: &mut dyn Fold,
) -> Result<Vec<Receipt>, StorageError> {
    if uploads.is_empty() {
        return Ok(Vec::new());
    }
    let mut catalog = catalogs.take(suite);
    catalog.refresh(db, suite, counter.catalog_version)?;
    catalog.rollups.check(counter.uploads);
    let (mut touched, run_of) = touch_runs(db, suite, uploads, &mut counter)?;
    let repeats = repeats::find(db, suite, uploads, &touched, &run_of)?;

    monitor::identify(db, suite, uploads, counter.tests, &mut catalog)?;
    let mut changes = Changes::default();
    let resolved = resolve(&mut catalog, uploads, &repeats, &mut counter, &mut changes);
    let planned = plan::plan(db, uploads, &mut touched, &run_of, &resolved)?;
    for stored in &planned.executions {
        let upload = &uploads[stored.upload_index];
        let mention = Mention { protocol: upload.protocol, result: &upload.results[stored.result_index] };
        catalog.learn(TestId(stored.test), mention, &mut changes);
    }
    let mut receipts = receive(uploads, &repeats, &mut touched, &run_of, &planned, &mut counter);

    if !changes.is_empty() {
        // Two numbers: see `SuiteCatalog::write`.
        counter.catalog_version += 2;
        catalog.write(db, suite, counter.catalog_version, &changes)?;
    }
    let executions = rows::write(db, suite, uploads, &touched, &planned, &receipts)?;
    catalog.rollups.add(db, suite, uploads, &executions, counter.uploads)?;
    counter.past_changes += rollups::past_changes(uploads, &executions);
    let written = Written { suite, uploads, received: &receipts };
    let numbers = records::write(db, &written, &mut counter, &mut catalog)?;
    for (received, numbers) in receipts.iter_mut().zip(numbers) {
        received.receipt.records = numbers;
    }
    counter.unlock(db, suite)?;
    let said = said(uploads, &planned);
    fold.begin(db, suite)?;
    for (index, receipt) in receipts.iter().enumerate().filter(|(_, receipt)| receipt.recorded) {
        let step = FoldStep {
            suite,
            run: receipt.receipt.run,
            upload: receipt.receipt.upload,
            at: uploads[index].at,
            received_at: uploads[index].received_at,
            notify: uploads[index].notify,
            branch_class: uploads[index].branch_class,
            branch: uploads[index].attributes.branch.as_ref(),
            commit: uploads[index].attributes.commit.as_ref(),
            job: uploads[index].job.as_ref(),
            executions: &executions[index],
            said: &said[index],
            later: &executions[index + 1..],
            later_uploads: &uploads[index + 1..],
        };
        fold.fold(db, &step)?;
    }
    fold.finish(db, suite)?;
    catalogs.put_back(suite, catalog);
    Ok(receipts.into_iter().map(|receipt| receipt.receipt).collect())
}

/// What the results of each upload said of their failures.
fn said(uploads: &[NewUpload], planned: &plan::Plan) -> Vec<Vec<Said>> {
    let mut said = vec![Vec::new(); uploads.len()];
    for stored in &planned.executions {
        let result = &uploads[stored.upload_index].results[stored.result_index];
        if let Some(failure) = &result.failure {
            let signature = failure.signature.map(|(signature, _)| signature);
            said[stored.upload_index].push(Said {
                test: TestId(stored.test),
                attempt: stored.attempt,
                signature,
            });
        }
    }
    said
}

/// A receipt, and whether the upload itself was stored: a repetition is not.
pub(crate) struct Received {
    pub(crate) receipt: Receipt,
    pub(crate) recorded: bool,
}

/// The test and variant of each result that takes part; none for uploads that are repetitions as a whole.
pub(crate) type Resolved = Vec<Vec<(i64, VariantId)>>;

/// Waits until nobody else records uploads of the suite, and keeps them away until the transaction ends.
///
/// # Errors
/// The database fails, or there is no such suite.
pub fn lock_suite(db: &mut Db<'_>, suite: SuiteId) -> Result<UploadId, StorageError> {
    Counter::lock(db, suite).map(|counter| UploadId(counter.uploads))
}

/// The runs of the group, known and new, and for each upload the index of its run.
fn touch_runs(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    counter: &mut Counter,
) -> Result<(Vec<TouchedRun>, Vec<usize>), StorageError> {
    let keys: Vec<Key> = uploads.iter().map(|upload| upload.protocol.run_key(&upload.run_key)).collect();
    let mut distinct = keys.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let mut touched: Vec<TouchedRun> = runs::find_by_keys(db, suite, &distinct)?
        .into_iter()
        .map(|(key, run)| TouchedRun { run, key, is_new: false })
        .collect();
    let mut index_of: HashMap<Key, usize> =
        touched.iter().enumerate().map(|(index, t)| (t.key, index)).collect();
    let mut run_of = Vec::with_capacity(uploads.len());
    for (upload, key) in uploads.iter().zip(keys) {
        run_of.push(*index_of.entry(key).or_insert_with(|| {
            counter.runs += 1;
            counter.runs_kept += 1;
            let run = new_run(suite, RunId(counter.runs), upload);
            touched.push(TouchedRun { run, key, is_new: true });
            touched.len() - 1
        }));
    }
    Ok((touched, run_of))
}

fn new_run(suite: SuiteId, id: RunId, upload: &NewUpload) -> Run {
    Run {
        suite,
        id,
        protocol: upload.protocol,
        key: upload.run_key.clone(),
        attributes: RunAttributes::default(),
        branch_class: upload.branch_class,
        started_at: upload.at,
        updated_at: upload.received_at,
        uploads: 0,
        outcomes: OutcomeCounts::default(),
        verdicts: VerdictCounts::default(),
        duration_us: 0,
    }
}

fn resolve<'a>(
    catalog: &mut SuiteCatalog,
    uploads: &'a [NewUpload],
    repeats: &[Option<Origin>],
    counter: &mut Counter,
    changes: &mut Changes<'a>,
) -> Resolved {
    let mut resolved = Vec::with_capacity(uploads.len());
    for (upload, repeat) in uploads.iter().zip(repeats) {
        if repeat.is_some() {
            resolved.push(Vec::new());
            continue;
        }
        let variants: Vec<VariantId> =
            upload.variants.iter().map(|v| catalog.variant(v, &mut counter.variants, changes)).collect();
        let tests = upload.results.iter().map(|result| {
            let test = catalog.identify(result, &mut counter.tests);
            (test.get(), variants[result.variant])
        });
        resolved.push(tests.collect());
    }
    resolved
}

/// Gives each upload its number and brings its run up to date; an upload that brought nothing new gets neither.
fn receive(
    uploads: &[NewUpload],
    repeats: &[Option<Origin>],
    touched: &mut [TouchedRun],
    run_of: &[usize],
    planned: &plan::Plan,
    counter: &mut Counter,
) -> Vec<Received> {
    let mut received: Vec<Received> = Vec::with_capacity(uploads.len());
    for (index, upload) in uploads.iter().enumerate() {
        let run = &mut touched[run_of[index]].run;
        let tally = &planned.tallies[index];
        let whole =
            upload.results.iter().filter(|r| !r.flags.contains(ExecutionFlags::EARLIER)).count() as i64;
        let origin = repeats[index].or(tally.origin.filter(|_| tally.accepted == 0 && tally.rejected == 0));
        if let Some(origin) = origin {
            let original = match origin {
                Origin::Stored(id) => id,
                Origin::Here(first) => received[first].receipt.upload,
            };
            let receipt = Receipt {
                run: run.id,
                upload: original,
                accepted: 0,
                duplicate: whole,
                rejected: 0,
                records: Vec::new(),
            };
            received.push(Received { receipt, recorded: false });
            continue;
        }
        counter.uploads += 1;
        if run.attributes.branch.is_none() && upload.attributes.branch.is_some() {
            run.branch_class = upload.branch_class;
        }
        run.attributes.fill_from(&upload.attributes);
        run.uploads += 1;
        run.updated_at = run.updated_at.max(upload.received_at);
        let receipt = Receipt {
            run: run.id,
            upload: UploadId(counter.uploads),
            accepted: tally.accepted,
            duplicate: tally.duplicate,
            rejected: tally.rejected,
            records: Vec::new(),
        };
        received.push(Received { receipt, recorded: true });
    }
    received
}
