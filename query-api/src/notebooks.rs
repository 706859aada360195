//! Reading notebooks.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::access::{Action, Role};
use shared::domain::id::NotebookId;
use shared::process::auth::Caller;
use shared::process::http::{Api, Path};
use shared::process::problem::{Problem, ProblemType};
use sqlx::Decode;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::after::When;
use crate::answer::{Answer, Read, Versioned, failed};
use crate::app::QueryApp;
use crate::cursor::{Listed, Page};
use crate::list::{Filters, List, PageQuery};

/// The routes of the module.
pub(crate) fn routes() -> Api<QueryApp> {
    Api::new().route(Action::NotebooksList, routes!(list)).route(Action::NotebooksRead, routes!(read))
}

/// A notebook as one person sees it.
// Selected in the order of these fields.
#[derive(Debug, Decode, Serialize, ToSchema)]
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
    /// The position since which the caller may see it: what lists are ordered by, so that what was shared just now comes first.
    #[serde(skip)]
    since: i64,
}

impl Versioned for Notebook {
    fn version(&self) -> i64 {
        self.version
    }

    fn role(&self) -> Option<Role> {
        Some(self.role)
    }
}

/// Which notebooks: all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {}

impl Filters for Which {
    const LIST: &'static str = "notebooks";
}

/// The place of a notebook in its list: later grants first; for one position, larger ids first.
#[derive(Debug, Serialize, Deserialize)]
struct GrantKey {
    since: i64,
    id: Uuid,
}

impl Listed for Notebook {
    type Key = GrantKey;

    fn cursor_key(&self) -> GrantKey {
        GrantKey { since: self.since, id: self.id.0 }
    }
}

/// List notebooks.
///
/// Those that you may see; the one that you were given access to last comes first.
#[utoipa::path(get, path = "/notebooks", tag = "notebooks", params(PageQuery),
    responses((status = 200, body = Page<Notebook>)))]
async fn list(
    caller: Caller,
    State(app): State<QueryApp>,
    List { paging, .. }: List<Which, GrantKey>,
) -> Result<Answer<Page<Notebook>>, Problem> {
    let rows = sqlx::query_as!(
        Read::<Notebook>,
        r#"select c.position, c.epoch, n as "item?: Notebook",
                  exists (select from withheld
                           where user_id = $1
                             and (table_name = 'notebooks' or table_name = 'members' and key like 'notebook:%'))
                    as "withheld!"
             from checkpoint c
             left join (
               select n.id, n.name, n.description, g.role, null::bigint as note_count, n.created_by, n.created_at,
                      n.updated_by, n.updated_at, n.version, g.since
                 from (select container_id as id, max(role) as role, min(since) as since
                         from my_grants
                        where user_id = $1 and kind = 'notebook'
                        group by container_id) g
                 join sound_notebooks n on n.id = g.id
                where (g.since, n.id) < (coalesce($2, 9223372036854775807),
                                         coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                order by g.since desc, n.id desc
                limit $4) n on true
            order by n.since desc, n.id desc"#,
        caller.user.0,
        paging.after().map(|place| place.since),
        paging.after().map(|place| place.id),
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
    _: When,
) -> Result<Answer<Notebook>, Problem> {
    let read = sqlx::query_as!(
        Read::<Notebook>,
        r#"select c.position, c.epoch, n as "item?: Notebook",
                  exists (select from withheld
                           where user_id = $1
                             and (table_name = 'notebooks' and key = ($2::uuid)::text
                                  or table_name = 'members' and key like 'notebook:' || $2 || '/%')) as "withheld!"
             from checkpoint c
             left join (
               select n.id, n.name, n.description, g.role,
                      case when exists (select from quarantine q
                                         where q.table_name = 'notes' and q.scopes @> array['notebook:' || n.id])
                           then null else (select count(*) from notes where notebook_id = n.id) end as note_count,
                      n.created_by, n.created_at, n.updated_by, n.updated_at, n.version, g.since
                 from sound_notebooks n
                cross join (select max(role) as role, min(since) as since
                              from my_grants
                             where user_id = $1 and kind = 'notebook' and container_id = $2) g
                where n.id = $2 and g.role is not null) n on true"#,
        caller.user.0,
        id.0
    )
    .fetch_one(&app.pool)
    .await
    .map_err(failed)?;
    read.answer(Action::NotebooksRead, || {
        Problem::new(ProblemType::NotebookMissing, "There is no such notebook, or none that you may see.")
    })
}
