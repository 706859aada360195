//! One term of a leader: check, publish, wait; and check again whenever something is not as expected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::connection::State;
use shared::process::lifecycle::Shutdown;
use tokio::time::{interval, timeout};

use super::Relay;
use super::check::check;
use super::error::RelayError;
use super::publish::Publisher;
use super::wake::Wake;

/// An idle relay checks the stream as often as this, so that a lost one is made again before it is needed.
const CHECK: Duration = Duration::from_secs(5);

/// The pauses between tries: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(2));

/// How often a relay without NATS looks whether it is back.
const LOOK: Duration = Duration::from_millis(25);

/// Relays until the term is over.
pub(super) async fn serve(relay: Relay, leading: Arc<AtomicBool>, term: Shutdown) {
    let _leading = Leading::new(leading);
    let mut course = Course { wake: Wake::new(relay.appended.clone()), pause: PAUSES.0, trusted: 0 };
    while !term.is_cancelled() {
        let Err(error) = course.hold(&relay, &term).await else { continue };
        // A refusal is news, not a failure: what it means is found out at once, the first time.
        if error.is_refusal() && course.pause == PAUSES.0 {
            tracing::info!(error = &error as &dyn std::error::Error, "Checking the stream");
        } else if matches!(error, RelayError::Offline) && course.pause == PAUSES.0 {
            // At a start the connection takes a moment.
            tracing::debug!("NATS is not connected yet");
            drop(timeout(course.pause, mended(&error, &relay.nats, &term)).await);
        } else {
            tracing::warn!(error = &error as &dyn std::error::Error, "Cannot publish; trying again");
            drop(timeout(course.pause, mended(&error, &relay.nats, &term)).await);
        }
        course.pause = (course.pause * 2).min(PAUSES.1);
    }
}

/// Waits until there is no need to wait any longer: the term is over, or NATS, which was away, is back. Whatever was
/// appended meanwhile is then waited for.
async fn mended(error: &RelayError, nats: &Client, term: &Shutdown) {
    let mut looks = interval(LOOK);
    while !matches!(error, RelayError::Offline) || nats.connection_state() != State::Connected {
        if term.run_until_cancelled(looks.tick()).await.is_none() {
            return;
        }
    }
}

/// What is remembered from one check to the next.
struct Course {
    wake: Wake,
    /// How long to wait after the next failure.
    pause: Duration,
    /// Up to here this leader knows what is in the stream.
    trusted: i64,
}

impl Course {
    /// Checks, then publishes until it is time to check again.
    async fn hold(&mut self, relay: &Relay, term: &Shutdown) -> Result<(), RelayError> {
        // Requests made now would only pile up in the client.
        if relay.nats.connection_state() != State::Connected {
            return Err(RelayError::Offline);
        }
        self.wake.listen(&relay.nats).await;
        let Some(start) = check(relay, self.trusted).await? else {
            self.trusted = 0;
            return Ok(());
        };
        let mut publisher = Publisher::new(&relay.nats, start);
        let ended = self.follow(&mut publisher, relay, term).await;
        self.trusted = publisher.confirmed;
        ended
    }

    /// Brings the stream up to the log and keeps it there.
    async fn follow(
        &mut self,
        publisher: &mut Publisher,
        relay: &Relay,
        term: &Shutdown,
    ) -> Result<(), RelayError> {
        let checked = Instant::now();
        loop {
            while publisher.step(&relay.pool).await? {
                if term.is_cancelled() {
                    return Ok(());
                }
            }
            self.pause = PAUSES.0;
            if checked.elapsed() > CHECK {
                return Ok(());
            }
            tokio::select! {
                () = term.cancelled() => return Ok(()),
                () = self.wake.next() => {}
            }
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
