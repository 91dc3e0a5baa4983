//! `casebook openapi`: the description of Casebook's own API.

use crate::Failure;
use clap::Args;

#[derive(Args)]
pub(crate) struct Openapi {}

impl Openapi {
    pub(crate) fn run(self) -> Result<(), Failure> {
        println!("{}", serde_json::to_string_pretty(&casebook_server::openapi())?);
        Ok(())
    }
}
