//! Policies: reactions to events. They have their own leader and checkpoints, and send commands through the command
//! path.
//!
//! A policy acts for the person who caused the event, with that person's rights; its events have the actor
//! `policy:<name>`. A refused command is recorded for the operator and skipped. A rebuild of the read tables never
//! runs a policy again.
//!
//! A policy is a file beside this one and an entry in [`all`]. The rest of this folder knows none of them.

mod block_task_sync;
mod checkpoint;
mod policy;
mod queue;
mod run;

use shared::process::lifecycle::Shutdown;

pub use block_task_sync::BlockTaskSync;
pub use policy::{Policy, Reaction};
pub use run::{Handles, PAUSE, run, work};

/// The policies that there are. Each goes through the log by itself, whatever holds up the others.
async fn all(handles: &Handles, term: &Shutdown) {
    tokio::join!(
        work(&BlockTaskSync, handles, term), //
    );
}

#[cfg(test)]
mod tests {
    use shared::domain::access::{Action, Way};

    use super::*;

    #[test]
    fn every_policy_has_an_action_of_its_name() {
        let names = Action::ALL.iter().filter(|action| action.way() == Way::Policy);
        let names: Vec<String> = names.map(|action| action.as_ref().replace('_', "-")).collect();
        assert_eq!(names, [BlockTaskSync::NAME]);
    }
}
