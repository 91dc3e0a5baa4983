//! `cargo xtask bench`: the benchmarks, against engines that keep their promises.

use std::ffi::OsString;

use anyhow::Result;

use crate::command::{self, cargo};
use crate::pg::{Cluster, Durability};
use crate::tools;

pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let cluster = Cluster::start(&tools::postgres()?, Durability::Full)?;
    // Memory is measured on the server itself, in a process of its own.
    command::run(&mut cargo(["build", "--release", "--package", "casebook"]))?;
    let mut bench = cargo(["run", "--release", "--package", "casebook-bench", "--"]);
    bench.args(arguments).env("CASEBOOK_BENCH_POSTGRES", cluster.url());
    command::run(&mut bench)
}
