//! Report files that come together: plain ones and ZIP archives of them. All are read before any is stored.

use super::assembly::assemble;
use super::reading::{Read, report_digest};
use super::{Context, Destination, NotAccepted, NotRecorded, Place, Recorded, ReportBody};
use crate::App;
use casebook_formats::archive::{self, NotUnpacked};
use casebook_formats::{Format, MOST_TEXT, Malformed, Options, ReadError, Sniffed};
use casebook_model::key::Digester;
use casebook_model::report::Problem;
use futures_util::future::join_all;
use std::io::{self, Cursor, Read as _, Seek, SeekFrom};
use std::sync::Arc;

/// Results of one request at most.
const MOST_RESULTS: usize = 100_000;

/// Text that is kept of all files of a request, in bytes; each may keep [`MOST_TEXT`].
const MOST_TEXT_OF_ALL: usize = 64 << 20;

/// Bytes by which a report is recognised.
const HEAD: u64 = 64 * 1024;

/// Reports of one job that came together.
pub struct Bundle {
    /// Where they go.
    pub destination: Destination,
    /// What is known beside them.
    pub context: Context,
    /// The files by name, reports or archives.
    pub files: Vec<(String, ReportBody)>,
    /// Bytes that archives may hold when they are unpacked.
    pub most_unpacked: u64,
}

impl App {
    /// Reads JUnit reports and stores each as an upload of its own. A report that breaks off is kept as far as it goes; what
    /// is no JUnit report is left out and told.
    ///
    /// # Errors
    /// None of the files is a JUnit report, an archive cannot be used, or the results cannot be stored; then nothing is
    /// stored.
    pub async fn submit_files(self: &Arc<Self>, bundle: Bundle) -> Result<Vec<Recorded>, NotAccepted> {
        let now = self.now();
        let Bundle { destination: Destination { place, ignored }, context, files, most_unpacked } = bundle;
        let asked = context.clone();
        let mut reader = self.in_turn(move || Reader::new(asked, most_unpacked).read(files)).await?;
        let suite = match place {
            Place::Known(suite) => *suite,
            Place::New(wanted) => self.make_wanted(wanted).await.map_err(NotRecorded::from)?,
        };
        let mut uploads = Vec::with_capacity(reader.reads.len());
        for read in reader.reads.drain(..) {
            let mut upload = assemble(&suite, context.clone(), read, ignored, now);
            // What was left out is told once.
            upload.problems.append(&mut reader.left_out);
            uploads.push(upload);
        }
        let told: Vec<_> = uploads.iter().map(|upload| (upload.problems.clone(), upload.rejected)).collect();
        // All are put into the queue before any is waited for, so that they share a transaction.
        let receipts = join_all(uploads.into_iter().map(|upload| self.record(upload))).await;
        let recorded = receipts.into_iter().zip(told).map(|(receipt, (problems, rejected))| {
            let receipt = receipt?;
            let rejected = usize::try_from(rejected + receipt.rejected).unwrap_or(0);
            Ok(Recorded { suite: suite.clone(), receipt, rejected, problems })
        });
        recorded.collect()
    }
}

/// Reads the files of a request one after another.
struct Reader {
    context: Context,
    /// What archives may still hold, over the whole request.
    most_unpacked: u64,
    results: usize,
    text: usize,
    reads: Vec<Read>,
    left_out: Vec<Problem>,
}

impl Reader {
    const fn new(context: Context, most_unpacked: u64) -> Self {
        let text = MOST_TEXT_OF_ALL;
        Self { context, most_unpacked, results: MOST_RESULTS, text, reads: Vec::new(), left_out: Vec::new() }
    }

    fn read(mut self, files: Vec<(String, ReportBody)>) -> Result<Self, NotAccepted> {
        for (name, body) in files {
            match body {
                ReportBody::Memory(bytes) => self.file(&name, Cursor::new(bytes))?,
                ReportBody::File(file) => self.file(&name, io::BufReader::new(file))?,
            }
        }
        if self.reads.is_empty() {
            let told: Vec<&str> =
                self.left_out.iter().map(|problem| problem.message.as_str()).take(5).collect();
            let told = if told.is_empty() { "it holds no file".to_owned() } else { told.join("; ") };
            return Err(NotAccepted::NoReport(told));
        }
        Ok(self)
    }

    fn file<R: io::Read + Seek>(&mut self, name: &str, mut file: R) -> Result<(), NotAccepted> {
        let mut head = [0; 4];
        file.seek(SeekFrom::Start(0))?;
        let length = file.read(&mut head)?;
        file.seek(SeekFrom::Start(0))?;
        if !archive::is_zip(&head[..length]) {
            return self.report(name, &mut file);
        }
        let mut left = self.most_unpacked;
        let read = archive::each_entry(file, &mut left, |entry, content| self.report(entry, content));
        self.most_unpacked = left;
        read
    }

    fn report(&mut self, name: &str, content: &mut dyn io::Read) -> Result<(), NotAccepted> {
        let mut head = Vec::new();
        content.take(HEAD).read_to_end(&mut head).map_err(|error| NotUnpacked::of_entry(&error))?;
        match casebook_formats::sniff(&head) {
            Some(Sniffed::Known(Format::Junit)) => {}
            Some(Sniffed::Unsupported(sentence)) => return self.leave_out(name, sentence),
            _ => return self.leave_out(name, "this is no JUnit XML"),
        }
        let options = Options {
            most_results: Some(self.results),
            most_text: Some(self.text.min(MOST_TEXT)),
            working_directory: self.context.environment.working_directory.clone(),
            allow_truncated: true,
            allow_no_class_name: true,
            ..Options::default()
        };
        let mut content = Hashing { content: head.chain(content), digester: Digester::default(), length: 0 };
        let report = match casebook_formats::parse_junit_from(&mut content, &options) {
            Ok(report) => report,
            Err(ReadError::Malformed(error @ Malformed::TooManyResults { .. })) => return Err(error.into()),
            Err(ReadError::Malformed(error)) => return self.leave_out(name, &error.to_string()),
            Err(ReadError::Io(error)) => return Err(NotUnpacked::of_entry(&error).into()),
        };
        io::copy(&mut content, &mut io::sink()).map_err(|error| NotUnpacked::of_entry(&error))?;
        // What is kept of a file is no longer than the file.
        self.text = self.text.saturating_sub(content.length.min(MOST_TEXT));
        self.results = self.results.saturating_sub(report.results.len() + report.rejected);
        let digest = report_digest(&self.context, &content.digester.finish());
        let digest = (!report.results.is_empty()).then_some(digest);
        self.reads.push(Read { report, digest });
        Ok(())
    }

    fn leave_out(&mut self, name: &str, why: &str) -> Result<(), NotAccepted> {
        let name: String = name.chars().take(200).collect();
        let message = format!("{name} was left out: {why}");
        self.left_out.push(Problem { record: None, rejected: false, message });
        Ok(())
    }
}

/// Content that is hashed as it is read.
struct Hashing<R> {
    content: R,
    digester: Digester,
    length: usize,
}

impl<R: io::Read> io::Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.digester.add(buffer.get(..read).unwrap_or(&[]));
        self.length += read;
        Ok(read)
    }
}
