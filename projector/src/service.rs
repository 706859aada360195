//! Starting the projector, beside other services in one process or alone in its own.

use axum::Router;
use command_api::app::App;
use shared::domain::clock::Clock;
use shared::log::encryption::MasterKey;
use shared::log::keyring::Keyring;
use shared::process::http::{Health, Origins};
use shared::process::jetstream::Client;
use shared::process::lifecycle::Shutdown;
use shared::process::postgres::{DatabaseRole, complaint, options, pool};
use shared::process::read_schema;
use shared::process::service::Process;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Handles, Status, policies};

/// Connections for reading the log and writing the tables; the lead has its own.
const CONNECTIONS: u32 = 5;

/// What the projector needs to start.
pub struct Setup {
    /// The database. The address' user must be `daybook_projector`, or allowed to become it.
    pub database_url: String,
    /// NATS, if there is one.
    pub nats: Option<Client>,
    /// Wraps all keys.
    pub master: MasterKey,
    /// The command path for the policies.
    pub command_path: App,
}

/// A projector that runs.
pub struct Running {
    /// How far it is, for readiness.
    pub status: watch::Receiver<Status>,
    pool: PgPool,
    tasks: [JoinHandle<()>; 2],
}

/// Starts standing for both leads: of the tables, and of the policies.
pub fn start(setup: Setup, shutdown: &Shutdown) -> sqlx::Result<Running> {
    let (role, schema) = (DatabaseRole::Projector, Some(read_schema::name()));
    let pool = pool(&setup.database_url, role, schema, CONNECTIONS)?;
    let handles = Handles {
        schema: read_schema::name().to_owned(),
        connect: options(&setup.database_url, role, schema)?,
        keyring: Keyring::new(setup.master, pool.clone()),
        pool: pool.clone(),
        nats: setup.nats,
    };
    let policies = policies::Handles {
        app: setup.command_path,
        connect: handles.connect.clone(),
        pool: pool.clone(),
        pause: policies::PAUSE,
    };
    let (sender, status) = watch::channel(Status::default());
    let tasks = [
        shutdown.essential("projector", crate::run(handles, sender, shutdown.clone())),
        shutdown.essential("policies", policies::run(policies, shutdown.clone())),
    ];
    Ok(Running { status, pool, tasks })
}

impl Running {
    /// Waits until it has let go of the leads. Call it after shutdown was told.
    pub async fn stopped(self) {
        for task in self.tasks {
            // A task that panicked has said so already.
            _ = task.await;
        }
    }
}

/// Runs the projector as a process of its own, until the process is told to stop.
pub async fn run(process: Process) -> anyhow::Result<()> {
    // A command path for the policies alone. Without NATS it relays nothing; the relay elsewhere polls the log.
    let command_path = command_api::service::Setup {
        database_url: process.database_url.clone(),
        nats: None,
        master: process.master.clone(),
        clock: Clock::System,
        throwaway: process.throwaway,
    };
    let command_path = command_api::service::start(command_path, &process.shutdown).await?;
    let setup = Setup {
        database_url: process.database_url.clone(),
        nats: process.nats.clone(),
        master: process.master.clone(),
        command_path: command_path.app.clone(),
    };
    let running = start(setup, &process.shutdown)?;
    let ready = Ready {
        pool: running.pool.clone(),
        status: running.status.clone(),
        shutdown: process.shutdown.clone(),
    };
    // It has no API of its own; it only says how it is.
    process.serve(Router::new(), &Origins::default(), ready).await;
    running.stopped().await;
    command_path.stop().await;
    Ok(())
}

/// Whether the process can do its work.
struct Ready {
    pool: PgPool,
    status: watch::Receiver<Status>,
    shutdown: Shutdown,
}

impl Health for Ready {
    async fn complaints(&self) -> Vec<String> {
        let database = complaint(&self.pool).await;
        let tables = self.status.borrow().complaint();
        self.shutdown.complaint().into_iter().chain(database).chain(tables).collect()
    }
}
