//! Starting the query API: the watermark, the gateway, and what the reads work with.

use shared::auth::Verifier;
use shared::clock::Clock;
use shared::jetstream::Client;
use shared::lifecycle::Shutdown;
use shared::postgres::{DatabaseRole, pool};
use shared::read_schema;
use shared::seal::{Keyring, MasterKey};
use shared::server_keys::ServerKeys;

use crate::live::{self, Live};
use crate::watermark::Watermark;
use crate::{Parts, QueryApp};

/// Connections for reads, and for sockets that catch up.
const CONNECTIONS: u32 = 24;

/// What the query API needs to start.
pub struct Setup {
    /// The database. The address' user must be allowed to become `daybook_query`.
    pub database_url: String,
    /// The carrier, if there is one.
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
