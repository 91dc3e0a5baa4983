//! Taking in results: a report and what is known of its run become one stored upload.

use crate::App;
use crate::group_commit;
use crate::suites::{Destination, NamedSuite, Place};
use bytes::Bytes;
use casebook_formats::archive::NotUnpacked;
use casebook_formats::{Format, Malformed, ReadError};
use casebook_model::id::{RunId, SuiteId, UploadId};
use casebook_model::name::{Job, Shard};
use casebook_model::public_id::Subject;
use casebook_model::report::Problem;
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::suite::Suite;
use casebook_storage::StorageError;
use casebook_storage::ingest::{NewUpload, Receipt};
use casebook_storage::uploads::{self, Upload};
use std::fs::File;
use std::sync::Arc;

mod assembly;
mod files;
mod reading;

pub use assembly::assemble;
pub use files::Bundle;
pub use group_commit::NotRecorded;
pub use reading::{Read, read, read_past};

/// Bodies up to this size are read at once: that takes less time than a hop to another thread.
pub const SMALL: usize = 16 * 1024;

/// What the sender says about the run and itself.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Key of the run.
    pub key: String,
    /// About the run.
    pub attributes: RunAttributes,
    /// The CI job.
    pub job: Option<Job>,
    /// The shard within the job.
    pub shard: Option<Shard>,
    /// Name of the client.
    pub collector: Option<String>,
    /// Version of the client.
    pub collector_version: Option<String>,
    /// Version of the language runtime.
    pub language_version: Option<String>,
    /// The test framework.
    pub test_runner: Option<String>,
    /// The build is a Buildkite build whose id is the key.
    pub key_is_build: bool,
    /// When the results were made, as sent.
    pub started_at: Option<String>,
    /// Directory that absolute paths of native reports are in.
    pub working_directory: Option<String>,
    /// Text to put before paths of native reports.
    pub location_prefix: Option<String>,
    /// Tags of every execution, as sent.
    pub tags: Vec<(String, String)>,
    /// The suite it names, which only some credentials may.
    pub named: NamedSuite,
}

/// What is known beside a report.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who brought it.
    pub protocol: Protocol,
    /// Branches outside of which results count as a pull request's.
    pub branches: Option<String>,
    /// About the run.
    pub environment: Environment,
    /// How the report is written.
    pub format: Format,
}

/// The bytes of a report.
#[derive(Debug)]
pub enum ReportBody {
    /// In memory.
    Memory(Bytes),
    /// In a temporary file, because they are many.
    File(File),
}

/// A report with what is known of its run.
pub struct Submission {
    /// Where it goes.
    pub destination: Destination,
    /// What is known beside it.
    pub context: Context,
    /// The report.
    pub body: ReportBody,
    /// Most results it may have.
    pub most_results: usize,
}

/// What became of a submission.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Where the results went.
    pub suite: Suite,
    /// Run, upload and counts.
    pub receipt: Receipt,
    /// Results that could not be used.
    pub rejected: usize,
    /// What was mended or rejected, and why.
    pub problems: Vec<Problem>,
}

/// A submission was not stored.
#[derive(Debug, thiserror::Error)]
pub enum NotAccepted {
    /// The report cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Not one of several files is a report; a sentence says what they are.
    #[error("there is no JUnit XML in this request: {0}")]
    NoReport(String),
    /// An archive cannot be used.
    #[error(transparent)]
    NotUnpacked(#[from] NotUnpacked),
    /// It could not be stored.
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
    /// The temporary file that holds it cannot be read.
    #[error("the report could not be read back: send it again")]
    Unreadable(#[from] std::io::Error),
}

impl App {
    /// Reads the report and stores its results, all or none.
    ///
    /// # Errors
    /// The report cannot be read, or the results cannot be stored; then nothing is stored.
    pub async fn submit(self: &Arc<Self>, submission: Submission) -> Result<Recorded, NotAccepted> {
        let now = self.now();
        let Submission { destination, context, body, most_results } = submission;
        let Destination { place, ignored } = destination;
        let small = matches!(&body, ReportBody::Memory(bytes) if bytes.len() <= SMALL);
        let (suite, upload) = match place {
            Place::Known(suite) => {
                let prepare = move || -> Result<(Suite, NewUpload), NotAccepted> {
                    let read = read(&context, body, most_results)?;
                    let upload = assemble(&suite, context, read, ignored, now);
                    Ok((*suite, upload))
                };
                if small { prepare()? } else { self.in_turn(prepare).await? }
            }
            Place::New(wanted) => {
                let (context, read) = self
                    .in_turn(move || read(&context, body, most_results).map(|read| (context, read)))
                    .await?;
                let suite = self.make_wanted(wanted).await.map_err(NotRecorded::from)?;
                let upload = assemble(&suite, context, read, ignored, now);
                (suite, upload)
            }
        };
        let (problems, rejected) = (upload.problems.clone(), upload.rejected);
        let receipt = self.record(upload).await?;
        let rejected = usize::try_from(rejected + receipt.rejected).unwrap_or(0);
        Ok(Recorded { suite, receipt, rejected, problems })
    }

    /// Runs `work`, which takes a processor for a while, few at a time: other requests go on meanwhile.
    pub async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.workers.run(work).await
    }

    /// Stores an upload that is ready.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn record(&self, upload: NewUpload) -> Result<Receipt, NotRecorded> {
        self.group_commit.record(upload).await
    }
}

/// An upload as stored, and the word for its format.
#[derive(Debug, Clone)]
pub struct ShownUpload {
    /// The upload.
    pub upload: Upload,
    /// The word for its format on Buildkite's wire; empty for formats of other protocols.
    pub format: &'static str,
}

impl From<ReadError> for NotAccepted {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Malformed(malformed) => Self::Malformed(malformed),
            ReadError::Io(error) => Self::Unreadable(error),
        }
    }
}

impl From<Upload> for ShownUpload {
    fn from(upload: Upload) -> Self {
        let format = reading::format_of_code(upload.format).map_or("", Format::as_str);
        Self { upload, format }
    }
}

impl App {
    /// The upload with that public id, if it belongs to the suite.
    ///
    /// # Errors
    /// The database fails.
    pub async fn upload(&self, suite: SuiteId, public_id: &str) -> Result<Option<ShownUpload>, StorageError> {
        let id = match self.subject(public_id) {
            Some(Subject::Upload(of, id)) if of == suite => id,
            _ => return Ok(None),
        };
        Ok(self.read(move |db| uploads::find(db, suite, id)).await?.map(Into::into))
    }

    /// Uploads of a suite, or of one run of it, newest first: at most `limit` of those before `before`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn uploads(
        &self,
        suite: SuiteId,
        run: Option<RunId>,
        before: Option<UploadId>,
        limit: i64,
    ) -> Result<Vec<ShownUpload>, StorageError> {
        let found = self.read(move |db| uploads::list(db, suite, run, before, limit)).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }
}
