//! Different tests that share one name in one report, told apart by where they are written.

use casebook_model::report::ReportedResult;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Numbers the places of each name that occurs more than once.
///
/// Results of one name at one place are attempts of one test, and so are results that do not say where they are;
/// results at different places are different tests, whose outcomes must not be mistaken for one test's flakiness.
pub(crate) fn number(results: &mut [ReportedResult]) {
    let mut names = Names::default();
    for result in &*results {
        names.saw(result);
    }
    names.number(results);
}

/// The names of a report so far. Noting them as they come is cheaper than going through a large report again.
#[derive(Default)]
pub(crate) struct Names(Vec<(u64, usize)>);

impl Names {
    /// Notes the name of the next result.
    pub(crate) fn saw(&mut self, result: &ReportedResult) {
        let mut hasher = DefaultHasher::new();
        (&result.scope, &result.name).hash(&mut hasher);
        self.0.push((hasher.finish(), self.0.len()));
    }

    /// Numbers the places of each name that occurs more than once in `results`, which are all that were noted.
    pub(crate) fn number(mut self, results: &mut [ReportedResult]) {
        self.0.sort_unstable();
        for alike in self.0.chunk_by(|(a, _), (b, _)| a == b).filter(|alike| alike.len() > 1) {
            number_places(alike, results);
        }
    }
}

/// Numbers the places of results whose names have one hash, in the order of the report.
fn number_places(alike: &[(u64, usize)], results: &mut [ReportedResult]) {
    let Some(first) = alike.first().and_then(|(_, index)| results.get(*index)) else { return };
    let (scope, name) = (first.scope.clone(), first.name.clone());
    let mut places: HashMap<String, u16> = HashMap::new();
    for (_, index) in alike {
        let Some(result) = results.get_mut(*index) else { continue };
        let Some(place) = &result.location else { continue };
        if (&result.scope, &result.name) != (&scope, &name) {
            continue;
        }
        let next = u16::try_from(places.len()).unwrap_or(u16::MAX);
        result.instance = *places.entry(place.clone()).or_insert(next);
    }
}
