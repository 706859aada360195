//! Commands on tasks over HTTP.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::domain::access::Action;
use shared::domain::blocks::BlockText;
use shared::domain::id::{NoteId, TaskId, UserId};
use shared::domain::tasks::{Details, Due, DueDate, DueTime, Priority};
use shared::domain::text::Description;
use shared::process::http::{Api, Json, Path, present};
use shared::process::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Task, TaskCommand};
use crate::app::{Accepted, App};
use crate::context::CommandContext;

/// The routes of the module.
pub fn routes() -> Api<App> {
    Api::new()
        .route(Action::TasksAdd, routes!(add))
        .route(Action::TasksChange, routes!(change))
        .route(Action::TasksRemove, routes!(remove))
        .route(Action::TasksComplete, routes!(complete))
        .route(Action::TasksReopen, routes!(reopen))
        .route(Action::TasksRestore, routes!(restore))
}

/// A new task.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = tasks::Add)]
struct Add {
    /// Its id, if the client wants to choose it; a UUID. That of a block of the note makes this the block's task.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<TaskId>,
    /// The note it belongs to; without one only you see it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    note_id: Option<NoteId>,
    /// What is to be done. Not empty, unless the task belongs to a note.
    title: BlockText,
    /// More about it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    description: Option<Description>,
    /// By which time it is to be done; not beside `due_on`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    due_at: Option<DueTime>,
    /// The day on which it is due, the same date everywhere; not beside `due_at`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    due_on: Option<DueDate>,
    /// How urgent it is: 0 (not said) to 4 (most urgent).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    priority: Option<Priority>,
    /// Who is to do it: somebody who sees its note.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    assignee_id: Option<UserId>,
}

/// What to change of a task; what is absent stays, null clears.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = tasks::Change)]
struct Change {
    /// What is to be done.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    title: Option<BlockText>,
    /// More about it.
    #[serde(default, with = "serde_with::rust::double_option", skip_serializing_if = "Option::is_none")]
    description: Option<Option<Description>>,
    /// By when it is to be done.
    #[serde(default, with = "serde_with::rust::double_option", skip_serializing_if = "Option::is_none")]
    due_at: Option<Option<DueTime>>,
    /// On which day it is to be done, wherever one is. A day takes the place of a time, and a time of a day.
    #[serde(default, with = "serde_with::rust::double_option", skip_serializing_if = "Option::is_none")]
    due_on: Option<Option<DueDate>>,
    /// How urgent it is: 0 (not said) to 4 (most urgent).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    priority: Option<Priority>,
    /// Who is to do it: somebody who sees its note.
    #[serde(default, with = "serde_with::rust::double_option", skip_serializing_if = "Option::is_none")]
    assignee_id: Option<Option<UserId>>,
}

/// Add a task.
///
/// To a note, or without a note as your own.
#[utoipa::path(post, path = "/tasks", tag = "tasks", request_body = Add,
    responses((status = 201, body = Accepted)))]
async fn add(context: CommandContext, Json(body): Json<Add>) -> Result<Response, Problem> {
    let id = body.id.unwrap_or_else(|| TaskId(context.new_id()));
    let details = Details {
        description: body.description.clone().filter(|text| !text.as_str().is_empty()),
        due: due(body.due_at, body.due_on)?,
        priority: body.priority.unwrap_or_default(),
        assignee_id: body.assignee_id,
    };
    let add = TaskCommand::Add {
        note_id: body.note_id,
        owner: context.caller()?.user,
        title: body.title.clone(),
        completed: false,
        details,
    };
    Ok(context.execute::<Task>(id, vec![add], &body).await?.created().into_response())
}

/// Change a task.
///
/// Attributes that are absent stay as they are; null clears one.
#[utoipa::path(patch, path = "/tasks/{id}", tag = "tasks", request_body = Change,
    params(("id" = TaskId, Path)), responses((status = 200, body = Accepted)))]
async fn change(
    context: CommandContext,
    Path(id): Path<TaskId>,
    Json(body): Json<Change>,
) -> Result<Accepted, Problem> {
    let due = due(body.due_at.flatten(), body.due_on.flatten())?;
    // Clearing one of both says nothing where the other one is set.
    let clears = due.is_none();
    let commands = [
        body.title.clone().map(|title| TaskCommand::Retitle { title }),
        body.description.clone().map(|description| TaskCommand::Describe { description }),
        due.map(|due| TaskCommand::Schedule { due }),
        body.due_at.filter(|_| clears).map(|_| TaskCommand::ClearDueAt),
        body.due_on.filter(|_| clears).map(|_| TaskCommand::ClearDueOn),
        body.priority.map(|priority| TaskCommand::Prioritize { priority }),
        body.assignee_id.map(|assignee_id| TaskCommand::Assign { assignee_id }),
    ];
    context.execute::<Task>(id, commands.into_iter().flatten().collect(), &body).await
}

fn due(at: Option<DueTime>, on: Option<DueDate>) -> Result<Option<Due>, Problem> {
    Due::of(at, on).map_err(|error| Problem::invalid("/due_on", error.to_string()))
}

/// Complete a task.
#[utoipa::path(post, path = "/tasks/{id}/complete", tag = "tasks",
    params(("id" = TaskId, Path)), responses((status = 200, body = Accepted)))]
async fn complete(context: CommandContext, Path(id): Path<TaskId>) -> Result<Accepted, Problem> {
    context.execute::<Task>(id, vec![TaskCommand::Complete], &()).await
}

/// Reopen a completed task.
#[utoipa::path(post, path = "/tasks/{id}/reopen", tag = "tasks",
    params(("id" = TaskId, Path)), responses((status = 200, body = Accepted)))]
async fn reopen(context: CommandContext, Path(id): Path<TaskId>) -> Result<Accepted, Problem> {
    context.execute::<Task>(id, vec![TaskCommand::Reopen], &()).await
}

/// Remove a task.
///
/// It can be restored. If it has a block, that becomes a text block.
#[utoipa::path(delete, path = "/tasks/{id}", tag = "tasks",
    params(("id" = TaskId, Path)), responses((status = 200, body = Accepted)))]
async fn remove(context: CommandContext, Path(id): Path<TaskId>) -> Result<Accepted, Problem> {
    context.execute::<Task>(id, vec![TaskCommand::Remove], &()).await
}

/// Restore a removed task.
#[utoipa::path(post, path = "/tasks/{id}/restore", tag = "tasks",
    params(("id" = TaskId, Path)), responses((status = 200, body = Accepted)))]
async fn restore(context: CommandContext, Path(id): Path<TaskId>) -> Result<Accepted, Problem> {
    context.execute::<Task>(id, vec![TaskCommand::Restore], &()).await
}
