//! The life of the projector: stand for the lead, write while leading, watch while not.

use std::convert::Infallible;
use std::time::Duration;

use async_nats::Client;
use shared::log::epoch;
use shared::log::event_log;
use shared::log::keyring::Keyring;
use shared::process::leadership::{LeaderRole, lead};
use shared::process::lifecycle::Shutdown;
use shared::process::read_schema;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::checkpoint::Checkpoint;
use crate::engine::{Engine, EngineError, Tools};
use crate::quarantine;
use crate::standing::{stand_down, until_passable};
use crate::status::Status;
use crate::tables;

/// How often a standby looks how far the leader is.
const LOOK: Duration = Duration::from_millis(250);

/// How often the leader drops unused schemas.
const HOUSEKEEPING: Duration = Duration::from_hours(1);
/// How long it then tries to drop a table that is still being read.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the projector needs of its process.
#[derive(Clone)]
pub struct Handles {
    /// How to open the session that holds the lead, as the projector's role.
    pub connect: PgConnectOptions,
    /// The read schema: [`shared::process::read_schema::name`].
    pub schema: String,
    /// Connections as the projector's role, with that schema as search path; 5 are enough.
    pub pool: PgPool,
    /// Opens events.
    pub keyring: Keyring,
    /// NATS, if there is one; everything works without, within half a second.
    pub nats: Option<Client>,
}

/// Keeps the read tables at the end of the log until `shutdown`, or watches the process that does.
pub async fn run(handles: Handles, status: watch::Sender<Status>, shutdown: Shutdown) {
    let tools = Tools {
        pool: handles.pool.clone(),
        schema: handles.schema.clone(),
        keyring: handles.keyring,
        nats: handles.nats,
        status: status.clone(),
    };
    let role = LeaderRole::Projector(&handles.schema);
    let leading = async {
        while !shutdown.is_cancelled() {
            let standing = shutdown.child_token();
            lead(&handles.connect, role, &standing, |term| work(tools.clone(), term, standing.clone())).await;
            until_passable(&handles.pool, &status, &shutdown).await;
        }
    };
    tokio::join!(leading, watch_leader(&handles.pool, &status, &shutdown));
}

/// Leads until `term` ends. Whatever is in the way may be gone at the next try, but for an event of a newer release: then
/// we no longer stand.
async fn work(tools: Tools, term: Shutdown, standing: Shutdown) {
    // However the term ends, even dropped in the middle, we no longer lead.
    let _term = Term(tools.status.clone());
    let result = tokio::select! {
        result = write(&tools, &term) => result,
        never = keep_house(&tools) => match never {},
    };
    match result {
        Ok(()) => {}
        Err(EngineError::Fault(fault)) => {
            stand_down(&tools.status, &fault);
            standing.cancel();
        }
        Err(error @ (EngineError::Overtaken | EngineError::NoEpoch)) => tracing::warn!("{error}"),
        Err(error @ (EngineError::Database(_) | EngineError::Keys(_))) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "The projector failed and will try again"
            );
        }
    }
}

/// Leads from where the tables are. When other tables have taken their place, from where those are.
async fn write(tools: &Tools, term: &Shutdown) -> Result<(), EngineError> {
    loop {
        match Engine::resume(tools.clone()).await?.lead(term).await {
            Err(EngineError::Overtaken) => {
                tracing::info!("The read tables are not where we left them; looking again");
            }
            ended => return ended,
        }
    }
}

/// Drops what older releases left, now and then.
async fn keep_house(tools: &Tools) -> Infallible {
    let mut times = interval(HOUSEKEEPING);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        if let Err(error) = tables::retire_unused(&tools.pool, &tools.schema).await {
            tracing::warn!(%error, "Could not look for read schemas that nobody uses; will look again");
        }
        tables::drop_gone(&tools.pool, PATIENCE).await;
    }
}

struct Term(watch::Sender<Status>);

impl Drop for Term {
    fn drop(&mut self) {
        self.0.send_modify(|status| status.leading = false);
        quarantine::show(0);
    }
}

async fn watch_leader(pool: &PgPool, status: &watch::Sender<Status>, shutdown: &Shutdown) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! { () = shutdown.cancelled() => return, _ = looks.tick() => {} }
        if status.borrow().leading {
            continue;
        }
        // The schema may not be there yet, or the database away: nothing is known then.
        if let Ok(seen) = look(pool).await {
            status.send_if_modified(|status| take_in(status, seen));
        }
    }
}

struct Seen {
    checkpoint: Checkpoint,
    head: i64,
    epoch: Option<epoch::EpochId>,
}

async fn look(pool: &PgPool) -> sqlx::Result<Seen> {
    Ok(Seen {
        checkpoint: Checkpoint::read(pool).await?,
        head: event_log::head(pool).await?,
        epoch: epoch::current(pool).await?.map(|epoch| epoch.epoch),
    })
}

fn take_in(status: &mut Status, seen: Seen) -> bool {
    let current = seen.epoch.as_ref().is_some_and(|epoch| epoch.as_str() == seen.checkpoint.epoch);
    let near = current && seen.checkpoint.position + read_schema::NEAR >= seen.head;
    let mut next = Status { head: seen.head, epoch: seen.epoch, ..status.clone() };
    next.building = !near && (status.building || !current);
    next.came_to(seen.checkpoint.position);
    let news = *status != next && !status.leading;
    if news {
        *status = next;
    }
    news
}
