//! The stream that carries events from the log to their readers: its names, its configuration, how to reach it.
//!
//! No other file spells a subject. The stream's sequence equals the position in the log. The stream may lack old
//! events (retention) or events that were lost with its disk; readers then read the log itself.

use std::time::Duration;

pub use async_nats::Client;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, stream};
use async_nats::{ConnectError, ConnectOptions, HeaderMap};
use serde::{Deserialize, Serialize};

use crate::log::epoch::EpochId;
use crate::log::event::Recorded;
use crate::log::stored_event::{Mac, StoredEvent};

/// Core subject: a process appended up to a position. It wakes the relay, which may live in another process.
pub const APPENDED: &str = "daybook.appended";
/// Core subject: the read tables have come to a position.
pub const WATERMARK: &str = "daybook.watermark";

/// Header: the event's id. With it the stream can be compared to the log without opening the message.
pub const EVENT_ID: &str = "Event-Id";
/// Header: the event's position, which is also the message's sequence.
pub const POSITION: &str = "Position";

/// Header: the event's MAC in hexadecimal digits.
pub const MAC: &str = "Mac";

/// What [`APPENDED`] and [`WATERMARK`] say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The history that the position is in.
    pub epoch: EpochId,
    /// How far it has come.
    pub position: i64,
}

impl Notice {
    /// The message's payload.
    pub fn to_bytes(&self) -> bytes::Bytes {
        serde_json::to_vec(self).expect("a name and a number are JSON").into()
    }

    /// Reads a payload; `None` if it is not a notice. Anybody may publish such a message, so it is no error.
    pub fn from_bytes(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}

/// How much of the past the stream keeps, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older messages go.
    pub age: Duration,
    /// In bytes; when the stream is fuller, its oldest messages go.
    pub size: i64,
    /// Copies in a cluster: 1 or 3.
    pub replicas: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_hours(7 * 24), size: 1 << 30, replicas: 1 }
    }
}

/// The name of an epoch's stream.
pub fn stream_name(epoch: &EpochId) -> String {
    format!("DAYBOOK_{epoch}")
}

/// The subject of an event. No ids in it: the server keeps every subject of a stream in memory.
pub fn subject(epoch: &EpochId, aggregate_type: &str, event_type: &str) -> String {
    format!("daybook.{epoch}.event.{aggregate_type}.{event_type}")
}

/// All subjects of an epoch's events.
pub fn all_subjects(epoch: &EpochId) -> String {
    format!("daybook.{epoch}.event.>")
}

/// The configuration of an epoch's stream, whose first message will have the sequence `first`.
pub fn stream_config(epoch: &EpochId, first: i64, retention: &Retention) -> Config {
    Config {
        description: Some("A copy of the event log: may be removed, will be made again".to_owned()),
        first_sequence: u64::try_from(first).ok(),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        ..with_retention(Config { name: stream_name(epoch), ..Config::default() }, epoch, retention)
    }
}

/// `config`, with the settings that may change during a stream's life as they should be now.
pub fn with_retention(config: Config, epoch: &EpochId, retention: &Retention) -> Config {
    Config {
        subjects: vec![all_subjects(epoch)],
        max_age: retention.age,
        max_bytes: retention.size,
        num_replicas: retention.replicas,
        ..config
    }
}

/// The message of an event: the JSON of [`Recorded`], still encrypted, accepted only right after the event before.
pub fn message(event: &StoredEvent) -> PublishMessage {
    message_with(event, payload(event))
}

/// The same of what [`payload`] gave.
pub fn message_with(event: &StoredEvent, payload: Vec<u8>) -> PublishMessage {
    let Recorded { id, position, .. } = &event.recorded;
    PublishMessage::build()
        .payload(payload.into())
        .header(EVENT_ID, id.to_string())
        .header(POSITION, position.to_string())
        .header(MAC, hex::encode(event.mac))
        .expected_last_sequence(u64::try_from(position - 1).unwrap_or_default())
}

/// An event as a message carries it, still encrypted.
pub fn payload(event: &StoredEvent) -> Vec<u8> {
    serde_json::to_vec(&event.to_recorded()).expect("an event is plain data with string keys")
}

/// Reads a message: an event, still encrypted and not yet checked; `None` when it has not the form of one.
pub fn event(headers: Option<&HeaderMap>, payload: &[u8]) -> Option<StoredEvent> {
    let mut mac = Mac::default();
    hex::decode_to_slice(headers?.get(MAC)?.as_str(), &mut mac).ok()?;
    StoredEvent::from_recorded(serde_json::from_slice(payload).ok()?, mac)
}

/// A client that connects when it can, and for ever again: a service starts, and lives, without NATS.
pub async fn connect(url: &str, name: &str) -> Result<Client, ConnectError> {
    ConnectOptions::new()
        .name(name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .connection_timeout(Duration::from_secs(2))
        .request_timeout(Some(Duration::from_secs(5)))
        // A server that hangs is noticed by its silence.
        .ping_interval(Duration::from_secs(5))
        .reconnect_delay_callback(|attempts| {
            Duration::from_millis(u64::try_from(attempts).unwrap_or(u64::MAX).saturating_mul(20).min(250))
        })
        .connect(url)
        .await
}

/// The `JetStream` side of a client, with `timeout` for each answer.
pub fn context(client: &Client, timeout: Duration) -> Context {
    ContextBuilder::new().timeout(timeout).ack_timeout(timeout).build(client.clone())
}

/// The epoch's stream; `None` if there is none.
pub async fn stream(
    context: &Context,
    epoch: &EpochId,
) -> Result<Option<stream::Stream>, async_nats::jetstream::context::GetStreamError> {
    use async_nats::jetstream::ErrorCode;
    use async_nats::jetstream::context::GetStreamErrorKind::JetStream;
    match context.get_stream(stream_name(epoch)).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{EpochId, Notice, all_subjects, stream_name, subject};

    #[test]
    fn names_carry_the_epoch() {
        let epoch = EpochId::try_from("0123abcd".to_owned()).unwrap();
        assert_eq!(stream_name(&epoch), "DAYBOOK_0123abcd");
        assert_eq!(subject(&epoch, "note", "NoteRetitled"), "daybook.0123abcd.event.note.NoteRetitled");
        assert_eq!(all_subjects(&epoch), "daybook.0123abcd.event.>");
    }

    #[test]
    fn a_notice_reads_what_it_wrote_and_nothing_else() {
        let notice = Notice { epoch: EpochId::fresh(), position: 7 };
        assert_eq!(Notice::from_bytes(&notice.to_bytes()), Some(notice));
        assert_eq!(Notice::from_bytes(br#"{"epoch":"a.>","position":1}"#), None);
    }
}
