//! Starting the command API: the log's writer, the relay, and what the routes work with.

use std::time::Duration;

use async_nats::Client;
use shared::domain::clock::Clock;
use shared::log::encryption::MasterKey;
use shared::log::epoch::{self, EpochId};
use shared::log::keyring::Keyring;
use shared::log::server_keys::ServerKeys;
use shared::process::auth::Verifier;
use shared::process::http::{Health, Origins};
use shared::process::jetstream::Retention;
use shared::process::lifecycle::Shutdown;
use shared::process::postgres::{DatabaseRole, complaint, options, pool, refuse_forgetful};
use shared::process::service::Process;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use utoipa_axum::router::OpenApiRouter;

use crate::accounts::{Accounts, Registration};
use crate::app::{App, Cache, Parts, Snapshots};
use crate::containers;
use crate::log::Log;
use crate::relay::{self, Relay};
use crate::sessions::refuse_ended;

/// Connections for requests; the writer and the leaders have their own.
const CONNECTIONS: u32 = 16;

/// How often a process asks which history is in force.
const POLL: Duration = Duration::from_millis(250);

/// What the command API needs to start.
pub struct Setup {
    /// The database. The address' user must be `daybook_command`, or allowed to become it.
    pub database_url: String,
    /// NATS, if there is one.
    pub nats: Option<Client>,
    /// Wraps all keys.
    pub master: MasterKey,
    /// Time and ids.
    pub clock: Clock,
    /// Accept a database that may lose what it acknowledged.
    pub throwaway: bool,
}

/// A command API that runs.
pub struct Running {
    /// What its routes work with.
    pub app: App,
    writer: JoinHandle<()>,
    relay: Option<JoinHandle<()>>,
    stop: Shutdown,
}

/// Starts the writer and the relay.
pub async fn start(setup: Setup, shutdown: &Shutdown) -> anyhow::Result<Running> {
    let role = DatabaseRole::Command;
    let pool = pool(&setup.database_url, role, None, CONNECTIONS)?;
    if !setup.throwaway {
        refuse_forgetful(&pool).await?;
    }
    let keys = ServerKeys::load(&pool, &setup.master).await?;
    // The writer outlives the requests that wait for it.
    let stop = shutdown.later();
    let (log, writing) = Log::new(&options(&setup.database_url, role, None)?, setup.clock, stop.token());
    let writer = shutdown.essential("writer", writing);
    let relay = setup.nats.map(|nats| {
        let relay =
            Relay { pool: pool.clone(), nats, appended: log.appended(), retention: Retention::default() };
        shutdown.essential("relay", relay::run(relay, stop.clone()))
    });
    let app = App::new(Parts {
        log,
        keyring: Keyring::new(setup.master, pool.clone()),
        verifier: Verifier::start(&keys, setup.clock, pool.clone(), shutdown),
        keys,
        clock: setup.clock,
        cache: Cache::default(),
        snapshots: Snapshots::default(),
        guard: refuse_ended,
        chain: containers::chain,
        epoch: follow_epoch(pool.clone(), shutdown),
        pool,
    });
    Ok(Running { app, writer, relay, stop })
}

/// Asks which history positions count in, until `shutdown`.
fn follow_epoch(pool: PgPool, shutdown: &Shutdown) -> watch::Receiver<Option<EpochId>> {
    let (sender, receiver) = watch::channel(None);
    let told = shutdown.clone();
    shutdown.essential("epoch follower", async move {
        let mut ticks = tokio::time::interval(POLL);
        while told.run_until_cancelled(ticks.tick()).await.is_some() {
            // Postgres away: what was known stays true until it is back.
            if let Ok(Some(now)) = epoch::current(&pool).await {
                sender.send_if_modified(|known| {
                    let news = known.as_ref() != Some(&now.epoch);
                    *known = Some(now.epoch);
                    news
                });
            }
        }
    });
    receiver
}

impl Running {
    /// Writes what still waits, and ends. Call it when no request is under way any more.
    pub async fn stop(self) {
        self.stop.cancel();
        // A task that panicked has said so already.
        _ = self.writer.await;
        if let Some(relay) = self.relay {
            _ = relay.await;
        }
    }
}

/// Runs the command API as a process of its own, until the process is told to stop.
pub async fn run(process: Process, registration: Registration, origins: &Origins) -> anyhow::Result<()> {
    let setup = Setup {
        database_url: process.database_url.clone(),
        nats: process.nats.clone(),
        master: process.master.clone(),
        clock: Clock::System,
        throwaway: process.throwaway,
    };
    let running = start(setup, &process.shutdown).await?;
    let app = running.app.clone();
    let ready = Ready { pool: app.pool.clone(), shutdown: process.shutdown.clone() };
    let keys = crate::jwks(&app.verifier);
    let accounts = Accounts::new(app.clone(), registration);
    let routes = crate::routes().with_state(app).merge(crate::accounts::routes().with_state(accounts));
    let api = OpenApiRouter::new().nest("/api/v1", routes);
    process.serve(api.split_for_parts().0.merge(keys), origins, ready).await;
    running.stop().await;
    Ok(())
}

/// Whether the process can do its work.
struct Ready {
    pool: PgPool,
    shutdown: Shutdown,
}

impl Health for Ready {
    async fn complaints(&self) -> Vec<String> {
        self.shutdown.complaint().into_iter().chain(complaint(&self.pool).await).collect()
    }
}
