//! Reading the log: rows of `es.event` become [`Recorded`], still encrypted.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::log::event::{AggregateRef, Meta, Recorded};

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
    pub payload: Value,
    pub actor: Option<String>,
    pub correlation: Option<String>,
    pub causation: Option<String>,
    pub scopes: Vec<String>,
    pub recorded_at: DateTime<Utc>,
}

impl From<EventRow> for Recorded {
    fn from(row: EventRow) -> Self {
        Self {
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
            data: row.payload,
            scopes: row.scopes,
        }
    }
}

/// How many bytes of payloads are read at once: a batch ends there, however few events it has. It has one at least.
pub const BATCH_BYTES: i64 = 8 * 1_024 * 1_024;

/// At most `limit` events after `position` that may be read, and no more than [`BATCH_BYTES`], in order, still encrypted.
/// Empty only at the end of the log.
pub async fn after(executor: impl PgExecutor<'_>, position: i64, limit: i64) -> sqlx::Result<Vec<Recorded>> {
    let rows = sqlx::query_as!(
        EventRow,
        "select position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                metadata->>'actor' as actor, metadata->>'correlation' as correlation,
                metadata->>'causation' as causation, scopes, recorded_at
           from es.event
          where position > $1
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
    Ok(rows.fetch_all(executor).await?.into_iter().map(Recorded::from).collect())
}

/// The same without their data, which is null: for those who choose by what stays in clear.
pub async fn headers_after(
    executor: impl PgExecutor<'_>,
    position: i64,
    limit: i64,
) -> sqlx::Result<Vec<Recorded>> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"select position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
                  'null'::jsonb as "payload!", metadata->>'actor' as actor,
                  metadata->>'correlation' as correlation, metadata->>'causation' as causation, scopes, recorded_at
             from es.event where position > $1 order by position limit $2"#,
        position,
        limit
    );
    Ok(rows.fetch_all(executor).await?.into_iter().map(Recorded::from).collect())
}

/// The event at `position`, still encrypted; `None` beyond the end of the log.
pub async fn at(executor: impl PgExecutor<'_>, position: i64) -> sqlx::Result<Option<Recorded>> {
    let row = sqlx::query_as!(
        EventRow,
        "select position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                metadata->>'actor' as actor, metadata->>'correlation' as correlation,
                metadata->>'causation' as causation, scopes, recorded_at
           from es.event where position = $1",
        position
    );
    Ok(row.fetch_optional(executor).await?.map(Recorded::from))
}

/// The events at these positions, in order, still encrypted.
pub async fn at_all(executor: impl PgExecutor<'_>, positions: &[i64]) -> sqlx::Result<Vec<Recorded>> {
    let rows = sqlx::query_as!(
        EventRow,
        "select position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                metadata->>'actor' as actor, metadata->>'correlation' as correlation,
                metadata->>'causation' as causation, scopes, recorded_at
           from es.event where position = any($1) order by position",
        positions
    );
    Ok(rows.fetch_all(executor).await?.into_iter().map(Recorded::from).collect())
}

/// The last position of the log that may be read; 0 when it is empty.
pub async fn head(executor: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"select es.readable() as "head!""#).fetch_one(executor).await
}
