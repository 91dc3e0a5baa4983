//! The detector through its public doors: uploads in, states and changes out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod project;

mod cases;
mod order;
mod quality;
