//! What an attempt took. Only our own plugin tells it: the member `resources` is none of Buildkite's.

use crate::json::{self, Raw};
use casebook_model::report::ReportedResult;
use casebook_model::resources::Resources;

/// Adds the resources to the result; returns a sentence on what of them could not be read.
pub(super) fn add(raw: Raw<'_>, result: &mut ReportedResult) -> Option<String> {
    if json::is_null(raw) {
        return None;
    }
    let Some(object) = json::object(raw).filter(|_| raw.get().starts_with('{')) else {
        return Some(format!("`resources` was left out: it must be an object, found {}", json::kind(raw)));
    };
    let mut wrong = None;
    let mut amount = |name: &'static str| {
        let value = object.get(name)?;
        let number = json::number(value).filter(|number| number.is_finite() && *number >= 0.0);
        if number.is_none() {
            wrong = Some(format!("`resources.{name}` was left out: it must be a number of at least 0"));
        }
        number
    };
    let wall_seconds = amount("wall_seconds");
    let user_seconds = amount("user_seconds");
    let system_seconds = amount("system_seconds");
    let memory_mib = amount("memory_mib");
    let cpu_share = match (user_seconds, system_seconds, wall_seconds) {
        (Some(user), Some(system), Some(wall)) if wall > 0.0 => Some((user + system) / wall),
        _ => None,
    };
    let found = Resources { wall_seconds, user_seconds, system_seconds, cpu_share, memory_mib };
    result.resources = (found != Resources::default()).then_some(found);
    wrong
}
