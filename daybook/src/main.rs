//! The one program: all services in one process, and the operator's commands.

mod account;
mod api;
mod check;
mod contract;
mod events;
mod import;
mod migrate;
mod openapi;
mod output;
mod own;
mod problems;
mod progress;
mod projector;
mod rebuild;
mod running;
mod shadow_build;
mod up;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shared::process::telemetry::{Format, Logs};

/// Daybook: a workspace of notebooks, notes and tasks in which every change is an event.
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
    /// Run all services in this process. Starts its own Postgres and NATS unless you name yours.
    Up(up::Up),
    /// Migrate a database to this release, and exit.
    Migrate(migrate::Migrate),
    /// Print the description of the HTTP API (OpenAPI 3.1).
    Openapi,
    /// Print the explanations of all problems that the HTTP API answers with (Markdown).
    Problems,
    /// Print the frames that a socket receives, as they arrive.
    Watch(watch::Watch),
    /// Turn a folder of Markdown files into notebooks and notes. A second run adds only new files.
    Import(import::Import),
    /// Print the event log, decrypted. For the operator: it shows everything.
    Events(events::Events),
    /// Skip events, and list quarantined rows and refused policy commands.
    Projector(projector::Projector),
    /// Rebuild the read tables beside the live ones, which are served meanwhile, and swap them. If it is interrupted,
    /// run it again: it continues.
    Rebuild(rebuild::Rebuild),
    /// Compare every column of every row of the read tables with the log. The exit code is 1 if any differs.
    Check(check::Check),
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
            // Each cause is a sentence for the operator. The place in the code is not shown.
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
        Command::Problems => {
            problems::run();
            Ok(())
        }
        Command::Watch(watch) => watch.run().await,
        Command::Import(import) => import.run().await,
        Command::Events(events) => events.run().await,
        Command::Projector(projector) => projector.run().await,
        Command::Rebuild(rebuild) => rebuild.run().await,
        Command::Check(check) => check.run().await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::*;
    use clap::{Args, CommandFactory};
    use query_api::live::Options;
    use shared::process::config::Service;
    use shared::process::http::Origins;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../");

    fn read(file: &str) -> String {
        std::fs::read_to_string(format!("{ROOT}{file}")).expect("it stands beside the crates")
    }

    /// The variables that a command reads.
    fn variables(command: &clap::Command) -> BTreeSet<String> {
        let variables = command.get_arguments().filter_map(clap::Arg::get_env);
        variables.map(|name| name.to_str().expect("plain names").to_owned()).collect()
    }

    /// The variables that each program reads, by its name in the compose files; `daybook` is `daybook up`.
    fn programs() -> HashMap<&'static str, BTreeSet<String>> {
        let whole = Program::command();
        let of = |name| {
            let command = whole.find_subcommand(name).expect("there is one");
            &variables(&whole) | &variables(command)
        };
        let service = variables(&Service::<0>::augment_args(clap::Command::new("any service")));
        let registration = BTreeSet::from(["DAYBOOK_REGISTRATION".to_owned()]);
        let live = variables(&Options::augment_args(clap::Command::new("the query API")));
        let origins = variables(&Origins::augment_args(clap::Command::new("what browsers talk to")));
        HashMap::from([
            ("daybook", of("up")),
            ("migrate", of("migrate")),
            ("command-api", &(&service | &registration) | &origins),
            ("query-api", &(&service | &live) | &origins),
            ("projector", service),
        ])
    }

    #[test]
    fn the_example_of_the_environment_names_every_variable_and_no_other() {
        let file = read(".env.example");
        let assigned = file.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
        let named: BTreeSet<String> =
            assigned.map(|(name, _)| name.to_owned()).filter(|name| !name.contains(' ')).collect();
        assert_eq!(named, programs().into_values().flatten().collect());
    }

    /// What a compose file sets for each of its services.
    fn set_by(file: &str) -> HashMap<String, BTreeSet<String>> {
        let mut set: HashMap<String, BTreeSet<String>> = HashMap::new();
        let mut service = "";
        for line in file.lines() {
            let name = line.trim_start().split_once(':').map_or("", |(name, _)| name);
            match line.len() - line.trim_start().len() {
                2 => service = name,
                6 if name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_') => {
                    set.entry(service.to_owned()).or_default().insert(name.to_owned());
                }
                _ => (),
            }
        }
        set
    }

    #[test]
    fn the_compose_files_set_only_variables_that_are_read() {
        let programs = programs();
        let mut seen = BTreeSet::new();
        for file in ["compose.yaml", "compose.services.yaml"] {
            for (service, set) in set_by(&read(file)) {
                let Some((name, known)) = programs.get_key_value(service.as_str()) else { continue };
                assert!(
                    set.contains("DATABASE_URL"),
                    "{file}: the test does not find the variables of {service}"
                );
                assert_eq!(set.difference(known).next(), None, "{file}: {service} does not read it");
                seen.insert(*name);
            }
        }
        assert_eq!(seen, programs.into_keys().collect(), "a program without a container");
    }
}
