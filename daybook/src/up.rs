//! `daybook up`: all services in this process on one port, with its own Postgres and NATS unless you name yours.

use std::net::SocketAddr;

use command_api::accounts::{Accounts, Registration};
use command_api::service::Setup;
use projector::Status;
use shared::domain::clock::Clock;
use shared::log::encryption::MasterKey;
use shared::process::config::{self, Stores};
use shared::process::http::{Health, Origins, middleware, serve};
use shared::process::lifecycle::{Shutdown, on_signal};
use shared::process::postgres::complaint;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::own::Servers;
use crate::{api, output, running};

#[derive(clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    stores: Stores,
    /// The address to listen on.
    #[arg(long, env = "DAYBOOK_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Who may create an account. Default: open on a loopback address, closed elsewhere.
    #[arg(long, env = "DAYBOOK_REGISTRATION", value_enum)]
    registration: Option<Registration>,
    #[command(flatten)]
    live: query_api::live::Options,
    #[command(flatten)]
    origins: Origins,
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shutdown = on_signal()?;
        let _hold = running::hold(&self.stores.data)?;
        let listener = config::listen(self.listen).await?;
        let master = self.stores.master_key()?;
        let servers = Servers::start(&self.stores).await?;
        let ended =
            Box::pin(shutdown.supervise(self.serve(listener, &servers, master, shutdown.clone()))).await;
        running::clear(&self.stores.data);
        let stopped = servers.stop().await;
        ended.and(stopped)
    }

    async fn serve(
        &self,
        listener: TcpListener,
        servers: &Servers,
        master: MasterKey,
        shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        let url = &servers.database_url;
        shared::process::migrate::migrate(url, &master).await?;
        let nats = shared::process::jetstream::connect(&servers.nats_url, "daybook").await?;
        let setup = Setup {
            database_url: url.clone(),
            nats: Some(nats.clone()),
            master: master.clone(),
            clock: Clock::System,
            throwaway: self.stores.throwaway,
        };
        let commands = command_api::service::start(setup, &shutdown).await?;
        let projector = projector::service::start(
            projector::service::Setup {
                database_url: url.clone(),
                nats: Some(nats.clone()),
                master: master.clone(),
                command_path: commands.app.clone(),
            },
            &shutdown,
        )?;
        let queries = query_api::service::start(
            query_api::service::Setup {
                database_url: url.clone(),
                nats: Some(nats),
                master,
                clock: Clock::System,
                verifier: commands.app.verifier.clone(),
                keys: commands.app.keys.clone(),
                live: self.live.settings(&self.origins),
            },
            &shutdown,
        )?;
        let registration = self.registration.unwrap_or_else(|| Registration::by_default(self.listen));
        let accounts = Accounts::new(commands.app.clone(), registration);
        let (routes, document) = api::routes(accounts, queries.clone());
        let ready = Ready {
            pool: commands.app.pool.clone(),
            projector: projector.status.clone(),
            shutdown: shutdown.clone(),
        };
        let address = listener.local_addr()?;
        say_where(&running::write(&self.stores.data, address, url)?);
        serve(listener, None, middleware(routes, document, &self.origins, ready), shutdown).await;
        queries.live.closed().await;
        projector.stopped().await;
        commands.stop().await;
        Ok(())
    }
}

/// Whether the process can do its work.
struct Ready {
    pool: PgPool,
    projector: watch::Receiver<Status>,
    shutdown: Shutdown,
}

impl Health for Ready {
    async fn complaints(&self) -> Vec<String> {
        let database = complaint(&self.pool).await;
        let tables = self.projector.borrow().complaint();
        self.shutdown.complaint().into_iter().chain(database).chain(tables).collect()
    }
}

fn say_where(url: &str) {
    output::line(&format!(
        "\nDaybook runs at {url}\n\n  try it out   {url}/docs\n  is it well   {url}/readyz\n  a session    see \"A first session\" in README.md\n\nCtrl-C stops it."
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_not_ready_once_an_essential_task_has_ended() {
        let pool = PgPool::connect_lazy("postgres://nowhere.invalid/none").expect("a well-formed address");
        pool.close().await;
        let shutdown = Shutdown::new();
        let (_sender, projector) = watch::channel(Status::default());
        let ready = Ready { pool, projector, shutdown: shutdown.clone() };
        let about_tasks = async || {
            let complaints = ready.complaints().await;
            complaints.into_iter().filter(|complaint| complaint.contains("task")).collect::<Vec<_>>()
        };
        assert!(about_tasks().await.is_empty());
        shutdown.essential("writer", async {}).await.expect("it was caught");
        assert_eq!(about_tasks().await, ["The task \"writer\" has ended, so the process is ending."]);
    }
}
