//! Cucumber's JSON formatter: one result per scenario, named as the collector names it.

use crate::gathering::Gathering;
use crate::json::{self, Object};
use crate::lines::{self, first_line, lines_of, without_colours};
use crate::{Malformed, Options, instances, paths};
use casebook_model::execution::{Outcome, duration_from_seconds};
use casebook_model::failure::{Failure, FailureDetail};
use casebook_model::report::{Report, ReportedResult};
use casebook_model::time::Timestamp;

pub(crate) fn parse(bytes: &[u8], options: &Options) -> Result<Report, Malformed> {
    let text = json::characters(bytes)?;
    let document = json::document(text)?;
    let features = json::array(document).ok_or_else(|| {
        Malformed::WrongShape(format!(
            "a Cucumber report is an array of features, found {}",
            json::kind(document)
        ))
    })?;
    let mut gathering = Gathering::new(options, json::may_hold_nul(text));
    for raw in features {
        match json::object(raw) {
            Some(feature) => read_feature(&feature, options, &mut gathering),
            None => gathering.noticed(format!("a feature must be an object, found {}", json::kind(raw))),
        }
    }
    instances::number(gathering.results());
    gathering.finish()
}

fn read_feature(feature: &Object<'_>, options: &Options, gathering: &mut Gathering) {
    let scope = feature.text("name").unwrap_or_default();
    let file = feature.text("uri").filter(|uri| !uri.is_empty()).map(|uri| paths::like_ruby(&uri, options));
    // A background stands before the scenario that it was run for, and its steps are that scenario's first.
    let mut background = Vec::new();
    for raw in feature.array("elements") {
        let Some(element) = json::object(raw) else {
            if gathering.next_record() {
                gathering.reject(format!("a scenario must be an object, found {}", json::kind(raw)));
            }
            continue;
        };
        if element.text("type").as_deref() == Some("background") {
            background = steps(&element);
            continue;
        }
        let mut steps_taken = std::mem::take(&mut background);
        steps_taken.extend(steps(&element));
        if gathering.next_record() {
            read_scenario(&element, &scope, file.as_deref(), &steps_taken, gathering);
        }
    }
}

fn read_scenario(
    element: &Object<'_>,
    scope: &str,
    file: Option<&str>,
    steps: &[Step],
    gathering: &mut Gathering,
) {
    let Some(name) = element.text("name").filter(|name| !name.is_empty()) else {
        return gathering.reject("`name` must be a non-empty string");
    };
    let decisive = |ending: Ending| steps.iter().find(|step| step.ending == ending);
    let (outcome, step) = match (decisive(Ending::Failed), decisive(Ending::NotRun)) {
        (Some(failed), _) => (Outcome::Failed, Some(failed)),
        (None, Some(not_run)) => (Outcome::Skipped, Some(not_run)),
        (None, None) => (Outcome::Passed, None),
    };
    let mut result = ReportedResult::new(scope, name, outcome);
    result.file = file.map(str::to_owned);
    let line = element.number("line");
    result.location = file.map(|file| line.map_or(file.to_owned(), |line| format!("{file}:{line}")));
    let durations: Vec<f64> = steps.iter().filter_map(|step| step.nanoseconds).collect();
    let total = (!durations.is_empty()).then(|| durations.iter().sum::<f64>() / 1e9);
    result.duration_us = total.and_then(duration_from_seconds);
    let started = element.text("start_timestamp");
    result.started_at = started.and_then(|time| Timestamp::parse_rfc3339(&time).ok());
    result.failure = step.and_then(Step::failure);
    gathering.keep(result);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Passed,
    Failed,
    NotRun,
}

/// A step or a hook.
struct Step {
    ending: Ending,
    nanoseconds: Option<f64>,
    message: String,
    undefined: Option<String>,
}

impl Step {
    /// What a step says; nothing if it has no result.
    fn read(step: &Object<'_>, timed: bool) -> Option<Self> {
        let result = step.object("result")?;
        let status = result.text("status").unwrap_or_default();
        let ending = match status.to_ascii_lowercase().as_str() {
            "failed" | "ambiguous" | "errored" => Ending::Failed,
            "skipped" | "pending" | "undefined" => Ending::NotRun,
            _ => Ending::Passed,
        };
        let undefined = status.eq_ignore_ascii_case("undefined");
        Some(Self {
            ending,
            nanoseconds: result.number("duration").filter(|_| timed),
            message: without_colours(&result.text("error_message").unwrap_or_default()),
            undefined: step.text("name").filter(|_| undefined),
        })
    }

    fn failure(&self) -> Option<Failure> {
        let reason = first_line(&self.message).map(str::to_owned);
        let reason = reason.or_else(|| self.undefined.as_ref().map(|name| format!("undefined step: {name}")));
        let detail = FailureDetail { expanded: lines_of(&self.message), backtrace: Vec::new() };
        lines::failure(reason, vec![detail])
    }
}

/// The hooks and steps of a scenario in order. A hook decides like a step, but has no part in the duration.
fn steps(element: &Object<'_>) -> Vec<Step> {
    let hooks = |of: &Object<'_>, name: &str| {
        of.objects(name).iter().filter_map(|hook| Step::read(hook, false)).collect::<Vec<_>>()
    };
    let mut all = hooks(element, "before");
    for step in element.objects("steps") {
        all.extend(hooks(&step, "before"));
        all.extend(Step::read(&step, true));
        all.extend(hooks(&step, "after"));
    }
    all.extend(hooks(element, "after"));
    all
}
