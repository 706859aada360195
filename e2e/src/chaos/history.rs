//! What was asked and acknowledged.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::time::timeout;

use super::LIMIT;

/// A command with its acknowledgement.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    /// Who asked.
    pub(super) actor: String,
    /// The idempotency key, the same at each try.
    pub(super) key: String,
    /// How many events it makes.
    pub(super) events: usize,
    /// What it made or changed, and which version that has now.
    pub(super) id: String,
    pub(super) version: i64,
    /// Where the last of its events stands, and in which history, if that was said.
    pub(super) position: i64,
    pub(super) epoch: Option<String>,
}

/// All acknowledgements so far.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: Mutex<Vec<Acknowledged>>,
    count: watch::Sender<u64>,
    repeats: watch::Sender<u64>,
}

impl History {
    pub(super) fn add(&self, acknowledged: Acknowledged) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(acknowledged);
        self.count.send_modify(|count| *count += 1);
    }

    /// A command had no answer, or none that says what happened, and is sent again.
    pub(super) fn repeat(&self) {
        self.repeats.send_modify(|count| *count += 1);
    }

    pub(super) fn repeats(&self) -> u64 {
        *self.repeats.borrow()
    }

    pub(super) fn count(&self) -> u64 {
        *self.count.borrow()
    }

    /// Waits until there are so many more.
    pub(super) async fn after(&self, more: u64) -> Result<()> {
        let mut count = self.count.subscribe();
        let wanted = *count.borrow() + more;
        let reached = count.wait_for(|count| *count >= wanted);
        timeout(LIMIT, reached).await.context("commands are no longer acknowledged")??;
        Ok(())
    }

    /// All of them, by who asked and the key.
    pub(super) fn by_key(&self) -> HashMap<(String, String), Acknowledged> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|entry| ((entry.actor.clone(), entry.key.clone()), entry.clone())).collect()
    }
}
