//! A process whose essential task panics ends as failed and says which, as a service and as `daybook up`.
//!
//! Debug builds can be made to panic in a task that is named by `DAYBOOK_TEST_PANIC`, by SIGUSR1: see
//! shared/src/process/lifecycle.rs. The lists below are all tasks there are: a new one must be added.

use std::collections::BTreeSet;
use std::fs::File;

use anyhow::{Context, Result, bail, ensure};
use e2e::LIMIT;
use e2e::service::command;
use kit::{Level, database};
use serde_json::Value;
use servers::leash::send;
use servers::nats::Nats;
use servers::testing::{self, TestDatabase};
use servers::until::until;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::timeout;

const COMMANDS: [&str; 3] = ["ended-sessions follower", "epoch follower", "writer"];
const RELAY: [&str; 1] = ["relay"];
const PROJECTOR: [&str; 2] = ["policies", "projector"];
const READS: [&str; 3] = ["live feed", "read-position listener", "read-position poll"];
/// Of the relay, the projector and the policies.
const LEADERS_PARTS: [&str; 1] = ["leader's beat"];
const PROJECTORS_PARTS: [&str; 3] = ["leader's beat", "read-ahead", "stream follower"];

/// What the programs work with.
struct World {
    database: TestDatabase,
    nats: Nats,
}

/// A program that runs.
struct Program {
    child: Child,
    data: TempDir,
    url: String,
}

impl World {
    async fn new() -> Result<Self> {
        let database = database(Level::Log).await?;
        Ok(Self { database, nats: testing::nats().await? })
    }

    /// Starts a program, in which one task is going to panic, and waits until it is ready.
    async fn start(&self, name: &str, panics: &str) -> Result<Program> {
        let data = tempfile::Builder::new().prefix("daybook-supervision-").tempdir()?;
        let mut command = command(name, &self.database.url, &self.nats.url())?;
        if name == "daybook" {
            command.arg("--data").arg(data.path());
        }
        let child = command
            .env("DAYBOOK_LOG", "debug")
            .env("DAYBOOK_LOG_FORMAT", "json")
            .env("DAYBOOK_TEST_PANIC", panics)
            .stderr(File::create(data.path().join("log"))?)
            .spawn()?;
        let mut program = Program { child, data, url: String::new() };
        program.ready().await?;
        Ok(program)
    }

    /// What runs in a program is what we know of, and each of it ends the program by a panic.
    async fn each_ends(&self, name: &str, tasks: &[&[&str]], parts: &[&str]) -> Result<()> {
        let program = self.start(name, "").await?;
        let runs: BTreeSet<String> = program.starting()?.into_iter().collect();
        assert_eq!(runs, tasks.iter().copied().flatten().map(ToString::to_string).collect(), "{name}");
        assert_eq!(program.end("TERM").await?.0, Some(0), "{name} ends well when it is told to");
        for task in tasks.iter().copied().flatten().chain(parts) {
            let (code, said) = self.start(name, task).await?.end("USR1").await?;
            ensure!(code == Some(1), "{name}, {task} ended with {code:?}: {said}");
            let told = lines(&said).any(|line| {
                let message = line["message"].as_str().unwrap_or_default();
                line["level"] == "ERROR"
                    && message.starts_with("Ending the process: the essential task")
                    && message.contains(&format!("\"{task}\" has panicked: SIGUSR1 asked for it"))
            });
            ensure!(told, "{name} does not name {task}: {said}");
        }
        Ok(())
    }
}

impl Program {
    async fn ready(&mut self) -> Result<()> {
        until(LIMIT, "starting a program", async || {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status}): {}", self.said()?);
            }
            if self.url.is_empty() {
                self.url = self.address()?.unwrap_or_default();
                return Ok(None);
            }
            let answer = reqwest::get(format!("{}/readyz", self.url)).await?;
            Ok(answer.status().is_success().then_some(()))
        })
        .await
        .with_context(|| self.said().unwrap_or_default())
    }

    /// Where it listens: a service says so in its log, `daybook up` in its data folder.
    fn address(&self) -> Result<Option<String>> {
        if let Ok(running) = std::fs::read(self.data.path().join("running.json")) {
            let running: Value = serde_json::from_slice(&running)?;
            return Ok(running["url"].as_str().map(str::to_owned));
        }
        let said = self.said()?;
        let url = lines(&said).find_map(|line| match line["message"].as_str() {
            Some("Listening") => line["url"].as_str().map(str::to_owned),
            Some(_) | None => None,
        });
        Ok(url)
    }

    fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.data.path().join("log"))?)
    }

    fn starting(&self) -> Result<Vec<String>> {
        let said = self.said()?;
        let started = lines(&said).filter(|line| line["message"] == "An essential task starts");
        Ok(started.filter_map(|line| line["task"].as_str().map(str::to_owned)).collect())
    }

    /// How it ends after a signal, and what it said.
    async fn end(mut self, signal: &str) -> Result<(Option<i32>, String)> {
        let id = self.child.id().context("it has ended already")?;
        send(signal, &id.to_string())?;
        let ended = timeout(LIMIT, self.child.wait()).await;
        let said = self.said()?;
        let status = ended.with_context(|| format!("it does not end: {said}"))??;
        Ok((status.code(), said))
    }
}

/// The lines of a log; `daybook` says why it ended in words for people.
fn lines(log: &str) -> impl Iterator<Item = Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok())
}

#[tokio::test]
async fn each_task_of_the_command_api_ends_it() -> Result<()> {
    World::new().await?.each_ends("command-api", &[&COMMANDS, &RELAY], &LEADERS_PARTS).await
}

#[tokio::test]
async fn each_task_of_the_projector_ends_it() -> Result<()> {
    World::new().await?.each_ends("projector", &[&COMMANDS, &PROJECTOR], &PROJECTORS_PARTS).await
}

#[tokio::test]
async fn each_task_of_the_query_api_ends_it() -> Result<()> {
    let world = World::new().await?;
    let _projector = world.start("projector", "").await?;
    world.each_ends("query-api", &[&["ended-sessions follower"], &READS], &[]).await
}

#[tokio::test]
async fn each_task_of_all_services_in_one_process_ends_it() -> Result<()> {
    let tasks: [&[&str]; 4] = [&COMMANDS, &RELAY, &PROJECTOR, &READS];
    World::new().await?.each_ends("daybook", &tasks, &PROJECTORS_PARTS).await
}
