//! Commands on notes over HTTP.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::domain::id::{NoteId, NotebookId};
use shared::domain::text::Title;
use shared::process::http::{Json, Path, present};
use shared::process::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Note, NoteCommand};
use crate::app::{Accepted, App};
use crate::blocks::{NewContent, new_blocks};
use crate::context::CommandContext;

/// The routes of the module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(change))
}

/// A new note.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = notes::Create)]
struct Create {
    /// Its id, if the client wants to choose it; a UUID.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<NoteId>,
    /// The notebook it stands in.
    notebook_id: NotebookId,
    /// What it is called.
    title: Title,
    /// What it begins with, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 999)]
    blocks: Vec<NewContent>,
}

/// What to change of a note; what is absent stays.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = notes::Change)]
struct Change {
    /// A new title.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    title: Option<Title>,
    /// Another notebook; takes an editor of both.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    notebook_id: Option<NotebookId>,
}

/// Create a note.
///
/// In a notebook that you may edit, with its first blocks if you like.
#[utoipa::path(post, path = "/notes", operation_id = "notes_create", tag = "notes", request_body = Create,
    responses((status = 201, body = Accepted)))]
async fn create(context: CommandContext, Json(body): Json<Create>) -> Result<Response, Problem> {
    let id = body.id.unwrap_or_else(|| NoteId(context.new_id()));
    let blocks = new_blocks(&context, &body.blocks)?;
    let command = NoteCommand::Create { notebook_id: body.notebook_id, title: body.title.clone(), blocks };
    Ok(context.execute::<Note>(id, vec![command], &body).await?.created().into_response())
}

/// Change a note.
///
/// Its title, its notebook, or both.
#[utoipa::path(patch, path = "/notes/{id}", operation_id = "notes_change", tag = "notes", request_body = Change,
    params(("id" = NoteId, Path)), responses((status = 200, body = Accepted)))]
async fn change(
    context: CommandContext,
    Path(id): Path<NoteId>,
    Json(body): Json<Change>,
) -> Result<Accepted, Problem> {
    let retitle = body.title.clone().map(|title| NoteCommand::Retitle { title });
    let moved = body.notebook_id.map(|notebook_id| NoteCommand::Move { notebook_id });
    context.execute::<Note>(id, retitle.into_iter().chain(moved).collect(), &body).await
}
