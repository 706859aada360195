//! The query API as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use shared::config::Service;
use shared::postgres::DatabaseRole;

/// Daybook's query API: answers reads, and pushes what happens over sockets.
#[derive(Parser)]
#[command(version, about)]
struct Program {
    #[command(flatten)]
    service: Service<8082>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let program = Program::parse();
    shared::service::run(
        env!("CARGO_PKG_NAME"),
        &program.service,
        DatabaseRole::Query,
        query_api::service::run,
    )
    .await
}
