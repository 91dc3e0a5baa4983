//! Joins lines to uploads, and gives names the numbers that the fold works with.

use super::line::{Line, time};
use casebook_analysis::health::Rules;
use casebook_analysis::memory::{Change, MOST_TESTS, Memory};
use casebook_analysis::signature;
use casebook_analysis::upload::{Attempt, BranchKey, CommitKey, Decision, Lane, Upload};
use casebook_model::branch::{BranchClass, classify};
use casebook_model::execution::Outcome;
use casebook_model::id::{RunId, TestId, UploadId};
use casebook_model::name::Branch;
use casebook_model::time::Timestamp;
use std::collections::HashMap;

/// A suite that is being replayed.
pub(super) struct Stream {
    memory: Memory,
    default_branch: String,
    tests: HashMap<String, TestId>,
    pub(super) names: Vec<(String, String)>,
    runs: HashMap<String, RunId>,
    /// What was printed not yet.
    pub(super) changes: Vec<Change>,
    uploads: i64,
    open: Option<Open>,
    attempts: Vec<Attempt>,
    key: String,
    latest: Timestamp,
    /// The time of the last upload that began, in streams that number none.
    began: Timestamp,
    /// The highest number of an upload so far.
    highest: Option<i64>,
    now: Timestamp,
}

/// The upload whose lines are coming in.
struct Open {
    run_key: String,
    number: Option<i64>,
    run: RunId,
    commit: CommitKey,
    branch: Option<BranchKey>,
    class: BranchClass,
    position: Option<i64>,
    job: Option<String>,
    job_lane: Lane,
    at: Option<Timestamp>,
}

impl Stream {
    /// Nothing may be later than `now`.
    pub(super) fn new(rules: Rules, default_branch: &str, now: Timestamp) -> Self {
        Self {
            memory: Memory::new(rules),
            default_branch: default_branch.to_owned(),
            tests: HashMap::new(),
            names: Vec::new(),
            runs: HashMap::new(),
            changes: Vec::new(),
            uploads: 0,
            open: None,
            attempts: Vec::new(),
            key: String::new(),
            latest: Timestamp(i64::MIN),
            began: Timestamp(i64::MIN),
            highest: None,
            now,
        }
    }

    /// Takes one line in, or says why it cannot be used.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let line: Line<'_> = serde_json::from_slice(line).map_err(|error| {
            let text = error.to_string();
            text.split(" at line ").next().unwrap_or(&text).to_owned()
        })?;
        let at = time(&line.at)?;
        if at > self.now {
            return Err(format!("its time {} is in the future", line.at));
        }
        if line.name.is_empty() {
            return Err("its name is empty".to_owned());
        }
        if let Some(mark) = &line.mark {
            let decision = decision(mark, line.commit.as_deref())?;
            self.flush();
            let test = self.test(&line)?;
            self.latest = self.latest.max(at);
            let changes = &mut self.changes;
            let _ = self.memory.decide(test, decision, at, |change| changes.push(change));
            return Ok(());
        }
        let Some(outcome) = Outcome::from_word(&line.outcome) else {
            return Err(format!("{:?} is no outcome", line.outcome.chars().take(40).collect::<String>()));
        };
        if line.run.is_empty() {
            return Err("it names no run".to_owned());
        }
        if !self.open.as_ref().is_some_and(|open| open.continues(&line)) {
            self.check_order(&line, at)?;
            let open = self.begin(&line)?;
            self.flush();
            self.open = Some(open);
        }
        let test = self.test(&line)?;
        let lane = match (&line.variant, &self.open) {
            (Some(variant), _) => Lane::of_variant(variant.as_bytes()),
            (None, Some(open)) => open.job_lane,
            (None, None) => Lane::of_job(None),
        };
        let signature = line.signature.as_deref().map(signature::of_text);
        self.attempts.push(Attempt { test, lane, outcome, at, signature });
        Ok(())
    }

    /// Ends the stream: what is open is folded, and time moves on to `until`.
    pub(super) fn end(&mut self, until: Option<Timestamp>) {
        self.flush();
        if self.latest == Timestamp(i64::MIN) {
            return;
        }
        let changes = &mut self.changes;
        self.memory.pass_time(until.unwrap_or(self.latest), |change| changes.push(change));
    }

    /// Uploads come in the order of their numbers; where they have none, in the order of their first times.
    fn check_order(&mut self, line: &Line<'_>, at: Timestamp) -> Result<(), String> {
        match (line.upload, self.highest) {
            (Some(number), Some(highest)) if number <= highest => {
                return Err(format!("it is out of order: upload {number} comes after upload {highest}"));
            }
            (Some(number), _) => self.highest = Some(number),
            (None, _) if at < self.began => {
                return Err(format!(
                    "it is out of order: {} is before the upload that came before it",
                    line.at
                ));
            }
            (None, _) => self.began = at,
        }
        Ok(())
    }

    fn test(&mut self, line: &Line<'_>) -> Result<TestId, String> {
        self.key.clear();
        self.key.push_str(&line.class_name);
        self.key.push('\0');
        self.key.push_str(&line.name);
        if let Some(test) = self.tests.get(self.key.as_str()) {
            return Ok(*test);
        }
        let test = TestId(self.names.len() as i64);
        if test.get() > MOST_TESTS {
            return Err("the stream has too many tests".to_owned());
        }
        self.names.push((line.class_name.clone().into_owned(), line.name.clone().into_owned()));
        self.tests.insert(self.key.clone(), test);
        Ok(test)
    }

    fn begin(&mut self, line: &Line<'_>) -> Result<Open, String> {
        let class = match line.branch_class.as_deref() {
            Some(word) => BranchClass::from_word(word)
                .ok_or("its branch_class is none of default, merge_queue, pull_request")?,
            None => {
                classify(line.branch.as_deref().and_then(Branch::new).as_ref(), &self.default_branch, None)
            }
        };
        let at = line.upload_at.as_deref().map(time).transpose()?;
        let next = RunId(self.runs.len() as i64 + 1);
        let run = match (self.runs.get(&*line.run), line.run_id) {
            (Some(run), _) => *run,
            (None, given) => {
                let run = given.map_or(next, RunId);
                self.runs.insert(line.run.clone().into_owned(), run);
                run
            }
        };
        let commit = line.commit.as_deref().filter(|commit| !commit.is_empty());
        let commit = commit.map_or_else(|| CommitKey::of_run(run), CommitKey::of);
        let position = match (class, line.position) {
            (BranchClass::Default, Some(position)) => Some(position),
            (BranchClass::Default, None) => Some(self.memory.position(commit)),
            _ => None,
        };
        Ok(Open {
            run_key: line.run.clone().into_owned(),
            number: line.upload,
            run,
            commit,
            branch: line.branch.as_deref().map(BranchKey::of),
            class,
            position,
            job: line.job.as_deref().map(str::to_owned),
            job_lane: Lane::of_job(line.job.as_deref()),
            at,
        })
    }

    /// Folds the upload whose lines have come in.
    fn flush(&mut self) {
        let Some(open) = self.open.take() else { return };
        // Stable: attempts of one test stay in order of arrival.
        self.attempts.sort_by_key(|attempt| attempt.test);
        let first = self.attempts.iter().map(|attempt| attempt.at).min();
        let at = open.at.or(first).unwrap_or(self.latest);
        self.uploads += 1;
        let upload = Upload {
            upload: UploadId(open.number.unwrap_or(self.uploads)),
            run: open.run,
            commit: open.commit,
            branch: open.branch,
            branch_class: open.class,
            position: open.position,
            at,
            attempts: &self.attempts,
            executions: self.attempts.len() as u64,
        };
        let changes = &mut self.changes;
        let _ = self.memory.fold(&upload, |change| changes.push(change));
        let last = self.attempts.iter().map(|attempt| attempt.at).max();
        self.latest = self.latest.max(at).max(last.unwrap_or(at));
        self.attempts.clear();
    }
}

impl Open {
    /// Whether the line belongs to the same upload.
    fn continues(&self, line: &Line<'_>) -> bool {
        self.run_key == line.run && self.number == line.upload && self.job.as_deref() == line.job.as_deref()
    }
}

fn decision(mark: &str, commit: Option<&str>) -> Result<Decision, String> {
    match (mark, commit) {
        ("flaky", _) => Ok(Decision::Flaky),
        ("not_flaky", _) => Ok(Decision::NotFlaky),
        ("repair", Some(commit)) => Ok(Decision::Repair(CommitKey::of(commit))),
        ("repair", None) => Err("a repair needs a commit".to_owned()),
        _ => Err("its mark is none of flaky, not_flaky, repair".to_owned()),
    }
}
