//! What a task block and its task have in common, and when persons last changed it.

use serde::{Deserialize, Serialize};
use shared::domain::blocks::BlockText;
use shared::domain::id::NoteId;

use crate::app::At;

/// What a task block and its task both say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFacts {
    /// There is something to do, and it was not removed.
    pub alive: bool,
    /// The note that it belongs to.
    pub note: Option<NoteId>,
    /// What is to be done.
    pub text: Option<BlockText>,
    /// Whether it is done.
    pub done: Option<bool>,
}

/// Of each field the position of the last event by which a person changed it; 0 if nobody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEdits {
    /// Of whether there is something to do.
    pub alive: i64,
    /// Of what is to be done.
    pub text: i64,
    /// Of whether it is done.
    pub done: i64,
}

impl LastEdits {
    /// Takes in an event that made `after` of `before`.
    pub(crate) fn take(&mut self, at: At, before: &TaskFacts, after: &TaskFacts) {
        let Self { alive, text, done } = self;
        let changes = [
            (alive, before.alive != after.alive),
            (text, before.text != after.text),
            (done, before.done != after.done),
        ];
        for (last, _) in changes.into_iter().filter(|(_, changed)| at.by_person && *changed) {
            *last = at.position;
        }
    }
}
