//! Creating a note with the blocks that it begins with, in one append. It is here as blocks know notes, and notes do not know
//! blocks.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::domain::access::Action;
use shared::domain::id::{NoteId, NotebookId};
use shared::domain::text::Title;
use shared::process::http::{Api, Json, present};
use shared::process::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::NewBlock;
use super::commands::add_all;
use super::routes::{NewContent, new_blocks};
use crate::app::{Accepted, Answer, App, Decide, Decision, UnitOfWork};
use crate::context::CommandContext;
use crate::notes::{Note, NoteCommand};

pub(super) fn routes() -> Api<App> {
    Api::new().route(Action::NotesCreate, routes!(create))
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

/// Create a note.
///
/// In a notebook that you may edit, with its first blocks if you like.
#[utoipa::path(post, path = "/notes", tag = "notes", request_body = Create,
    responses((status = 201, body = Accepted)))]
async fn create(context: CommandContext, Json(body): Json<Create>) -> Result<Response, Problem> {
    let id = body.id.unwrap_or_else(|| NoteId(context.new_id()));
    let blocks = new_blocks(&context, &body.blocks)?;
    let create = NoteCommand::Create { notebook_id: body.notebook_id, title: body.title.clone() };
    let begin = Begin { note: id, create, blocks };
    Ok(context.carry_out(&begin, &body).await?.created().into_response())
}

/// A note that is to be, and its blocks in their order.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Its id, in no use.
    pub note: NoteId,
    /// What makes it.
    pub create: NoteCommand,
    /// What it begins with.
    pub blocks: Vec<NewBlock>,
}

impl Decision for Begin {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<Answer, Problem> {
        let id = self.note.to_string();
        let create = vec![self.create.clone()];
        let loaded = work.load_for::<Note>(&id, &create).await?;
        let authorized = loaded.state.authorize(work, &id, &create).await?;
        work.if_match(loaded.sequence)?;
        let home = authorized.home.clone();
        let version = work.change(&id, &loaded, create, authorized)?;
        add_all(work, self.note, &home, &self.blocks)?;
        Ok(Answer { id, version })
    }
}
