//! Avocado's statuses, and what a tag says about the identity of a test.

use crate::closed_set;
use crate::execution::Outcome;
use crate::test::Identity;
use crate::time::Timestamp;

closed_set! {
    /// Statuses of jobs; the numbers are those of Avocado Server's own rows, by which it sorts.
    JobStatus {
        /// No test ran.
        TestNa = 1, "TEST_NA";
        /// Taken from the queue.
        Abort = 2, "ABORT";
        /// A test broke.
        Error = 3, "ERROR";
        /// A test failed.
        Fail = 4, "FAIL";
        /// A test warned.
        Warn = 5, "WARN";
        /// Every test passed.
        Pass = 6, "PASS";
        /// It has begun.
        Start = 7, "START";
        /// It needs attention.
        Alert = 8, "ALERT";
        /// It runs.
        Running = 9, "RUNNING";
        /// Nothing is known.
        NoStatus = 10, "NOSTATUS";
    }
}

closed_set! {
    /// Statuses of tests; the numbers are those of Avocado Server's own rows, by which it sorts.
    TestStatus {
        /// It passed.
        Pass = 1, "PASS";
        /// It broke.
        Error = 2, "ERROR";
        /// It failed.
        Fail = 3, "FAIL";
        /// It was skipped.
        TestNa = 4, "TEST_NA";
        /// It passed and warned.
        Warn = 5, "WARN";
    }
}

closed_set! {
    /// Priorities of jobs, which servers before 0.25 had.
    Priority {
        /// Low.
        Low = 1, "LOW";
        /// Medium.
        Medium = 2, "MEDIUM";
        /// High.
        High = 3, "HIGH";
        /// Urgent.
        Urgent = 4, "URGENT";
    }
}

impl JobStatus {
    /// What Avocado Server says of it, letter by letter.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::TestNa | Self::Error | Self::Fail | Self::Warn | Self::Alert => "",
            Self::Abort => "Job was removed from queue before completion",
            Self::Pass => "Job finished running successfull",
            Self::Start => "Job just started running",
            Self::Running => "Job is currently being executed",
            Self::NoStatus => "Job has no recognizable status",
        }
    }

    /// How summaries count it.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Pass => Standing::Passed,
            Self::Fail | Self::Error => Standing::Failed,
            _ => Standing::Other,
        }
    }
}

impl TestStatus {
    /// What Avocado Server says of it.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Pass => "Test succeeded",
            Self::Error => "Test had an error",
            Self::Fail => "Test failed",
            Self::TestNa => "Test was skipped",
            Self::Warn => "Test generated warnings",
        }
    }

    /// The status that a word of Avocado stands for, those of today's releases included.
    #[must_use]
    pub fn from_any_word(word: &str) -> Option<Self> {
        match word {
            "SKIP" | "CANCEL" => Some(Self::TestNa),
            "INTERRUPTED" => Some(Self::Error),
            word => Self::from_word(word),
        }
    }

    /// How summaries count it.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Pass => Standing::Passed,
            Self::Fail | Self::Error => Standing::Failed,
            Self::TestNa | Self::Warn => Standing::Other,
        }
    }

    /// The outcome of an execution with this status.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Pass | Self::Warn => Outcome::Passed,
            Self::Error => Outcome::Error,
            Self::Fail => Outcome::Failed,
            Self::TestNa => Outcome::Skipped,
        }
    }
}

/// How summaries count a status; nothing at all is counted as other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// PASS.
    Passed,
    /// FAIL and ERROR.
    Failed,
    /// The rest.
    Other,
}

/// A job as its own report tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedJob {
    /// Its id.
    pub id: String,
    /// How it stands, by its counts.
    pub status: JobStatus,
    /// The time of its tests together, in seconds.
    pub elapsed_seconds: f64,
    /// When it began, if its tests tell in which zone that was meant.
    pub started_at: Option<Timestamp>,
    /// Its tests, in the order of the report.
    pub tests: Vec<ReportedTest>,
}

/// A test of a job as the job's report tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedTest {
    /// Its name in the job.
    pub tag: String,
    /// How it ended, if that is a status that is known.
    pub status: Option<TestStatus>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What else is told: category, name and value.
    pub data: Vec<(&'static str, &'static str, String)>,
}

/// Tag of executions whose status says more than their outcome.
pub const STATUS_TAG: &str = "avocado.status";

/// The tag of an execution whose status, in Avocado's own word, says more than its outcome.
#[must_use]
pub fn status_tag(word: &str) -> Option<(&'static str, &str)> {
    (!matches!(word, "PASS" | "FAIL" | "ERROR" | "SKIP" | "TEST_NA")).then_some((STATUS_TAG, word))
}

/// The name of a test without its number in the job: `01-a.py:A.test` is `a.py:A.test` in every job.
#[must_use]
pub fn stable_name(tag: &str) -> &str {
    let digits = tag.bytes().take_while(u8::is_ascii_digit).count();
    match tag[digits..].strip_prefix('-') {
        Some(name) if digits > 0 && !name.is_empty() => name,
        _ => tag,
    }
}

/// What makes two results belong to one test: of `01-a.py:A.test;variant` the class name `a.py:A` and the name `test;variant`.
/// A dot inside a variant separates nothing; what has no dot after its first colon is all name.
#[must_use]
pub fn identity(tag: &str) -> Identity {
    let name = stable_name(tag);
    let split = name.find(':').and_then(|colon| {
        let after = &name[colon + 1..];
        let reference = after.split(';').next().unwrap_or(after);
        reference.rfind('.').map(|dot| colon + 1 + dot)
    });
    match split {
        Some(dot) if dot + 1 < name.len() => {
            Identity { class_name: name[..dot].to_owned(), name: name[dot + 1..].to_owned() }
        }
        _ => Identity { class_name: String::new(), name: name.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_identities() {
        for (tag, class_name, name) in [
            ("01-mixed.py:Mixed.test_pass", "mixed.py:Mixed", "test_pass"),
            ("1-mixed.py:Mixed.test_pass", "mixed.py:Mixed", "test_pass"),
            ("mixed.py:Mixed.test_pass", "mixed.py:Mixed", "test_pass"),
            ("12-./exec_ok.sh", "", "./exec_ok.sh"),
            ("3-a.py:A.test;cpu-2.4GHz", "a.py:A", "test;cpu-2.4GHz"),
            ("3-a.py:pkg.A.test", "a.py:pkg.A", "test"),
            ("3-a.py:test", "", "a.py:test"),
            ("a.py:A.", "", "a.py:A."),
            ("12", "", "12"),
            ("12-", "", "12-"),
            ("-x", "", "-x"),
            ("failtest", "", "failtest"),
        ] {
            let expected = Identity { class_name: class_name.to_owned(), name: name.to_owned() };
            assert_eq!(identity(tag), expected, "{tag}");
        }
    }

    #[test]
    fn words_of_today_are_known() {
        assert_eq!(TestStatus::from_any_word("CANCEL"), Some(TestStatus::TestNa));
        assert_eq!(TestStatus::from_any_word("INTERRUPTED"), Some(TestStatus::Error));
        assert_eq!(TestStatus::from_any_word("WARN"), Some(TestStatus::Warn));
        assert_eq!(TestStatus::from_any_word("pass"), None);
    }
}
