//! Reading the log: rows of `es.event` become [`Recorded`], still sealed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgExecutor, Row};
use uuid::Uuid;

use crate::domain::room_of;
use crate::event::{AggregateRef, Meta, Recorded};

/// The columns that make a [`Recorded`], in the order of the table.
const COLUMNS: &str = "position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, scopes, recorded_at";

impl FromRow<'_, PgRow> for Recorded {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let aggregate_type: &str = row.try_get("aggregate_type")?;
        let metadata: Value = row.try_get("metadata")?;
        let meta = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self {
            position: row.try_get("position")?,
            id: row.try_get::<Uuid, _>("event_id")?,
            at: row.try_get::<DateTime<Utc>, _>("recorded_at")?,
            // A type of a newer release has no room here; its events stop the projector by their name anyway.
            room: room_of(aggregate_type).unwrap_or(aggregate_type).to_owned(),
            aggregate: AggregateRef { id: row.try_get("aggregate_id")?, version: row.try_get("sequence")? },
            event_type: row.try_get("event_type")?,
            event_version: row.try_get("event_version")?,
            data: row.try_get("payload")?,
            scopes: row.try_get("scopes")?,
            meta: Meta {
                actor: meta("actor"),
                correlation: meta("correlation"),
                causation: meta("causation"),
            },
        })
    }
}

/// At most `limit` events after `position`, in order, still sealed.
pub async fn after(executor: impl PgExecutor<'_>, position: i64, limit: i64) -> sqlx::Result<Vec<Recorded>> {
    sqlx::query_as(&format!("select {COLUMNS} from es.event where position > $1 order by position limit $2"))
        .bind(position)
        .bind(limit)
        .fetch_all(executor)
        .await
}

/// The event at `position`, still sealed; `None` beyond the end of the log.
pub async fn at(executor: impl PgExecutor<'_>, position: i64) -> sqlx::Result<Option<Recorded>> {
    sqlx::query_as(&format!("select {COLUMNS} from es.event where position = $1"))
        .bind(position)
        .fetch_optional(executor)
        .await
}

/// The last position of the log; 0 when it is empty.
pub async fn head(executor: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar("select coalesce(max(position), 0) from es.event").fetch_one(executor).await
}
