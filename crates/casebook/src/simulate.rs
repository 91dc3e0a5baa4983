//! `casebook simulate`: the detector's bench.

use crate::Failure;
use casebook_analysis::health::Rules;
use casebook_analysis::simulation::{Options, simulate};
use casebook_model::suite::{ResolveRule, Sensitivity};
use clap::{Args, ValueEnum};
use std::io::{self, Write as _};

#[derive(Args)]
pub(crate) struct Simulate {
    /// First seed; the same seed gives the same project
    #[arg(long, default_value_t = 1, env = "CASEBOOK_SEED")]
    seed: u64,
    /// Seeds to simulate, one after another
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000), env = "CASEBOOK_SEEDS")]
    seeds: u64,
    /// Days to simulate
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3650), env = "CASEBOOK_DAYS")]
    days: u32,
    /// Tests, taken at random from the 22,098 of the data
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), env = "CASEBOOK_TESTS")]
    tests: Option<u32>,
    /// Runs of the default branch a day
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000), env = "CASEBOOK_DEFAULT_RUNS")]
    default_runs: u32,
    /// Runs of pull requests a day
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=10_000), env = "CASEBOOK_CHANGE_RUNS")]
    change_runs: u32,
    /// Regressions a day on the default branch
    #[arg(long, default_value_t = 3.0, value_parser = amount, env = "CASEBOOK_REGRESSIONS")]
    regressions: f64,
    /// No retries; a tenth of the red default-branch runs are started again by hand
    #[arg(long, env = "CASEBOOK_NO_RETRIES")]
    no_retries: bool,
    /// Incidents that hit some runs
    #[arg(long, value_enum, default_value_t = Incidents::None, env = "CASEBOOK_INCIDENTS")]
    incidents: Incidents,
    /// How much evidence flags a test: robust or prompt
    #[arg(long, value_name = "RULE", default_value = "robust", value_parser = crate::suite::sensitivity, env = "CASEBOOK_DETECTION")]
    detection: Sensitivity,
    /// When a flaky test counts as resolved: quiet or proven
    #[arg(long, value_name = "RULE", default_value = "quiet", value_parser = crate::suite::resolve_rule, env = "CASEBOOK_RESOLVE")]
    resolve: ResolveRule,
}

#[derive(Clone, Copy, ValueEnum)]
enum Incidents {
    /// None at all
    None,
    /// .2 % of runs, 1 to 30 % of tests
    Rare,
    /// 1 % of runs, .1 to 2 % of tests
    Small,
    /// 1 % of runs, 10 to 90 % of tests
    Large,
}

fn amount(text: &str) -> Result<f64, String> {
    let amount = text.parse().ok().filter(|amount: &f64| (0.0..=1000.0).contains(amount));
    amount.ok_or_else(|| "use a number from 0 to 1000".to_owned())
}

impl Simulate {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        for seed in (0..self.seeds).map(|index| self.seed.wrapping_add(index)) {
            let report = simulate(&self.options(seed));
            writeln!(out, "seed {seed}\n{report}")?;
        }
        Ok(())
    }

    fn options(&self, seed: u64) -> Options {
        let (incidents, incident_share) = match self.incidents {
            Incidents::None => (0.0, (0.0, 0.0)),
            Incidents::Rare => (0.002, (0.01, 0.3)),
            Incidents::Small => (0.01, (0.001, 0.02)),
            Incidents::Large => (0.01, (0.1, 0.9)),
        };
        Options {
            seed,
            days: self.days,
            tests: self.tests.map_or(usize::MAX, |tests| tests as usize),
            default_runs: self.default_runs,
            change_runs: self.change_runs,
            retries: !self.no_retries,
            regressions: self.regressions,
            incidents,
            incident_share,
            rules: Rules { detection: self.detection, resolve: self.resolve },
            ..Options::default()
        }
    }
}
