//! The commands of a task: who may give them, and each refusal.

use chrono::{DateTime, Utc};
use shared::domain::access::Action;
use shared::domain::blocks::BlockText;
use shared::domain::id::{NoteId, UserId};
use shared::domain::tasks::{Details, Due, Priority};
use shared::domain::text::Description;
use shared::log::event_log;
use shared::process::problem::{FieldError, Problem, ProblemType};

use super::Task;
use crate::app::{Authorized, Home, UnitOfWork, id_taken};
use crate::app::{Refusal, problem};
use crate::blocks::{self, Origin};

/// What may be asked of a task.
#[derive(Clone, Debug)]
pub enum TaskCommand {
    /// Want something done.
    Add {
        /// The note it belongs to; without one it is its owner's own.
        note_id: Option<NoteId>,
        /// Who wants it done.
        owner: UserId,
        /// What is to be done.
        title: BlockText,
        /// Whether it was done already.
        completed: bool,
        /// What its block does not know.
        details: Details,
    },
    /// Call it otherwise.
    Retitle {
        /// What is to be done.
        title: BlockText,
    },
    /// Say more about it.
    Describe {
        /// More; none or an empty one clears.
        description: Option<Description>,
    },
    /// Have it done by a certain time, or on a certain day instead.
    Schedule {
        /// By when.
        due: Due,
    },
    /// Have it done at no certain time; a day stays.
    ClearDueAt,
    /// Have it done on no certain day; a time stays.
    ClearDueOn,
    /// Say how urgent it is.
    Prioritize {
        /// How urgent.
        priority: Priority,
    },
    /// Say who is to do it.
    Assign {
        /// Who; none clears.
        assignee_id: Option<UserId>,
    },
    /// It is done.
    Complete,
    /// It is not done after all.
    Reopen,
    /// Go with its block to another note.
    Move {
        /// Which.
        note_id: NoteId,
    },
    /// Want it no longer.
    Remove,
    /// Want it again.
    Restore,
}

/// What authorization finds out for a task's command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskContext {
    /// What happened to it before, if it goes to another note.
    pub past: Option<Past>,
}

/// What events in clear say about a task, also when its content is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Who added it, and when.
    pub origin: Origin,
    /// When it was last completed, if ever.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Why a task refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// There is none, or none that the caller may see.
    #[error("There is no such task.")]
    Missing,
    /// The id is in use.
    #[error("There is already a task with this id.")]
    AlreadyExists,
    /// It is no longer wanted.
    #[error("The task was removed. Restore it first.")]
    Removed,
    /// A task without a title says nothing.
    #[error("A part of the request is not acceptable; see errors.")]
    Untitled,
}

impl Refusal for TaskError {
    fn refuse(&self) -> ProblemType {
        match self {
            Self::Missing => ProblemType::TaskMissing,
            Self::AlreadyExists => ProblemType::TaskExists,
            Self::Removed => ProblemType::TaskRemoved,
            Self::Untitled => ProblemType::Invalid,
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Untitled => vec![FieldError {
                pointer: "/title".to_owned(),
                detail: "must not be empty for a task without a note".to_owned(),
            }],
            Self::Missing | Self::AlreadyExists | Self::Removed => Vec::new(),
        }
    }
}

impl TaskCommand {
    /// What is done with the note that the task belongs to, or with what is a person's own.
    fn action(&self) -> Action {
        match self {
            Self::Add { .. } => Action::TasksAdd,
            Self::Retitle { .. }
            | Self::Describe { .. }
            | Self::Schedule { .. }
            | Self::ClearDueAt
            | Self::ClearDueOn
            | Self::Prioritize { .. }
            | Self::Assign { .. } => Action::TasksChange,
            Self::Complete => Action::TasksComplete,
            Self::Reopen => Action::TasksReopen,
            // Only with its block.
            Self::Move { .. } => Action::BlockTaskSync,
            Self::Remove => Action::TasksRemove,
            Self::Restore => Action::TasksRestore,
        }
    }
}

/// Editors of the note change its tasks; a task without a note is its owner's alone.
pub(super) async fn authorize(
    task: &Task,
    work: &mut UnitOfWork<'_>,
    id: &str,
    commands: &[TaskCommand],
) -> Result<Authorized<TaskContext>, Problem> {
    let mut authorized = Authorized::<TaskContext>::default();
    let mut note = None;
    if let Some(todo) = task.todo() {
        if commands.iter().any(|command| matches!(command, TaskCommand::Add { .. })) {
            let user = work.user()?;
            let is_seen = match todo.note_id {
                Some(note) => work.is_seen_by(user, note.into()).await?,
                None => user == todo.owner,
            };
            return Err(if is_seen { problem(&TaskError::AlreadyExists) } else { id_taken() });
        }
        note = todo.note_id;
        let missing = || problem(&TaskError::Missing);
        // Asking for no change is answered as well.
        let mut actions: Vec<Action> = commands.iter().map(TaskCommand::action).collect();
        if actions.is_empty() {
            actions.push(Action::TasksChange);
        }
        for action in actions {
            authorized.home = if let Some(note) = todo.note_id {
                work.require(action, note.into(), missing).await?.home
            } else {
                work.require_own(action, todo.owner, missing)?;
                Home::of("user", &todo.owner.to_string())
            };
        }
    }
    for command in commands {
        match command {
            TaskCommand::Add { note_id, owner, details, .. } => {
                note = *note_id;
                let nowhere = || Problem::invalid("/note_id", "There is no such note.");
                authorized.home = if let Some(note) = note {
                    work.require(Action::TasksAdd, note.into(), nowhere).await?.home
                } else {
                    work.require_own(Action::TasksAdd, *owner, nowhere)?;
                    Home::of("user", &owner.to_string())
                };
                authorized.rows.claims.push(blocks::claim(work, id, authorized.home.key_owner()));
                may_see(work, note, *owner, details.assignee_id).await?;
            }
            TaskCommand::Move { note_id } => {
                let from = task.todo().and_then(|todo| todo.note_id);
                if from.is_none_or(|from| from == *note_id) {
                    continue;
                }
                let missing = || problem(&TaskError::Missing);
                let there = work.require(Action::BlockTaskSync, (*note_id).into(), missing).await?.home;
                let left = std::mem::replace(&mut authorized.home, there);
                authorized.home.scopes.extend(left.scopes);
                authorized.rows.claims.push(blocks::claim(work, id, authorized.home.key_owner()));
                authorized.context.past = Some(past_of(work, id).await?);
                note = Some(*note_id);
            }
            TaskCommand::Assign { assignee_id } => {
                let Some(todo) = task.todo() else { continue };
                may_see(work, note, todo.owner, *assignee_id).await?;
            }
            TaskCommand::Retitle { .. }
            | TaskCommand::Describe { .. }
            | TaskCommand::Schedule { .. }
            | TaskCommand::ClearDueAt
            | TaskCommand::ClearDueOn
            | TaskCommand::Prioritize { .. }
            | TaskCommand::Complete
            | TaskCommand::Reopen
            | TaskCommand::Remove
            | TaskCommand::Restore => (),
        }
    }
    Ok(authorized)
}

/// An assignee must have access to the task.
async fn may_see(
    work: &mut UnitOfWork<'_>,
    note: Option<NoteId>,
    owner: UserId,
    assignee: Option<UserId>,
) -> Result<(), Problem> {
    let Some(assignee) = assignee else { return Ok(()) };
    let sees = match note {
        Some(note) => work.is_seen_by(assignee, note.into()).await?,
        None => assignee == owner,
    };
    if sees {
        Ok(())
    } else {
        Err(Problem::invalid("/assignee_id", "The assignee has no access to this task."))
    }
}

async fn past_of(work: &UnitOfWork<'_>, id: &str) -> Result<Past, Problem> {
    let origin = blocks::origin(work, "task", id).await?;
    let completed = event_log::last_of(&work.app.pool, ("task", id), "TaskCompleted").await?;
    let completed_at = match completed {
        Some(event) => Some(work.app.keyring.check(event).await?.at),
        None => None,
    };
    // One that was done from the beginning has never been completed since.
    Ok(Past { completed_at: completed_at.or(Some(origin.at)), origin })
}
