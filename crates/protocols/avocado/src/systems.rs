//! Linux distributions and test environments (`avocado.md` 2.6 and 2.7).

use crate::error::ApiError;
use crate::fields::{Fields, as_text};
use crate::tables::Served;
use casebook_app::avocado::systems::{self, Distro, Environment};
use casebook_app::avocado::{Db, Table};
use casebook_model::id::SuiteId;
use serde::Serialize;
use serde_json::{Map, Value};

/// Longest value of a distribution, in characters.
const LONGEST: usize = 40;

/// Linux distributions.
pub(crate) struct Distros;

/// Test environments.
pub(crate) struct Environments;

/// A distribution.
#[derive(Serialize)]
pub(crate) struct DistroRow {
    name: String,
    version: String,
    release: String,
    arch: String,
}

impl From<Distro> for DistroRow {
    fn from(Distro { name, version, release, arch }: Distro) -> Self {
        Self { name, version, release, arch }
    }
}

impl Served for Distros {
    type Stored = Distro;
    type Row = DistroRow;

    const TABLE: Table<Distro> = systems::DISTROS;

    fn read(
        _: &mut Db<'_>,
        _: SuiteId,
        fields: &mut Fields,
        old: Option<&Distro>,
        is_patch: bool,
    ) -> Result<Option<Distro>, ApiError> {
        let kept = old.filter(|_| is_patch);
        let name = fields.text_or("name", LONGEST, kept.map(|kept| &kept.name));
        let version = fields.text_or("version", LONGEST, kept.map(|kept| &kept.version));
        // May always be left out.
        let none = String::new();
        let release = fields.text_or("release", LONGEST, Some(old.map_or(&none, |old| &old.release)));
        let arch = fields.text_or("arch", LONGEST, kept.map(|kept| &kept.arch));
        let (Some(name), Some(version), Some(release), Some(arch)) = (name, version, release, arch) else {
            return Ok(None);
        };
        Ok(Some(Distro { name, version, release, arch }))
    }

    fn taken() -> ApiError {
        ApiError::not_unique("name, version, release, arch")
    }
}

/// An environment.
#[derive(Serialize)]
pub(crate) struct EnvironmentRow {
    distro: DistroRow,
    installed_software_components: [(); 0],
}

impl From<Environment> for EnvironmentRow {
    fn from(environment: Environment) -> Self {
        Self { distro: environment.distro.into(), installed_software_components: [] }
    }
}

impl Served for Environments {
    type Stored = Environment;
    type Row = EnvironmentRow;

    const TABLE: Table<Environment> = systems::ENVIRONMENTS;

    fn read(
        db: &mut Db<'_>,
        suite: SuiteId,
        fields: &mut Fields,
        old: Option<&Environment>,
        is_patch: bool,
    ) -> Result<Option<Environment>, ApiError> {
        let parts = fields.parts("distro");
        if let Some(old) = old.filter(|_| is_patch && parts.is_empty() && !fields.has("distro")) {
            return Ok(Some(old.clone()));
        }
        let given = if parts.is_empty() { fields.require("distro") } else { Some(Value::Object(parts)) };
        let Some(given) = given else { return Ok(None) };
        let found = match &given {
            Value::Object(given) => match named_distro(given) {
                Some(distro) => {
                    Environment::of(db, suite, distro)?.ok_or("Object with these values does not exist.")
                }
                None => Err("The texts name, version, release and arch are required."),
            },
            _ => Err("Invalid data. Expected a dictionary."),
        };
        Ok(found.map_err(|text| fields.refuse("distro", text)).ok())
    }

    fn taken() -> ApiError {
        ApiError::conflict()
    }
}

/// The distribution that an object names by all four values.
fn named_distro(given: &Map<String, Value>) -> Option<Distro> {
    let text = |name: &str| given.get(name).and_then(as_text).filter(|text| !text.contains('\0'));
    Some(Distro {
        name: text("name")?,
        version: text("version")?,
        release: text("release")?,
        arch: text("arch")?,
    })
}
