//! Commands on blocks over HTTP.

use std::collections::HashSet;

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use shared::domain::access::Action;
use shared::domain::blocks::{BlockType, Content, lower_blob_ids, schema};
use shared::domain::id::{BlockId, NoteId};
use shared::process::http::{Api, Json, Path, make_whole, present};
use shared::process::problem::{FieldError, Problem};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::begin;
use super::{Anchor, Block, BlockCommand, NewBlock};
use crate::app::{Accepted, App};
use crate::context::CommandContext;

/// How many blocks a note may begin with: with its own event, as many as one command may have.
const MOST: usize = 999;

/// The routes of the module.
pub fn routes() -> Api<App> {
    begin::routes()
        .route(Action::BlocksAdd, routes!(add))
        .route(Action::BlocksChange, routes!(change))
        .route(Action::BlocksRemove, routes!(remove))
        .route(Action::BlocksMove, routes!(put))
        .route(Action::BlocksRestore, routes!(restore))
}

/// A block that a note begins with.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = blocks::New)]
pub(super) struct NewContent {
    /// Its id, if the client wants to choose it; a UUID.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<BlockId>,
    /// Its type.
    r#type: BlockType,
    /// What it holds, as its type says.
    #[serde(deserialize_with = "whole")]
    #[schema(value_type = Object)]
    content: Value,
}

/// A new block.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = blocks::Add)]
struct Add {
    /// Its id, if the client wants to choose it; a UUID.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<BlockId>,
    /// The note it becomes a part of.
    note_id: NoteId,
    /// Its type.
    r#type: BlockType,
    /// What it holds, as its type says.
    #[serde(deserialize_with = "whole")]
    #[schema(value_type = Object)]
    content: Value,
    /// The block that it stands right behind; without this and `before`, behind all others.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    after: Option<BlockId>,
    /// The block that it stands right before.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    before: Option<BlockId>,
}

/// What to change of a block; what is absent stays.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = blocks::Change)]
struct Change {
    /// Another type. Text and spans are taken over where both types have them.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    r#type: Option<BlockType>,
    /// The fields of the content that are new; the others stay. Spans stay where the text does.
    #[serde(default, deserialize_with = "part", skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::any_content, required = false)]
    content: Option<Map<String, Value>>,
}

/// Where to put a block; without `after` and `before`, behind all others.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = blocks::Move)]
struct Move {
    /// Its note.
    note_id: NoteId,
    /// The block that it stands right behind.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    after: Option<BlockId>,
    /// The block that it stands right before.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    before: Option<BlockId>,
}

/// Add a block to a note.
#[utoipa::path(post, path = "/blocks", tag = "blocks", request_body = Add,
    responses((status = 201, body = Accepted)))]
async fn add(context: CommandContext, Json(body): Json<Add>) -> Result<Response, Problem> {
    let id = body.id.unwrap_or_else(|| BlockId(context.new_id()));
    let block = content(body.r#type, &body.content, "/content")?;
    let anchor = anchor(body.after, body.before)?;
    let command = BlockCommand::Add { note_id: body.note_id, block, anchor };
    Ok(context.execute::<Block>(id, vec![command], &body).await?.created().into_response())
}

/// Change a block.
///
/// Its content, its type, or both.
#[utoipa::path(patch, path = "/blocks/{id}", tag = "blocks", request_body = Change,
    params(("id" = BlockId, Path)), responses((status = 200, body = Accepted)))]
async fn change(
    context: CommandContext,
    Path(id): Path<BlockId>,
    Json(body): Json<Change>,
) -> Result<Accepted, Problem> {
    let command = BlockCommand::Edit { block_type: body.r#type, content: body.content.clone() };
    context.execute::<Block>(id, vec![command], &body).await
}

/// Move a block.
///
/// Within its note, or to another note; you need to be an editor of both.
#[utoipa::path(post, path = "/blocks/{id}/move", tag = "blocks", request_body = Move,
    params(("id" = BlockId, Path)), responses((status = 200, body = Accepted)))]
async fn put(
    context: CommandContext,
    Path(id): Path<BlockId>,
    Json(body): Json<Move>,
) -> Result<Accepted, Problem> {
    let anchor = anchor(body.after, body.before)?;
    let command = BlockCommand::Move { note_id: body.note_id, anchor };
    context.execute::<Block>(id, vec![command], &body).await
}

/// Remove a block from its note.
///
/// It can be restored.
#[utoipa::path(delete, path = "/blocks/{id}", tag = "blocks",
    params(("id" = BlockId, Path)), responses((status = 200, body = Accepted)))]
async fn remove(context: CommandContext, Path(id): Path<BlockId>) -> Result<Accepted, Problem> {
    context.execute::<Block>(id, vec![BlockCommand::Remove], &()).await
}

/// Restore a removed block.
///
/// It stands where it was before.
#[utoipa::path(post, path = "/blocks/{id}/restore", tag = "blocks",
    params(("id" = BlockId, Path)), responses((status = 200, body = Accepted)))]
async fn restore(context: CommandContext, Path(id): Path<BlockId>) -> Result<Accepted, Problem> {
    let command = BlockCommand::Restore { anchor: Anchor::Former };
    context.execute::<Block>(id, vec![command], &()).await
}

/// The blocks that a note begins with.
pub(super) fn new_blocks(context: &CommandContext, blocks: &[NewContent]) -> Result<Vec<NewBlock>, Problem> {
    if blocks.len() > MOST {
        return Err(Problem::invalid(
            "/blocks",
            format!("takes {MOST} blocks at most; add others afterwards"),
        ));
    }
    let mut ids = HashSet::new();
    let read = |(nth, new): (usize, &NewContent)| {
        let id = new.id.unwrap_or_else(|| BlockId(context.new_id()));
        if !ids.insert(id) {
            return Err(Problem::invalid(format!("/blocks/{nth}/id"), "Another block has this id."));
        }
        let block = content(new.r#type, &new.content, &format!("/blocks/{nth}/content"))?;
        Ok(NewBlock { id, block })
    };
    blocks.iter().enumerate().map(read).collect()
}

/// A content in the one spelling that idempotency keys are bound to.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let mut content = Value::deserialize(deserializer)?;
    one_spelling(&mut content);
    Ok(content)
}

/// The same for some fields of one.
fn part<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Map<String, Value>>, D::Error> {
    let mut fields = present::<Map<String, Value>, D>(deserializer)?;
    fields.iter_mut().flat_map(Map::values_mut).for_each(one_spelling);
    Ok(fields)
}

fn one_spelling(content: &mut Value) {
    lower_blob_ids(content);
    make_whole(content);
}

fn content(block_type: BlockType, content: &Value, at: &str) -> Result<Content, Problem> {
    Content::parse(block_type, content.clone()).map_err(|error| {
        let FieldError { pointer, detail } = error.under(at).into();
        Problem::invalid(pointer, detail)
    })
}

fn anchor(after: Option<BlockId>, before: Option<BlockId>) -> Result<Anchor, Problem> {
    match (after, before) {
        (None, None) => Ok(Anchor::End),
        (Some(block), None) => Ok(Anchor::After(block)),
        (None, Some(block)) => Ok(Anchor::Before(block)),
        (Some(_), Some(_)) => {
            Err(Problem::invalid("/before", "cannot be combined with `after`; give one of them"))
        }
    }
}
