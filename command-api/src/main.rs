//! The command API as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use command_api::accounts::Registration;
use shared::process::config::Service;
use shared::process::http::Origins;
use shared::process::postgres::DatabaseRole;

/// Daybook's command API: decides what may happen, and records it.
#[derive(Parser)]
#[command(version, about)]
struct Program {
    #[command(flatten)]
    service: Service<8081>,
    /// Who may create an account. Default: open on a loopback address, closed elsewhere.
    #[arg(long, env = "DAYBOOK_REGISTRATION", value_enum)]
    registration: Option<Registration>,
    #[command(flatten)]
    origins: Origins,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Program { service, registration, origins } = Program::parse();
    let registration = registration.unwrap_or_else(|| Registration::by_default(service.listen));
    let work = async |process| command_api::service::run(process, registration, &origins).await;
    shared::process::service::run(env!("CARGO_PKG_NAME"), &service, DatabaseRole::Command, work).await
}
