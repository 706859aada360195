//! Publishing in a pipeline: many messages under way, each fenced by the sequence it must follow.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishAckFuture;
use shared::log::epoch::EpochId;
use shared::log::event::Recorded;
use shared::log::event_log;
use shared::log::stored_event::StoredEvent;
use shared::process::jetstream;
use sqlx::PgPool;

use super::check::Start;
use super::error::RelayError;

/// An acknowledgement that takes longer is taken for lost. Nothing is: the next check finds what arrived.
const ACK: Duration = Duration::from_secs(1);
/// Events read at once.
const BATCH: i64 = 500;
/// Messages under way at most.
pub(super) const WINDOW: usize = 1024;
/// And so many bytes of them, but for one that is larger.
const WINDOW_BYTES: usize = 8 * 1_024 * 1_024;

/// Follows the log from where the stream ends.
pub(super) struct Publisher {
    context: Context,
    epoch: EpochId,
    /// The last position that was sent.
    sent: i64,
    /// The last position that the stream has confirmed, and all before it.
    pub(super) confirmed: i64,
    /// What was sent and is not yet acknowledged, in order.
    under_way: VecDeque<Sent>,
    /// How many bytes these have.
    bytes: usize,
}

/// A message that was sent.
struct Sent {
    position: i64,
    bytes: usize,
    acknowledgement: PublishAckFuture,
}

impl Publisher {
    pub(super) fn new(nats: &Client, start: Start) -> Self {
        let context = jetstream::context(nats, ACK);
        let (sent, confirmed) = (start.last, start.last);
        Self { context, epoch: start.epoch, sent, confirmed, under_way: VecDeque::new(), bytes: 0 }
    }

    /// Sends the next events; `false` when there are none and everything sent has been acknowledged.
    pub(super) async fn step(&mut self, log: &PgPool) -> Result<bool, RelayError> {
        let events = event_log::after(log, self.sent, BATCH).await?;
        for event in &events {
            self.send(event).await?;
        }
        if events.is_empty() {
            self.acknowledged(0).await?;
            self.not_behind(log).await?;
        }
        Ok(!events.is_empty())
    }

    async fn send(&mut self, event: &StoredEvent) -> Result<(), RelayError> {
        self.acknowledged(WINDOW - 1).await?;
        let Recorded { position, aggregate, event_type, .. } = &event.recorded;
        let subject = jetstream::subject(&self.epoch, &aggregate.kind, event_type);
        let payload = jetstream::payload(event);
        let bytes = payload.len();
        while self.bytes + bytes > WINDOW_BYTES && !self.under_way.is_empty() {
            self.acknowledged(self.under_way.len() - 1).await?;
        }
        let acknowledgement =
            self.context.send_publish(subject, jetstream::message_with(event, payload)).await?;
        self.bytes += bytes;
        self.under_way.push_back(Sent { position: *position, bytes, acknowledgement });
        self.sent = *position;
        Ok(())
    }

    /// Waits until at most `left` messages are under way.
    async fn acknowledged(&mut self, left: usize) -> Result<(), RelayError> {
        while self.under_way.len() > left
            && let Some(Sent { position, bytes, acknowledgement }) = self.under_way.pop_front()
        {
            self.bytes -= bytes;
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
        let head = event_log::head(log).await?;
        if head < self.sent { Err(RelayError::Shrunk { head }) } else { Ok(()) }
    }
}
