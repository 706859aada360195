//! For `./dev`: prints where the server programs are, or lends a throw-away Postgres to a command.

mod tables;

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use servers::postgres::Postgres;
use servers::{programs, testing};
use tokio::process::Command;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["where"] => tell(),
        ["lend", program, arguments @ ..] => lend(program, arguments).await,
        ["lend-tables", program, arguments @ ..] => lend_tables(program, arguments).await,
        _ => bail!(
            "usage: servers where | servers lend PROGRAM [ARGUMENT]... | servers lend-tables PROGRAM ..."
        ),
    }
}

fn tell() -> Result<ExitCode> {
    let postgres = programs::postgres(None)?;
    let nats = programs::nats_server()?;
    writeln!(stdout(), "Postgres {}: {}\nNATS: {}", postgres.major, postgres.bin.display(), nats.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a command with the address of a throw-away Postgres in its environment, and ends as it ends.
async fn lend(program: &str, arguments: &[&str]) -> Result<ExitCode> {
    let postgres = testing::throwaway_postgres().await?;
    let url = postgres.maintenance_url();
    run(postgres, Command::new(program).args(arguments).env(testing::SERVER_VARIABLE, url)).await
}

/// The same, with a database that has every table, under the name that sqlx looks for when it checks queries.
async fn lend_tables(program: &str, arguments: &[&str]) -> Result<ExitCode> {
    let postgres = testing::throwaway_postgres().await?;
    let url = tables::make(&postgres.maintenance_url()).await?;
    run(postgres, Command::new(program).args(arguments).env("DATABASE_URL", url)).await
}

async fn run(postgres: Postgres, command: &mut Command) -> Result<ExitCode> {
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", command.as_std().get_program().display()))?;
    let status = loop {
        // Ctrl-C reaches the command too; it decides when to end, and we clean up after it.
        tokio::select! {
            status = child.wait() => break status?,
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    postgres.shutdown().await?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
