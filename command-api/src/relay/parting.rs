//! When stream and log have different histories: find the last position at which they agree, and begin a new epoch.

use async_nats::jetstream::Context;
use shared::log::epoch::{self, Epoch, Origin};
use shared::process::jetstream::stream_name;
use sqlx::PgPool;

use super::error::RelayError;
use super::seen::{Message, Seen, differs_at};

/// How it was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    /// Postgres is on another timeline, or another cluster: what was acknowledged last may be missing.
    AnotherServer,
    /// The stream has more than the log: the log was restored from an older copy.
    LongerThanLog,
    /// The stream has something else where the log has an event.
    AnotherEvent,
}

impl Parting {
    /// For the row in `es.epoch`.
    fn reason(self) -> &'static str {
        match self {
            Self::AnotherServer => "Postgres is another server or on another timeline than before",
            Self::LongerThanLog => "the stream is longer than the log",
            Self::AnotherEvent => "the stream holds another event than the log",
        }
    }
}

/// The last position up to which stream and log certainly agree; 0 when the stream no longer tells.
///
/// Before the last messages, which were compared one by one, histories agree up to a point and differ after it.
/// So the point is found by halving.
pub(super) async fn agreed(
    log: &PgPool,
    seen: &Seen,
    differs_at: Option<i64>,
    head: i64,
) -> Result<i64, RelayError> {
    let end = seen.last.min(head);
    let (mut low, mut high) = (0, differs_at.map_or(end, |position| end.min(position - 1)));
    let mut probe = seen.first;
    while low < high {
        match seen.message_from(probe).await? {
            Some(message) if message.sequence <= high && agrees(log, message).await? => {
                low = message.sequence;
            }
            // Another event, or nothing is kept from here on that could be compared.
            Some(_) | None => high = probe - 1,
        }
        // Before the first message there is nothing to compare: if it does not agree, nothing does for certain.
        if low == 0 {
            return Ok(0);
        }
        probe = low + (high - low + 1) / 2;
    }
    Ok(low)
}

async fn agrees(log: &PgPool, message: Message) -> sqlx::Result<bool> {
    Ok(differs_at(log, &[message]).await?.is_none())
}

/// Begins the new epoch; its stream is made by the next check.
///
/// The stream of the epoch before stays until its retention has emptied it: after a failover it is the only
/// place that still holds what was acknowledged and lost. Those before that one go now.
pub(super) async fn part(
    context: &Context,
    log: &PgPool,
    before: &Epoch,
    agreed: i64,
    why: Parting,
    origin: &Origin,
) -> Result<(), RelayError> {
    if !epoch::begin(log, Some(before), agreed, why.reason(), origin).await? {
        return Ok(());
    }
    tracing::error!(epoch.before = %before.epoch, position = agreed, "Histories parted: {}", why.reason());
    for bygone in epoch::bygone(log).await? {
        // Mostly it is gone already; and one that stays only takes room.
        drop(context.delete_stream(stream_name(&bygone)).await);
    }
    Ok(())
}
