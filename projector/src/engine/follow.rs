//! Following one epoch's stream in a task of its own, for as long as the projector leads.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::{Context, Message};
use futures::StreamExt;
use shared::log::epoch::EpochId;
use shared::log::stored_event::StoredEvent;
use shared::process::jetstream;
use shared::process::lifecycle::Part;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::sift::Carried;
use crate::Status;

/// Messages that may wait for the engine; beyond that the server keeps them.
const WAITING: usize = 8_192;
/// And so many bytes of them, so that many large events wait on the server.
const MOST_BYTES: u32 = 8 * 1_024 * 1_024;
/// How long an answer of the server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a stream that cannot be followed is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often we look whether the connection is still the one that the consumer was made on.
const LOOK: Duration = Duration::from_millis(250);

/// A message, and its share of the budget while it waits.
type Waiting = (Carried, OwnedSemaphorePermit);

/// Messages of one epoch's stream, until it is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    messages: mpsc::Receiver<Waiting>,
    following: Part<()>,
}

impl Follower {
    /// Follows the stream from wherever the engine is, as told by `status`. Without a client nothing ever comes.
    pub(super) fn start(client: Option<Client>, epoch: EpochId, status: watch::Receiver<Status>) -> Self {
        let (out, messages) = mpsc::channel(WAITING);
        let following = Part::spawn("stream follower", async move {
            match client {
                Some(client) => follow(client, epoch, status, &out).await,
                None => std::future::pending().await,
            }
        });
        Self { messages, following }
    }

    /// Waits for messages, then takes those that are there, at most `limit`. Nothing is lost when it is dropped.
    pub(super) async fn some(&mut self, limit: usize) -> Vec<Carried> {
        let mut taken = Vec::new();
        if self.messages.recv_many(&mut taken, limit).await == 0 {
            // It follows for ever, so it has panicked.
            (&mut self.following).await;
        }
        taken.into_iter().map(|(message, _)| message).collect()
    }
}

async fn follow(
    client: Client,
    epoch: EpochId,
    status: watch::Receiver<Status>,
    out: &mpsc::Sender<Waiting>,
) {
    let budget = Arc::new(Semaphore::new(MOST_BYTES as usize));
    let context = jetstream::context(&client, PATIENCE);
    let mut again = interval(AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        again.tick().await;
        let after = status.borrow().position;
        if let Err(error) = carry(&client, &context, &epoch, after, out, &budget).await {
            tracing::debug!(%epoch, %error, "The stream cannot be followed for now; the log is read instead");
        }
    }
}

/// Carries messages until the connection is another one: an ordered consumer takes long to notice that its server
/// has forgotten it, so it is made again.
async fn carry(
    client: &Client,
    context: &Context,
    epoch: &EpochId,
    after: i64,
    out: &mpsc::Sender<Waiting>,
    budget: &Arc<Semaphore>,
) -> Result<(), async_nats::Error> {
    let statistics = client.statistics();
    let connects = statistics.connects.load(Ordering::Relaxed);
    let Some(stream) = jetstream::stream(context, epoch).await? else { return Ok(()) };
    let start_sequence = u64::try_from(after + 1)?;
    let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence };
    let consumer =
        stream.create_consumer(OrderedConfig { deliver_policy, ..OrderedConfig::default() }).await?;
    let mut messages = consumer.messages().await?;
    let mut looks = interval(LOOK);
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => {
                    let message = message?;
                    let bytes = u32::try_from(message.payload.len())?.min(MOST_BYTES);
                    let budget = budget.clone().acquire_many_owned(bytes).await?;
                    out.send((carried(&message), budget)).await?;
                }
                None => return Ok(()),
            },
            _ = looks.tick() => if statistics.connects.load(Ordering::Relaxed) != connects {
                return Ok(());
            },
        }
    }
}

fn carried(message: &Message) -> Carried {
    let sequence = message.info().ok().and_then(|info| i64::try_from(info.stream_sequence).ok());
    believe(sequence, jetstream::event(message.headers.as_ref(), &message.payload))
}

/// A message is believed only when its sequence, its event's position and its form agree.
fn believe(sequence: Option<i64>, event: Option<StoredEvent>) -> Carried {
    match event {
        Some(event) if Some(event.recorded.position) == sequence => Carried::Event(Box::new(event)),
        Some(_) | None => Carried::Doubtful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::testing::recorded;

    #[test]
    fn an_event_at_another_sequence_than_its_position_is_not_believed() {
        let event = || StoredEvent::from_recorded(recorded(7), [0; 16]);
        assert!(matches!(believe(Some(7), event()), Carried::Event(event) if event.recorded.position == 7));
        assert!(matches!(believe(Some(8), event()), Carried::Doubtful));
        assert!(matches!(believe(None, event()), Carried::Doubtful));
        assert!(matches!(believe(Some(7), None), Carried::Doubtful));
    }
}
