//! A Daybook whose parts are killed and frozen, for as long as one likes; ends with 1 if anything was found or took too long.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use e2e::chance::any_seed;
use e2e::chaos::{Plan, run};

/// Runs a Daybook under load and kills, freezes and restarts what it consists of.
#[derive(Parser)]
struct Program {
    /// For how long.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Repeats the faults of an earlier run, in the same order and at the same moments.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let program = Program::parse();
    let seed = program.seed.unwrap_or_else(any_seed);
    writeln!(stdout(), "seed {seed}; to repeat it: ./dev soak --seed {seed}")?;
    let lasting = Duration::from_mins(program.minutes);
    let report = run(Plan { seed, each: 1, lasting, outage: Duration::from_mins(1) }).await?;
    let slow = report.complaints();
    for slow in &slow {
        writeln!(stdout(), "{slow}")?;
    }
    writeln!(stdout(), "{report}")?;
    let is_well = report.is_clean() && slow.is_empty();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
