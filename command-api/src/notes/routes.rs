//! Commands on notes over HTTP. A note is created in `blocks`, as it may begin with some.

use serde::{Deserialize, Serialize};
use shared::domain::access::Action;
use shared::domain::id::{NoteId, NotebookId};
use shared::domain::text::Title;
use shared::process::http::{Api, Json, Path, present};
use shared::process::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Note, NoteCommand};
use crate::app::{Accepted, App};
use crate::context::CommandContext;

/// The routes of the module.
pub fn routes() -> Api<App> {
    Api::new().route(Action::NotesChange, routes!(change))
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

/// Change a note.
///
/// Its title, its notebook, or both.
#[utoipa::path(patch, path = "/notes/{id}", tag = "notes", request_body = Change,
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
