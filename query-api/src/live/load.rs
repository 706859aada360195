//! What the gateway reads from the database: grants, where containers are, and pages of past events.

use std::collections::HashSet;

use shared::domain::access::{Container, Grant, Kind, Principal, Role, Scope};
use shared::log::event_log::{self, BATCH_BYTES};
use shared::log::stored_event::StoredEvent;
use sqlx::PgPool;
use uuid::Uuid;

use super::access::{Hidden, Known, Place};

/// All grants of these principals. One that is quarantined is none: what may have been taken away is not shown.
pub(super) async fn grants(pool: &PgPool, principals: &[Principal]) -> sqlx::Result<Known> {
    let ids: Vec<Uuid> = principals.iter().map(|principal| principal.id()).collect();
    let rows = sqlx::query!(
        r#"select c.epoch, c.position, m.principal as "principal?", m.kind as "kind?: Kind",
                  m.container_id as "container_id?", m.role as "role?: Role", m.since as "since?", m.until
             from checkpoint c
             left join members m
                  on m.principal = any($1)
                 and m.kind || ':' || m.container_id || '/' || m.principal
                     not in (select key from quarantine where table_name = 'members')
                 and m.kind || ':' || m.container_id || '/*'
                     not in (select key from quarantine where table_name = 'members')"#,
        &ids[..]
    )
    .fetch_all(pool)
    .await?;
    let (epoch, position) = rows.first().map_or(("", 0), |row| (&row.epoch, row.position));
    let mut known = Known::nothing(epoch, position, principals);
    for row in rows {
        let (Some(principal), Some(kind), Some(id)) = (row.principal, row.kind, row.container_id) else {
            continue;
        };
        if let (Some(role), Some(since)) = (row.role, row.since) {
            let grant = Grant { role, since, until: row.until };
            known.put_grant(Container { kind, id }, principal.into(), grant);
        }
    }
    Ok(known)
}

/// Where these containers are, and what they are in. One whose row is quarantined is hidden.
pub(super) async fn places(pool: &PgPool, containers: &[Container]) -> sqlx::Result<Known> {
    let (kinds, ids): (Vec<&str>, Vec<Uuid>) =
        containers.iter().map(|container| (container.kind.as_ref(), container.id)).unzip();
    let rows = sqlx::query!(
        r#"with wanted as materialized
             (select w.kind, w.id, c.id is not null as is_there, c.parent_kind, c.parent_id, c.is_quarantined
                from unnest($1::text[], $2::uuid[]) w (kind, id)
                left join lateral (select * from containers c where c.kind = w.kind and c.id = w.id) c on true)
           select p.epoch, p.position, w.kind as "kind!: Kind", w.id as "id!", w.is_there as "is_there!",
                  w.parent_kind as "parent_kind: Kind", w.parent_id,
                  coalesce(w.is_quarantined, false) as "hidden!"
             from checkpoint p
            cross join (select * from wanted
                        union
                        select u.kind, u.id, c.id is not null, c.parent_kind, c.parent_id, c.is_quarantined
                          from (select distinct parent_kind, parent_id from wanted where parent_id is not null) u (kind, id)
                          left join lateral (select * from containers c
                                              where c.kind = u.kind and c.id = u.id) c on true) w"#,
        &kinds as &[&str],
        &ids[..]
    )
    .fetch_all(pool)
    .await?;
    let (epoch, position) = rows.first().map_or(("", 0), |row| (&row.epoch, row.position));
    let mut known = Known::nothing(epoch, position, &[]);
    for row in rows {
        let parent = row.parent_kind.zip(row.parent_id).map(|(kind, id)| Container { kind, id });
        let place = Place { parent, hidden: row.hidden, ..Place::default() };
        known.put_place(Container { kind: row.kind, id: row.id }, row.is_there.then_some(place));
    }
    Ok(known)
}

/// The rows of access that events after `after` and up to `up_to` were to change, and could not be folded into.
pub(super) async fn hidden(pool: &PgPool, after: i64, up_to: i64) -> sqlx::Result<Vec<(i64, Hidden)>> {
    let rows = sqlx::query!(
        "select position, table_name, key from quarantine where position > $1 and position <= $2 order by position",
        after,
        up_to
    )
    .fetch_all(pool)
    .await?;
    let hidden = rows.into_iter().filter_map(|row| Some((row.position, row_of(&row.table_name, &row.key)?)));
    Ok(hidden.collect())
}

/// What nobody sees anything by any more, if it is a row of access with this key.
fn row_of(table: &str, key: &str) -> Option<Hidden> {
    if let Some(kind) = Kind::of_table(table) {
        return Some(Hidden::Container(Container { kind, id: key.parse().ok()? }));
    }
    let (container, principal) = key.split_once('/').filter(|_| table == "members")?;
    let whose = if principal == "*" { None } else { Some(principal.parse::<Uuid>().ok()?.into()) };
    Some(Hidden::Grants(container.parse().ok()?, whose))
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
/// Each scope is asked for its nearest event; then only those are read whose nearest is on the page. The cost grows neither
/// with the length of the gap nor, beyond a look at each, with the number of scopes.
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
             from (with nearest as materialized (
                          select w.scope, f.position
                            from unnest($1::text[]) w (scope)
                           cross join lateral (select position from feed
                                                where feed.scope = w.scope and position > $2 and position <= $3
                                                order by position limit 1) f),
                        -- One event may be the nearest of many scopes: a page ends where so many different ones do.
                        page as materialized (
                          select case when count(*) < $4 then $3 else max(position) end as last
                            from (select distinct position from nearest order by position limit $4) p)
                   select distinct f.position
                     from page
                     join nearest n on n.position <= page.last
                    cross join lateral (select position from feed
                                         where feed.scope = n.scope and position > $2 and position <= page.last
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
