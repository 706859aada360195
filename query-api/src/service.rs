//! Starting the query API: the read position, the gateway, and what the reads work with.

use std::sync::Mutex;

use shared::domain::clock::Clock;
use shared::log::encryption::MasterKey;
use shared::log::keyring::Keyring;
use shared::log::server_keys::ServerKeys;
use shared::process::auth::Verifier;
use shared::process::http::{Health, Origins};
use shared::process::jetstream::Client;
use shared::process::lifecycle::Shutdown;
use shared::process::postgres::{DatabaseRole, complaint, pool};
use shared::process::read_schema;
use shared::process::service::Process;
use utoipa_axum::router::OpenApiRouter;

use crate::live::{self, Live};
use crate::watermark::Watermark;
use crate::{Parts, QueryApp};

/// Connections for reads, and for sockets that catch up.
const CONNECTIONS: u32 = 24;
/// Connections of a separate process for other tables than the read tables: keys, and ended sessions.
const OTHER_CONNECTIONS: u32 = 2;

/// What the query API needs to start.
pub struct Setup {
    /// The database. The address' user must be `daybook_query`, or allowed to become it.
    pub database_url: String,
    /// NATS, if there is one.
    pub nats: Option<Client>,
    /// Wraps all keys.
    pub master: MasterKey,
    /// The time.
    pub clock: Clock,
    /// Reads access tokens.
    pub verifier: Verifier,
    /// The server's own keys.
    pub keys: ServerKeys,
    /// How the gateway behaves.
    pub live: live::Settings,
}

/// A query API that runs.
#[derive(Clone)]
pub struct Running {
    /// What the reads work with.
    pub app: QueryApp,
    /// The gateway.
    pub live: Live,
}

/// Starts following the watermark and the feed.
pub fn start(setup: Setup, shutdown: &Shutdown) -> sqlx::Result<Running> {
    let pool = pool(&setup.database_url, DatabaseRole::Query, Some(read_schema::name()), CONNECTIONS)?;
    let watermark = Watermark::start(pool.clone(), setup.nats, shutdown);
    let parts = live::Parts {
        pool: pool.clone(),
        keyring: Keyring::new(setup.master, pool.clone()),
        watermark: watermark.clone(),
        verifier: setup.verifier.clone(),
        clock: setup.clock,
        shutdown: shutdown.clone(),
    };
    let live = Live::start(parts, setup.live);
    let app = QueryApp::new(Parts { pool, watermark, verifier: setup.verifier, keys: setup.keys });
    Ok(Running { app, live })
}

/// Runs the query API as a process of its own, until the process is told to stop.
pub async fn run(process: Process, origins: &Origins, live: live::Settings) -> anyhow::Result<()> {
    let pool = pool(&process.database_url, DatabaseRole::Query, None, OTHER_CONNECTIONS)?;
    let keys = ServerKeys::load(&pool, &process.master).await?;
    let setup = Setup {
        database_url: process.database_url.clone(),
        nats: process.nats.clone(),
        master: process.master.clone(),
        clock: Clock::System,
        verifier: Verifier::start(&keys, Clock::System, pool, &process.shutdown),
        keys,
        live,
    };
    let Running { app, live } = start(setup, &process.shutdown)?;
    let ready = Ready { app: app.clone(), caught_up: Mutex::default(), shutdown: process.shutdown.clone() };
    let routes = crate::routes().with_state(app).merge(live::routes().with_state(live.clone()));
    let api = OpenApiRouter::new().nest("/api/v1", routes);
    process.serve(api.split_for_parts().0, origins, ready).await;
    live.closed().await;
    Ok(())
}

/// Whether the process can do its work. The projector may be away: what the tables hold can still be read.
struct Ready {
    app: QueryApp,
    /// The history in which the read tables had caught up.
    caught_up: Mutex<String>,
    shutdown: Shutdown,
}

impl Ready {
    fn building(&self) -> Option<String> {
        let mark = self.app.watermark.current();
        if mark.epoch.is_empty() {
            return Some(
                "The read tables do not exist yet. The projector creates them. Is it running?".to_owned(),
            );
        }
        let mut caught_up = self.caught_up.lock().expect("nobody panics while holding this lock");
        if mark.position + read_schema::NEAR >= mark.head {
            caught_up.clone_from(&mark.epoch);
        }
        (*caught_up != mark.epoch)
            .then(|| format!("The read tables are being built: {} of {} events.", mark.position, mark.head))
    }
}

impl Health for Ready {
    async fn complaints(&self) -> Vec<String> {
        let database = complaint(&self.app.pool).await;
        self.shutdown.complaint().into_iter().chain(database).chain(self.building()).collect()
    }
}
