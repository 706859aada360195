//! Why the engine stops, and whether trying again helps.

use shared::log::encryption::EncryptionError;

use crate::status::Fault;

/// Why a batch was not applied. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database failed; trying again helps.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// Keys could not be read or opened.
    #[error(transparent)]
    Keys(EncryptionError),
    /// Another engine moved the checkpoint. Start again from where it is now.
    #[error("another projector has moved the checkpoint")]
    Overtaken,
    /// The log has no epoch: it was never migrated.
    #[error("the log has no epoch: has the database been migrated?")]
    NoEpoch,
    /// An event that only a newer release can read; what was before it is applied. Trying again does not help.
    #[error("{}", .0.why)]
    Fault(Fault),
}

impl From<EncryptionError> for EngineError {
    fn from(error: EncryptionError) -> Self {
        error.into_database().map_or_else(Self::Keys, Self::Database)
    }
}
