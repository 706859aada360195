//! Policies: reactions to events. They have their own leader and checkpoint, and send commands through the command
//! path.
//!
//! A policy acts for the person who caused the event, with that person's rights; its events have the actor
//! `policy:<name>`. A refused command is recorded for the operator and skipped. A rebuild of the read tables never
//! runs a policy again.

mod block_task_sync;
mod checkpoint;
mod run;

pub use run::{Handles, run};

/// What the actor of a policy's events begins with.
const PREFIX: &str = "policy:";

fn is_policy(actor: &str) -> bool {
    actor.starts_with(PREFIX)
}
