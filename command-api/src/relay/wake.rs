//! What wakes the leader: its own process, another process, or the passing of time.

use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures::StreamExt;
use shared::process::jetstream::APPENDED;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the relay polls the log, whatever else fails to wake it.
const POLL: Duration = Duration::from_millis(250);

/// Everything the leader listens to.
pub(super) struct Wake {
    here: Option<watch::Receiver<i64>>,
    elsewhere: Option<Subscriber>,
    poll: Interval,
}

impl Wake {
    pub(super) fn new(here: watch::Receiver<i64>) -> Self {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { here: Some(here), elsewhere: None, poll }
    }

    /// Listens to the other processes, once NATS is connected; the client keeps it up over reconnects.
    pub(super) async fn listen(&mut self, nats: &Client) {
        if self.elsewhere.is_none() {
            self.elsewhere = nats.subscribe(APPENDED).await.ok();
        }
    }

    /// Waits for a reason to look at the log.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            changed = changed(&mut self.here) => if !changed { self.here = None },
            message = heard(&mut self.elsewhere) => if !message { self.elsewhere = None },
            _ = self.poll.tick() => {}
        }
    }
}

/// Waits for an append here; `false` when there will be none any more.
async fn changed(here: &mut Option<watch::Receiver<i64>>) -> bool {
    match here {
        Some(here) => here.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}

/// Waits for an append elsewhere; `false` when the subscription has ended.
async fn heard(elsewhere: &mut Option<Subscriber>) -> bool {
    match elsewhere {
        Some(elsewhere) => elsewhere.next().await.is_some(),
        None => std::future::pending().await,
    }
}
