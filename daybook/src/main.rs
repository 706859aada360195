//! The one program: all services in one process, and the operator's commands.

mod api;
mod events;
mod migrate;
mod openapi;
mod output;
mod own;
mod running;
mod up;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Daybook: a workspace of notes whose every change is an event.
#[derive(Parser)]
#[command(version, about)]
struct Program {
    /// What to log, such as `info` or `debug,sqlx=warn`.
    #[arg(long, env = "DAYBOOK_LOG", default_value = "info,async_nats=warn,sqlx=warn", global = true)]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all services in this process, with servers of our own unless you name yours.
    Up(up::Up),
    /// Bring a database to the form of this release, and end.
    Migrate(migrate::Migrate),
    /// Print the description of the HTTP API (OpenAPI 3.1).
    Openapi,
    /// Print what a socket receives, as it happens.
    Watch(watch::Watch),
    /// Print the event log, unsealed. For the operator: it shows everything.
    Events(events::Events),
}

#[tokio::main]
async fn main() -> ExitCode {
    let program = Program::parse();
    shared::telemetry::init(&program.log);
    match run(program.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Each cause is a sentence for whoever runs this; where it happened in the code is not.
            output::complaint(&format!("daybook: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(up) => up.run().await,
        Command::Migrate(migrate) => migrate.run().await,
        Command::Openapi => openapi::run(),
        Command::Watch(watch) => watch.run().await,
        Command::Events(events) => events.run().await,
    }
}
