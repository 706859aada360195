//! The feed: reads the log once per process, up to the read position and never beyond, and pushes events to the
//! sockets.

use std::sync::Arc;
use std::time::Duration;

use shared::log::encryption::EncryptionError;
use shared::log::event::Recorded;
use shared::log::keyring::Keyring;
use shared::log::sight::Subject;
use shared::log::stored_event::StoredEvent;
use tokio::time::{MissedTickBehavior, interval};

use super::access::{Hidden, News};
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
        let mut events = open(&live.keyring, stored).await?;
        Pushed::hide(&mut events, load::hidden(&live.pool, position, last).await?);
        let mut events = events.into_iter().map(Arc::new).collect();
        while let Err((left, unknown)) = live.hub.push(events, last) {
            live.know(unknown).await?;
            events = left;
        }
        position = last;
    }
    Ok(())
}

/// Opens events. One that does not open is shown to nobody, and must not stop the others.
pub(super) async fn open(
    keyring: &Keyring,
    stored: Vec<StoredEvent>,
) -> Result<Vec<Pushed>, EncryptionError> {
    let of = |event: &StoredEvent| judged(&event.recorded, event.owner.as_deref());
    let news: Vec<News> = stored.iter().map(of).collect();
    let mut opened = Vec::with_capacity(stored.len());
    for (event, news) in keyring.open_each(stored).await?.into_iter().zip(news) {
        match event {
            Ok(_) if !news.hidden.is_empty() => opened.push(Pushed::silent(news)),
            Ok(event) => opened.push(Pushed::of(&event.recorded, news)),
            Err(unopened) => {
                let (cause, position) = (&unopened.why, unopened.recorded.position);
                tracing::error!(%cause, position, "An event is not shown live, as it cannot be opened");
                // What it does to access is in clear, and counts if it is as it was recorded.
                if unopened.is_genuine() {
                    opened.push(Pushed::silent(news));
                }
            }
        }
    }
    Ok(opened)
}

/// What an event does to access. If this release cannot read that, nothing of its owner is shown any more.
pub(super) fn judged(recorded: &Recorded, owner: Option<&str>) -> News {
    match Subject::of(recorded, owner) {
        Ok(subject) => News { subject, hidden: Vec::new() },
        Err(cause) => {
            tracing::error!(%cause, position = recorded.position, "What an event does to access cannot be read");
            let subject = Subject::without_effects(recorded, owner);
            let hidden = subject.containers().map(Hidden::Container).collect();
            News { subject, hidden }
        }
    }
}
