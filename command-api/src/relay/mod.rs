//! The relay: one leader copies the event log into the stream, in order, each sequence equal to its position.
//!
//! It keeps no cursor: the stream's own last sequence is the cursor, after `check` has compared stream and log.
//! `publish` then sends what the stream lacks. Each message is accepted only right after the one before, so a leader
//! that was frozen and wakes up can do no harm. After any refusal or silence, the relay checks again. Where the
//! histories differ (after a restore or a failover), `parting` begins a new epoch, and with it a new stream.
//!
//! Neither Postgres nor NATS has to be available: the relay tries again, at growing intervals, until both are.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_nats::Client;
use shared::process::jetstream::Retention;
use shared::process::leadership::{LeaderRole, lead};
use shared::process::lifecycle::Shutdown;
use sqlx::PgPool;
use tokio::sync::watch;

mod check;
mod error;
mod notifier;
mod parting;
mod publish;
mod seen;
mod term;
mod wake;

/// What the relay works with.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Sessions that run as the role of the command side; three are enough.
    pub pool: PgPool,
    /// From [`shared::process::jetstream::connect`].
    pub nats: Client,
    /// The last position that this process appended ([`crate::log::Log::appended`]).
    pub appended: watch::Receiver<i64>,
    /// How much the stream keeps.
    pub retention: Retention,
}

/// Tries to lead, and relays while it leads, until `shutdown`. While another process leads, this one announces its appends
/// to it.
pub async fn run(relay: Relay, shutdown: Shutdown) {
    let leading = Arc::new(AtomicBool::new(false));
    let options = relay.pool.connect_options().as_ref().clone();
    let terms = lead(&options, LeaderRole::Relay, &shutdown, |term| {
        term::serve(relay.clone(), Arc::clone(&leading), term)
    });
    tokio::join!(terms, notifier::run(&relay, &leading, &shutdown));
}
