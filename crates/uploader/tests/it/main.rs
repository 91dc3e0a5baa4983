//! The client's library through its public doors.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ci;
mod cutting;
mod files;
