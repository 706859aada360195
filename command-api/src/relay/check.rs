//! The check: does the stream tell the same history as the log, and where does it end?

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use shared::epoch::{self, Epoch, EpochId, Origin};
use shared::jetstream;
use sqlx::PgPool;
use uuid::Uuid;

use super::Relay;
use super::error::RelayError;
use super::parting::{self, Parting};

/// How long the server may take to answer a question about a stream.
const ANSWER: Duration = Duration::from_secs(5);

/// Where to go on.
pub(super) struct Start {
    pub(super) epoch: EpochId,
    /// The last sequence of the stream; everything after it is to be published.
    pub(super) last: i64,
}

/// What the stream looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// The first sequence that it keeps.
    pub(super) first: i64,
    /// The last sequence that it gave.
    pub(super) last: i64,
    /// Its newest message; `None` when it keeps none.
    newest: Option<Message>,
}

/// A message of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) sequence: i64,
    /// The event it says it carries; a foreign message may not say so.
    event: Option<Uuid>,
}

/// What comes of comparing.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Same { last: i64 },
    Gone,
    Parted(Parting),
}

/// Compares stream and log and mends what differs; `None` when something was mended, and a second look is due.
pub(super) async fn check(relay: &Relay) -> Result<Option<Start>, RelayError> {
    let log = &relay.pool;
    let Some(epoch) = epoch::current(log).await? else {
        epoch::begin(log, None, 0, "a new log", &epoch::origin(log).await?).await?;
        return Ok(None);
    };
    let context = jetstream::context(&relay.nats, ANSWER);
    let stream = jetstream::stream(&context, &epoch.epoch).await?;
    // The stream first, then the log: a log that is read later cannot lack what the stream rightly has.
    let seen = match &stream {
        Some(stream) => Some(look(stream, &epoch.epoch).await?),
        None => None,
    };
    let head = shared::stored::head(log).await?;
    let newest_agrees = match seen.and_then(|seen| seen.newest) {
        Some(message) => agrees(log, message).await?,
        None => true,
    };
    let origin = epoch::origin(log).await?;
    match compare(&epoch, &origin, seen, head, newest_agrees) {
        Finding::Same { last } => {
            if let Some(stream) = stream {
                renew(&context, &stream, &epoch.epoch, relay).await?;
            }
            Ok(Some(Start { epoch: epoch.epoch, last }))
        }
        Finding::Gone => {
            // What is older, readers take from the log. Should another have made it, this is refused.
            let config = jetstream::stream_config(&epoch.epoch, head + 1, &relay.retention);
            context.create_stream(config).await?;
            tracing::info!(%epoch.epoch, first = head + 1, "Made the stream");
            Ok(None)
        }
        Finding::Parted(why) => {
            let agreed = match (&stream, seen) {
                (Some(stream), Some(seen)) => parting::agreed(log, stream, &epoch.epoch, seen, head).await?,
                (None, _) | (_, None) => 0,
            };
            parting::part(&context, log, &epoch, agreed, why, &origin).await?;
            Ok(None)
        }
    }
}

/// Decides, from what was seen.
fn compare(epoch: &Epoch, origin: &Origin, seen: Option<Seen>, head: i64, newest_agrees: bool) -> Finding {
    if epoch.origin.differs(origin) {
        return Finding::Parted(Parting::AnotherServer);
    }
    match seen {
        None => Finding::Gone,
        Some(seen) if seen.last > head => Finding::Parted(Parting::LongerThanLog),
        Some(_) if !newest_agrees => Finding::Parted(Parting::AnotherEvent),
        Some(seen) => Finding::Same { last: seen.last },
    }
}

async fn look(stream: &Stream, epoch: &EpochId) -> Result<Seen, RelayError> {
    let state = stream.get_info().await?.state;
    let newest = stream.get_last_raw_message_by_subject(&jetstream::all_subjects(epoch)).await;
    let newest = found(newest)?;
    let number = |sequence: u64| i64::try_from(sequence).unwrap_or(i64::MAX);
    // A message may have come between the two answers.
    let last = number(state.last_sequence).max(newest.map_or(0, |message| message.sequence));
    Ok(Seen { first: number(state.first_sequence), last, newest })
}

/// The first message that the stream keeps at or after a sequence.
pub(super) async fn message_from(
    stream: &Stream,
    epoch: &EpochId,
    sequence: i64,
) -> Result<Option<Message>, RelayError> {
    let sequence = u64::try_from(sequence).unwrap_or(1).max(1);
    found(stream.get_first_raw_message_by_subject(jetstream::all_subjects(epoch), sequence).await)
}

fn found(
    answer: Result<
        async_nats::jetstream::message::StreamMessage,
        async_nats::jetstream::stream::RawMessageError,
    >,
) -> Result<Option<Message>, RelayError> {
    match answer {
        Ok(message) => {
            let event = message.headers.get(jetstream::EVENT_ID).and_then(|id| id.as_str().parse().ok());
            Ok(Some(Message { sequence: i64::try_from(message.sequence).unwrap_or(i64::MAX), event }))
        }
        Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the log has the message's event at its sequence.
pub(super) async fn agrees(log: &PgPool, message: Message) -> sqlx::Result<bool> {
    let event: Option<Uuid> = sqlx::query_scalar("select event_id from es.event where position = $1")
        .bind(message.sequence)
        .fetch_optional(log)
        .await?;
    Ok(event.is_some() && event == message.event)
}

/// Gives an older stream the retention that is wished for now.
async fn renew(context: &Context, stream: &Stream, epoch: &EpochId, relay: &Relay) -> Result<(), RelayError> {
    let now = stream.cached_info().config.clone();
    let wanted = jetstream::with_retention(now.clone(), epoch, &relay.retention);
    if wanted != now {
        context.update_stream(wanted).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(timeline: Option<i32>) -> Epoch {
        Epoch {
            epoch: EpochId::fresh(),
            seq: 1,
            agreed_position: 0,
            reason: String::new(),
            origin: Origin { timeline, system_identifier: None },
        }
    }

    fn seen(last: i64) -> Seen {
        Seen { first: 1, last, newest: Some(Message { sequence: last, event: None }) }
    }

    fn found(seen: Option<Seen>, head: i64, newest_agrees: bool) -> Finding {
        compare(&epoch(None), &Origin::default(), seen, head, newest_agrees)
    }

    #[test]
    fn a_stream_that_is_the_log_or_a_beginning_of_it_goes_on() {
        assert_eq!(found(Some(seen(7)), 7, true), Finding::Same { last: 7 });
        assert_eq!(found(Some(seen(5)), 7, true), Finding::Same { last: 5 });
    }

    #[test]
    fn no_stream_is_made_again() {
        assert_eq!(found(None, 7, true), Finding::Gone);
    }

    #[test]
    fn another_history_parts() {
        assert_eq!(found(Some(seen(8)), 7, true), Finding::Parted(Parting::LongerThanLog));
        assert_eq!(found(Some(seen(7)), 7, false), Finding::Parted(Parting::AnotherEvent));
    }

    #[test]
    fn another_timeline_parts_even_when_everything_looks_the_same() {
        let now = Origin { timeline: Some(2), system_identifier: None };
        let finding = compare(&epoch(Some(1)), &now, Some(seen(7)), 7, true);
        assert_eq!(finding, Finding::Parted(Parting::AnotherServer));
        assert_eq!(compare(&epoch(None), &now, Some(seen(7)), 7, true), Finding::Same { last: 7 });
    }
}
