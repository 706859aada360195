//! Reading notebooks.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::access::{Action, Role};
use shared::domain::id::NotebookId;
use shared::process::auth::Caller;
use shared::process::http::{Api, Path, Query};
use shared::process::problem::{Problem, ProblemType};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::after::{self, When};
use crate::answer::{Answer, Found, Versioned, failed};
use crate::app::QueryApp;
use crate::cursor::{CursorKey, Limit, Listed, Page, Paging};
use crate::watermark::After;

/// The routes of the module.
pub(crate) fn routes() -> Api<QueryApp> {
    Api::new().route(Action::NotebooksList, routes!(list)).route(Action::NotebooksRead, routes!(read))
}

/// A notebook as one person sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = notebooks::Notebook)]
struct Notebook {
    id: NotebookId,
    /// What it is called.
    name: String,
    /// What it is about; empty when there is no description.
    description: String,
    /// What the caller may do with it.
    role: Role,
    /// How many notes stand in it. Not in lists: counting takes longer the more there are. Nor while one of them is
    /// withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    note_count: Option<i64>,
    /// Who started it: a person's id, or the name of a policy.
    created_by: String,
    created_at: DateTime<Utc>,
    /// Who changed it last: a person's id, or the name of a policy.
    updated_by: String,
    updated_at: DateTime<Utc>,
    /// For `If-Match` when changing it.
    version: i64,
    /// Since when the caller may see it: what lists are ordered by, so that what was shared just now comes first.
    #[serde(skip)]
    since: DateTime<Utc>,
}

impl Versioned for Notebook {
    fn version(&self) -> i64 {
        self.version
    }

    fn role(&self) -> Option<Role> {
        Some(self.role)
    }
}

/// What both reads select: where the tables were, and a notebook or only nulls.
struct Row {
    at_position: i64,
    at_epoch: String,
    withheld: bool,
    id: Option<NotebookId>,
    name: Option<String>,
    description: Option<String>,
    role: Option<Role>,
    note_count: Option<i64>,
    created_by: Option<String>,
    created_at: Option<DateTime<Utc>>,
    updated_by: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    version: Option<i64>,
    since: Option<DateTime<Utc>>,
}

impl From<Row> for Found<Notebook> {
    fn from(row: Row) -> Self {
        Self::new(row.at_position, row.at_epoch, row.withheld, || {
            Some(Notebook {
                id: row.id?,
                name: row.name?,
                description: row.description?,
                role: row.role?,
                note_count: row.note_count,
                created_by: row.created_by?,
                created_at: row.created_at?,
                updated_by: row.updated_by?,
                updated_at: row.updated_at?,
                version: row.version?,
                since: row.since?,
            })
        })
    }
}

/// Which notebooks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
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

impl Listed for Notebook {
    type Key = CursorKey;

    fn cursor_key(&self) -> CursorKey {
        CursorKey { at: self.since, id: self.id.0 }
    }
}

/// List notebooks.
///
/// Those that you may see; the one that you were given access to last comes first.
#[utoipa::path(get, path = "/notebooks", tag = "notebooks", params(Which),
    responses((status = 200, body = Page<Notebook>)))]
async fn list(
    caller: Caller,
    State(app): State<QueryApp>,
    Query(which): Query<Which>,
) -> Result<Answer<Page<Notebook>>, Problem> {
    let way = ("notebooks", caller.user, &());
    let paging = Paging::new(&app.keys, way, which.limit, which.cursor.as_deref())?;
    after::wait(&app.watermark, which.after.as_ref()).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"select c.position as at_position, c.epoch as at_epoch, w.withheld as "withheld!",
                  n.id as "id?: NotebookId", n.name as "name?",
                  n.description as "description?", n.role as "role?: Role", null::bigint as note_count,
                  n.created_by as "created_by?", n.created_at as "created_at?", n.updated_by as "updated_by?",
                  n.updated_at as "updated_at?", n.version as "version?", n.since as "since?"
             from checkpoint c
            cross join lateral (
               select exists (select from quarantine q where q.table_name = 'notebook_members' and q.key like '%/' || ($1::uuid)::text)
                   or exists (select from notebook_members m
                                join quarantine q on (q.table_name = 'notebook_members' and q.key = m.notebook_id || '/*')
                                                  or (q.table_name = 'notebooks' and q.key = m.notebook_id::text)
                               where m.user_id = $1) as withheld) w
             left join (
               select n.id, n.name, n.description, m.role, m.created_at as since, n.created_by, n.created_at,
                      n.updated_by, n.updated_at, n.version
                 from notebook_members m
                 join notebooks n on n.id = m.notebook_id
                where m.user_id = $1
                  and m.notebook_id::text not in (select key from quarantine where table_name = 'notebooks')
                  and m.notebook_id || '/' || m.user_id
                      not in (select key from quarantine where table_name = 'notebook_members')
                  and m.notebook_id || '/*' not in (select key from quarantine where table_name = 'notebook_members')
                  and (m.created_at, m.notebook_id) < (coalesce($2, 'infinity'::timestamptz),
                                                       coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                order by m.created_at desc, m.notebook_id desc
                limit $4) n on true
            order by n.since desc, n.id desc"#,
        caller.user.0,
        paging.at(),
        paging.id(),
        paging.rows()
    )
    .fetch_all(&app.pool)
    .await
    .map_err(failed)?;
    paging.answer(rows)
}

/// Read a notebook.
#[utoipa::path(get, path = "/notebooks/{id}", tag = "notebooks",
    params(("id" = NotebookId, Path), When),
    responses((status = 200, body = Notebook)))]
async fn read(
    caller: Caller,
    State(app): State<QueryApp>,
    Path(id): Path<NotebookId>,
    Query(when): Query<When>,
) -> Result<Answer<Notebook>, Problem> {
    after::wait(&app.watermark, when.after.as_ref()).await?;
    let row = sqlx::query_as!(
        Row,
        r#"select c.position as at_position, c.epoch as at_epoch, n.id as "id?: NotebookId", n.name as "name?",
                  n.description as "description?", m.role as "role?: Role",
                  case when exists (select from quarantine q
                                     where q.table_name = 'notes' and q.scopes @> array['notebook:' || n.id])
                       then null else (select count(*) from notes where notebook_id = n.id) end as note_count,
                  n.created_by as "created_by?", n.created_at as "created_at?", n.updated_by as "updated_by?",
                  n.updated_at as "updated_at?", n.version as "version?", m.created_at as "since?",
                  exists (select from quarantine q
                           where q.table_name = 'notebooks' and q.key = ($2::uuid)::text
                             and exists (select from notebook_members where notebook_id = $2 and user_id = $1))
                  or exists (select from quarantine q
                              where q.table_name = 'notebook_members'
                                and (q.key = $2 || '/' || $1
                                     or (q.key = $2 || '/*'
                                         and exists (select from notebook_members
                                                      where notebook_id = $2 and user_id = $1))))
                    as "withheld!"
             from checkpoint c
             left join (notebooks n join notebook_members m on m.notebook_id = n.id and m.user_id = $1)
                  on n.id = $2"#,
        caller.user.0,
        id.0
    )
    .fetch_one(&app.pool)
    .await
    .map_err(failed)?;
    Found::from(row).answer(Action::NotebooksRead, || {
        Problem::new(ProblemType::NotebookMissing, "There is no such notebook, or none that you may see.")
    })
}
