//! Whether this process stands for the lead. It does not while only a newer release can read the next event.

use std::time::Duration;

use shared::process::lifecycle::Shutdown;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::status::{Fault, Status};

/// How often we look whether an operator has decided to skip the event.
const LOOK: Duration = Duration::from_secs(1);

/// Says it once, loudly.
pub(crate) fn stand_down(status: &watch::Sender<Status>, fault: &Fault) {
    status.send_if_modified(|status| {
        let news = status.fault.as_ref() != Some(fault);
        if news {
            tracing::error!(
                position = fault.position,
                why = fault.why,
                "The projector stands still, and leaves the lead to a newer release. If there is none, the event can be \
                 skipped: daybook projector skip"
            );
        }
        status.fault = Some(fault.clone());
        news
    });
}

/// Waits until there is nothing in our way: a newer release has brought the tables beyond the event, or it is to be
/// skipped.
pub(crate) async fn until_passable(pool: &PgPool, status: &watch::Sender<Status>, shutdown: &Shutdown) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! { () = shutdown.cancelled() => return, _ = looks.tick() => {} }
        let fault = status.borrow().fault.clone();
        let Some(fault) = fault else { return };
        // Without the database no process can lead.
        if is_skipped(pool, fault.position).await.unwrap_or(false) {
            tracing::info!(position = fault.position, "The event is skipped; standing for the lead again");
            return;
        }
    }
}

async fn is_skipped(pool: &PgPool, position: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from es.skip where position = $1) as "skipped!""#, position)
        .fetch_one(pool)
        .await
}
