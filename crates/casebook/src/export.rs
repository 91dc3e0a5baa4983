//! `casebook export`: the executions of a suite, in the form that `casebook replay` takes, or as a table.

mod metrics;

use crate::Failure;
use crate::database::{self, Database};
use casebook_app::detection::{self, Exported, ExportedMark, Item};
use casebook_model::key::hex;
use casebook_model::mark::Statement;
use casebook_model::measurement::MetricWord;
use casebook_model::suite::SuiteName;
use casebook_storage::monitor::metrics::Selection;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    database: Database,
    /// The suite
    #[arg(long, value_name = "ORG/SUITE", value_parser = SuiteName::parse, env = "CASEBOOK_SUITE")]
    suite: SuiteName,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Form::Ndjson, env = "CASEBOOK_FORMAT")]
    format: Form,
    /// Write pytest-monitor's metrics instead
    #[arg(long, env = "CASEBOOK_METRICS")]
    metrics: bool,
    /// Of the metrics, only those of this session
    #[arg(
        long,
        value_name = "SESSION_H",
        requires = "metrics",
        conflicts_with = "item",
        env = "CASEBOOK_SESSION"
    )]
    session: Option<String>,
    /// Of the metrics, only those of this test, named without its parameters
    #[arg(long, value_name = "NAME", requires = "metrics", env = "CASEBOOK_ITEM")]
    item: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// One JSON object a line, for casebook replay
    Ndjson,
    /// Comma-separated values with a line of names
    Csv,
}

const COLUMNS: &str =
    "at,run,branch,branch_class,commit,job,class_name,name,outcome,attempt,variant,signature";

impl Export {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let store = self.database.open()?;
        let suite = database::suite(&store, &self.suite)?;
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        if self.metrics {
            let selection = match (self.session, self.item) {
                (Some(session), _) => Selection::Word(MetricWord::Session, session),
                (None, Some(item)) => Selection::Word(MetricWord::Item, item),
                (None, None) => Selection::All,
            };
            metrics::write(&store, &suite, &selection, self.format, &mut out)?;
            return Ok(out.flush()?);
        }
        if matches!(self.format, Form::Csv) {
            writeln!(out, "{COLUMNS}")?;
        }
        let mut written = Ok(());
        store.read(|db| {
            detection::export(db, suite.id, |item| {
                written = match (self.format, item) {
                    (Form::Ndjson, Item::Execution(execution)) => writeln!(out, "{}", line(execution)),
                    (Form::Ndjson, Item::Mark(mark)) => writeln!(out, "{}", mark_line(mark)),
                    (Form::Csv, Item::Execution(execution)) => writeln!(out, "{}", row(execution)),
                    // A table of executions has no place for it.
                    (Form::Csv, Item::Mark(_)) => Ok(()),
                };
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        })?;
        written?;
        Ok(out.flush()?)
    }
}

fn signature(execution: &Exported) -> Option<String> {
    execution.signature.as_ref().map(hex)
}

fn line(execution: &Exported) -> serde_json::Value {
    let mut line = json!({
        "at": execution.at.to_rfc3339_micros(),
        "run": execution.run,
        "class_name": execution.class_name,
        "name": execution.name,
        "outcome": execution.outcome.as_str(),
        "attempt": execution.attempt,
        "upload": execution.upload,
        "upload_at": execution.upload_at.to_rfc3339_micros(),
        "run_id": execution.run_id,
        "branch_class": execution.branch_class.as_str(),
    });
    let texts = [
        ("branch", execution.branch.clone()),
        ("commit", execution.commit.clone()),
        ("job", execution.job.clone()),
        ("variant", execution.variant.clone()),
        ("signature", signature(execution)),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            line[name] = text.into();
        }
    }
    if let Some(position) = execution.position {
        line["position"] = position.into();
    }
    line
}

fn mark_line(mark: &ExportedMark) -> serde_json::Value {
    let mut line = json!({
        "at": mark.at.to_rfc3339_micros(),
        "class_name": mark.class_name,
        "name": mark.name,
        "mark": mark.said.as_str(),
    });
    if let Statement::Repair(commit) = &mark.said {
        line["commit"] = commit.as_str().into();
    }
    line
}

fn row(execution: &Exported) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let values = [
        execution.at.to_rfc3339_micros(),
        execution.run.clone(),
        text(&execution.branch),
        execution.branch_class.to_string(),
        text(&execution.commit),
        text(&execution.job),
        execution.class_name.clone(),
        execution.name.clone(),
        execution.outcome.to_string(),
        execution.attempt.to_string(),
        text(&execution.variant),
        signature(execution).unwrap_or_default(),
    ];
    values.map(|value| quoted(&value)).join(",")
}

/// A value as RFC 4180 wants it.
fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}
