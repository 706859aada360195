//! What the stream holds, as far as a check needs to know.

use std::collections::HashMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind, Stream};
use futures::{StreamExt, TryStreamExt, stream};
use shared::log::epoch::EpochId;
use shared::process::jetstream::{self, EVENT_ID};
use sqlx::PgPool;
use uuid::Uuid;

use super::error::RelayError;
use super::publish::WINDOW;

/// Questions to the server at once.
const QUESTIONS: usize = 64;

/// A stream, looked at.
pub(super) struct Seen {
    pub(super) stream: Stream,
    /// The first sequence that it keeps.
    pub(super) first: i64,
    /// The last sequence that it gave.
    pub(super) last: i64,
    subjects: String,
    /// Its last messages, which may have been under way together, in order.
    tail: Vec<Message>,
}

/// A message of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) sequence: i64,
    /// The event it says it carries; a foreign message may not say so.
    event: Option<Uuid>,
}

impl Seen {
    /// Looks at the epoch's stream, its messages after `trusted` in particular; `None` if there is no stream.
    pub(super) async fn look(
        context: &Context,
        epoch: &EpochId,
        trusted: i64,
    ) -> Result<Option<Self>, RelayError> {
        let Some(stream) = jetstream::stream(context, epoch).await? else { return Ok(None) };
        let state = &stream.cached_info().state;
        let (first, last) = (number(state.first_sequence), number(state.last_sequence));
        let subjects = jetstream::all_subjects(epoch);
        let newest = found(stream.get_last_raw_message_by_subject(&subjects).await)?;
        // A message may have come between the two answers.
        let last = last.max(newest.map_or(0, |message| message.sequence));
        let start = (last - number(WINDOW as u64)).max(trusted).max(first - 1) + 1;
        let mut tail = between(&stream, start, last).await?;
        // The newest may be far behind the end, if what came after it was deleted.
        tail.extend(newest.filter(|newest| newest.sequence < start));
        tail.sort_by_key(|message| message.sequence);
        Ok(Some(Self { stream, first, last, subjects, tail }))
    }

    /// The first of the last messages that is not what the log has at its position.
    pub(super) async fn differs_at(&self, log: &PgPool) -> sqlx::Result<Option<i64>> {
        differs_at(log, &self.tail).await
    }

    /// The first message that the stream keeps at or after a sequence.
    pub(super) async fn message_from(&self, sequence: i64) -> Result<Option<Message>, RelayError> {
        let sequence = u64::try_from(sequence).unwrap_or_default().max(1);
        found(self.stream.get_first_raw_message_by_subject(&self.subjects, sequence).await)
    }
}

/// The first of the messages, which are in order, that is not what the log has at its position.
pub(super) async fn differs_at(log: &PgPool, messages: &[Message]) -> sqlx::Result<Option<i64>> {
    let positions: Vec<i64> = messages.iter().map(|message| message.sequence).collect();
    let events =
        sqlx::query!("select position, event_id from es.event where position = any ($1)", &positions[..])
            .fetch_all(log)
            .await?;
    let events: HashMap<_, _> = events.into_iter().map(|event| (event.position, event.event_id)).collect();
    let differs = |message: &&Message| {
        message.event.is_none() || events.get(&message.sequence).copied() != message.event
    };
    Ok(messages.iter().find(differs).map(|message| message.sequence))
}

/// The messages that the stream keeps between two sequences, both included.
async fn between(stream: &Stream, start: i64, end: i64) -> Result<Vec<Message>, RelayError> {
    let messages = stream::iter(start..=end)
        .map(|sequence| async move {
            found(stream.get_raw_message(u64::try_from(sequence).unwrap_or_default()).await)
        })
        .buffered(QUESTIONS);
    messages.try_filter_map(async |message| Ok(message)).try_collect().await
}

fn found(answer: Result<StreamMessage, RawMessageError>) -> Result<Option<Message>, RelayError> {
    match answer {
        Ok(message) => {
            let event = message.headers.get(EVENT_ID).and_then(|id| id.as_str().parse().ok());
            Ok(Some(Message { sequence: number(message.sequence), event }))
        }
        Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
