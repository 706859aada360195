//! Tells the leader, in whatever process it is, that this process appended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::connection::State;
use shared::log::epoch;
use shared::process::jetstream::{APPENDED, Notice};
use shared::process::lifecycle::Shutdown;

use super::Relay;

/// The epoch in a notice may be as old as this. It changes once in years, and the leader goes by its own.
const FRESH: Duration = Duration::from_secs(5);

/// Publishes each last position that this process appended, while another process leads.
pub(super) async fn run(relay: &Relay, leading: &AtomicBool, shutdown: &Shutdown) {
    let mut appended = relay.appended.clone();
    let mut notice: Option<(Instant, Notice)> = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            // The writer is gone: nothing will be appended here any more.
            changed = appended.changed() => if changed.is_err() { return },
        }
        let position = *appended.borrow_and_update();
        if leading.load(Ordering::Relaxed) || relay.nats.connection_state() != State::Connected {
            continue;
        }
        if notice.as_ref().is_none_or(|(read, _)| read.elapsed() > FRESH) {
            // Without an answer the leader is not woken, and its poll finds the event.
            let Ok(Some(epoch)) = epoch::current(&relay.pool).await else { continue };
            notice = Some((Instant::now(), Notice { epoch: epoch.epoch, position }));
        }
        if let Some((_, notice)) = &mut notice {
            notice.position = position;
            drop(relay.nats.publish(APPENDED, notice.to_bytes()).await);
        }
    }
}
