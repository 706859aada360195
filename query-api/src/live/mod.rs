//! Live: one WebSocket per client. It carries every event that the client may see, in order, once, as soon as it can
//! be read.
//!
//! Each process reads the log once ([`feed`]) up to the read position. It keeps the recent events in memory
//! ([`ring`]), together with what decides who sees them ([`access`]). [`hub`] holds both under one lock, with the
//! open sockets. A socket ([`connection`]) is either live, fed through a bounded queue, or in catch-up
//! ([`catch_up`]), where it reads at its own pace. It starts in catch-up, and falls back into it whenever its queue
//! is full.
//!
//! To add a frame: a variant in [`frames`], its arm in [`connection`], its line in docs/live.md.

mod access;
mod catch_up;
mod connection;
mod feed;
mod frames;
mod hub;
mod load;
mod options;
mod ring;
mod tickets;
mod topics;
mod upgrade;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use shared::domain::access::{Action, Container, Principal};
use shared::domain::clock::Clock;
use shared::log::encryption::EncryptionError;
use shared::log::event_log;
use shared::log::keyring::Keyring;
use shared::process::auth::Verifier;
use shared::process::http::{Api, Origins};
use shared::process::lifecycle::Shutdown;
use shared::process::open_files;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::watermark::Watermark;
use access::News;
use hub::{Hub, Loaded};
use ring::Pushed;

pub use options::Options;

/// How often rows are loaded again when the feed ran away from them meanwhile.
const LOADS: usize = 5;

/// How the gateway behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Origins other than our own host whose pages may open sockets, such as `https://app.example.org`.
    pub origins: Origins,
    /// Sockets open at once in this process; further clients are asked to try again later.
    pub sockets: usize,
    /// Of those, how many may be open before their `hello` has named their person; at most half of all.
    pub strangers: usize,
    /// Sockets of one person in this process.
    pub sockets_each: usize,
    /// How often a socket gets `progress` and a ping.
    pub heartbeat: Duration,
    /// How long a client may take to send `hello`.
    pub hello_within: Duration,
    /// Recent events kept in memory, for short gaps.
    pub ring_events: usize,
    /// The same, in bytes.
    pub ring_bytes: usize,
    /// Events that may wait for one socket before it goes back into catch-up.
    pub queue: usize,
    /// Events read or sent at a time in catch-up.
    pub page: usize,
    /// Pages of catch-up read from the database at the same time.
    pub catch_ups: usize,
    /// Containers of which it is remembered where they are.
    pub places: usize,
}

/// What the gateway works with.
pub struct Parts {
    /// Runs as the query role; its search path is the read schema.
    pub pool: PgPool,
    /// Opens events.
    pub keyring: Keyring,
    /// How far may be shown.
    pub watermark: Watermark,
    /// Verifies tokens, and knows ended sessions.
    pub verifier: Verifier,
    /// The time.
    pub clock: Clock,
    /// When to end.
    pub shutdown: Shutdown,
}

/// The live gateway of one process; clones share it.
#[derive(Clone)]
pub struct Live {
    pool: PgPool,
    keyring: Keyring,
    watermark: Watermark,
    verifier: Verifier,
    clock: Clock,
    shutdown: Shutdown,
    settings: Arc<Settings>,
    hub: Arc<Hub>,
    catch_ups: Arc<Semaphore>,
    /// Permits for sockets, and for sockets whose person is not known yet.
    permits: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    open: TaskTracker,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            origins: Origins::default(),
            sockets: 10_000,
            strangers: 1_000,
            sockets_each: 100,
            heartbeat: Duration::from_secs(15),
            hello_within: Duration::from_secs(10),
            ring_events: 8192,
            ring_bytes: 16 * 1024 * 1024,
            queue: 256,
            page: 256,
            catch_ups: 4,
            places: 200_000,
        }
    }
}

impl Live {
    /// Starts the feed, which runs until shutdown. Sockets are refused until there is something to read.
    pub fn start(parts: Parts, settings: Settings) -> Self {
        let permits = settings.sockets.min(open_files::for_peers() / 2);
        if permits < settings.sockets {
            tracing::warn!(
                permits,
                "Fewer sockets than were asked for, as the process may have so few files open"
            );
        }
        let live = Self {
            pool: parts.pool,
            keyring: parts.keyring,
            watermark: parts.watermark,
            verifier: parts.verifier,
            clock: parts.clock,
            shutdown: parts.shutdown,
            hub: Arc::new(Hub::new(&settings)),
            catch_ups: Arc::new(Semaphore::new(settings.catch_ups)),
            permits: Arc::new(Semaphore::new(permits)),
            strangers: Arc::new(Semaphore::new(settings.strangers.min((permits / 2).max(1)))),
            settings: Arc::new(settings),
            open: TaskTracker::new(),
        };
        let feeding = live.clone();
        live.shutdown.essential("live feed", async move {
            feeding.shutdown.run_until_cancelled(feed::run(&feeding)).await;
        });
        live
    }

    /// Waits until every socket has said goodbye. Call it after shutdown was told.
    pub async fn closed(&self) {
        self.open.close();
        self.open.wait().await;
    }

    /// Makes sure that it is known where these containers are.
    async fn know(&self, containers: Vec<Container>) -> Result<(), sqlx::Error> {
        for _ in 0..LOADS {
            let unknown = self.hub.unknown(&containers);
            if unknown.is_empty() {
                return Ok(());
            }
            let turn = self.hub.turn();
            let known = load::places(&self.pool, &unknown).await?;
            let news = self.news_up_to(known.position()).await?;
            self.hub.take_in(Loaded { turn, known, news });
        }
        Err(behind())
    }

    /// The grants of these, and what happened from what is known until then.
    async fn grants(&self, principals: &[Principal]) -> Result<Loaded, sqlx::Error> {
        let turn = self.hub.turn();
        let known = load::grants(&self.pool, principals).await?;
        let news = self.news_up_to(known.position()).await?;
        Ok(Loaded { turn, known, news })
    }

    /// Reads the grants of all who are connected again.
    async fn readmit(&self) -> Result<(), sqlx::Error> {
        for _ in 0..LOADS {
            let known = self.hub.leave_tables();
            let loaded = self.grants(&known).await?;
            if self.hub.readmit(loaded) {
                return Ok(());
            }
        }
        Err(behind())
    }

    /// What happened to access after what is known and up to a position, which may be ahead of the feed.
    async fn news_up_to(&self, position: i64) -> Result<Vec<News>, sqlx::Error> {
        let known = self.hub.known_at();
        if position <= known {
            return Ok(Vec::new());
        }
        let (mut with_effects, mut at) = (Vec::new(), known);
        while at < position {
            let limit = feed::BATCH.min(position - at);
            let read = event_log::unchecked_after(&self.pool, at, limit).await?;
            let Some(last) = read.last().map(|event| event.position) else { break };
            at = last;
            with_effects
                .extend(read.iter().filter(|event| event.effects.is_some()).map(|event| event.position));
        }
        let mut events = Vec::with_capacity(with_effects.len());
        for header in event_log::headers_at(&self.pool, &with_effects).await? {
            let owner = header.owner.clone();
            match self.keyring.check(header).await {
                Ok(recorded) => events.push(Pushed::silent(feed::judged(&recorded, owner.as_deref()))),
                // The projector quarantines what it is about, too.
                Err(cause @ EncryptionError::Altered(_)) => {
                    tracing::error!(%cause, "An event does nothing to access");
                }
                Err(cause) => {
                    let database = cause.into_database();
                    return Err(database.unwrap_or_else(|other| sqlx::Error::Protocol(other.to_string())));
                }
            }
        }
        Pushed::hide(&mut events, load::hidden(&self.pool, known, position).await?);
        Ok(events.into_iter().map(|event| event.news).collect())
    }
}

/// The routes of the gateway.
pub fn routes() -> OpenApiRouter<Live> {
    let api = Api::new()
        .route(Action::LiveOpen, routes!(upgrade::open))
        .route(Action::LiveTicket, routes!(tickets::buy));
    api.into_router()
}

impl FromRef<Live> for Verifier {
    fn from_ref(live: &Live) -> Self {
        live.verifier.clone()
    }
}

/// The read tables say that they are behind what was already pushed from them.
fn behind() -> sqlx::Error {
    sqlx::Error::Protocol("the read tables are behind the feed".to_owned())
}
