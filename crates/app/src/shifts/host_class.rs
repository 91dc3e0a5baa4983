//! Host classes: machines that are alike as far as is known. Their names are what is known.

use crate::monitor::CONTEXT_TAG;
use casebook_model::id::{SuiteId, VariantId};
use casebook_model::machine::Machine;
use casebook_model::run::Protocol;
use casebook_model::tags::Tags;
use casebook_storage::{Db, StorageError, machines, shifts as stored};
use std::collections::HashMap;

/// The name where nothing is known.
const UNKNOWN: &str = "unknown";

/// The host classes of a suite, and the environments that belong to them.
pub(super) struct HostClasses {
    suite: SuiteId,
    by_name: HashMap<String, i64>,
    of_variants: HashMap<VariantId, i64>,
    new: Vec<(i64, String)>,
}

impl HostClasses {
    pub(super) fn load(db: &mut Db<'_>, suite: SuiteId) -> Result<Self, StorageError> {
        let known = stored::host_classes(db, suite)?;
        let by_name = known.into_iter().map(|(number, name)| (name, number)).collect();
        Ok(Self { suite, by_name, of_variants: HashMap::new(), new: Vec::new() })
    }

    /// The host class of an environment; a new one gets the next number.
    pub(super) fn of(&mut self, db: &mut Db<'_>, variant: VariantId) -> Result<i64, StorageError> {
        if let Some(class) = self.of_variants.get(&variant) {
            return Ok(*class);
        }
        let name = name(db, self.suite, variant)?;
        let next = self.by_name.len() as i64 + 1;
        let class = *self.by_name.entry(name).or_insert_with_key(|name| {
            self.new.push((next, name.clone()));
            next
        });
        self.of_variants.insert(variant, class);
        Ok(class)
    }

    /// Those that are not stored yet.
    pub(super) fn into_new(self) -> Vec<(i64, String)> {
        self.new
    }
}

/// The name of the host class of an environment.
pub(super) fn name(db: &mut Db<'_>, suite: SuiteId, variant: VariantId) -> Result<String, StorageError> {
    let tags = stored::variant_tags(db, suite, variant)?;
    Ok(match tags.get(CONTEXT_TAG) {
        Some(context) => {
            let machine = machines::find(db, suite, Protocol::Monitor, context)?;
            machine.as_ref().and_then(of_machine).unwrap_or_else(|| context.to_owned())
        }
        None => of_tags(&tags),
    })
}

fn of_tags(tags: &Tags) -> String {
    let parts: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if parts.is_empty() { UNKNOWN.to_owned() } else { parts.join(", ") }
}

/// What makes machines alike: not their name, nor the frequency and memory that vary from one to the next.
fn of_machine(machine: &Machine) -> Option<String> {
    let Machine { cpu_count, cpu_type, machine_type, system, runtime, .. } = machine;
    let cpus = cpu_count.map(|count| format!("{count} cpus"));
    // Only the version itself, not how it was compiled.
    let runtime = runtime.as_deref().and_then(|runtime| runtime.split_whitespace().next()).map(str::to_owned);
    let parts: Vec<String> = [system.clone(), machine_type.clone(), cpu_type.clone(), cpus, runtime]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
