//! What keeps the relay from publishing. No error is final: it checks and tries again.

use async_nats::jetstream::context::{CreateStreamError, GetStreamError, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{InfoError, RawMessageError};

/// Why the relay must check the stream again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RelayError {
    #[error("NATS is not connected")]
    Offline,
    #[error("the log cannot be read")]
    Log(#[from] sqlx::Error),
    #[error("the stream was not found out about")]
    Stream(#[from] GetStreamError),
    #[error("the stream's state was not found out")]
    State(#[from] InfoError),
    #[error("a message of the stream cannot be read")]
    Message(#[from] RawMessageError),
    #[error("the stream cannot be made or changed")]
    Make(#[from] CreateStreamError),
    #[error("an event was not accepted by the stream")]
    Publish(#[from] PublishError),
    #[error("the stream gave an event the sequence {sequence} instead of its position {position}")]
    Misplaced { position: i64, sequence: u64 },
    #[error("the log ends at {head}, before what was published")]
    Shrunk { head: i64 },
}

impl RelayError {
    /// Whether the stream is not as we thought: worth a look at once, as nothing has failed.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Publish(error) if matches!(
            error.kind(),
            PublishErrorKind::WrongLastSequence | PublishErrorKind::StreamNotFound
        ))
    }
}
