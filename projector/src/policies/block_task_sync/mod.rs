//! Keeps a task block and its task equal: text, completion, note, and whether they exist at all.
//!
//! It reacts to what persons do, never to its own events. For each such event it looks at both sides. For each field,
//! the side that a person edited last wins; its value is copied to the other side. So two edits that cross come to
//! rest after one step each. A rule that answered every event by its opposite would echo for ever.

use command_api::app::Decide;
use command_api::app::{Answer, App, Decision, Loaded, UnitOfWork};
use command_api::blocks::{Anchor, Block, BlockCommand, Spot};
use command_api::tasks::{Task, TaskCommand};
use shared::domain::blocks::{BlockText, Content, Depth, RichText};
use shared::domain::tasks::Details;
use shared::encryption::Keyring;
use shared::event::{AggregateEvent, Opened};
use shared::event_log;
use shared::id::{NoteId, UserId};
use shared::problem::Problem;
use sqlx::PgPool;

use super::is_policy;

/// What both sides have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts {
    alive: bool,
    note: Option<NoteId>,
    text: Option<BlockText>,
    done: Option<bool>,
}

/// Of each field the position of the last event by which a person changed it; 0 if nobody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    alive: i64,
    text: i64,
    done: i64,
}

/// One of both, as its stream says.
#[derive(Clone, Debug, Default)]
struct Side<A> {
    state: A,
    sequence: i64,
    marks: Marks,
    erased: bool,
}

/// What a side has to say.
trait Synced: Decide {
    fn facts(&self) -> Facts;
}

impl Synced for Block {
    fn facts(&self) -> Facts {
        let Some(part) = self.part() else { return Facts::default() };
        let done = match &part.block {
            Content::Task { checked, .. } => Some(*checked),
            Content::Text { .. }
            | Content::Header { .. }
            | Content::ListItem { .. }
            | Content::Quote { .. }
            | Content::Rule {}
            | Content::Code { .. }
            | Content::Image { .. }
            | Content::Table(_)
            | Content::Raw { .. } => None,
        };
        Facts {
            alive: self.live().is_some() && done.is_some(),
            note: Some(part.note_id),
            text: part.block.text().and_then(|text| BlockText::try_from(text.to_owned()).ok()),
            done,
        }
    }
}

impl Synced for Task {
    fn facts(&self) -> Facts {
        // A task without a note is nobody's block.
        let Some(todo) = self.todo().filter(|todo| todo.note_id.is_some()) else { return Facts::default() };
        Facts {
            alive: self.live().is_some(),
            note: todo.note_id,
            text: Some(todo.title.clone()),
            done: Some(todo.completed),
        }
    }
}

impl<A: Synced> Side<A> {
    /// Takes in the next event of the stream.
    fn take(&mut self, position: i64, by_person: bool, event: A::Event) {
        let before = self.state.facts();
        self.state.apply(event);
        self.sequence += 1;
        if by_person {
            let after = self.state.facts();
            let Marks { alive, text, done } = &mut self.marks;
            let changes = [
                (alive, before.alive != after.alive),
                (text, before.text != after.text),
                (done, before.done != after.done),
            ];
            for (mark, _) in changes.into_iter().filter(|(_, changed)| *changed) {
                *mark = position;
            }
        }
    }

    async fn read(pool: &PgPool, keyring: &Keyring, id: &str) -> Result<Self, Problem> {
        let mut side = Self::default();
        for Opened { recorded, event } in keyring.open(event_log::of(pool, A::TYPE, id).await?).await? {
            if let Some(event) = event.and_then(A::Event::pick) {
                side.erased &= !event.tells_all();
                side.take(recorded.position, !is_policy(&recorded.meta.actor), event);
            } else {
                side.erased = true;
                side.sequence += 1;
            }
        }
        Ok(side)
    }

    fn loaded(&self) -> Loaded<A> {
        // As if it had a snapshot just now: a policy need not see to those.
        Loaded {
            state: self.state.clone(),
            sequence: self.sequence,
            erased: self.erased,
            snapshot: self.sequence,
        }
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
    fn new(block: &Side<Block>, task: &Side<Task>, owner: UserId) -> Self {
        let (on_block, on_task) = (block.state.facts(), task.state.facts());
        let by_block = block.marks.alive >= task.marks.alive;
        // What has no text at all is nothing to do, and must not be written over.
        let textless = block.state.part().is_some_and(|part| part.block.text().is_none());
        if textless || !(if by_block { on_block.alive } else { on_task.alive }) {
            let text = block.state.live().filter(|_| on_block.alive).map(|part| part.block.as_text_block());
            return Self {
                block: text.map(|block| BlockCommand::Become { block }).into_iter().collect(),
                task: on_task.alive.then_some(TaskCommand::Remove).into_iter().collect(),
            };
        }
        let text =
            newer((&on_block.text, block.marks.text), (&on_task.text, task.marks.text)).unwrap_or_default();
        let done =
            newer((&on_block.done, block.marks.done), (&on_task.done, task.marks.done)).unwrap_or_default();
        // Only blocks are moved by persons, and their tasks go with them.
        let Some(note) = on_block.note.or(on_task.note) else { return Self::default() };
        let to_be = ToBe { note, text, done };
        Self { block: to_be.on_block(&block.state), task: to_be.on_task(&task.state, owner) }
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
                let spot = Spot::Wanted(Anchor::End);
                return vec![BlockCommand::Add { note_id: self.note, block: fresh(), spot }];
            }
            Block::Live(part) => (part, false),
            Block::Removed(part) => (part, true),
        };
        let task = part.block.as_task_block(self.done).with_text(self.text.clone());
        let restored = removed.then_some(BlockCommand::Restore { spot: Spot::Wanted(Anchor::Former) });
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
        let moved = TaskCommand::Move { note_id: self.note, past: None };
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

/// Both sides of an item, and what is to be done about them.
async fn look(
    pool: &PgPool,
    keyring: &Keyring,
    id: &str,
    owner: UserId,
) -> Result<(Side<Block>, Side<Task>, Plan), Problem> {
    let block = Side::<Block>::read(pool, keyring, id).await?;
    let task = Side::<Task>::read(pool, keyring, id).await?;
    // What was deleted for ever is equal to nothing.
    let gone = block.erased || task.erased;
    let plan = if gone { Plan::default() } else { Plan::new(&block, &task, owner) };
    Ok((block, task, plan))
}

/// Brings a block and the task of the same id together, in one append that expects both as they were seen.
pub(super) struct Sync<'a> {
    pub(super) id: &'a str,
    /// Who caused it.
    pub(super) person: UserId,
}

impl Sync<'_> {
    /// Whether both sides differ, as they are now: a short look, which mostly ends it.
    pub(super) async fn is_due(&self, app: &App) -> Result<bool, Problem> {
        let block = app.load::<Block>(self.id).await?;
        let task = app.load::<Task>(self.id).await?;
        let (on_block, on_task) = (block.state.facts(), task.state.facts());
        let gone = block.erased || task.erased;
        Ok(!gone && on_block != on_task && (on_block.alive || on_task.alive))
    }
}

impl Decision for Sync<'_> {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<Answer, Problem> {
        let (block, task, plan) = look(&work.app.pool, &work.app.keyring, self.id, self.person).await?;
        let Plan { block: on_block, task: on_task } = plan;
        work.expect::<Block>(self.id, block.sequence);
        work.expect::<Task>(self.id, task.sequence);
        let mut version = 0;
        if !on_block.is_empty() {
            version = carry_out(work, self.id, &block.loaded(), on_block).await?;
        }
        if !on_task.is_empty() {
            version = carry_out(work, self.id, &task.loaded(), on_task).await?;
        }
        Ok(Answer { id: self.id.to_owned(), version })
    }
}

async fn carry_out<A: Decide>(
    work: &mut UnitOfWork<'_>,
    id: &str,
    loaded: &Loaded<A>,
    mut commands: Vec<A::Command>,
) -> Result<i64, Problem> {
    let authorized = loaded.state.authorize(work, id, &mut commands).await?;
    work.change(id, loaded, commands, authorized)
}

#[cfg(test)]
mod tests;
