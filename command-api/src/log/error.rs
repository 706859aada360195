//! Why the log gave no outcome.

/// Why a command has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Too many commands wait. Nothing is recorded; try again later.
    #[error("too many commands are waiting")]
    Full,
    /// The command is larger than the log takes. Nothing is recorded.
    #[error("the command is too large: {0}")]
    TooLarge(&'static str),
    /// The events of one aggregate leave a gap, or a scope has a control character: a bug of the caller.
    #[error("the command is malformed: {0}")]
    Malformed(&'static str),
    /// Postgres refused the data, with this SQLSTATE. Nothing is recorded.
    #[error("the database refused the data ({0})")]
    Refused(String),
    /// The database cannot be reached or cannot write now. Nothing is recorded.
    #[error("the log is not available")]
    Unavailable,
    /// The connection broke after the command was sent, and none came back in time: it may be recorded or not.
    /// Sending it again with the same key is safe.
    #[error("it is not known whether the command was recorded")]
    Unknown,
}
