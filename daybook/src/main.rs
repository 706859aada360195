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
use shared::telemetry::{Format, Logs};

/// Daybook: a workspace of notes whose every change is an event.
#[derive(Parser)]
#[command(version, about)]
struct Program {
    #[command(flatten)]
    logs: Logs,
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
    let telemetry = program.logs.start("daybook", Format::Text);
    let ended = run(program.command).await;
    telemetry.finish();
    match ended {
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../");

    fn read(file: &str) -> String {
        std::fs::read_to_string(format!("{ROOT}{file}")).expect("it stands beside the crates")
    }

    /// The variables that `daybook up` reads.
    fn variables() -> Vec<String> {
        let program = Program::command();
        let up = program.find_subcommand("up").expect("there is one");
        let all = program.get_arguments().chain(up.get_arguments());
        all.filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned)).collect()
    }

    #[test]
    fn the_example_of_the_environment_names_every_variable_and_no_other() {
        let file = read(".env.example");
        let assigned = file.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
        let mut named: Vec<&str> =
            assigned.map(|(name, _)| name).filter(|name| !name.contains(' ')).collect();
        let mut known = variables();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn the_compose_file_sets_only_variables_that_are_read() {
        let file = read("compose.yaml");
        let service = file.split("  postgres:\n").next().expect("a first part");
        let environment = service.split("    environment:\n").nth(1).expect("daybook has an environment");
        let set: Vec<&str> = environment
            .lines()
            .map_while(|line| line.strip_prefix("      "))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name)
            .collect();
        assert!(set.contains(&"DATABASE_URL"), "the test does not find the variables: {set:?}");
        let known = variables();
        assert_eq!(set.iter().filter(|name| !known.iter().any(|other| other == *name)).count(), 0, "{set:?}");
    }
}
