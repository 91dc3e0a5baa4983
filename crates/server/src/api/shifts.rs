//! What tests take: shifts of a suite, and the history of one test.

use super::error::ApiError;
use super::extract::{Path, Query};
use super::openapi::SuitePath;
use super::readable_suite;
use axum::Json;
use axum::extract::State;
use casebook_api::{Page, ProblemDocument, ResourceBaseline, ResourceValue, Shift, ShiftRun, TestBaselines};
use casebook_app::App;
use casebook_app::shifts::{MeasuredBaseline, ShiftFilter, ShiftUpload, StoredShift, TestValue};
use casebook_http::Caller;
use casebook_model::execution::seconds_from_us;
use casebook_model::id::TestId;
use casebook_model::public_id::Subject;
use casebook_model::resources::Measure;
use casebook_model::suite::Suite;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Which shifts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only of this measure: duration, cpu or memory.
    measure: Option<String>,
    /// Only of the test with this id.
    test: Option<String>,
    /// Only those that are the machine's (true), or only those that are not (false).
    machine_wide: Option<bool>,
    /// What an earlier answer gave as `next`: what comes behind it.
    after: Option<String>,
    /// Items in one answer: 50 unless told, at most 200.
    limit: Option<i64>,
}

/// Lasting changes of what tests take on the default branch, newest first.
#[utoipa::path(
    get,
    operation_id = "listShifts",
    path = "/api/casebook/v1/suites/{organization}/{suite}/shifts",
    tag = "shifts",
    params(SuitePath, Wanted),
    responses((status = 200, body = Page<Shift>), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Shift>>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let measure = wanted.measure.as_deref().map(|word| {
        Measure::from_word(word)
            .ok_or_else(|| ApiError::BadRequest("measure must be duration, cpu or memory".to_owned()))
    });
    let filter = ShiftFilter {
        test: wanted.test.as_deref().map(|id| test_of(&app, &suite, id)).transpose()?,
        measure: measure.transpose()?,
        machine_wide: wanted.machine_wide,
    };
    let before = wanted.after.as_deref().map(|text| match text.parse() {
        Ok(number) if (1..=i64::from(i32::MAX)).contains(&number) => Ok(number),
        _ => Err(super::wrong_cursor()),
    });
    let limit = super::limit(wanted.limit)?;
    let mut found = app.shifts(suite.id, filter, before.transpose()?, limit + 1).await?;
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    let items: Vec<Shift> = found.into_iter().map(|shift| shift_to_json(&app, &suite, shift)).collect();
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(Page { items, next }))
}

/// What a test takes: what is usual, what it took in the newest runs, and what shifted.
#[utoipa::path(
    get,
    operation_id = "getTestBaselines",
    path = "/api/casebook/v1/suites/{organization}/{suite}/tests/{test}/baselines",
    tag = "shifts",
    params(SuitePath, ("test" = String, Path, description = "Id of the test.")),
    responses((status = 200, body = TestBaselines), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, test)): Path<(String, String, String)>,
) -> Result<Json<TestBaselines>, ApiError> {
    let suite = readable_suite(&app, &caller, &organization, &suite).await?;
    let id = test_of(&app, &suite, &test)?;
    let found = app.baselines_of_test(suite.id, id).await?;
    Ok(Json(TestBaselines {
        test_id: test,
        baselines: found.baselines.into_iter().map(baseline_to_json).collect(),
        values: found.values.into_iter().map(|value| value_to_json(&app, &suite, value)).collect(),
        shifts: found.shifts.into_iter().map(|shift| shift_to_json(&app, &suite, shift)).collect(),
    }))
}

fn test_of(app: &App, suite: &Suite, id: &str) -> Result<TestId, ApiError> {
    match app.subject(id) {
        Some(Subject::Test(of, test)) if of == suite.id => Ok(test),
        _ => Err(ApiError::NotFound("there is no such test")),
    }
}

fn shift_to_json(app: &App, suite: &Suite, shift: StoredShift) -> Shift {
    let [last_before, most_likely, surely_by] = shift.uploads.map(|upload| {
        upload.map(|ShiftUpload { run, commit, position }| ShiftRun {
            run_id: app.public_id(Subject::Run(suite.id, run)),
            commit_sha: commit,
            position,
        })
    });
    Shift {
        id: shift.number.to_string(),
        test_id: app.public_id(Subject::Test(suite.id, shift.test)),
        class_name: shift.class_name,
        name: shift.name,
        measure: shift.measure.to_string(),
        host_class: shift.host_class,
        at: shift.at.to_rfc3339_millis(),
        before: shift.amounts.0,
        after: shift.amounts.1,
        shift: shift.share,
        p: shift.p,
        runs_before: shift.values.0,
        runs_after: shift.values.1,
        machine_wide: shift.machine_wide,
        last_before,
        most_likely,
        surely_by,
    }
}

fn baseline_to_json(found: MeasuredBaseline) -> ResourceBaseline {
    ResourceBaseline {
        measure: found.measure.to_string(),
        host_class: found.host_class,
        median: found.baseline.median,
        deviation: found.baseline.deviation,
        runs: found.baseline.values,
    }
}

fn value_to_json(app: &App, suite: &Suite, value: TestValue) -> ResourceValue {
    ResourceValue {
        run_id: app.public_id(Subject::Run(suite.id, value.run)),
        attempt: value.attempt,
        at: value.at.to_rfc3339_millis(),
        branch_class: value.branch_class.to_string(),
        commit_sha: value.commit,
        outcome: value.outcome.to_string(),
        host_class: value.host_class,
        duration: value.duration_us.map(seconds_from_us),
        cpu: value.resources.and_then(|resources| resources.cpu_seconds()),
        memory: value.resources.and_then(|resources| resources.memory_mib),
        memory_is_process_peak: value.is_process_peak,
    }
}
