//! Why the engine stops, and whether trying again helps.

use shared::seal::SealError;

use crate::projections::{FoldError, ProjectError};
use crate::status::Fault;

/// Why a batch was not applied. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database failed; trying again helps.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// Keys could not be read or opened.
    #[error(transparent)]
    Keys(SealError),
    /// Another engine moved the checkpoint; whoever gets this starts over from where it is now.
    #[error("another projector has moved the checkpoint")]
    Overtaken,
    /// The log has no epoch: it was never migrated.
    #[error("the log has no epoch: has the database been migrated?")]
    NoEpoch,
    /// An event that this binary cannot fold; trying again does not help.
    #[error("{}", .0.why)]
    Fault(Fault),
}

impl From<ProjectError> for EngineError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Database(error) => Self::Database(error),
            ProjectError::Fold(error) => Self::Fault(fold_fault(&error)),
        }
    }
}

impl From<SealError> for EngineError {
    fn from(error: SealError) -> Self {
        match fault(&error) {
            Some(fault) => Self::Fault(fault),
            None => match error {
                SealError::Database(error) => Self::Database(error),
                SealError::Wrapped(_) | SealError::Forged(_) | SealError::Unreadable { .. } => {
                    Self::Keys(error)
                }
            },
        }
    }
}

/// The event at fault, if it is one event's. **This is where quarantine will hook in**: a known type whose data or fold
/// fails will put its row aside instead of stopping everything; an unknown type stops the projector for good, and a newer
/// release takes the lead.
fn fault(error: &SealError) -> Option<Fault> {
    match error {
        SealError::Forged(position) | SealError::Unreadable { position, .. } => {
            Some(Fault { position: *position, why: error.to_string() })
        }
        SealError::Wrapped(_) | SealError::Database(_) => None,
    }
}

fn fold_fault(error: &FoldError) -> Fault {
    Fault { position: error.position, why: error.to_string() }
}
