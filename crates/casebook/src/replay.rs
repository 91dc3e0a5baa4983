//! `casebook replay`: folds a stream of executions without a server, and prints each change of health.
//!
//! Memory grows with tests, runs and commits, not with executions.

mod line;
mod stream;

use crate::Failure;
use crate::database::now;
use casebook_analysis::health::Rules;
use casebook_analysis::memory::Change;
use casebook_model::suite::{ResolveRule, Sensitivity};
use casebook_model::time::{InvalidTimestamp, Timestamp};
use clap::Args;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use stream::Stream;

/// Longest line that is read.
const LONGEST_LINE: usize = 1 << 20;

#[derive(Args)]
pub(crate) struct Replay {
    /// Executions in order of commit, one JSON object a line; - is standard input
    #[arg(value_name = "FILE.ndjson")]
    file: PathBuf,
    /// The branch whose results speak for the product
    #[arg(long, value_name = "BRANCH", default_value = "main", env = "CASEBOOK_DEFAULT_BRANCH")]
    default_branch: String,
    /// How much evidence flags a test: robust or prompt
    #[arg(long, value_name = "RULE", default_value = "robust", value_parser = crate::suite::sensitivity, env = "CASEBOOK_DETECTION")]
    detection: Sensitivity,
    /// When a flaky test counts as resolved: quiet or proven
    #[arg(long, value_name = "RULE", default_value = "quiet", value_parser = crate::suite::resolve_rule, env = "CASEBOOK_RESOLVE")]
    resolve: ResolveRule,
    /// Where time stands at the end [default: the last time of the stream]
    #[arg(long, value_name = "TIME", value_parser = time, env = "CASEBOOK_UNTIL")]
    until: Option<Timestamp>,
    /// Skip lines that cannot be used, and say how many at the end
    #[arg(long, env = "CASEBOOK_LENIENT")]
    lenient: bool,
}

fn time(text: &str) -> Result<Timestamp, InvalidTimestamp> {
    Timestamp::parse_rfc3339(text)
}

/// The stream cannot be folded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidStream {
    #[error("line {number} cannot be used: {reason}")]
    Line { number: u64, reason: String },
    #[error("could not open {path}")]
    Open { path: String, source: io::Error },
    #[error("could not read line {number}")]
    Read { number: u64, source: io::Error },
}

impl Replay {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.file.as_os_str() == "-" {
            return self.fold(io::stdin().lock());
        }
        let path = self.file.display().to_string();
        let file = File::open(&self.file).map_err(|source| InvalidStream::Open { path, source })?;
        self.fold(BufReader::with_capacity(1 << 18, file))
    }

    fn fold(&self, mut input: impl BufRead) -> Result<(), Failure> {
        let rules = Rules { detection: self.detection, resolve: self.resolve };
        let mut stream = Stream::new(rules, &self.default_branch, now());
        let mut out = BufWriter::new(io::stdout().lock());
        let mut line = Vec::new();
        let (mut number, mut skipped) = (0u64, 0u64);
        loop {
            line.clear();
            number += 1;
            let mut limited = io::Read::take(&mut input, LONGEST_LINE as u64 + 1);
            let read = limited.read_until(b'\n', &mut line);
            if read.map_err(|source| InvalidStream::Read { number, source })? == 0 {
                break;
            }
            let taken = if line.len() > LONGEST_LINE {
                input.skip_until(b'\n').map_err(|source| InvalidStream::Read { number, source })?;
                Err("it is longer than 1 MiB".to_owned())
            } else if line.trim_ascii().is_empty() {
                Ok(())
            } else {
                stream.take(&line)
            };
            match taken {
                Ok(()) => {}
                Err(_) if self.lenient => skipped += 1,
                Err(reason) => {
                    out.flush()?;
                    return Err(InvalidStream::Line { number, reason }.into());
                }
            }
            write_changes(&mut out, &mut stream)?;
        }
        stream.end(self.until);
        write_changes(&mut out, &mut stream)?;
        out.flush()?;
        if skipped > 0 {
            eprintln!("skipped {skipped} lines that cannot be used");
        }
        Ok(())
    }
}

fn write_changes(out: &mut impl Write, stream: &mut Stream) -> io::Result<()> {
    for change in stream.changes.drain(..) {
        let (class_name, name) = &stream.names[change.test.get() as usize];
        let Change { at, from, to, q, evidence, .. } = change;
        let line = serde_json::json!({
            "at": at.to_rfc3339_millis(),
            "class_name": class_name,
            "name": name,
            "from": from.as_str(),
            "to": to.as_str(),
            "q": (q * 1e6).round() / 1e6,
            "evidence": evidence,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
