//! Avocado's job results, cut between tests: each part is a job with the same id and some of the tests, which the server joins.

use super::{Limits, Piece, Remarks, Unreadable};
use serde_json::{Map, Value};
use std::io::Read;
use std::vec::IntoIter;

/// Largest job that is read, in bytes: such a report is read as a whole.
const LARGEST: u64 = 512 << 20;

/// A job, read as a whole, whose tests go into parts.
pub(super) struct Job {
    /// Everything but the tests.
    head: Map<String, Value>,
    tests: IntoIter<Value>,
    limits: Limits,
    begun: bool,
    pub(super) remarks: Remarks,
}

impl Job {
    pub(super) fn new(source: impl Read, limits: Limits) -> Result<Self, Unreadable> {
        let mut bytes = Vec::new();
        source.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(Unreadable::Malformed(format!("it is larger than {LARGEST} bytes")));
        }
        let job = serde_json::from_slice(&bytes);
        let mut head: Map<String, Value> =
            job.map_err(|error| Unreadable::Malformed(format!("not JSON: {error}")))?;
        let Some(Value::Array(tests)) = head.remove("tests") else {
            return Err(Unreadable::Malformed(
                "Avocado's results are an object with an array `tests`".to_owned(),
            ));
        };
        let tests = tests.into_iter();
        Ok(Self { head, tests, limits, begun: false, remarks: Remarks::default() })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.begun && self.tests.len() == 0
    }

    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>, Unreadable> {
        if self.has_ended() {
            return Ok(None);
        }
        self.begun = true;
        let (mut tests, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.tests.as_slice().first() {
            bytes += next.to_string().len() + 1;
            let is_full = tests.len() >= self.limits.results || bytes > self.limits.bytes;
            if is_full && !tests.is_empty() {
                break;
            }
            tests.extend(self.tests.next());
        }
        let results = tests.len();
        let mut job = self.head.clone();
        job.insert("tests".to_owned(), Value::Array(tests));
        Ok(Some(Piece { bytes: Value::Object(job).to_string().into_bytes(), results }))
    }
}
