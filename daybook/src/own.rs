//! Our own Postgres and NATS, as children of this process, if the operator names none.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;
use servers::nats::{self, Nats};
use servers::postgres::{self, Durability, Postgres};
use shared::process::config::Stores;
use tokio::time::Instant;

/// How long an earlier server may take to end; after that, Postgres itself says what is wrong.
const PREDECESSOR: Duration = Duration::from_secs(20);
/// The name of the database in our own Postgres.
const DATABASE: &str = "daybook";

/// The addresses of both servers, and those servers that end with us.
pub(crate) struct Servers {
    pub(crate) database_url: String,
    pub(crate) nats_url: String,
    postgres: Option<Postgres>,
    nats: Option<Nats>,
}

impl Servers {
    /// Uses the servers that were named, and starts those that were not.
    pub(crate) async fn start(stores: &Stores) -> anyhow::Result<Self> {
        let (database_url, postgres) = match stores.database()? {
            Some(url) => (url, None),
            None => own_postgres(&stores.data).await.map(|(url, server)| (url, Some(server)))?,
        };
        let (nats_url, nats) = match &stores.nats_url {
            Some(url) => (url.expose_secret().to_owned(), None),
            None => own_nats(&stores.data).await.map(|(url, server)| (url, Some(server)))?,
        };
        Ok(Self { database_url, nats_url, postgres, nats })
    }

    /// Stops the servers that were started, NATS first.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        if let Some(mut nats) = self.nats {
            nats.stop().await?;
        }
        if let Some(postgres) = self.postgres {
            postgres.shutdown().await?;
        }
        Ok(())
    }
}

async fn own_postgres(data: &Path) -> anyhow::Result<(String, Postgres)> {
    wait_for_predecessor(&data.join("postgres")).await;
    let options = postgres::Options {
        data: data.join("postgres"),
        durability: Durability::Durable,
        settings: Vec::new(),
    };
    let server = Postgres::start(options).await.context("Postgres did not start")?;
    server.create_database(DATABASE).await?;
    Ok((server.url(DATABASE), server))
}

/// After a kill -9 the earlier server is still ending. We hold the lock of the data folder, so it will be gone soon.
async fn wait_for_predecessor(data: &Path) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let deadline = Instant::now() + PREDECESSOR;
    while Instant::now() < deadline && runs(data) {
        ticks.tick().await;
    }
}

/// Whether a Postgres runs on a data folder: the first line of its file names a living process.
fn runs(data: &Path) -> bool {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    file.lines().next().is_some_and(|pid| Path::new("/proc").join(pid.trim()).exists())
}

async fn own_nats(data: &Path) -> anyhow::Result<(String, Nats)> {
    let server = Nats::start(nats::Options { store: data.join("nats"), port: None })
        .await
        .context("NATS did not start")?;
    Ok((server.url(), server))
}
