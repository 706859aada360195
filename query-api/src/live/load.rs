//! What the gateway reads from the database: roles, places of notes, and pages of past events.

use std::collections::{HashMap, HashSet};

use shared::domain::access::Role;
use shared::domain::id::{NotebookId, UserId};
use shared::log::event_log::{self, BATCH_BYTES};
use shared::log::stored_event::StoredEvent;
use shared::log::visibility::{Item, Placed, Scope};
use sqlx::PgPool;
use uuid::Uuid;

use super::access::{Change, Loaded};

/// The roles of each of these persons, and the position at which they were true. One that is quarantined is none: what may
/// have been taken away is not shown.
pub(super) async fn roles(
    pool: &PgPool,
    users: &[UserId],
) -> sqlx::Result<HashMap<UserId, Loaded<(NotebookId, Role)>>> {
    let ids: Vec<uuid::Uuid> = users.iter().map(|user| user.0).collect();
    let rows = sqlx::query!(
        r#"select c.position, m.user_id as "user?: UserId", m.container_id as "notebook?: NotebookId",
                  m.role as "role?: Role"
             from checkpoint c
             left join my_grants m on m.user_id = any($1) and m.kind = 'notebook'"#,
        &ids[..]
    )
    .fetch_all(pool)
    .await?;
    let as_of = rows.first().map_or(0, |row| row.position);
    let none = || Loaded { rows: Vec::new(), as_of };
    let mut found: HashMap<_, _> = users.iter().map(|user| (*user, none())).collect();
    for row in rows {
        if let (Some(user), Some(held)) = (row.user, row.notebook.zip(row.role)) {
            found.entry(user).or_insert_with(none).rows.push(held);
        }
    }
    Ok(found)
}

/// Where notes, blocks and tasks stand, and the position at which that was true. What is not there, or is quarantined,
/// stands nowhere.
pub(super) async fn places(pool: &PgPool, placed: &[Placed]) -> sqlx::Result<Loaded<(Placed, Option<Uuid>)>> {
    let (tables, ids): (Vec<&str>, Vec<Uuid>) = placed.iter().map(|placed| row_of(*placed)).unzip();
    let rows = sqlx::query!(
        r#"select c.position, wanted.nth as "nth!", coalesce(n.notebook_id, b.note_id, t.note_id) as inside
             from checkpoint c
            cross join unnest($1::text[], $2::uuid[]) with ordinality wanted (table_name, id, nth)
             left join quarantine q on q.table_name = wanted.table_name and q.key = wanted.id::text
             left join notes n on wanted.table_name = 'notes' and n.id = wanted.id and q.key is null
             left join blocks b on wanted.table_name = 'blocks' and b.id = wanted.id and q.key is null
             left join tasks t on wanted.table_name = 'tasks' and t.id = wanted.id and q.key is null"#,
        &tables as &[&str],
        &ids[..]
    )
    .fetch_all(pool)
    .await?;
    let as_of = rows.first().map_or(0, |row| row.position);
    let place = |nth: i64| usize::try_from(nth - 1).ok().and_then(|nth| placed.get(nth)).copied();
    Ok(Loaded { rows: rows.iter().filter_map(|row| Some((place(row.nth)?, row.inside))).collect(), as_of })
}

/// A row with the place of a thing.
fn row_of(placed: Placed) -> (&'static str, Uuid) {
    match placed {
        Placed::Note(note) => ("notes", note.0),
        Placed::Item(Item::Block(block)) => ("blocks", block.0),
        Placed::Item(Item::Task(task)) => ("tasks", task.0),
    }
}

/// What of access the events after `after` and up to `up_to` were to change, and could not be folded in.
pub(super) async fn quarantined(pool: &PgPool, after: i64, up_to: i64) -> sqlx::Result<Vec<(i64, Change)>> {
    let rows = sqlx::query!(
        "select position, table_name, key from quarantine
          where position > $1 and position <= $2 and table_name in ('notes', 'blocks', 'tasks', 'members')
          order by position",
        after,
        up_to
    )
    .fetch_all(pool)
    .await?;
    let changes = rows.into_iter().filter_map(|row| {
        Change::quarantined(&row.table_name, &row.key).map(|change| (row.position, change))
    });
    Ok(changes.collect())
}

/// A page of the past.
pub(super) struct Page {
    /// In order, still encrypted.
    pub(super) events: Vec<StoredEvent>,
    /// There may be more behind them.
    pub(super) more: bool,
}

/// At most `limit` events of these scopes after `after` and up to `up_to`, and no more than [`BATCH_BYTES`].
///
/// Each scope is asked for one page of its own: the cost does not grow with the length of the gap.
pub(super) async fn past(
    pool: &PgPool,
    scopes: &HashSet<Scope>,
    after: i64,
    up_to: i64,
    limit: i64,
) -> sqlx::Result<Page> {
    let scopes: Vec<String> = scopes.iter().map(Scope::to_string).collect();
    let found = sqlx::query!(
        r#"select e.position, pg_column_size(e.payload)::bigint as "bytes!"
             from (select distinct f.position
                     from unnest($1::text[]) wanted(scope)
                    cross join lateral (select position from feed
                                         where feed.scope = wanted.scope and position > $2 and position <= $3
                                         order by position limit $4) f
                    order by f.position limit $4) found
             join es.event e on e.position = found.position
            order by e.position"#,
        &scopes[..],
        after,
        up_to,
        limit
    );
    let found = found.fetch_all(pool).await?;
    let mut bytes = 0;
    let within = found.iter().take_while(|event| {
        let fits = bytes < BATCH_BYTES;
        bytes += event.bytes;
        fits
    });
    let positions: Vec<i64> = within.map(|event| event.position).collect();
    let more = positions.len() < found.len() || i64::try_from(found.len()).is_ok_and(|found| found >= limit);
    Ok(Page { events: event_log::at_all(pool, &positions).await?, more })
}
