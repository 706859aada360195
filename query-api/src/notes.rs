//! Reading notes.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::access::{Action, Role};
use shared::domain::id::{NoteId, NotebookId};
use shared::process::auth::Caller;
use shared::process::http::{Api, Path};
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
#[utoipa::path(get, path = "/notes", tag = "notes", params(Which, PageQuery),
    responses((status = 200, body = Page<Note>)))]
async fn list(
    caller: Caller,
    State(app): State<QueryApp>,
    List { filters: which, paging }: List<Which>,
) -> Result<Answer<Page<Note>>, Problem> {
    // Heads first: the newest note of each notebook; of those notebooks the ones with the newest, as many as the page has
    // notes; their notes. Then those that were shared by themselves, and the highest role of each. What it costs follows
    // the notebooks that the caller sees, never the notes in them.
    let rows = sqlx::query_as!(
        Read::<Note>,
        r#"select c.position, c.epoch, n as "item?: Note",
                  exists (select from withheld
                           where user_id = $1 and table_name in ('members', 'notebooks', 'notes')
                             and ($2::uuid is null or scopes @> array['notebook:' || $2])) as "withheld!"
             from checkpoint c
             left join (
               with mine as materialized (
                      select g.container_id as id, max(g.role) as role
                        from my_grants g
                        join sound_notebooks b on b.id = g.container_id
                       where g.user_id = $1 and g.kind = 'notebook' and ($2::uuid is null or g.container_id = $2)
                       group by g.container_id),
                    heads as materialized (
                      select m.id, m.role
                        from mine m
                       cross join lateral (
                         select created_at, id
                           from sound_notes
                          where notebook_id = m.id
                            and (created_at, id) < (coalesce($3, 'infinity'::timestamptz),
                                                    coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                          order by created_at desc, id desc
                          limit 1) h
                       order by h.created_at desc, h.id desc
                       limit $5),
                    found as (
                      (select n.id, n.created_at, h.role
                         from heads h
                        cross join lateral (
                          select id, created_at
                            from sound_notes
                           where notebook_id = h.id
                             and (created_at, id) < (coalesce($3, 'infinity'::timestamptz),
                                                     coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                           order by created_at desc, id desc
                           limit $5) n
                        order by n.created_at desc, n.id desc
                        limit $5)
                      union all
                      (select n.id, n.created_at, max(g.role)
                         from my_grants g
                         join sound_notes n on n.id = g.container_id
                         join sound_notebooks b on b.id = n.notebook_id
                        where g.user_id = $1 and g.kind = 'note' and ($2::uuid is null or n.notebook_id = $2)
                          and (n.created_at, n.id) < (coalesce($3, 'infinity'::timestamptz),
                                                      coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                        group by n.id, n.created_at
                        order by n.created_at desc, n.id desc
                        limit $5))
               select n.id, n.notebook_id, n.title, f.role, n.created_by, n.created_at, n.updated_by, n.updated_at,
                      n.version
                 from (select id, created_at, max(role) as role
                         from found
                        group by id, created_at
                        order by created_at desc, id desc
                        limit $5) f
                 join notes n on n.id = f.id) n on true
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
                  case when s.role is not null then row(
                    n.id, n.notebook_id, n.title, s.role,
                    array(select row(id, type, content, rank, created_by, created_at, updated_by, updated_at, version)
                            from sound_blocks
                           where note_id = n.id
                           order by rank),
                    exists (select from quarantine q
                             where q.table_name = 'blocks' and q.scopes && array['note:' || n.id]),
                    n.created_by, n.created_at, n.updated_by, n.updated_at, n.version) end as "item?: Whole",
                  exists (select from withheld
                           where user_id = $1
                             and (table_name = 'notes' and key = ($2::uuid)::text
                                  or table_name = 'notebooks' and key = n.notebook_id::text
                                  or table_name = 'members' and (key like 'note:' || $2 || '/%'
                                                                 or key like 'notebook:' || n.notebook_id || '/%')))
                    as "withheld!"
             from checkpoint c
             left join notes n on n.id = $2
             left join (
               select n.id, max(g.role) as role
                 from sound_notes n
                 join sound_notebooks b on b.id = n.notebook_id
                cross join lateral (
                  select role from my_grants where user_id = $1 and kind = 'note' and container_id = n.id
                  union all
                  select role from my_grants
                   where user_id = $1 and kind = 'notebook' and container_id = n.notebook_id) g
                where n.id = $2
                group by n.id) s on true"#,
        caller.user.0,
        id.0
    )
    .fetch_one(&app.pool)
    .await
    .map_err(failed)
}
