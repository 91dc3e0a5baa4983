//! The detector, as pure functions and folds: no I/O, no clock, no randomness of its own, no SQL.
//!
//! [`detector::fold`] takes one upload in. Equal uploads in equal order give equal states bit for bit, whoever keeps the
//! data. `docs/detector.md` explains the rules and how well they do.

pub mod detector;
pub mod explanation;
pub mod frame;
pub mod health;
pub mod judgement;
pub mod lookup;
pub mod memory;
pub mod rerun_policy;
pub mod resources;
pub mod signature;
pub mod simulation;
pub mod suite_state;
pub mod test_state;
pub mod upload;

mod codec;
mod math;
mod rates;

pub use codec::Damaged;
