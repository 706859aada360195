//! What the gateway reads from the database: roles, places of notes, and pages of the past.

use std::collections::HashSet;

use shared::access::Role;
use shared::event::Recorded;
use shared::id::{NoteId, NotebookId, UserId};
use shared::visibility::Scope;
use sqlx::PgPool;

use super::access::Loaded;

/// A person's roles, and the position at which they were true.
pub(super) async fn roles(pool: &PgPool, user: UserId) -> sqlx::Result<Loaded<(NotebookId, Role)>> {
    let rows: Vec<(i64, Option<NotebookId>, Option<Role>)> = sqlx::query_as(
        "select c.position, m.notebook_id, m.role
           from checkpoint c left join notebook_members m on m.user_id = $1",
    )
    .bind(user)
    .fetch_all(pool)
    .await?;
    let as_of = rows.first().map_or(0, |(position, ..)| *position);
    let rows = rows.into_iter().filter_map(|(_, notebook, role)| notebook.zip(role)).collect();
    Ok(Loaded { rows, as_of })
}

/// Where notes stand, and the position at which that was true. A note that is not there has no notebook.
pub(super) async fn places(
    pool: &PgPool,
    notes: &[NoteId],
) -> sqlx::Result<Loaded<(NoteId, Option<NotebookId>)>> {
    let ids: Vec<uuid::Uuid> = notes.iter().map(|note| note.0).collect();
    let rows: Vec<(i64, NoteId, Option<NotebookId>)> = sqlx::query_as(
        "select c.position, wanted.id, n.notebook_id
           from checkpoint c cross join unnest($1::uuid[]) wanted(id) left join notes n on n.id = wanted.id",
    )
    .bind(&ids)
    .fetch_all(pool)
    .await?;
    let as_of = rows.first().map_or(0, |(position, ..)| *position);
    Ok(Loaded { rows: rows.into_iter().map(|(_, note, notebook)| (note, notebook)).collect(), as_of })
}

/// At most `limit` events of these scopes after `after` and up to `up_to`, in order, still sealed.
///
/// Each scope is asked for one page of its own: the cost does not grow with the length of the gap.
pub(super) async fn past(
    pool: &PgPool,
    scopes: &HashSet<Scope>,
    after: i64,
    up_to: i64,
    limit: i64,
) -> sqlx::Result<Vec<Recorded>> {
    let scopes: Vec<String> = scopes.iter().map(Scope::to_string).collect();
    sqlx::query_as(
        "select e.*
           from (select distinct f.position
                   from unnest($1::text[]) wanted(scope)
                  cross join lateral (select position from feed
                                       where feed.scope = wanted.scope and position > $2 and position <= $3
                                       order by position limit $4) f
                  order by f.position limit $4) found
           join es.event e on e.position = found.position
          order by e.position",
    )
    .bind(scopes)
    .bind(after)
    .bind(up_to)
    .bind(limit)
    .fetch_all(pool)
    .await
}
