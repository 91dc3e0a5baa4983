//! Software components, their kinds and architectures (`avocado.md` 2.4 and 2.5).

use crate::error::ApiError;
use crate::fields::Fields;
use crate::tables::Served;
use casebook_app::avocado::software::{self, Component, Label};
use casebook_app::avocado::{Db, Table};
use casebook_model::id::SuiteId;
use serde::Serialize;
use serde_json::Value;

const LONGEST_LABEL: usize = 20;

/// Kinds of components.
pub(crate) struct Kinds;

/// Architectures of components.
pub(crate) struct Arches;

/// Components.
pub(crate) struct Components;

/// A kind or an architecture.
#[derive(Serialize)]
pub(crate) struct LabelRow {
    name: String,
}

impl From<Label> for LabelRow {
    fn from(Label { name, .. }: Label) -> Self {
        Self { name }
    }
}

/// Tables of labels differ in nothing but where they are.
macro_rules! serve_labels {
    ($served:ty, $table:expr) => {
        impl Served for $served {
            type Stored = Label;
            type Row = LabelRow;

            const TABLE: Table<Label> = $table;

            fn read(
                _: &mut Db<'_>,
                _: SuiteId,
                fields: &mut Fields,
                old: Option<&Label>,
                is_patch: bool,
            ) -> Result<Option<Label>, ApiError> {
                let kept = old.filter(|_| is_patch).map(|old| &old.name);
                Ok(fields.text_or("name", LONGEST_LABEL, kept).map(Label::named))
            }

            fn taken() -> ApiError {
                ApiError::field("name", "This field must be unique.")
            }
        }
    };
}

serve_labels!(Kinds, software::KINDS);
serve_labels!(Arches, software::ARCHES);

/// A component.
#[derive(Serialize)]
pub(crate) struct ComponentRow {
    name: String,
    version: String,
    release: String,
    checksum: String,
    kind: String,
    arch: String,
}

impl From<Component> for ComponentRow {
    fn from(Component { kind, name, version, release, checksum, arch }: Component) -> Self {
        Self { name, version, release, checksum, kind: kind.name, arch: arch.name }
    }
}

impl Served for Components {
    type Stored = Component;
    type Row = ComponentRow;

    const TABLE: Table<Component> = software::COMPONENTS;

    fn read(
        db: &mut Db<'_>,
        suite: SuiteId,
        fields: &mut Fields,
        old: Option<&Component>,
        is_patch: bool,
    ) -> Result<Option<Component>, ApiError> {
        let kept = old.filter(|_| is_patch);
        let name = fields.text_or("name", 255, kept.map(|kept| &kept.name));
        let version = fields.text_or("version", 120, kept.map(|kept| &kept.version));
        let release = fields.text_or("release", 120, kept.map(|kept| &kept.release));
        let checksum = fields.text_or("checksum", 40, kept.map(|kept| &kept.checksum));
        let mut label = |name: &'static str, table: &Table<Label>, kept: Option<&Label>| {
            if let Some(kept) = kept.filter(|_| !fields.has(name)) {
                return Ok::<_, ApiError>(Some(kept.clone()));
            }
            let found = match fields.raw(name).and_then(Value::as_str) {
                Some(told) => Label::find(db, suite, table, told)?,
                None => None,
            };
            Ok(fields.named(name, |_| found))
        };
        let kind = label("kind", &software::KINDS, kept.map(|kept| &kept.kind))?;
        let arch = label("arch", &software::ARCHES, kept.map(|kept| &kept.arch))?;
        let (Some(kind), Some(name), Some(version), Some(release), Some(checksum), Some(arch)) =
            (kind, name, version, release, checksum, arch)
        else {
            return Ok(None);
        };
        Ok(Some(Component { kind, name, version, release, checksum, arch }))
    }

    fn taken() -> ApiError {
        ApiError::not_unique("kind, name, version, release, checksum, arch")
    }
}
