//! pytest-monitor's metrics as a table or lines of JSON, with the names that its API gives them.

use super::{Form, quoted};
use crate::Failure;
use casebook_model::measurement::{Metric, MetricWord};
use casebook_model::suite::Suite;
use casebook_storage::Store;
use casebook_storage::monitor::metrics::{self, Selection};
use casebook_storage::monitor::{Paged, Wanted};
use std::io::Write;

const COLUMNS: &str = "session_h,context_h,item_start_time,item_path,item,item_variant,item_fs_loc,kind,component,\
    total_time,user_time,kernel_time,cpu_usage,mem_usage";

/// Metrics that are read at one time.
const STEP: i64 = 5_000;

/// Writes the metrics of a session, of an item, or all, in the order of their arrival.
pub(super) fn write(
    store: &Store,
    suite: &Suite,
    selection: &Selection,
    form: Form,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if matches!(form, Form::Csv) {
        writeln!(out, "{COLUMNS}")?;
    }
    for page in 1.. {
        let wanted = Wanted { page, size: STEP };
        let Paged::Page { items, pages, .. } =
            store.read(|db| metrics::page(db, suite.id, selection, wanted))?
        else {
            break;
        };
        for metric in &items {
            match form {
                Form::Csv => writeln!(out, "{}", row(metric))?,
                Form::Ndjson => writeln!(out, "{}", casebook_monitor::metric_to_send(metric))?,
            }
        }
        if page >= pages {
            break;
        }
    }
    Ok(())
}

fn row(metric: &Metric) -> String {
    let word = |word| quoted(metric.word(word));
    let mut values = vec![
        word(MetricWord::Session),
        word(MetricWord::Context),
        quoted(&metric.started),
        word(MetricWord::Path),
        word(MetricWord::Item),
        word(MetricWord::Variant),
        word(MetricWord::Location),
        word(MetricWord::Kind),
        word(MetricWord::Component),
    ];
    // The shortest text that means the same double.
    values.extend(metric.values.iter().map(|value| format!("{value:?}")));
    values.join(",")
}
