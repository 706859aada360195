//! The feed: reads the log once per process, up to the read position and never beyond, and pushes events to the
//! sockets.

use std::time::Duration;

use shared::log::encryption::EncryptionError;
use shared::log::event::Opened;
use shared::log::keyring::Keyring;
use shared::log::stored_event::StoredEvent;
use tokio::time::{MissedTickBehavior, interval};

use super::ring::Pushed;
use super::{Live, load};

/// Events read from the log at a time.
pub(super) const BATCH: i64 = 500;
/// How often ended sessions are looked for among the open sockets, and a failed read is tried again.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// Why the feed could not go on for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Encrypt(#[from] EncryptionError),
}

/// Runs until it is dropped.
pub(super) async fn run(live: &Live) {
    let mut marks = live.watermark.subscribe();
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tables = 0;
    loop {
        let ran = async {
            look_again(live, &mut tables).await?;
            advance(live).await
        };
        if let Err(cause) = ran.await {
            tracing::warn!(%cause, "The feed cannot be read; trying again");
        }
        tokio::select! {
            changed = marks.changed() => if changed.is_err() { return },
            _ = ticks.tick() => live.hub.sweep(|caller| live.verifier.is_ended(caller)),
        }
    }
}

/// After a rebuild, rows that were quarantined may be repaired, so access is read again.
async fn look_again(live: &Live, seen: &mut u32) -> Result<(), FeedError> {
    let tables = live.watermark.tables();
    if *seen != 0 && *seen != tables {
        live.readmit().await?;
    }
    *seen = tables;
    Ok(())
}

/// Pushes everything up to the current read position.
async fn advance(live: &Live) -> Result<(), FeedError> {
    let mark = live.watermark.current();
    let (epoch, mut position) = live.hub.position();
    if mark.epoch != epoch {
        live.hub.restart(&mark.epoch, mark.position);
        return Ok(());
    }
    while position < mark.position {
        let limit = BATCH.min(mark.position - position);
        // Positions have no gap, so the limit alone keeps the batch within the watermark.
        let stored = shared::log::event_log::after(&live.pool, position, limit).await?;
        let Some(last) = stored.last().map(|event| event.recorded.position) else { return Ok(()) };
        let mut events: Vec<Pushed> = open(&live.keyring, stored).await?.iter().map(Pushed::of).collect();
        Pushed::quarantined(&mut events, load::quarantined(&live.pool, position, last).await?);
        while let Err((back, unplaced)) = live.hub.push(events, last) {
            live.place(unplaced).await?;
            events = back;
        }
        position = last;
    }
    Ok(())
}

/// Opens events; one that does not open is passed over, and must not stop the others.
pub(super) async fn open(
    keyring: &Keyring,
    stored: Vec<StoredEvent>,
) -> Result<Vec<Opened>, EncryptionError> {
    let mut opened = Vec::with_capacity(stored.len());
    for event in keyring.open_each(stored).await? {
        match event {
            Ok(event) => opened.push(event),
            Err(unopened) => {
                let (cause, position) = (&unopened.why, unopened.recorded.position);
                tracing::error!(%cause, position, "An event is not shown live, as it cannot be opened");
            }
        }
    }
    Ok(opened)
}
