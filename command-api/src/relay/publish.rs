//! Publishing in a pipeline: many messages under way, each fenced by the sequence it must follow. A backlog is read, and
//! its messages made, in a task of its own while those before them are sent.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use shared::epoch::EpochId;
use shared::{jetstream, stored};
use sqlx::PgPool;
use tokio_util::task::AbortOnDropHandle;

use super::check::Start;
use super::error::RelayError;

/// An acknowledgement that takes longer is taken for lost. Nothing is: the next check finds what arrived.
const ACK: Duration = Duration::from_secs(1);
/// Events read at once.
const BATCH: i64 = 500;
/// Messages under way at most.
pub(super) const WINDOW: usize = 1024;

/// Follows the log from where the stream ends.
pub(super) struct Publisher {
    context: Context,
    epoch: EpochId,
    /// The last position that was sent.
    sent: i64,
    /// The last position that the stream has confirmed, and all before it.
    pub(super) confirmed: i64,
    /// What was sent and is not yet acknowledged, in order.
    under_way: VecDeque<(i64, PublishAckFuture)>,
    /// What comes after `sent`, if there was more than a batch.
    ahead: Option<AbortOnDropHandle<sqlx::Result<Vec<Parcel>>>>,
}

/// An event as it goes to the stream.
struct Parcel {
    position: i64,
    subject: String,
    message: PublishMessage,
}

impl Publisher {
    pub(super) fn new(nats: &Client, start: Start) -> Self {
        let context = jetstream::context(nats, ACK);
        let (sent, confirmed) = (start.last, start.last);
        Self { context, epoch: start.epoch, sent, confirmed, under_way: VecDeque::new(), ahead: None }
    }

    /// Sends the next events; `false` when there are none and everything sent has been acknowledged.
    pub(super) async fn step(&mut self, log: &PgPool) -> Result<bool, RelayError> {
        let parcels = match self.ahead.take() {
            Some(read) => read.await??,
            None => read(log.clone(), self.epoch.clone(), self.sent).await?,
        };
        let is_any = !parcels.is_empty();
        if i64::try_from(parcels.len()) == Ok(BATCH)
            && let Some(last) = parcels.last()
        {
            let next = read(log.clone(), self.epoch.clone(), last.position);
            self.ahead = Some(AbortOnDropHandle::new(tokio::spawn(next)));
        }
        for parcel in parcels {
            self.send(parcel).await?;
        }
        if !is_any {
            self.acknowledged(0).await?;
            self.not_behind(log).await?;
        }
        Ok(is_any)
    }

    async fn send(&mut self, Parcel { position, subject, message }: Parcel) -> Result<(), RelayError> {
        self.acknowledged(WINDOW - 1).await?;
        let acknowledgement = self.context.send_publish(subject, message).await?;
        self.under_way.push_back((position, acknowledgement));
        self.sent = position;
        Ok(())
    }

    /// Waits until at most `left` messages are under way.
    async fn acknowledged(&mut self, left: usize) -> Result<(), RelayError> {
        while self.under_way.len() > left
            && let Some((position, acknowledgement)) = self.under_way.pop_front()
        {
            let sequence = acknowledgement.await?.sequence;
            if i64::try_from(sequence) != Ok(position) {
                return Err(RelayError::Misplaced { position, sequence });
            }
            self.confirmed = position;
            #[expect(clippy::cast_precision_loss, reason = "positions stay far below 2^52")]
            metrics::gauge!("daybook_relay_position").set(position as f64);
        }
        Ok(())
    }

    /// A log that ends before the stream was replaced under our feet.
    async fn not_behind(&self, log: &PgPool) -> Result<(), RelayError> {
        let head = stored::head(log).await?;
        if head < self.sent { Err(RelayError::Shrunk { head }) } else { Ok(()) }
    }
}

/// The next batch after a position.
async fn read(log: PgPool, epoch: EpochId, after: i64) -> sqlx::Result<Vec<Parcel>> {
    let events = stored::after(&log, after, BATCH).await?;
    let parcels = events.iter().map(|event| Parcel {
        position: event.position,
        subject: jetstream::subject(&epoch, &event.room, &event.event_type),
        message: jetstream::message(event),
    });
    Ok(parcels.collect())
}
