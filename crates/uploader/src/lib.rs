//! The client that a CI job runs: finds reports, learns what is known of the run, and brings both to a server.
//!
//! Knows no server but the one address it is given, and speaks Buildkite's upload protocol to it, in which every part of
//! every report can be sent again without being stored twice. `docs/uploading.md` is its manual.

pub mod address;
pub mod ci;
pub mod client;
pub mod cutting;
pub mod files;
mod form;
pub mod git;
pub mod upload;
