//! The reports that a command line names: files, folders, patterns, and standard input.

use casebook_formats::{Format, Sniffed, sniff};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Bytes from which the format is told.
const BEGINNING: u64 = 1 << 20;

/// Most folders within folders that are looked into.
const DEEPEST: usize = 64;

/// The file in which Avocado tells of a job, in the folder of the job.
const AVOCADO_RESULTS: &str = "results.json";

/// A report to be sent.
#[derive(Debug)]
pub struct ReportFile {
    name: String,
    path: PathBuf,
    /// Holds what came on standard input, and goes away with this value.
    _copy: Option<NamedTempFile>,
}

impl ReportFile {
    /// The name, as it was found.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// It is no longer there.
    pub fn size(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.path)?.len())
    }

    /// What it is, as far as its beginning tells.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn sniff(&self) -> io::Result<Option<Sniffed>> {
        let mut beginning = Vec::new();
        self.open()?.take(BEGINNING).read_to_end(&mut beginning)?;
        Ok(sniff(&beginning))
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The reports, in the order in which they were named; those of a folder or pattern by their names.
    pub files: Vec<ReportFile>,
    /// What could not be found or looked into.
    pub problems: Vec<String>,
    /// Files in folders that are no reports.
    pub others: usize,
}

impl Found {
    /// Looks for what the arguments name; `-` is standard input.
    pub fn find<'a>(arguments: impl IntoIterator<Item = &'a str>, input: &mut dyn Read) -> Self {
        let mut search = Search { found: Self::default(), seen: BTreeSet::new() };
        let mut input_is_read = false;
        for argument in arguments {
            if argument != "-" {
                search.argument(argument);
            } else if !std::mem::replace(&mut input_is_read, true) {
                match copy(input) {
                    Ok(file) => search.found.files.push(file),
                    Err(error) => search.found.problems.push(format!("standard input: {error}")),
                }
            }
        }
        search.found
    }
}

fn copy(input: &mut dyn Read) -> io::Result<ReportFile> {
    let mut copy = NamedTempFile::new()?;
    io::copy(input, &mut copy)?;
    Ok(ReportFile { name: "standard input".to_owned(), path: copy.path().to_owned(), _copy: Some(copy) })
}

struct Search {
    found: Found,
    seen: BTreeSet<PathBuf>,
}

impl Search {
    fn argument(&mut self, argument: &str) {
        let path = Path::new(argument);
        if path.is_dir() {
            return self.folder(path, 0);
        }
        // A name with brackets in it may be there as it is.
        if path.exists() || !argument.contains(['*', '?', '[']) {
            if path.exists() {
                self.add(path);
            } else {
                self.found.problems.push(format!("{argument}: there is no such file"));
            }
            return;
        }
        let paths = match glob::glob(argument) {
            Ok(paths) => paths,
            Err(error) => {
                return self.found.problems.push(format!("{argument}: this is no pattern: {}", error.msg));
            }
        };
        let before = self.seen.len();
        let mut matched = false;
        for path in paths {
            match path {
                Ok(path) if path.is_dir() => {}
                Ok(path) => {
                    matched = true;
                    self.add(&path);
                }
                Err(error) => {
                    self.found.problems.push(format!("{}: {}", error.path().display(), error.error()));
                }
            }
        }
        if !matched && self.seen.len() == before {
            self.found.problems.push(format!("{argument}: nothing matches"));
        }
    }

    /// Adds every report in a folder and the folders in it. Links to folders are not followed: they may go round. Of a job of
    /// Avocado only its results are taken: what else lies there tells the same once more.
    fn folder(&mut self, folder: &Path, depth: usize) {
        let results = folder.join(AVOCADO_RESULTS);
        if results.is_file() && is_avocado(&results) {
            return self.add(&results);
        }
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.found.problems.push(format!("{}: {error}", folder.display())),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type());
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
                if depth < DEEPEST {
                    self.folder(&path, depth + 1);
                }
            } else if path.is_file() && may_be_report(&path) {
                self.add(&path);
            } else {
                self.found.others += 1;
            }
        }
    }

    fn add(&mut self, path: &Path) {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.seen.insert(real) {
            let name = path.display().to_string();
            self.found.files.push(ReportFile { name, path: path.to_owned(), _copy: None });
        }
    }
}

/// Whether a file holds the results of a job of Avocado.
fn is_avocado(path: &Path) -> bool {
    let file = ReportFile { name: String::new(), path: path.to_owned(), _copy: None };
    matches!(file.sniff(), Ok(Some(Sniffed::Known(Format::AvocadoJson))))
}

/// Whether a file that nobody named looks like a report: by its name and its beginning.
fn may_be_report(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.ends_with(".pymon") {
        let mut beginning = [0; 16];
        return File::open(path).and_then(|mut file| file.read_exact(&mut beginning)).is_ok()
            && &beginning == b"SQLite format 3\0";
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let named = ["xml", "json", "jsonl", "ndjson"].iter().any(|known| extension.eq_ignore_ascii_case(known));
    let file = ReportFile { name: String::new(), path: path.to_owned(), _copy: None };
    // One that cannot be read is told about when it is its turn.
    named && file.sniff().map_or(true, |sniffed| matches!(sniffed, Some(Sniffed::Known(_))))
}
