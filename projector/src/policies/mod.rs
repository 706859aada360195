//! Policies: what follows from events by itself. They have their own leader and checkpoint, and ask through the command path.
//!
//! A policy's command is asked in the name of whoever caused it, whose rights count; its events carry `policy:<name>` as
//! actor. A refusal is recorded for the operator and passed over. A rebuild of the read tables never runs a policy again.

mod block_task_sync;
mod checkpoint;
mod run;

pub use run::{Handles, run};

/// What the actor of a policy's events begins with.
const PREFIX: &str = "policy:";

fn is_policy(actor: &str) -> bool {
    actor.starts_with(PREFIX)
}
