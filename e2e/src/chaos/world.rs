//! The Daybook of a chaos run: a Postgres that keeps what it acknowledged, a NATS, and two processes of each service.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use reqwest::Client;
use servers::nats::{self, Nats};
use servers::postgres::{self, Durability, Postgres};
use servers::testing;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::process::Process;
use crate::migrate;

const DATABASE: &str = "daybook";

/// Everything that runs.
#[derive(Debug)]
pub(super) struct World {
    pub(super) commands: [Process; 2],
    pub(super) projectors: [Process; 2],
    pub(super) queries: [Process; 2],
    pub(super) postgres: Postgres,
    pub(super) nats: Nats,
    folder: Option<TempDir>,
    addresses: Arc<Addresses>,
}

/// Where clients find the services, and with what they ask.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) commands: [String; 2],
    pub(super) queries: [String; 2],
    pub(super) client: Client,
}

impl World {
    /// Starts all of it over an empty database.
    pub(super) async fn start() -> Result<Self> {
        let folder = testing::folder("daybook-chaos-", &std::env::temp_dir())?;
        let data = folder.path().join("postgres");
        let durability = Durability::Durable;
        let postgres = Postgres::start(postgres::Options { data, durability, settings: Vec::new() }).await?;
        postgres.create_database(DATABASE).await?;
        migrate(&postgres.url(DATABASE)).await?;
        let nats = Nats::start(nats::Options { store: folder.path().join("nats"), port: None }).await?;
        let logs = folder.path();
        let pair = |program: &str, role: &str| -> Result<[Process; 2]> {
            let database_url = postgres.url(DATABASE).replace("//daybook@", &format!("//{role}@"));
            let new = |number| Process::new(program, number, logs, &database_url, &nats.url());
            Ok([new(0)?, new(1)?])
        };
        let commands = pair("command-api", "daybook_command")?;
        let projectors = pair("projector", "daybook_projector")?;
        let queries = pair("query-api", "daybook_query")?;
        let addresses = Arc::new(Addresses {
            commands: commands.each_ref().map(Process::url),
            queries: queries.each_ref().map(Process::url),
            client: Client::new(),
        });
        let folder = Some(folder);
        let mut world = Self { commands, projectors, queries, postgres, nats, folder, addresses };
        world.start_services().await?;
        Ok(world)
    }

    /// Starts every service; none runs.
    pub(super) async fn start_services(&mut self) -> Result<()> {
        // All at once: in whatever order they come up, they find each other.
        try_join_all(self.services().map(Process::start)).await?;
        Ok(())
    }

    /// Every process of a service.
    pub(super) fn services(&mut self) -> impl Iterator<Item = &mut Process> {
        self.commands.iter_mut().chain(&mut self.projectors).chain(&mut self.queries)
    }

    pub(super) fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    /// The database, as its owner.
    pub(super) fn database_url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    /// A connection as the owner, who may see everything.
    pub(super) async fn owner(&self) -> Result<PgConnection> {
        PgConnection::connect(&self.database_url()).await.context("Postgres does not answer")
    }

    /// What each service said last.
    pub(super) fn last_words(&self) -> String {
        let all = self.commands.iter().chain(&self.projectors).chain(&self.queries);
        all.map(Process::last_words).collect::<Vec<_>>().join("\n")
    }

    /// Ends all of it; gives the folder with logs and data when it is to be looked at.
    pub(super) async fn stop(mut self, keep: bool) -> Result<Option<PathBuf>> {
        for process in self.services() {
            process.kill().await?;
        }
        self.nats.stop().await?;
        self.postgres.stop().await?;
        Ok(self.folder.take().filter(|_| keep).map(TempDir::keep))
    }
}
