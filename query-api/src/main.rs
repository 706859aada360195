//! The query API as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use query_api::live;
use shared::process::config::Service;
use shared::process::http::Origins;
use shared::process::postgres::DatabaseRole;

/// Daybook's query API: answers reads, and pushes what happens over sockets.
#[derive(Parser)]
#[command(version, about)]
struct Program {
    #[command(flatten)]
    service: Service<8082>,
    #[command(flatten)]
    live: live::Options,
    #[command(flatten)]
    origins: Origins,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Program { service, live, origins } = Program::parse();
    let work = async |process| query_api::service::run(process, &origins, live.settings(&origins)).await;
    shared::process::service::run(env!("CARGO_PKG_NAME"), &service, DatabaseRole::Query, work).await
}
