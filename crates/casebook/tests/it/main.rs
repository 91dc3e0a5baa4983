//! The program through its public doors: HTTP, the command line, and the clients that people use.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod aviator;
mod collectors;
mod endpoint;
mod model;
mod setup;
mod webhook_setup;

mod access;
mod access_matrix;
mod aviator_flaky_tests;
mod aviator_plugin;
mod aviator_rerun_list;
mod aviator_uploads;
mod bad_records;
mod body_limits;
mod commands;
mod configuration;
mod detection;
mod dispositions;
mod durability;
mod health;
mod import;
mod javascript_collector;
mod javascript_runners;
mod junit_rules;
mod monitor_clients;
mod monitor_contract;
mod named_suites;
mod own_api;
mod python_collector;
mod rate_limits;
mod replay;
mod replay_buildkite;
mod replay_junit;
mod resources;
mod rest;
mod runs;
mod suites;
mod test_filters;
mod tests_list;
mod upload_command;
mod upload_contract;
mod upload_limits;
mod webhook_commands;
mod webhook_docs;
mod webhook_imports;
mod webhook_retries;
mod webhooks;
mod wrong_passwords;
