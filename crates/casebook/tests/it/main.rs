//! The program through its public doors: HTTP, the command line, and the clients that people use.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod collectors;
mod model;
mod setup;

mod access;
mod bad_records;
mod commands;
mod dispositions;
mod durability;
mod health;
mod javascript_collector;
mod junit_rules;
mod python_collector;
mod replay;
mod replay_buildkite;
mod replay_junit;
mod rest;
mod runs;
mod tests_list;
mod upload_contract;
mod upload_limits;
