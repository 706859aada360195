//! A service as a program of its own: how it starts, and how it ends. It never migrates.

use std::process::ExitCode;

use axum::Router;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use utoipa::openapi::OpenApi;

use crate::log::encryption::MasterKey;
use crate::process::config::{self, Service};
use crate::process::http::{Health, Origins, Tls, middleware, serve};
use crate::process::jetstream::{self, Client};
use crate::process::lifecycle::{Shutdown, on_signal};
use crate::process::migrate::ensure_current;
use crate::process::postgres::{DatabaseRole, pool, reach, refuse_forgetful};
use crate::process::telemetry::Format;

/// What a service works with that has a process to itself.
pub struct Process {
    /// The address of the database, which is migrated to this release.
    pub database_url: String,
    /// NATS, if there is one.
    pub nats: Option<Client>,
    /// Wraps all keys.
    pub master: MasterKey,
    /// Accept a database that may lose what it acknowledged.
    pub throwaway: bool,
    /// Cancelled when it is time to end.
    pub shutdown: Shutdown,
    listener: TcpListener,
    tls: Option<Tls>,
}

/// Logs, gets ready, does `work`, and says how that ended. `name` is what logs, traces and NATS know the service by.
pub async fn run<const PORT: u16>(
    name: &'static str,
    service: &Service<PORT>,
    role: DatabaseRole,
    work: impl AsyncFnOnce(Process) -> anyhow::Result<()>,
) -> ExitCode {
    let telemetry = service.logs.start(name, Format::Json);
    let ended = async {
        let process = Process::start(name, service, role).await?;
        let shutdown = process.shutdown.clone();
        shutdown.supervise(work(process)).await
    };
    let ended = ended.await;
    telemetry.finish();
    if let Err(error) = ended {
        // Each cause is a sentence for the operator.
        tracing::error!("{error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

impl Process {
    async fn start<const PORT: u16>(
        name: &str,
        service: &Service<PORT>,
        role: DatabaseRole,
    ) -> anyhow::Result<Self> {
        let shutdown = on_signal()?;
        let master = service.master_key()?;
        let tls = service.tls()?;
        let listener = config::listen(service.listen).await?;
        let database_url = service.database()?;
        check(&database_url, role, service.throwaway).await?;
        let nats = match &service.nats_url {
            Some(url) => Some(jetstream::connect(url.expose_secret(), name).await?),
            None => None,
        };
        Ok(Self { database_url, nats, master, throwaway: service.throwaway, shutdown, listener, tls })
    }

    /// Serves the routes and everything around them, until it is time to end and what was under way is done.
    pub async fn serve(self, api: Router, origins: &Origins, health: impl Health) {
        if let Ok(address) = self.listener.local_addr() {
            let scheme = if self.tls.is_some() { "https" } else { "http" };
            tracing::info!(url = format!("{scheme}://{address}"), "Listening");
        }
        let router = middleware(api, whole_api(), origins, health);
        serve(self.listener, self.tls, router, self.shutdown).await;
    }
}

async fn check(url: &str, role: DatabaseRole, throwaway: bool) -> anyhow::Result<()> {
    let pool = pool(url, role, None, 1)?;
    reach(&pool, role).await?;
    ensure_current(&pool).await?;
    if !throwaway {
        refuse_forgetful(&pool).await?;
    }
    pool.close().await;
    Ok(())
}

/// The routes of all services together: a client need not know which one is behind an address.
fn whole_api() -> OpenApi {
    serde_json::from_str(include_str!("../../../docs/openapi.json"))
        .expect("a test holds this file to what the services' routes say")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_description_can_be_read() {
        assert!(super::whole_api().paths.paths.contains_key("/api/v1/live"));
    }
}
