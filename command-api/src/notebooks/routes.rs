//! Commands on notebooks over HTTP.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::domain::access::Action;
use shared::domain::id::NotebookId;
use shared::domain::text::{Description, Title};
use shared::process::http::{Api, Json, Path, present};
use shared::process::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Notebook, NotebookCommand};
use crate::app::{Accepted, App};
use crate::context::CommandContext;

/// The routes of the module.
pub fn routes() -> Api<App> {
    Api::new().route(Action::NotebooksCreate, routes!(create)).route(Action::NotebooksChange, routes!(change))
}

/// A new notebook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = notebooks::Create)]
struct Create {
    /// Its id, if the client wants to choose it; a UUID.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<NotebookId>,
    /// What it is called.
    name: Title,
    /// What it is about.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    description: Option<Description>,
}

/// What to change of a notebook; what is absent stays.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = notebooks::Change)]
struct Change {
    /// A new name.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<Title>,
    /// A new description; empty clears it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    description: Option<Description>,
}

/// Create a notebook.
///
/// You become its owner.
#[utoipa::path(post, path = "/notebooks", tag = "notebooks", request_body = Create,
    responses((status = 201, body = Accepted)))]
async fn create(context: CommandContext, Json(body): Json<Create>) -> Result<Response, Problem> {
    let id = body.id.unwrap_or_else(|| NotebookId(context.new_id()));
    let create = NotebookCommand::Create { owner: context.caller()?.user, name: body.name.clone() };
    let describe = body.description.clone().map(|description| NotebookCommand::Describe { description });
    let commands = std::iter::once(create).chain(describe).collect();
    Ok(context.execute::<Notebook>(id, commands, &body).await?.created().into_response())
}

/// Change a notebook.
///
/// Its name, its description, or both.
#[utoipa::path(patch, path = "/notebooks/{id}", tag = "notebooks", request_body = Change,
    params(("id" = NotebookId, Path)), responses((status = 200, body = Accepted)))]
async fn change(
    context: CommandContext,
    Path(id): Path<NotebookId>,
    Json(body): Json<Change>,
) -> Result<Accepted, Problem> {
    let rename = body.name.clone().map(|name| NotebookCommand::Rename { name });
    let describe = body.description.clone().map(|description| NotebookCommand::Describe { description });
    context.execute::<Notebook>(id, rename.into_iter().chain(describe).collect(), &body).await
}
