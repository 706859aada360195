//! Builds tables beside the live ones, which are fed and served meanwhile.
//!
//! It needs no lead: nobody else uses its tables, and it touches the live ones only under the lock of their
//! checkpoint, which fences every leader. So it can run in any process that reaches the database. Only one runs at a
//! time for each schema.

use std::convert::Infallible;
use std::time::Duration;

use shared::log::keyring::Keyring;
use shared::process::leadership::{LeaderRole, hold};
use shared::process::read_schema;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::{Engine, EngineError, Tools};
use crate::status::Status;
use crate::tables;

/// How long old tables are tried to be dropped before it is left to the leader.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it says that its tables are in use.
const USED: Duration = Duration::from_hours(1);
/// Connections for each schema: one folds, one reads the log ahead, one holds locks.
const CONNECTIONS: u32 = 4;

/// What building beside needs.
#[derive(Clone)]
pub struct ShadowBuild {
    /// Connects as the projector's role, without a search path.
    pub connect: PgConnectOptions,
    /// The live tables' schema.
    pub schema: String,
    /// Opens events.
    pub keyring: Keyring,
    /// Where it says how far it is.
    pub status: watch::Sender<Status>,
}

/// Why tables could not be built beside.
#[derive(Debug, thiserror::Error)]
pub enum ShadowBuildError {
    /// Another process does.
    #[error("these tables are being rebuilt or checked by another process already; wait until it has ended")]
    Busy,
    /// The live tables are not there to be compared with.
    #[error(
        "the read tables of this release are not there yet; its projector makes them: start it, and wait until it is ready"
    )]
    Missing,
    /// The live tables are of another history than the log, so there is no position to compare at.
    #[error(
        "the read tables hold another history than the log, as after a restore; start the projector, which rebuilds them"
    )]
    Parted,
    /// Events could not be folded.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl std::fmt::Debug for ShadowBuild {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShadowBuild").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl ShadowBuild {
    /// Keeps others out for as long as the session is open.
    pub(crate) async fn enter(&self) -> Result<PgConnection, ShadowBuildError> {
        hold(&self.connect, LeaderRole::ShadowBuild(&self.schema)).await?.ok_or(ShadowBuildError::Busy)
    }

    /// Lets others in, at once: Postgres may take a moment to see that a session has ended.
    pub(crate) async fn leave(&self, mut session: PgConnection) -> sqlx::Result<()> {
        session.execute("select pg_advisory_unlock_all()").await?;
        session.close().await
    }

    /// Connections to which names without a schema mean tables of `schema`.
    pub(crate) fn pool(&self, schema: &str) -> PgPool {
        connect(self.connect.clone().options([("search_path", schema)]))
    }

    /// The same for tables beside the live ones. What a crash of Postgres takes from their end is built again; the swap
    /// is written after all of it, and waits for the disk.
    fn side_pool(&self, schema: &str) -> PgPool {
        connect(self.connect.clone().options([("search_path", schema), ("synchronous_commit", "off")]))
    }

    /// Folds into the tables of `schema`, from where they are.
    pub(crate) async fn engine(&self, schema: &str) -> Result<Engine, EngineError> {
        Engine::resume(Tools {
            pool: self.side_pool(schema),
            schema: schema.to_owned(),
            keyring: self.keyring.clone(),
            nats: None,
            status: self.status.clone(),
        })
        .await
    }

    /// Folds the log up to the event at `last`, and says meanwhile that the tables are in use.
    pub(crate) async fn fold(
        &self,
        pool: &PgPool,
        engine: &mut Engine,
        side: &str,
        last: i64,
    ) -> Result<(), EngineError> {
        tokio::select! {
            folded = engine.catch_up_to(last) => folded,
            never = keep_using(pool, side) => match never {},
        }
    }

    /// Whether a schema is there.
    pub(crate) async fn has(&self, pool: &PgPool, schema: &str) -> sqlx::Result<bool> {
        sqlx::query_scalar!(r#"select to_regnamespace($1) is not null as "there!""#, schema)
            .fetch_one(pool)
            .await
    }

    /// Gives tables beside the live ones what they need to be read. Where they are large that takes a while, and they are
    /// to be brought forward again.
    pub(crate) async fn complete(&self, side: &str) -> sqlx::Result<()> {
        tracing::info!("Making the indexes");
        read_schema::complete(&self.pool(side), side).await
    }

    /// An empty schema, whatever a predecessor left there.
    pub(crate) async fn clear(&self, pool: &PgPool, schema: &str) -> sqlx::Result<()> {
        tables::retire(pool, schema).await?;
        read_schema::begin(pool, schema).await
    }

    /// Drops what is no longer in use.
    pub(crate) async fn sweep(&self, pool: &PgPool) {
        tables::drop_gone(pool, PATIENCE).await;
    }
}

fn connect(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(CONNECTIONS).connect_lazy_with(options)
}

/// Work that takes longer than a day must not find its tables dropped.
async fn keep_using(pool: &PgPool, schema: &str) -> Infallible {
    let mut times = interval(USED);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        if let Err(error) = read_schema::ensure(pool, schema).await {
            tracing::warn!(%error, schema, "Could not say that these tables are in use; will say it again");
        }
    }
}
