//! Snapshots: shortcuts for loading long aggregates. They are written beside the requests, and may vanish at any
//! time.
//!
//! A snapshot is an aggregate's state as JSON, encrypted under the key of its last event: when that key is destroyed,
//! the snapshot is as unreadable as the events. It is bound to the aggregate, the sequence, the version of its form,
//! and that event. So a snapshot that was damaged, moved, or taken in a history that a restore undid cannot be
//! decrypted; then the whole stream is read instead, and another snapshot replaces it. No snapshot makes a decision
//! stale: the append names the sequence that was decided on, wherever the state came from.

use std::sync::Arc;

use shared::log::encryption::DataKey;
use shared::log::event_log::Snapshot;
use shared::log::stored_event::Mark;
use shared::process::problem::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Decide;
use super::{App, Loaded};

/// The next snapshot is due this many events after the last one. `./dev bench load` measures the cost of reading that
/// many.
const EVERY: i64 = 200;
/// How many are written at once by this process. One more is dropped: the next command or load asks again.
const AT_ONCE: u32 = 2;

/// When snapshots are due, and how many are being written.
#[derive(Clone, Debug)]
pub struct Snapshots {
    every: i64,
    writing: Arc<Semaphore>,
}

/// Why a snapshot is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is of another release's snapshot_version")]
    Version,
    #[error("the log does not reach to its sequence")]
    Beyond,
    #[error("it was changed, or taken in another history")]
    Forged,
    #[error("it does not hold what its snapshot_version says")]
    Form,
    #[error("its key was destroyed")]
    Erased,
}

/// What is written: a state in place of a row that is of no use, or of any older one.
struct New {
    aggregate_type: &'static str,
    id: String,
    sequence: i64,
    snapshot_version: i32,
    /// The state, and its last event's mark; `None` when there is nothing to keep.
    content: Option<(Vec<u8>, Mark)>,
    instead_of: Option<(Snapshot, Unusable)>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self::every(EVERY)
    }
}

impl Snapshots {
    /// One is due after so many events.
    pub fn every(events: i64) -> Self {
        Self { every: events, writing: Arc::new(Semaphore::new(AT_ONCE as usize)) }
    }

    /// Whether `sequence` is far enough beyond the last snapshot.
    pub(super) fn is_due(&self, last: i64, sequence: i64) -> bool {
        sequence - last >= self.every
    }

    /// Waits until none is being written.
    pub async fn settled(&self) {
        drop(self.writing.acquire_many(AT_ONCE).await);
    }

    fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.writing).try_acquire_owned().ok()
    }
}

/// The state, if it was taken after the event of that mark.
pub(super) fn open<A: Decide>(
    snapshot: &Snapshot,
    id: &str,
    mark: &Mark,
    key: &DataKey,
) -> Result<A, Unusable> {
    let about = about(A::TYPE, id, snapshot.sequence, snapshot.snapshot_version, mark);
    let plain = key.open_bytes(&about, &snapshot.encrypted).ok_or(Unusable::Forged)?;
    serde_json::from_slice(&plain).map_err(|_| Unusable::Form)
}

impl App {
    /// Starts writing a snapshot if one is due, without waiting for it. `last` is the mark of the last event.
    pub(super) fn offer_snapshot<A: Decide>(&self, id: &str, loaded: &mut Loaded<A>, last: Option<Mark>) {
        if last.is_some() && !loaded.erased && self.snapshots.is_due(loaded.snapshot, loaded.sequence) {
            self.write_snapshot(id, loaded, last, None);
        }
    }

    /// Has one written in place of one that is of no use.
    pub(super) fn replace_snapshot<A: Decide>(
        &self,
        id: &str,
        loaded: &mut Loaded<A>,
        last: Option<Mark>,
        stored: (Snapshot, Unusable),
    ) {
        self.write_snapshot(id, loaded, last.filter(|_| !loaded.erased), Some(stored));
    }

    fn write_snapshot<A: Decide>(
        &self,
        id: &str,
        loaded: &mut Loaded<A>,
        last: Option<Mark>,
        instead_of: Option<(Snapshot, Unusable)>,
    ) {
        let Some(permit) = self.snapshots.permit() else { return };
        // If it fails, the next one is tried after as many events again, or when this is loaded again.
        loaded.snapshot = loaded.sequence;
        let json = serde_json::to_vec(&loaded.state).expect("an aggregate is plain data with string keys");
        let new = New {
            aggregate_type: A::TYPE,
            id: id.to_owned(),
            sequence: loaded.sequence,
            snapshot_version: A::SNAPSHOT_VERSION,
            content: last.map(|mark| (json, mark)),
            instead_of,
        };
        let app = self.clone();
        tokio::spawn(async move {
            if let Err(cause) = app.put_snapshot(new).await {
                tracing::warn!(?cause, "A snapshot could not be written");
            }
            drop(permit);
        });
    }

    async fn put_snapshot(&self, new: New) -> Result<(), Problem> {
        let key = match &new.content {
            Some((_, mark)) => self.keyring.key(&mark.key_owner).await?,
            None => None,
        };
        let changed = match (&new.content, key) {
            (Some((json, mark)), Some(key)) => self.upsert(&new, &encrypt(&new, json, mark, &key)).await?,
            // Gone for ever, or nothing that could be kept: then what is there is of no use to anybody.
            (Some(_) | None, _) => self.remove(&new).await?,
        };
        // Only the one that changed the row logs it; others that found it at the same time do not.
        if let Some((stored, why)) = &new.instead_of
            && changed
            && *why != Unusable::Erased
        {
            tracing::warn!(aggregate = new.aggregate_type, id = new.id, sequence = stored.sequence, %why,
                "A snapshot was of no use, and was replaced");
        }
        Ok(())
    }

    /// Takes the place of an older snapshot, never of a newer one; and of the one found to be of no use.
    async fn upsert(&self, new: &New, encrypted: &[u8]) -> Result<bool, Problem> {
        let useless = new.instead_of.as_ref().map(|(stored, _)| stored.encrypted.as_slice());
        let done = sqlx::query!(
            "insert into es.snapshot as s (aggregate_type, aggregate_id, sequence, snapshot_version, encrypted)
             values ($1, $2, $3, $4, $5)
             on conflict (aggregate_type, aggregate_id) do update
               set sequence = excluded.sequence, snapshot_version = excluded.snapshot_version, encrypted = excluded.encrypted
             where s.sequence < excluded.sequence or s.encrypted = $6",
            new.aggregate_type,
            new.id,
            new.sequence,
            new.snapshot_version,
            encrypted,
            useless
        );
        Ok(done.execute(&self.pool).await?.rows_affected() > 0)
    }

    async fn remove(&self, new: &New) -> Result<bool, Problem> {
        let Some((useless, _)) = &new.instead_of else { return Ok(false) };
        let done = sqlx::query!(
            "delete from es.snapshot where aggregate_type = $1 and aggregate_id = $2 and encrypted = $3",
            new.aggregate_type,
            new.id,
            useless.encrypted
        );
        Ok(done.execute(&self.pool).await?.rows_affected() > 0)
    }
}

fn encrypt(new: &New, json: &[u8], mark: &Mark, key: &DataKey) -> Vec<u8> {
    key.encrypt_bytes(&about(new.aggregate_type, &new.id, new.sequence, new.snapshot_version, mark), json)
}

/// What a snapshot is tied to. Types have no slash, nor have ids of what is encrypted, and no event's data is about a `snapshot`.
fn about(aggregate_type: &str, id: &str, sequence: i64, snapshot_version: i32, last: &Mark) -> String {
    format!("snapshot/{aggregate_type}/{id}/{sequence}/{snapshot_version}/{}", hex::encode(last.nonce))
}
