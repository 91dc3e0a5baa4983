//! The rows of a planned group, table by table.

use super::executions::ExecutionWriter;
use super::plan::{Plan, Planned};
use super::{NewResult, NewUpload, Received, TouchedRun};
use crate::db::Db;
use crate::error::StorageError;
use crate::insert::Insert;
use crate::value::{Value, values};
use crate::{runs, uploads as upload_rows};
use casebook_model::execution::Execution;
use casebook_model::id::{ExecutionId, RunId, SuiteId, TestId};
use casebook_model::resources::Resources;
use casebook_model::tags::Tags;

const FAILURES: Insert = Insert {
    into: "failure (suite_id, run_id, test_id, attempt, outcome, location, file, text_key, signature, signature_version)",
    columns: 10,
    conflict: "",
};
const FAILURE_TEXTS: Insert = Insert {
    into: "failure_text (suite_id, text_key, body)",
    columns: 3,
    conflict: "on conflict do nothing",
};
const TAGS: Insert =
    Insert { into: "execution_tags (suite_id, run_id, test_id, attempt, tags)", columns: 5, conflict: "" };
const SPANS: Insert =
    Insert { into: "execution_spans (suite_id, run_id, test_id, attempt, body)", columns: 5, conflict: "" };
const RESOURCES: Insert = Insert {
    into: "execution_resources (suite_id, run_id, test_id, attempt, wall_seconds, user_seconds, system_seconds, cpu_share, memory_mib)",
    columns: 9,
    conflict: "",
};

/// Writes everything, and returns the executions of each upload by test and attempt.
pub(crate) fn write(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    touched: &[TouchedRun],
    plan: &Plan,
    received: &[Received],
) -> Result<Vec<Vec<Execution>>, StorageError> {
    runs::put(db, touched.iter().map(|touched| (&touched.run, &touched.key)))?;
    upload_rows::insert(db, uploads, received)?;

    let mut by_upload: Vec<Vec<Execution>> = plan
        .tallies
        .iter()
        .map(|tally| Vec::with_capacity(usize::try_from(tally.accepted).unwrap_or(0)))
        .collect();
    let mut writer = ExecutionWriter::new(suite);
    for planned in &plan.executions {
        let result = &uploads[planned.upload_index].results[planned.result_index];
        let execution = execution(planned, touched, received, result);
        writer.add(db, &execution)?;
        by_upload[planned.upload_index].push(execution);
    }
    writer.finish(db)?;
    write_rare(db, suite, uploads, touched, plan)?;
    Ok(by_upload)
}

fn execution(
    planned: &Planned,
    touched: &[TouchedRun],
    received: &[Received],
    result: &NewResult,
) -> Execution {
    let run: RunId = touched[planned.run_index].run.id;
    Execution {
        id: ExecutionId { run, test: TestId(planned.test), attempt: planned.attempt },
        upload: received[planned.upload_index].receipt.upload,
        variant: planned.variant,
        instance: result.instance,
        outcome: result.outcome,
        flags: result.flags,
        offset_ms: result.offset_ms,
        duration_us: result.duration_us,
        external_hash: result.external_hash,
    }
}

/// Failures, own tags, spans and resources: few results have them.
fn write_rare(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    touched: &[TouchedRun],
    plan: &Plan,
) -> Result<(), StorageError> {
    let mut failures = Vec::new();
    let mut texts = Vec::new();
    let mut tagged = Vec::new();
    let mut spans = Vec::new();
    let mut resources = Vec::new();
    for planned in &plan.executions {
        let result = &uploads[planned.upload_index].results[planned.result_index];
        let place: [Value<'_>; 4] = [
            suite.get().into(),
            touched[planned.run_index].run.id.get().into(),
            planned.test.into(),
            planned.attempt.into(),
        ];
        if result.outcome.is_failing() || result.failure.is_some() {
            failures.extend_from_slice(&place);
            failures.extend_from_slice(values![
                result.outcome.code(),
                result.attributes.location.as_deref(),
                result.attributes.file.as_deref(),
                result.failure.as_ref().map(|failure| &failure.key),
                result.failure.as_ref().and_then(|failure| failure.signature.as_ref()).map(|(key, _)| key),
                result.failure.as_ref().and_then(|failure| failure.signature).map(|(_, version)| version),
            ]);
        }
        if let Some(failure) = &result.failure {
            texts.extend_from_slice(values![suite.get(), &failure.key, failure.body.as_slice()]);
        }
        if !result.tags.is_empty() {
            tagged.push((place, tags_json(&result.tags)));
        }
        if let Some(body) = &result.spans {
            spans.extend_from_slice(&place);
            spans.push(body.as_slice().into());
        }
        if let Some(Resources { wall_seconds, user_seconds, system_seconds, cpu_share, memory_mib }) =
            result.resources
        {
            resources.extend_from_slice(&place);
            resources.extend_from_slice(values![
                wall_seconds,
                user_seconds,
                system_seconds,
                cpu_share,
                memory_mib
            ]);
        }
    }
    FAILURE_TEXTS.rows(db, &texts)?;
    FAILURES.rows(db, &failures)?;
    let mut rows = Vec::with_capacity(tagged.len() * TAGS.columns);
    for (place, tags) in &tagged {
        rows.extend_from_slice(place);
        rows.push(tags.into());
    }
    TAGS.rows(db, &rows)?;
    SPANS.rows(db, &spans)?;
    RESOURCES.rows(db, &resources)
}

/// Tags as they are stored: a JSON object of texts, sorted by key.
#[must_use]
pub fn tags_json(tags: &Tags) -> String {
    let object: serde_json::Map<String, serde_json::Value> =
        tags.iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    serde_json::Value::Object(object).to_string()
}

/// Reads tags as they are stored.
pub(crate) fn tags_from_json(text: &str) -> Tags {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
    object.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
}
