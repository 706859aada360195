//! The command path, the only way to the log: load, authorize, decide, append, answer.

mod cache;
mod decide;
mod execute;
mod if_match;
mod load;
mod record;
#[cfg(test)]
pub(crate) mod snapshot_forms;
mod snapshots;
mod unit_of_work;

use std::sync::Arc;

use futures::future::BoxFuture;
use shared::domain::access::Container;
use shared::domain::clock::Clock;
use shared::log::epoch::EpochId;
use shared::log::keyring::Keyring;
use shared::log::server_keys::ServerKeys;
use shared::process::auth::Verifier;
use shared::process::problem::Problem;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::log::Log;

pub use cache::Cache;
pub use decide::{At, Context, Decide, Refusal, problem};
pub(crate) use execute::id_taken;
pub use execute::{Accepted, Answer, CommandMeta, Decision};
pub use if_match::IfMatch;
pub use load::Loaded;
pub use record::Home;
pub use snapshots::Snapshots;
pub use unit_of_work::{Authorized, Claim, Rows, UnitOfWork};

/// Everything the command API works with; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// Whether the caller may send commands at all, before any is decided. What it reads is named in the append.
pub type Guard = for<'w> fn(&'w mut UnitOfWork<'_>) -> BoxFuture<'w, Result<(), Problem>>;

/// A container and what it is in, each read to decide by; nothing if it is not there.
pub type Chain = for<'w> fn(&'w mut UnitOfWork<'_>, Container) -> BoxFuture<'w, Result<Vec<Link>, Problem>>;

/// A container, as far as it decides about the grants on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub container: Container,
    /// The position at which all grants on it ended the last time; 0 if they never did.
    pub cleared: i64,
}

/// The parts of an [`App`].
pub struct Parts {
    /// Where commands are recorded.
    pub log: Log,
    /// Connections as `daybook_command`.
    pub pool: PgPool,
    /// Encrypts and opens.
    pub keyring: Keyring,
    /// The server's own keys.
    pub keys: ServerKeys,
    /// Reads access tokens.
    pub verifier: Verifier,
    /// Time and ids.
    pub clock: Clock,
    /// Aggregates in memory.
    pub cache: Cache,
    /// Shortcuts to long aggregates.
    pub snapshots: Snapshots,
    /// The history that positions count in, as far as it is known.
    pub epoch: watch::Receiver<Option<EpochId>>,
    /// What is asked before each command.
    pub guard: Guard,
    /// Finds containers of every kind.
    pub chain: Chain,
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl axum::extract::FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}
