//! Reading notes.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::access::{Action, Role};
use shared::domain::id::{NoteId, NotebookId};
use shared::process::auth::Caller;
use shared::process::http::Path;
use shared::process::problem::{Problem, ProblemType};
use sqlx::Decode;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::after::When;
use crate::answer::{Answer, File, Read, Versioned, failed};
use crate::app::QueryApp;
use crate::blocks::Block;
use crate::cursor::{CursorKey, Listed, Page};
use crate::list::{Filters, List, PageQuery};

/// The routes of the module.
pub(crate) fn routes() -> Api<QueryApp> {
    Api::new()
        .route(Action::NotesList, routes!(list))
        .route(Action::NotesRead, routes!(read))
        .route(Action::NotesMarkdown, routes!(as_markdown))
}

/// A note as one person sees it.
// Selected in the order of these fields.
#[derive(Debug, Decode, Serialize, ToSchema)]
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
// Selected in the order of these fields.
#[derive(Debug, Decode, Serialize, ToSchema)]
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

/// Which notes.
#[derive(Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of one notebook.
    notebook_id: Option<NotebookId>,
}

impl Filters for Which {
    const LIST: &'static str = "notes";
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
#[utoipa::path(get, path = "/notes", operation_id = "notes_list", tag = "notes", params(Which, PageQuery),
    responses((status = 200, body = Page<Note>)))]
async fn list(
    caller: Caller,
    State(app): State<QueryApp>,
    List { filters: which, paging }: List<Which>,
) -> Result<Answer<Page<Note>>, Problem> {
    // From each notebook its newest, and of those the newest: what it costs follows the notebooks that the caller
    // sees, never the notes that others have. What is quarantined is left out by `not in`, not by a join: hardly ever is
    // there anything, and a join could cost the order of the index.
    let rows = sqlx::query_as!(
        Read::<Note>,
        r#"select c.position, c.epoch, w.withheld as "withheld!", n as "item?: Note"
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
                  select *
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

/// Read a note.
///
/// With its blocks in order.
#[utoipa::path(get, path = "/notes/{id}", tag = "notes", params(("id" = NoteId, Path), When),
    responses((status = 200, body = Whole)))]
async fn read(
    caller: Caller,
    State(app): State<QueryApp>,
    Path(id): Path<NoteId>,
    _: When,
) -> Result<Answer<Whole>, Problem> {
    whole(&app, caller, id).await?.answer(Action::NotesRead, missing)
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
    _: When,
) -> Result<File, Problem> {
    let note = whole(&app, caller, id).await?.answer(Action::NotesMarkdown, missing)?;
    note.file("text/markdown; charset=utf-8", |note| {
        let blocks = note.blocks.iter().map(Block::to_content).collect::<Result<Vec<_>, _>>();
        Ok((format!("{}.md", note.title), markdown::write(None, &blocks.map_err(Problem::internal)?)))
    })
}

fn missing() -> Problem {
    Problem::new(ProblemType::NoteMissing, "There is no such note, or none that you may see.")
}

async fn whole(app: &QueryApp, caller: Caller, id: NoteId) -> Result<Read<Whole>, Problem> {
    sqlx::query_as!(
        Read::<Whole>,
        r#"select c.position, c.epoch,
                  case when n.id is not null then row(
                    n.id, n.notebook_id, n.title, m.role,
                    array(select row(id, type, content, rank, created_by, created_at, updated_by, updated_at, version)
                            from blocks
                           where note_id = n.id and not removed
                             and id::text not in (select key from quarantine where table_name = 'blocks')
                           order by rank),
                    exists (select from quarantine q
                             where q.table_name = 'blocks' and q.scopes && array['note:' || n.id]),
                    n.created_by, n.created_at, n.updated_by, n.updated_at, n.version) end as "item?: Whole",
                  exists (select from quarantine q
                           where q.table_name = 'notes' and q.key = ($2::uuid)::text
                             and (n.id is not null
                                  or q.scopes && array(select 'notebook:' || notebook_id from notebook_members
                                                        where user_id = $1)))
                  or exists (select from quarantine q
                              where q.table_name = 'notebook_members'
                                and q.key in (m.notebook_id || '/' || m.user_id, m.notebook_id || '/*'))
                    as "withheld!"
             from checkpoint c
             left join (notes n join notebook_members m on m.notebook_id = n.notebook_id and m.user_id = $1)
                  on n.id = $2"#,
        caller.user.0,
        id.0
    )
    .fetch_one(&app.pool)
    .await
    .map_err(failed)
}
