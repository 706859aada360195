//! One time in the lead: check, publish, wait; and check again whenever something is not as expected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::connection::State;
use shared::lifecycle::Shutdown;
use tokio::time::timeout;

use super::Relay;
use super::check::check;
use super::error::RelayError;
use super::publish::Publisher;
use super::wake::Wake;

/// An idle relay checks the stream as often as this, so that a lost one is made again before it is needed.
const CHECK: Duration = Duration::from_secs(5);

/// The pauses between tries: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(2));

/// Relays until the term is over.
pub(super) async fn serve(relay: Relay, leading: Arc<AtomicBool>, term: Shutdown) {
    let _leading = Leading::new(leading);
    let mut wake = Wake::new(relay.appended.clone());
    let mut pause = PAUSES.0;
    while !term.is_cancelled() {
        match carry(&relay, &mut wake, &mut pause, &term).await {
            Ok(()) => {}
            Err(ref e)
                if {
                    eprintln!("DBG {e:?}");
                    false
                } => {}
            Err(error) if error.is_refusal() && pause == PAUSES.0 => {
                tracing::info!(error = &error as &dyn std::error::Error, "Checking the stream");
                pause *= 2;
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Cannot publish; trying again");
                drop(timeout(pause, term.cancelled()).await);
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

/// Brings the stream up to the log and keeps it there, until it is time to check, or something fails.
async fn carry(
    relay: &Relay,
    wake: &mut Wake,
    pause: &mut Duration,
    term: &Shutdown,
) -> Result<(), RelayError> {
    // Requests made now would only pile up in the client.
    if relay.nats.connection_state() != State::Connected {
        return Err(RelayError::Offline);
    }
    wake.listen(&relay.nats).await;
    let Some(start) = check(relay).await? else { return Ok(()) };
    let checked = Instant::now();
    let mut publisher = Publisher::new(&relay.nats, start);
    loop {
        while publisher.step(&relay.pool).await? {
            if term.is_cancelled() {
                return Ok(());
            }
        }
        *pause = PAUSES.0;
        if checked.elapsed() > CHECK {
            return Ok(());
        }
        tokio::select! {
            () = term.cancelled() => return Ok(()),
            () = wake.next() => {}
        }
    }
}

/// Says that this process leads, for as long as it lives; also when the term ends by being dropped.
struct Leading(Arc<AtomicBool>);

impl Leading {
    fn new(leading: Arc<AtomicBool>) -> Self {
        leading.store(true, Ordering::Relaxed);
        Self(leading)
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
