//! `daybook up`: all services in this process on one port, with servers of our own unless you name yours.

use std::net::SocketAddr;

use anyhow::Context;
use command_api::service::Setup;
use command_api::users::Registration;
use projector::Status;
use shared::clock::Clock;
use shared::config::Stores;
use shared::http::{Health, serve, surround};
use shared::lifecycle::{Shutdown, on_signal};
use shared::postgres::{DatabaseRole, options, pool};
use shared::read_schema;
use shared::seal::{Keyring, MasterKey};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::own::Servers;
use crate::{api, output, running};

#[derive(clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    stores: Stores,
    /// Where to listen.
    #[arg(long, env = "DAYBOOK_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Who may make an account; by default everybody on a loopback address, nobody elsewhere.
    #[arg(long, env = "DAYBOOK_REGISTRATION", value_enum)]
    registration: Option<Registration>,
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shutdown = on_signal()?;
        let _hold = running::hold(&self.stores.data)?;
        let listener = TcpListener::bind(self.listen).await.with_context(|| {
            format!(
                "{} cannot be listened on; choose another address with --listen (or DAYBOOK_LISTEN)",
                self.listen
            )
        })?;
        let master = self.stores.master_key()?;
        let servers = Servers::start(&self.stores).await?;
        let ended = self.serve(listener, &servers, master, shutdown).await;
        running::clear(&self.stores.data);
        servers.stop().await?;
        ended
    }

    async fn serve(
        &self,
        listener: TcpListener,
        servers: &Servers,
        master: MasterKey,
        shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        let url = &servers.database_url;
        shared::migrate::migrate(url, &master).await?;
        let nats = shared::jetstream::connect(&servers.nats_url, "daybook").await?;
        let setup = Setup {
            database_url: url.clone(),
            nats: Some(nats.clone()),
            master: master.clone(),
            clock: Clock::System,
            registration: self.registration(),
            throwaway: self.stores.throwaway,
        };
        let commands = command_api::service::start(setup, &shutdown).await?;
        let projector = start_projector(url, &nats, &master, shutdown.clone())?;
        let queries = query_api::service::start(
            query_api::service::Setup {
                database_url: url.clone(),
                nats: Some(nats.clone()),
                master,
                clock: Clock::System,
                verifier: commands.app.verifier.clone(),
                keys: commands.app.keys.clone(),
                live: query_api::live::Settings::default(),
            },
            &shutdown,
        )?;
        let (routes, document) = api::routes(commands.app.clone(), queries.clone());
        let ready = Ready { pool: commands.app.pool.clone(), projector: projector.status };
        let address = listener.local_addr()?;
        say_where(&running::write(&self.stores.data, address, url)?);
        serve(listener, surround(routes, document, ready), shutdown).await;
        queries.live.closed().await;
        commands.stop().await;
        // A task that panicked has said so already.
        _ = projector.task.await;
        Ok(())
    }

    fn registration(&self) -> Registration {
        let by_default =
            if self.listen.ip().is_loopback() { Registration::Open } else { Registration::Closed };
        self.registration.unwrap_or(by_default)
    }
}

struct Projector {
    status: watch::Receiver<Status>,
    task: JoinHandle<()>,
}

fn start_projector(
    url: &str,
    nats: &shared::jetstream::Client,
    master: &MasterKey,
    shutdown: Shutdown,
) -> anyhow::Result<Projector> {
    let (role, schema) = (DatabaseRole::Projector, Some(read_schema::name()));
    let pool = pool(url, role, schema, 4)?;
    let handles = projector::Handles {
        connect: options(url, role, schema)?,
        keyring: Keyring::new(master.clone(), pool.clone()),
        pool,
        nats: Some(nats.clone()),
    };
    let (sender, status) = watch::channel(Status::default());
    Ok(Projector { status, task: tokio::spawn(projector::run(handles, sender, shutdown)) })
}

/// Whether the process can do its work.
struct Ready {
    pool: PgPool,
    projector: watch::Receiver<Status>,
}

impl Health for Ready {
    async fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if let Err(cause) = sqlx::query("select 1").execute(&self.pool).await {
            tracing::warn!(%cause, "The database does not answer");
            complaints.push("The database does not answer.".to_owned());
        }
        let status = self.projector.borrow().clone();
        if let Some(fault) = &status.fault {
            complaints.push(format!(
                "The projector stands still at the event at position {}: {}.",
                fault.position, fault.why
            ));
        } else if !status.is_ready() {
            complaints.push(format!(
                "The read tables are being built: {} of {} events.",
                status.position, status.head
            ));
        }
        complaints
    }
}

fn say_where(url: &str) {
    output::line(&format!(
        "\nDaybook runs at {url}\n\n  try it out   {url}/docs\n  is it well   {url}/readyz\n  a session    see \"A first session\" in README.md\n\nCtrl-C stops it."
    ));
}
