//! Takes events from the stream or the log, folds them, and moves rows and checkpoint in one transaction.
//!
//! The order of steps in that transaction is the fence: first the checkpoint moves by compare-and-set, which locks
//! it; only then are rows read and written. Of two engines at the same position, one waits for the other and then
//! finds the checkpoint moved. So a batch takes effect once, however often it arrives and whoever believes to lead.

mod ahead;
pub mod checkpoint;
pub mod error;
mod follow;
mod read;
pub mod sift;

use std::convert::Infallible;
use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use futures::future::BoxFuture;
use shared::log::epoch::{self, EpochId};
use shared::log::event_log;
use shared::log::keyring::Keyring;
use shared::log::stored_event::StoredEvent;
use shared::process::jetstream::{Notice, WATERMARK};
use shared::process::lifecycle::Shutdown;
use shared::process::read_schema;
use sqlx::{PgConnection, PgPool};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::projections::{Entry, project_all};
use crate::quarantine::{self, Quarantine};
use crate::status::Status;
use ahead::{Ahead, without_skipped};
use checkpoint::{Checkpoint, Standing, empty};
pub use error::EngineError;
use follow::Follower;
use read::{Batch, read};
use sift::{Carried, sift};

/// Events in one transaction at most.
pub const BATCH: usize = 4_000;
/// How often the log is looked at, whatever the stream says. Without NATS a read of one's own write waits for this and
/// for the query API's look at the checkpoint: both, and the work, must fit into half a second.
const POLL: Duration = Duration::from_millis(150);
/// How often we say that our schema is in use; unused for a day, it may be dropped.
const USED: Duration = Duration::from_hours(1);
/// How often progress is logged.
const REPORT: Duration = Duration::from_secs(5);
/// Further behind than this, it is.
const FAR: i64 = 50_000;

/// Writes the read tables. Only one at a time gets anywhere; see the checkpoint.
#[derive(Debug)]
pub struct Engine {
    tools: Tools,
    epoch: EpochId,
    checkpoint: Checkpoint,
    project: Project,
}

/// Brings all tables forward by a batch of events; see [`project_all`].
pub type Project =
    for<'b> fn(&'b mut PgConnection, &'b [Entry], &'b mut Quarantine) -> BoxFuture<'b, sqlx::Result<()>>;

/// What an engine works with.
#[derive(Clone)]
pub struct Tools {
    /// Runs as the projector's role, with the read schema as its search path.
    pub pool: PgPool,
    /// The read schema's name.
    pub schema: String,
    /// Opens events.
    pub keyring: Keyring,
    /// Carries events and the watermark, when there is one.
    pub nats: Option<Client>,
    /// Where the engine says how far it is.
    pub status: watch::Sender<Status>,
}

impl std::fmt::Debug for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tools").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Engine {
    /// Takes up where the tables are; makes the schema if it is not there.
    pub async fn resume(tools: Tools) -> Result<Self, EngineError> {
        read_schema::ensure(&tools.pool, &tools.schema).await?;
        let epoch = current(&tools.pool).await?;
        let checkpoint = Checkpoint::read(&tools.pool).await?;
        let quarantine = Quarantine::load(&mut *tools.pool.acquire().await?).await?;
        quarantine.alarm(&tools.status);
        let project: Project =
            |connection, batch, quarantine| Box::pin(project_all(connection, batch, quarantine));
        let mut engine = Self { tools, epoch, checkpoint, project };
        engine.look().await?;
        Ok(engine)
    }

    /// Projects in another way; so tests make folds fail.
    #[must_use]
    pub fn with(self, project: Project) -> Self {
        Self { project, ..self }
    }

    /// The last event that the tables hold.
    pub fn position(&self) -> i64 {
        self.checkpoint.position
    }

    /// The history in force, when it was last looked at.
    pub fn epoch(&self) -> &EpochId {
        &self.epoch
    }

    /// Keeps the tables at the end of the log until `shutdown`.
    pub async fn lead(&mut self, shutdown: &Shutdown) -> Result<(), EngineError> {
        let mut polls = interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut uses = interval(USED);
        let mut follower = self.follow();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = uses.tick() => read_schema::ensure(&self.tools.pool, &self.tools.schema).await?,
                messages = follower.some(BATCH) => self.take(messages).await?,
                _ = polls.tick() => {
                    if self.look().await? {
                        follower = self.follow();
                    }
                    self.catch_up().await?;
                }
            }
        }
    }

    /// Folds messages of the stream, as far as they follow the checkpoint; asks the log for the rest.
    pub async fn take(&mut self, messages: Vec<Carried>) -> Result<(), EngineError> {
        let sifted = sift(self.checkpoint.position, messages);
        let mut ask_log = sifted.ask_log;
        if !sifted.next.is_empty() {
            let batch = self.read(sifted.next).await?;
            // What is wrong with a copy may not be wrong with the event.
            if batch.is_whole() { self.write(batch.last, &batch.entries).await? } else { ask_log = true }
        }
        if ask_log {
            self.catch_up().await?;
        }
        Ok(())
    }

    /// Folds what the log has beyond the checkpoint.
    pub async fn catch_up(&mut self) -> Result<(), EngineError> {
        let status = self.tools.status.subscribe();
        tokio::select! {
            caught_up = self.catch_up_to(i64::MAX) => caught_up?,
            never = report(status) => match never {},
        }
        self.tools.status.send_if_modified(|status| std::mem::take(&mut status.building));
        Ok(())
    }

    /// Folds what the log has beyond the checkpoint, up to the event at `last`.
    pub async fn catch_up_to(&mut self, last: i64) -> Result<(), EngineError> {
        let mut ahead = Ahead::start(&self.tools, self.checkpoint.position, last);
        while let Some(batch) = ahead.next().await? {
            self.fold(batch).await?;
        }
        Ok(())
    }

    /// Applies events that follow the checkpoint without a gap: all of them, or those before the first that only a newer
    /// release can read.
    pub async fn apply(&mut self, batch: Vec<StoredEvent>) -> Result<(), EngineError> {
        let batch = self.read(batch).await?;
        self.fold(batch).await
    }

    async fn read(&self, batch: Vec<StoredEvent>) -> Result<Batch, EngineError> {
        let after = self.checkpoint.position;
        let last = batch.last().map_or(after, |event| event.recorded.position);
        let batch = without_skipped(&self.tools.pool, after, last, batch).await?;
        Ok(read(&self.tools.keyring, last, batch).await?)
    }

    async fn fold(&mut self, batch: Batch) -> Result<(), EngineError> {
        if batch.last > self.checkpoint.position {
            self.write(batch.last, &batch.entries).await?;
        }
        batch.fault.map_or(Ok(()), |fault| Err(EngineError::Fault(fault)))
    }

    /// Looks at the log's end and its epoch; whether the epoch is another one than before.
    pub async fn look(&mut self) -> Result<bool, EngineError> {
        let before = self.epoch.clone();
        self.epoch = current(&self.tools.pool).await?;
        match self.checkpoint.standing(&self.tools.pool, &self.epoch).await? {
            Standing::Same => {}
            Standing::Agreed => self.rename().await?,
            Standing::Parted => self.restart().await?,
        }
        let head = event_log::head(&self.tools.pool).await?;
        self.tools.status.send_modify(|status| status.head = head);
        self.tell();
        Ok(before != self.epoch)
    }

    fn follow(&self) -> Follower {
        Follower::start(self.tools.nats.clone(), self.epoch.clone(), self.tools.status.subscribe())
    }

    async fn write(&mut self, position: i64, batch: &[Entry]) -> Result<(), EngineError> {
        let next = Checkpoint { position, epoch: self.epoch.to_string() };
        let mut transaction = self.tools.pool.begin().await?;
        if !self.checkpoint.advance(&mut transaction, &next).await? {
            return Err(EngineError::Overtaken);
        }
        let mut quarantine = Quarantine::load(&mut transaction).await?;
        (self.project)(&mut transaction, batch, &mut quarantine).await?;
        quarantine.save(&mut transaction).await?;
        transaction.commit().await?;
        self.checkpoint = next;
        quarantine.alarm(&self.tools.status);
        self.tell();
        self.publish().await;
        Ok(())
    }

    /// The same history under a new name.
    async fn rename(&mut self) -> Result<(), EngineError> {
        self.write(self.checkpoint.position, &[]).await
    }

    /// The tables hold what never happened in the history in force: empty them and begin again.
    async fn restart(&mut self) -> Result<(), EngineError> {
        tracing::warn!(position = self.checkpoint.position, epoch = %self.epoch, "The histories have parted: rebuilding the read tables");
        let next = Checkpoint { position: 0, epoch: self.epoch.to_string() };
        let mut transaction = self.tools.pool.begin().await?;
        if !self.checkpoint.advance(&mut transaction, &next).await? {
            return Err(EngineError::Overtaken);
        }
        empty(&mut transaction).await?;
        transaction.commit().await?;
        self.checkpoint = next;
        self.tools.status.send_modify(|status| status.building = true);
        Ok(())
    }

    fn tell(&self) {
        let (position, epoch) = (self.checkpoint.position, Some(self.epoch.clone()));
        self.tools.status.send_modify(|status| {
            status.head = status.head.max(position);
            status.epoch = epoch;
            status.leading = true;
            status.came_to(position);
        });
        quarantine::show(self.tools.status.borrow().quarantined);
    }

    /// Tells readers how far they can read. They also look for themselves: a message lost costs them a moment.
    async fn publish(&self) {
        /// A client whose connection hangs takes messages until its queue is full, and then none.
        const PATIENCE: Duration = Duration::from_millis(100);
        let Some(client) = &self.tools.nats else { return };
        if client.connection_state() != State::Connected {
            return;
        }
        let notice = Notice { epoch: self.epoch.clone(), position: self.checkpoint.position };
        // Too late or not at all is as good as lost.
        drop(timeout(PATIENCE, client.publish(WATERMARK, notice.to_bytes())).await);
    }
}

/// Says now and then how far the tables are, when that is far behind.
async fn report(status: watch::Receiver<Status>) -> Infallible {
    let mut times = interval(REPORT);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    times.tick().await;
    loop {
        times.tick().await;
        let (position, head) = {
            let status = status.borrow();
            (status.position, status.head)
        };
        let remaining = head - position;
        if remaining > FAR {
            tracing::info!(position, head, remaining, "Building the read tables");
        }
    }
}

async fn current(pool: &PgPool) -> Result<EpochId, EngineError> {
    Ok(epoch::current(pool).await?.ok_or(EngineError::NoEpoch)?.epoch)
}
