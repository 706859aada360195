//! Reading ahead: while a batch is written, the next ones are read and decrypted on another core.

use std::collections::HashSet;

use shared::log::event_log;
use shared::log::keyring::Keyring;
use shared::log::stored_event::StoredEvent;
use shared::process::lifecycle::Part;
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::read::{Batch, read};
use super::{BATCH, EngineError, Tools};

/// Opened batches that may wait to be written, beside the one that is being read.
const WAITING: usize = 1;

/// Batches that follow each other without a gap.
pub(super) struct Ahead {
    batches: mpsc::Receiver<Result<Batch, EngineError>>,
    reading: Part<()>,
}

impl Ahead {
    /// Starts to read after `after`, up to the event at `last`. Ends by itself when it is dropped.
    pub(super) fn start(tools: &Tools, after: i64, last: i64) -> Self {
        let (sender, batches) = mpsc::channel(WAITING);
        let reading = Reading { pool: tools.pool.clone(), keyring: tools.keyring.clone(), after, last };
        Self { batches, reading: Part::spawn("read-ahead", reading.run(sender)) }
    }

    /// The next batch; `None` at the end of the log, after which there is nothing to ask for.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, EngineError> {
        let next = self.batches.recv().await;
        if next.is_none() {
            // A panic closes the channel too, and is no end of the log.
            (&mut self.reading).await;
        }
        next.transpose()
    }
}

struct Reading {
    pool: PgPool,
    keyring: Keyring,
    after: i64,
    last: i64,
}

impl Reading {
    async fn run(mut self, sender: mpsc::Sender<Result<Batch, EngineError>>) {
        while let Some(batch) = self.batch().await.transpose() {
            let is_last = !batch.as_ref().is_ok_and(|batch| batch.fault.is_none());
            if sender.send(batch).await.is_err() || is_last {
                return;
            }
        }
    }

    async fn batch(&mut self) -> Result<Option<Batch>, EngineError> {
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX).min(self.last - self.after);
        if limit <= 0 {
            return Ok(None);
        }
        let events = event_log::after(&self.pool, self.after, limit).await?;
        let Some(last) = events.last().map(|event| event.recorded.position) else { return Ok(None) };
        let events = without_skipped(&self.pool, self.after, last, events).await?;
        self.after = last;
        Ok(Some(read(&self.keyring, last, events).await?))
    }
}

/// The events after `after` and up to `last` without those that an operator decided to skip.
pub(super) async fn without_skipped(
    pool: &PgPool,
    after: i64,
    last: i64,
    mut events: Vec<StoredEvent>,
) -> sqlx::Result<Vec<StoredEvent>> {
    let skipped = sqlx::query_scalar!(
        "select position from es.skip where position > $1 and position <= $2",
        after,
        last
    )
    .fetch_all(pool)
    .await?;
    if !skipped.is_empty() {
        let skipped: HashSet<i64> = skipped.into_iter().collect();
        events.retain(|event| !skipped.contains(&event.recorded.position));
    }
    Ok(events)
}
