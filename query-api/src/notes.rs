//! Reading notes.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::access::Role;
use shared::auth::Caller;
use shared::http::{Path, Query};
use shared::id::{NoteId, NotebookId};
use shared::problem::Problem;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{self, When};
use crate::answer::{Answer, Found, failed};
use crate::app::QueryApp;
use crate::cursor::{Limit, Listed, Page, Paging, Place};
use crate::watermark::After;

/// The routes of the room.
pub(crate) fn routes() -> OpenApiRouter<QueryApp> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read))
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

impl From<Row> for Found<Note> {
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
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait until reads are at this position: `<epoch>-<n>` as the header `Position` gave it, or `<n>`.
    #[serde(default, deserialize_with = "after::read")]
    #[param(value_type = Option<String>)]
    after: Option<After>,
}

impl Listed for Note {
    fn place(&self) -> Place {
        Place { at: self.created_at, id: self.id.0 }
    }
}

/// The notes you may see, newest first.
#[utoipa::path(get, path = "/notes", operation_id = "notes_list", tag = "notes", params(Which),
    responses((status = 200, body = Page<Note>), (status = 304), (status = "4XX", body = Problem), (status = "5XX", body = Problem)), security(("bearer" = [])))]
async fn list(
    caller: Caller,
    State(app): State<QueryApp>,
    Query(which): Query<Which>,
) -> Result<Answer<Page<Note>>, Problem> {
    let way = ("notes", caller.user, &which.notebook_id);
    let paging = Paging::new(&app.keys, way, which.limit, which.cursor.as_deref())?;
    after::wait(&app.watermark, which.after.as_ref()).await?;
    // From each notebook its newest, and of those the newest: what it costs follows the notebooks that the caller
    // sees, never the notes that others have. What is set aside is left out by `not in`, not by a join: hardly ever is
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

/// One note.
#[utoipa::path(get, path = "/notes/{id}", operation_id = "notes_read", tag = "notes", params(("id" = NoteId, Path,), When),
    responses((status = 200, body = Note), (status = 304), (status = "4XX", body = Problem), (status = "5XX", body = Problem)), security(("bearer" = [])))]
async fn read(
    caller: Caller,
    State(app): State<QueryApp>,
    Path(id): Path<NoteId>,
    Query(when): Query<When>,
) -> Result<Answer<Note>, Problem> {
    after::wait(&app.watermark, when.after.as_ref()).await?;
    let row = sqlx::query_as!(
        Row,
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
                    as "withheld!"
             from checkpoint c
             left join (notes n join notebook_members m on m.notebook_id = n.notebook_id and m.user_id = $1)
                  on n.id = $2"#,
        caller.user.0,
        id.0
    )
    .fetch_one(&app.pool)
    .await
    .map_err(failed)?;
    Found::from(row)
        .answer(|| Problem::not_found("note-missing", "There is no such note, or none that you may see."))
}
