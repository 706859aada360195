//! Keeps a task block and its task equal: text, completion, note, and whether they exist at all.
//!
//! It reacts to what persons do, never to its own events. For each such event it looks at both sides. For each field,
//! the side that a person edited last wins; its value is copied to the other side. So two edits that cross come to
//! rest after one step each. A rule that answered every event by its opposite would echo for ever.

use std::sync::Arc;

use command_api::app::Decide;
use command_api::app::{Answer, App, Decision, Loaded, UnitOfWork};
use command_api::blocks::{Anchor, Block, BlockCommand};
use command_api::tasks::{Task, TaskCommand};
use shared::domain::AggregateEvent;
use shared::domain::blocks::{BlockEvent, BlockText, Content, Depth, RichText};
use shared::domain::id::{NoteId, UserId};
use shared::domain::tasks::{Details, TaskEvent};
use shared::log::event::Recorded;
use shared::process::problem::Problem;

use super::policy::{Policy, Reaction};

/// The policy.
#[derive(Clone, Copy, Debug)]
pub struct BlockTaskSync;

impl Policy for BlockTaskSync {
    const NAME: &'static str = "block-task-sync";
    /// It looks at both sides as they are then.
    const LAST_ONLY: bool = true;

    fn cares(event: &Recorded) -> bool {
        let kind = event.aggregate.kind.as_str();
        [BlockEvent::AGGREGATE, TaskEvent::AGGREGATE].contains(&kind)
            && event.meta.actor.parse::<UserId>().is_ok()
    }

    /// Things of one note follow each other: what is added to it keeps its order.
    fn lane(event: &Recorded) -> &str {
        event.scopes.first().map_or("", String::as_str)
    }

    async fn react(&self, reaction: &mut Reaction<'_>) -> Result<(), Problem> {
        let Some(person) = reaction.person() else { return Ok(()) };
        let id = reaction.event.aggregate.id.as_str();
        if is_due(reaction.app, reaction.event).await? {
            reaction.carry_out(&Sync { id, person }, &id).await?;
        }
        Ok(())
    }
}

/// What is to be asked of either side, so that both are equal.
#[derive(Clone, Debug, Default)]
struct Plan {
    block: Vec<BlockCommand>,
    task: Vec<TaskCommand>,
}

impl Plan {
    /// What brings both sides together; `owner` will be the owner of a task that is new.
    fn new(block: &Block, task: &Task, owner: UserId) -> Self {
        let (on_block, on_task) = (block.task_facts(), task.task_facts());
        let (by_block, by_task) = (block.last_edits(), task.last_edits());
        let wanted = if by_block.alive >= by_task.alive { &on_block } else { &on_task };
        // What has no text at all is nothing to do, and must not be written over.
        let textless = block.part().is_some_and(|part| part.block.text().is_none());
        if textless || !wanted.alive {
            let text = block.live().filter(|_| on_block.alive).map(|part| part.block.as_text_block());
            return Self {
                block: text.map(|block| BlockCommand::Become { block }).into_iter().collect(),
                task: on_task.alive.then_some(TaskCommand::Remove).into_iter().collect(),
            };
        }
        let text = newer((&on_block.text, by_block.text), (&on_task.text, by_task.text)).unwrap_or_default();
        let done = newer((&on_block.done, by_block.done), (&on_task.done, by_task.done)).unwrap_or_default();
        // Only blocks are moved by persons, and their tasks go with them.
        let Some(note) = on_block.note.or(on_task.note) else { return Self::default() };
        let to_be = ToBe { note, text, done };
        Self { block: to_be.on_block(block), task: to_be.on_task(task, owner) }
    }
}

/// Of two values the one that was changed last; one that a side does not have is no value.
fn newer<T: Clone>((one, at): (&Option<T>, i64), (other, since): (&Option<T>, i64)) -> Option<T> {
    let (first, second) = if at >= since { (one, other) } else { (other, one) };
    first.clone().or_else(|| second.clone())
}

/// What both sides are to have.
struct ToBe {
    note: NoteId,
    text: BlockText,
    done: bool,
}

impl ToBe {
    fn on_block(&self, block: &Block) -> Vec<BlockCommand> {
        let fresh = || Content::Task {
            checked: self.done,
            depth: Depth::LEAST,
            rich: RichText::from(self.text.clone()),
        };
        let (part, removed) = match block {
            Block::Missing => {
                return vec![BlockCommand::Add { note_id: self.note, block: fresh(), anchor: Anchor::End }];
            }
            Block::Live(part) => (part, false),
            Block::Removed(part) => (part, true),
        };
        let task = part.block.as_task_block(self.done).with_text(self.text.clone());
        let restored = removed.then_some(BlockCommand::Restore { anchor: Anchor::Former });
        let changed = (task != part.block).then_some(BlockCommand::Become { block: task });
        restored.into_iter().chain(changed).collect()
    }

    fn on_task(&self, task: &Task, owner: UserId) -> Vec<TaskCommand> {
        let (todo, removed) = match task {
            Task::Missing => {
                return vec![TaskCommand::Add {
                    note_id: Some(self.note),
                    owner,
                    title: self.text.clone(),
                    completed: self.done,
                    details: Details::default(),
                }];
            }
            Task::Live(todo) => (todo, false),
            Task::Removed(todo) => (todo, true),
        };
        let moved = TaskCommand::Move { note_id: self.note };
        let retitled = TaskCommand::Retitle { title: self.text.clone() };
        let done = if self.done { TaskCommand::Complete } else { TaskCommand::Reopen };
        [
            (todo.note_id != Some(self.note)).then_some(moved),
            removed.then_some(TaskCommand::Restore),
            (todo.title != self.text).then_some(retitled),
            (todo.completed != self.done).then_some(done),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Whether both sides differ: a short look, which mostly ends it.
///
/// The side that has changed may come from memory, if it is there as it was after the event; whatever changes later is an
/// event of its own. The other side is read as it is now: were both as they had been, two edits that cross could each find
/// both sides equal.
async fn is_due(app: &App, event: &Recorded) -> Result<bool, Problem> {
    let block = as_of::<Block>(app, event).await?;
    let task = as_of::<Task>(app, event).await?;
    let (on_block, on_task) = (block.state.task_facts(), task.state.task_facts());
    let gone = block.erased || task.erased;
    Ok(!gone && on_block != on_task && (on_block.alive || on_task.alive))
}

async fn as_of<A: Decide>(app: &App, event: &Recorded) -> Result<Arc<Loaded<A>>, Problem> {
    let id = event.aggregate.id.as_str();
    if event.aggregate.kind == A::TYPE {
        return app.load_as_of::<A>(id, event.aggregate.version).await;
    }
    app.load::<A>(id).await.map(Arc::new)
}

/// Brings a block and the task of the same id together, in one append that expects both as they were seen.
struct Sync<'a> {
    id: &'a str,
    /// Who caused it.
    person: UserId,
}

impl Decision for Sync<'_> {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<Answer, Problem> {
        let block = work.read::<Block>(self.id).await?;
        let task = work.read::<Task>(self.id).await?;
        // What was deleted for ever is equal to nothing.
        let gone = block.erased || task.erased;
        let plan = if gone { Plan::default() } else { Plan::new(&block.state, &task.state, self.person) };
        let mut version = 0;
        if !plan.block.is_empty() {
            version = carry_out(work, self.id, &block, plan.block).await?;
        }
        if !plan.task.is_empty() {
            version = carry_out(work, self.id, &task, plan.task).await?;
        }
        Ok(Answer { id: self.id.to_owned(), version })
    }
}

async fn carry_out<A: Decide>(
    work: &mut UnitOfWork<'_>,
    id: &str,
    loaded: &Loaded<A>,
    commands: Vec<A::Command>,
) -> Result<i64, Problem> {
    let authorized = loaded.state.authorize(work, id, &commands).await?;
    work.change(id, loaded, commands, authorized)
}

#[cfg(test)]
mod tests;
