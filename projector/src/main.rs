//! The projector as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use shared::process::config::Service;
use shared::process::postgres::DatabaseRole;

/// Daybook's projector: derives the tables that are read from the log of events.
#[derive(Parser)]
#[command(version, about)]
struct Program {
    #[command(flatten)]
    service: Service<8083>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let program = Program::parse();
    shared::process::service::run(
        env!("CARGO_PKG_NAME"),
        &program.service,
        DatabaseRole::Projector,
        projector::service::run,
    )
    .await
}
