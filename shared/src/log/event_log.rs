//! Reading the log: rows of `es.event` become [`StoredEvent`], still encrypted and not yet checked.

use std::mem::take;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::log::event::{AggregateRef, Meta, Recorded};
use crate::log::stored_event::{Payload, StoredEvent, StoredHeader};

/// A row of `es.event`, for `query_as!`.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct EventRow {
    pub position: i64,
    pub event_id: Uuid,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: i64,
    pub event_type: String,
    pub event_version: String,
    /// Of a header: its SHA-256.
    pub payload: Vec<u8>,
    pub actor: Option<String>,
    pub correlation: Option<String>,
    pub causation: Option<String>,
    pub scopes: Vec<Option<String>>,
    pub owner: Option<String>,
    pub effects: Option<Value>,
    pub mac: Vec<u8>,
    pub recorded_at: DateTime<Utc>,
}

impl From<EventRow> for StoredEvent {
    fn from(mut row: EventRow) -> Self {
        Self {
            payload: Payload::from_bytes(take(&mut row.payload)),
            owner: row.owner.take(),
            mac: bytes(&row.mac),
            recorded: row.recorded(),
        }
    }
}

impl From<EventRow> for StoredHeader {
    fn from(mut row: EventRow) -> Self {
        Self {
            digest: bytes(&row.payload),
            owner: row.owner.take(),
            mac: bytes(&row.mac),
            recorded: row.recorded(),
        }
    }
}

/// So many bytes; zeros, which fit nothing, if there are not.
fn bytes<const N: usize>(column: &[u8]) -> [u8; N] {
    column.try_into().unwrap_or([0; N])
}

impl EventRow {
    fn recorded(self) -> Recorded {
        let row = self;
        Recorded {
            position: row.position,
            id: row.event_id,
            at: row.recorded_at,
            meta: Meta {
                actor: row.actor.unwrap_or_default(),
                correlation: row.correlation.unwrap_or_default(),
                causation: row.causation.unwrap_or_default(),
            },
            aggregate: AggregateRef { kind: row.aggregate_type, id: row.aggregate_id, version: row.sequence },
            event_type: row.event_type,
            event_version: row.event_version,
            data: Value::Null,
            // None is null.
            scopes: row.scopes.into_iter().map(Option::unwrap_or_default).collect(),
            effects: row.effects,
        }
    }
}

/// Reads events: which form of the payload, the rest of the statement, its arguments. A time that Postgres has and the program
/// has not becomes its first or last.
macro_rules! events {
    ($payload:literal, $rest:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            EventRow,
            "select position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, "
                + $payload
                + r#" as "payload!", metadata->>'actor' as actor, metadata->>'correlation' as correlation,
                      metadata->>'causation' as causation, scopes as "scopes!: Vec<Option<String>>", owner, effects, mac,
                      greatest(least(recorded_at, '9999-12-31'), '0001-01-01') as "recorded_at!"
                 from es.event "#
                + $rest,
            $($argument),+
        )
    };
}

/// How many bytes of payloads are read at once: a batch ends there, however few events it has. It has one at least.
pub const BATCH_BYTES: i64 = 8 * 1_024 * 1_024;

/// At most `limit` events after `position` that may be read, and no more than [`BATCH_BYTES`], in order, still encrypted.
/// Empty only at the end of the log.
pub async fn after(
    executor: impl PgExecutor<'_>,
    position: i64,
    limit: i64,
) -> sqlx::Result<Vec<StoredEvent>> {
    let rows = events!(
        "payload",
        "where position > $1
            and position <= (select max(sized.position)
                               from (select n.position, sum(n.bytes) over (order by n.position) - n.bytes as before
                                       from (select e.position, pg_column_size(e.payload)::bigint as bytes
                                               from es.event e
                                              where e.position > $1 and e.position <= (select es.readable())
                                              order by e.position limit $2) n) sized
                              where sized.before < $3::bigint)
          order by position",
        position,
        limit,
        BATCH_BYTES
    );
    Ok(rows.fetch_all(executor).await?.into_iter().map(StoredEvent::from).collect())
}

/// The same without their data and unchecked: for those who choose by what stays in clear, and then ask for
/// [`headers_at`] what they chose.
pub async fn unchecked_after(
    executor: impl PgExecutor<'_>,
    position: i64,
    limit: i64,
) -> sqlx::Result<Vec<Recorded>> {
    let rows = events!(
        "''::bytea",
        "where position > $1 and position <= (select es.readable())
          order by position limit $2",
        position,
        limit
    );
    Ok(rows.fetch_all(executor).await?.into_iter().map(EventRow::recorded).collect())
}

/// The events at these positions, in order, without their data.
pub async fn headers_at(executor: impl PgExecutor<'_>, positions: &[i64]) -> sqlx::Result<Vec<StoredHeader>> {
    let rows = events!("sha256(payload)", "where position = any($1) order by position", positions);
    Ok(rows.fetch_all(executor).await?.into_iter().map(StoredHeader::from).collect())
}

/// The event at `position`, still encrypted; `None` beyond the end of the log.
pub async fn at(executor: impl PgExecutor<'_>, position: i64) -> sqlx::Result<Option<StoredEvent>> {
    let row = events!("payload", "where position = $1", position);
    Ok(row.fetch_optional(executor).await?.map(StoredEvent::from))
}

/// A row of `es.snapshot`: an aggregate's state after the event of that sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The sequence of the last event in it.
    pub sequence: i64,
    /// The version of its form.
    pub snapshot_version: i32,
    /// The state, encrypted.
    pub encrypted: Vec<u8>,
}

/// What there is of an aggregate.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Its snapshot, of whatever form; not looked for if it has no events.
    pub snapshot: Option<Snapshot>,
    /// The event that the snapshot was taken after and all later ones; all events if the snapshot has another form than
    /// was asked for, or was taken after none of them.
    pub events: Vec<StoredEvent>,
    /// The key owners of these, with their keys as they are stored; `None` where there is none, or no longer.
    pub keys: Vec<(String, Option<Vec<u8>>)>,
}

/// An aggregate from its snapshot on, if that has a certain form, with its keys: one statement.
pub async fn stream(
    executor: impl PgExecutor<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
    snapshot_version: i32,
) -> sqlx::Result<Stream> {
    let rows = sqlx::query!(
        r#"with snapshot as materialized
             (select sequence, snapshot_version, encrypted from es.snapshot
               where aggregate_type = $1 and aggregate_id = $2)
           select e.position, e.event_id, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version,
                  e.payload, e.metadata->>'actor' as actor, e.metadata->>'correlation' as correlation,
                  e.metadata->>'causation' as causation, e.scopes as "scopes!: Vec<Option<String>>", e.owner, e.effects,
                  e.mac, greatest(least(e.recorded_at, '9999-12-31'), '0001-01-01') as "recorded_at!",
                  s.sequence as "snapshot_sequence?", s.snapshot_version as "snapshot_version?",
                  s.encrypted as "snapshot?", e.changes as "changes!",
                  case when e.changes then (select wrapped from es.key k where k.key_owner = e.scopes[1]) end as wrapped
             from (select e.*, lag(e.scopes[1]) over (order by e.sequence) is distinct from e.scopes[1] as changes,
                          row_number() over (order by e.sequence) = 1 as first
                     from es.event e
                    where e.aggregate_type = $1 and e.aggregate_id = $2
                      -- A snapshot of a history that a restore undid may be beyond the last event. (Looked up by itself: a
                      -- join may read the whole stream.)
                      and e.sequence >= coalesce((select case when exists (select from es.event x
                                                                            where x.aggregate_type = $1
                                                                              and x.aggregate_id = $2
                                                                              and x.sequence = s.sequence)
                                                              then s.sequence end
                                                    from snapshot s
                                                   where s.snapshot_version = $3), 1)) e
             left join snapshot s on e.first
            order by e.sequence"#,
        aggregate_type,
        aggregate_id,
        snapshot_version
    );
    let mut stream = Stream::default();
    for row in rows.fetch_all(executor).await? {
        if let (Some(sequence), Some(snapshot_version), Some(encrypted)) =
            (row.snapshot_sequence, row.snapshot_version, row.snapshot)
        {
            stream.snapshot = Some(Snapshot { sequence, snapshot_version, encrypted });
        }
        if let Some(Some(key_owner)) = row.scopes.first().filter(|_| row.changes) {
            stream.keys.push((key_owner.clone(), row.wrapped));
        }
        stream.events.push(StoredEvent::from(EventRow {
            position: row.position,
            event_id: row.event_id,
            aggregate_type: row.aggregate_type,
            aggregate_id: row.aggregate_id,
            sequence: row.sequence,
            event_type: row.event_type,
            event_version: row.event_version,
            payload: row.payload,
            actor: row.actor,
            correlation: row.correlation,
            causation: row.causation,
            scopes: row.scopes,
            owner: row.owner,
            effects: row.effects,
            mac: row.mac,
            recorded_at: row.recorded_at,
        }));
    }
    Ok(stream)
}

/// The events of several aggregates of one type, those of each in order.
pub async fn streams(
    executor: impl PgExecutor<'_>,
    aggregate_type: &str,
    aggregate_ids: &[String],
) -> sqlx::Result<Vec<StoredEvent>> {
    let rows = events!(
        "payload",
        "where aggregate_type = $1 and aggregate_id = any($2) order by aggregate_id, sequence",
        aggregate_type,
        aggregate_ids
    );
    Ok(rows.fetch_all(executor).await?.into_iter().map(StoredEvent::from).collect())
}

/// The events of all aggregates of one type whose ids begin with `prefix`, those of each in order. The last character of the
/// prefix must be one of ASCII, but not the last one.
pub async fn streams_under(
    executor: impl PgExecutor<'_>,
    aggregate_type: &str,
    prefix: &str,
) -> sqlx::Result<Vec<StoredEvent>> {
    let rows = events!(
        "payload",
        "where aggregate_type = $1 and aggregate_id >= $2
           and aggregate_id < left($2, -1) || chr(ascii(right($2, 1)) + 1)
          order by aggregate_id, sequence",
        aggregate_type,
        prefix
    );
    Ok(rows.fetch_all(executor).await?.into_iter().map(StoredEvent::from).collect())
}

/// The first event of an aggregate, without its data; `None` when there is no such aggregate.
pub async fn first_of(
    executor: impl PgExecutor<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
) -> sqlx::Result<Option<StoredHeader>> {
    let row = events!(
        "sha256(payload)",
        "where aggregate_type = $1 and aggregate_id = $2 and sequence = 1",
        aggregate_type,
        aggregate_id
    );
    Ok(row.fetch_optional(executor).await?.map(StoredHeader::from))
}

/// The last event of that type of an aggregate, without its data; `None` when there is none.
pub async fn last_of(
    executor: impl PgExecutor<'_>,
    (aggregate_type, aggregate_id): (&str, &str),
    event_type: &str,
) -> sqlx::Result<Option<StoredHeader>> {
    let row = events!(
        "sha256(payload)",
        "where aggregate_type = $1 and aggregate_id = $2 and event_type = $3
          order by sequence desc limit 1",
        aggregate_type,
        aggregate_id,
        event_type
    );
    Ok(row.fetch_optional(executor).await?.map(StoredHeader::from))
}

/// The events at these positions, in order, still encrypted.
pub async fn at_all(executor: impl PgExecutor<'_>, positions: &[i64]) -> sqlx::Result<Vec<StoredEvent>> {
    let rows = events!("payload", "where position = any($1) order by position", positions);
    Ok(rows.fetch_all(executor).await?.into_iter().map(StoredEvent::from).collect())
}

/// The last position of the log that may be read; 0 when it is empty.
pub async fn head(executor: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"select es.readable() as "head!""#).fetch_one(executor).await
}
