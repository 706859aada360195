//! What a policy is: which events concern it, and what it does about each.

use std::future::Future;

use command_api::app::{Accepted, App, CommandMeta, Decision};
use serde::Serialize;
use shared::domain::id::UserId;
use shared::log::event::{POLICY, Recorded};
use shared::process::problem::Problem;

/// "Whenever that happens, do this."
///
/// The events come without their data: what a reaction decides by, it reads as it is then. A reaction may be begun
/// several times for one event, after a failure or a crash: its commands have the same idempotency keys each time.
pub trait Policy: Sync {
    /// Names its checkpoint, its actor, the keys of its commands, and what it was refused. Never to be changed.
    const NAME: &'static str;
    /// Whether a reaction sees to all that has happened to a thing. Then, of the events of one thing by one actor that
    /// wait together, only the last is reacted to.
    const LAST_ONLY: bool = false;

    /// Whether an event may concern it. It sees all events, those of policies too.
    fn cares(event: &Recorded) -> bool;

    /// Events of one lane are reacted to one after the other, in order; lanes go on beside each other. A thing whose
    /// reaction fails leaves its lane with all its events, which keep their order, and is tried again by itself.
    fn lane(event: &Recorded) -> &str {
        &event.aggregate.id
    }

    /// What it does. A refusal (4xx) is recorded and passed over; a failure (5xx) is tried again.
    fn react(&self, reaction: &mut Reaction<'_>) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// An event that a policy reacts to, and the way to send commands because of it.
pub struct Reaction<'a> {
    /// The command path.
    pub app: &'a App,
    /// The event, without its data.
    pub event: &'a Recorded,
    policy: &'static str,
    sent: usize,
}

impl<'a> Reaction<'a> {
    /// A reaction of this policy.
    pub fn of<P: Policy>(app: &'a App, event: &'a Recorded) -> Self {
        Self { app, event, policy: P::NAME, sent: 0 }
    }

    /// The person who caused the event, and whose rights are asked.
    pub fn person(&self) -> Option<UserId> {
        self.event.meta.actor.parse().ok()
    }

    /// Sends a command for that person. `content` is what its idempotency key is bound to.
    pub async fn carry_out(
        &mut self,
        decision: &impl Decision,
        content: &(impl Serialize + Sync),
    ) -> Result<Accepted, Problem> {
        self.sent += 1;
        self.app.carry_out(&self.command_meta(), decision, content).await
    }

    fn command_meta(&self) -> CommandMeta {
        CommandMeta {
            on_behalf_of: self.person(),
            key: Some(format!("{}/{}/{}", self.policy, self.event.id, self.sent)),
            correlation: self.event.meta.correlation.clone(),
            ..CommandMeta::new(format!("{POLICY}{}", self.policy), self.event.id.to_string(), self.policy)
        }
    }
}
