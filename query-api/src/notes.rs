//! Reading notes.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::domain::access::{Action, Role};
use shared::domain::id::{BlockId, NoteId, NotebookId};
use shared::process::auth::Caller;
use shared::process::http::{Api, Path, Query};
use shared::process::problem::{Problem, ProblemType};
use sqlx::types::Json as SqlJson;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::after::{self, When};
use crate::answer::{Answer, File, Read, Versioned, failed};
use crate::app::QueryApp;
use crate::blocks::Block;
use crate::cursor::{CursorKey, Limit, Listed, Page, Paging};
use crate::watermark::After;

/// The routes of the module.
pub(crate) fn routes() -> Api<QueryApp> {
    Api::new()
        .route(Action::NotesList, routes!(list))
        .route(Action::NotesRead, routes!(read))
        .route(Action::NotesMarkdown, routes!(as_markdown))
}

/// A note as one person sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = notes::Note)]
struct Note {
    id: NoteId,
    /// The notebook it stands in.
    notebook_id: NotebookId,
    /// What it is called.
    title: String,
    /// What the caller may do with it.
    role: Role,
    /// Who started it: a person's id, or the name of a policy.
    created_by: String,
    created_at: DateTime<Utc>,
    /// Who changed it last: a person's id, or the name of a policy.
    updated_by: String,
    updated_at: DateTime<Utc>,
    /// For `If-Match` when changing it.
    version: i64,
}

/// A note with its blocks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = notes::Whole)]
struct Whole {
    id: NoteId,
    /// The notebook it stands in.
    notebook_id: NotebookId,
    /// What it is called.
    title: String,
    /// What the caller may do with it.
    role: Role,
    /// Its blocks, in order.
    blocks: Vec<Block>,
    /// A block could not be kept up to date, and is left out until the operator has mended it. Absent when none is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    withheld: bool,
    /// Who started it: a person's id, or the name of a policy.
    created_by: String,
    created_at: DateTime<Utc>,
    /// Who changed it last: a person's id, or the name of a policy.
    updated_by: String,
    updated_at: DateTime<Utc>,
    /// For `If-Match` when changing it. Its blocks have versions of their own.
    version: i64,
}

impl Versioned for Whole {
    fn version(&self) -> i64 {
        self.version
    }

    fn role(&self) -> Option<Role> {
        Some(self.role)
    }
}

/// What both reads select: where the tables were, and a note or only nulls.
struct Row {
    at_position: i64,
    at_epoch: String,
    withheld: bool,
    id: Option<NoteId>,
    notebook_id: Option<NotebookId>,
    title: Option<String>,
    role: Option<Role>,
    created_by: Option<String>,
    created_at: Option<DateTime<Utc>>,
    updated_by: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    version: Option<i64>,
}

impl From<Row> for Read<Note> {
    fn from(row: Row) -> Self {
        Self::new(row.at_position, row.at_epoch, row.withheld, || {
            Some(Note {
                id: row.id?,
                notebook_id: row.notebook_id?,
                title: row.title?,
                role: row.role?,
                created_by: row.created_by?,
                created_at: row.created_at?,
                updated_by: row.updated_by?,
                updated_at: row.updated_at?,
                version: row.version?,
            })
        })
    }
}

/// Which notes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of one notebook.
    notebook_id: Option<NotebookId>,
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait until reads are at this position: `<epoch>-<n>` as the header `Position` gave it, or `<n>`.
    #[serde(default, deserialize_with = "after::read")]
    #[param(value_type = Option<String>, pattern = "^([0-9a-f]{8}-)?[0-9]{1,18}$")]
    after: Option<After>,
}

impl Listed for Note {
    type Key = CursorKey;

    fn cursor_key(&self) -> CursorKey {
        CursorKey { at: self.created_at, id: self.id.0 }
    }
}

/// List notes.
///
/// Those that you may see, newest first.
#[utoipa::path(get, path = "/notes", tag = "notes", params(Which),
    responses((status = 200, body = Page<Note>)))]
async fn list(
    caller: Caller,
    State(app): State<QueryApp>,
    Query(which): Query<Which>,
) -> Result<Answer<Page<Note>>, Problem> {
    let way = ("notes", caller.user, &which.notebook_id);
    let paging = Paging::new(&app.keys, way, which.limit, which.cursor.as_deref())?;
    after::wait(&app.watermark, which.after.as_ref()).await?;
    // From each notebook its newest, and of those the newest: what it costs follows the notebooks that the caller
    // sees, never the notes that others have. What is quarantined is left out by `not in`, not by a join: hardly ever is
    // there anything, and a join could cost the order of the index.
    let rows = sqlx::query_as!(
        Row,
        r#"select c.position as at_position, c.epoch as at_epoch, w.withheld as "withheld!", n.id as "id?: NoteId",
                  n.notebook_id as "notebook_id?: NotebookId", n.title as "title?", n.role as "role?: Role",
                  n.created_by as "created_by?", n.created_at as "created_at?", n.updated_by as "updated_by?",
                  n.updated_at as "updated_at?", n.version as "version?"
             from checkpoint c
            cross join lateral (
               select exists (select from quarantine q
                               where q.table_name = 'notes'
                                 and q.scopes && array(select 'notebook:' || notebook_id from notebook_members
                                                        where user_id = $1 and ($2::uuid is null or notebook_id = $2)))
                   or exists (select from quarantine q
                               where q.table_name = 'notebook_members'
                                 and q.key like coalesce($2::text, '%') || '/' || $1)
                   or exists (select from notebook_members m
                                join quarantine q on q.table_name = 'notebook_members' and q.key = m.notebook_id || '/*'
                               where m.user_id = $1 and ($2::uuid is null or m.notebook_id = $2)) as withheld) w
             left join (
               select n.id, m.notebook_id, n.title, m.role, n.created_by, n.created_at, n.updated_by, n.updated_at,
                      n.version
                 from notebook_members m
                cross join lateral (
                  select id, title, created_by, created_at, updated_by, updated_at, version
                    from notes
                   where notebook_id = m.notebook_id
                     and id::text not in (select key from quarantine where table_name = 'notes')
                     and (created_at, id) < (coalesce($3, 'infinity'::timestamptz),
                                             coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                   order by created_at desc, id desc
                   limit $5) n
                where m.user_id = $1 and ($2::uuid is null or m.notebook_id = $2)
                  and m.notebook_id || '/' || m.user_id
                      not in (select key from quarantine where table_name = 'notebook_members')
                  and m.notebook_id || '/*' not in (select key from quarantine where table_name = 'notebook_members')
                order by n.created_at desc, n.id desc
                limit $5) n on true
            order by n.created_at desc, n.id desc"#,
        caller.user.0,
        which.notebook_id.map(|id| id.0),
        paging.at(),
        paging.id(),
        paging.rows()
    )
    .fetch_all(&app.pool)
    .await
    .map_err(failed)?;
    paging.answer(rows)
}

/// What a note with its blocks is selected as.
struct WholeRow {
    at_position: i64,
    at_epoch: String,
    withheld: bool,
    id: Option<NoteId>,
    notebook_id: Option<NotebookId>,
    title: Option<String>,
    role: Option<Role>,
    created_by: Option<String>,
    created_at: Option<DateTime<Utc>>,
    updated_by: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    version: Option<i64>,
    blocks_withheld: bool,
    block_ids: Option<Vec<BlockId>>,
    block_types: Option<Vec<String>>,
    block_contents: Option<Vec<SqlJson<Box<RawValue>>>>,
    block_ranks: Option<Vec<String>>,
    block_creators: Option<Vec<String>>,
    block_created: Option<Vec<DateTime<Utc>>>,
    block_updaters: Option<Vec<String>>,
    block_updated: Option<Vec<DateTime<Utc>>>,
    block_versions: Option<Vec<i64>>,
}

impl WholeRow {
    /// The blocks out of their columns.
    fn blocks(&mut self) -> Vec<Block> {
        let (ids, types) = (taken(&mut self.block_ids), taken(&mut self.block_types));
        let (contents, ranks) = (taken(&mut self.block_contents), taken(&mut self.block_ranks));
        let (creators, created) = (taken(&mut self.block_creators), taken(&mut self.block_created));
        let (updaters, updated) = (taken(&mut self.block_updaters), taken(&mut self.block_updated));
        let versions = taken(&mut self.block_versions);
        let texts = ids.zip(types).zip(contents.zip(ranks));
        let times = creators.zip(created).zip(updaters.zip(updated)).zip(versions);
        let block = |(
            ((id, r#type), (SqlJson(content), rank)),
            (((created_by, created_at), (updated_by, updated_at)), version),
        )| Block {
            id,
            r#type,
            content,
            rank,
            created_by,
            created_at,
            updated_by,
            updated_at,
            version,
        };
        texts.zip(times).map(block).collect()
    }
}

fn taken<T>(column: &mut Option<Vec<T>>) -> std::vec::IntoIter<T> {
    column.take().unwrap_or_default().into_iter()
}

impl From<WholeRow> for Read<Whole> {
    fn from(mut row: WholeRow) -> Self {
        let blocks = row.blocks();
        Self::new(row.at_position, row.at_epoch, row.withheld, || {
            Some(Whole {
                id: row.id?,
                notebook_id: row.notebook_id?,
                title: row.title?,
                role: row.role?,
                blocks,
                withheld: row.blocks_withheld,
                created_by: row.created_by?,
                created_at: row.created_at?,
                updated_by: row.updated_by?,
                updated_at: row.updated_at?,
                version: row.version?,
            })
        })
    }
}

/// Read a note.
///
/// With its blocks in order.
#[utoipa::path(get, path = "/notes/{id}", tag = "notes", params(("id" = NoteId, Path), When),
    responses((status = 200, body = Whole)))]
async fn read(
    caller: Caller,
    State(app): State<QueryApp>,
    Path(id): Path<NoteId>,
    Query(when): Query<When>,
) -> Result<Answer<Whole>, Problem> {
    whole(&app, caller, id, &when).await?.answer(Action::NotesRead, missing)
}

/// Export a note as Markdown.
///
/// Imported again, it has the same blocks. Its title is in the name of the file.
#[utoipa::path(get, path = "/notes/{id}/markdown", tag = "notes", params(("id" = NoteId, Path), When),
    responses((status = 200, body = String, content_type = "text/markdown",
        headers(("Content-Disposition" = String, description = "The name of the file: the title of the note.")))))]
async fn as_markdown(
    caller: Caller,
    State(app): State<QueryApp>,
    Path(id): Path<NoteId>,
    Query(when): Query<When>,
) -> Result<File, Problem> {
    let note = whole(&app, caller, id, &when).await?.answer(Action::NotesMarkdown, missing)?;
    note.file("text/markdown; charset=utf-8", |note| {
        let blocks = note.blocks.iter().map(Block::to_content).collect::<Result<Vec<_>, _>>();
        Ok((format!("{}.md", note.title), markdown::write(None, &blocks.map_err(Problem::internal)?)))
    })
}

fn missing() -> Problem {
    Problem::new(ProblemType::NoteMissing, "There is no such note, or none that you may see.")
}

async fn whole(app: &QueryApp, caller: Caller, id: NoteId, when: &When) -> Result<Read<Whole>, Problem> {
    after::wait(&app.watermark, when.after.as_ref()).await?;
    // The blocks come as columns: a row for each would carry the note each time.
    let row = sqlx::query_as!(
        WholeRow,
        r#"select c.position as at_position, c.epoch as at_epoch, n.id as "id?: NoteId",
                  n.notebook_id as "notebook_id?: NotebookId", n.title as "title?", m.role as "role?: Role",
                  n.created_by as "created_by?", n.created_at as "created_at?", n.updated_by as "updated_by?",
                  n.updated_at as "updated_at?", n.version as "version?",
                  exists (select from quarantine q
                           where q.table_name = 'notes' and q.key = ($2::uuid)::text
                             and (n.id is not null
                                  or q.scopes && array(select 'notebook:' || notebook_id from notebook_members
                                                        where user_id = $1)))
                  or exists (select from quarantine q
                              where q.table_name = 'notebook_members'
                                and q.key in (m.notebook_id || '/' || m.user_id, m.notebook_id || '/*'))
                    as "withheld!",
                  exists (select from quarantine q
                           where q.table_name = 'blocks' and q.scopes && array['note:' || n.id]) as "blocks_withheld!",
                  b.ids as "block_ids?: Vec<BlockId>", b.types as "block_types?",
                  b.contents as "block_contents?: Vec<SqlJson<Box<RawValue>>>", b.ranks as "block_ranks?",
                  b.creators as "block_creators?", b.created as "block_created?", b.updaters as "block_updaters?",
                  b.updated as "block_updated?", b.versions as "block_versions?"
             from checkpoint c
             left join (notes n join notebook_members m on m.notebook_id = n.notebook_id and m.user_id = $1)
                  on n.id = $2
             left join lateral (
               select array_agg(b.id) as ids, array_agg(b.type) as types, array_agg(b.content) as contents,
                      array_agg(b.rank) as ranks, array_agg(b.created_by) as creators,
                      array_agg(b.created_at) as created, array_agg(b.updated_by) as updaters,
                      array_agg(b.updated_at) as updated, array_agg(b.version) as versions
                 from (select * from blocks
                        where note_id = n.id and not removed
                          and id::text not in (select key from quarantine where table_name = 'blocks')
                        order by rank) b) b on true"#,
        caller.user.0,
        id.0
    )
    .fetch_one(&app.pool)
    .await
    .map_err(failed)?;
    Ok(row.into())
}
