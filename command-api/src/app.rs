//! The command path, the only way to the log: load, authorize, decide, append, answer.

mod cache;
mod execute;
mod if_match;
mod load;
mod record;
mod snapshots;
mod unit_of_work;

use std::sync::Arc;

use shared::auth::{Issuer, Verifier};
use shared::clock::Clock;
use shared::encryption::Keyring;
use shared::epoch::EpochId;
use shared::server_keys::ServerKeys;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::log::Log;
use crate::sessions::{Passwords, Throttle};

pub use cache::Cache;
pub(crate) use execute::id_taken;
pub use execute::{Accepted, Answer, CommandMeta, Decision};
pub use if_match::IfMatch;
pub use load::Loaded;
pub use record::Home;
pub use snapshots::Snapshots;
pub use unit_of_work::{Authorized, Rows, UnitOfWork};

/// Everything the command API works with; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

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
    /// Makes access tokens.
    pub issuer: Issuer,
    /// Reads access tokens.
    pub verifier: Verifier,
    /// Checks passwords, off the async threads.
    pub passwords: Passwords,
    /// Slows down those who guess.
    pub throttle: Throttle,
    /// Time and ids.
    pub clock: Clock,
    /// Aggregates in memory.
    pub cache: Cache,
    /// Shortcuts to long aggregates.
    pub snapshots: Snapshots,
    /// The history that positions count in, as far as it is known.
    pub epoch: watch::Receiver<Option<EpochId>>,
    /// Who may create an account.
    pub registration: crate::users::Registration,
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
