//! Avocado's job results, cut between tests: each part is a job with the same id and some of the tests, which the server joins.

use super::{Limits, Piece, Remarks, Unreadable};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Read;
use std::vec::IntoIter;

/// Largest job that is read, in bytes: such a report is read as a whole.
const LARGEST: u64 = 512 << 20;

/// A job, read as a whole, whose tests go into parts byte by byte.
pub(super) struct Job {
    /// Everything but the tests, up to where they begin.
    head: String,
    tests: IntoIter<Box<RawValue>>,
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
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let job = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(text);
        let mut job = job.map_err(|error| Unreadable::Malformed(format!("not JSON: {error}")))?;
        let tests = job.remove("tests");
        let tests: Option<Vec<Box<RawValue>>> =
            tests.and_then(|tests| serde_json::from_str(tests.get()).ok());
        let Some(tests) = tests else {
            return Err(Unreadable::Malformed(
                "Avocado's results are an object with an array `tests`".to_owned(),
            ));
        };
        let mut head = String::from("{");
        for (name, value) in job {
            head.push_str(&Value::String(name).to_string());
            head.push(':');
            head.push_str(value.get());
            head.push(',');
        }
        head.push_str("\"tests\":[");
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
        let (mut text, mut results) = (self.head.clone(), 0);
        while let Some(next) = self.tests.as_slice().first() {
            let length = text.len() - self.head.len() + next.get().len();
            if results > 0 && (results >= self.limits.results || length > self.limits.bytes) {
                break;
            }
            if results > 0 {
                text.push(',');
            }
            text.push_str(next.get());
            results += 1;
            self.tests.next();
        }
        text.push_str("]}");
        Ok(Some(Piece { bytes: text.into_bytes(), results }))
    }
}
