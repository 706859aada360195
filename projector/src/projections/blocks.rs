//! What events do to the row of a block.

use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::domain::blocks::{BlockEvent as E, Content, WholeBlock};
use shared::domain::id::NoteId;
use shared::domain::rank::Rank;
use shared::log::event::Recorded;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::{FoldError, Projection, aggregate, column};

/// The table `blocks`.
#[derive(Debug)]
pub struct Blocks;

/// A block as its note shows it.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct BlockRow {
    pub id: Uuid,
    pub note_id: Uuid,
    pub r#type: String,
    pub content: Value,
    pub rank: String,
    pub removed: bool,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub updated_by: String,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

touched!(BlockRow);

impl BlockRow {
    fn new(id: Uuid, (note, rank): (&NoteId, &Rank), block: &Content, recorded: &Recorded) -> Self {
        Self {
            id,
            note_id: note.0,
            r#type: block.block_type().as_ref().to_owned(),
            content: block.data(),
            rank: rank.to_string(),
            removed: false,
            created_by: recorded.meta.actor.clone(),
            created_at: recorded.at,
            updated_by: recorded.meta.actor.clone(),
            updated_at: recorded.at,
            version: recorded.aggregate.version,
        }
    }
}

impl Projection for Blocks {
    const NAME: &'static str = "blocks";
    const VERSION: u32 = 1;
    type Event = E;
    type Key = Uuid;
    type Row = BlockRow;

    fn keys(recorded: &Recorded, _: &E) -> Result<Vec<Uuid>, FoldError> {
        Ok(vec![aggregate(recorded)?])
    }

    fn apply(id: &Uuid, row: Option<BlockRow>, recorded: &Recorded, event: &E) -> Option<BlockRow> {
        match (event, row) {
            (E::BlockAdded { note_id, block, rank }, _) => {
                Some(BlockRow::new(*id, (note_id, rank), block, recorded))
            }
            (E::BlockMoved { to, rank, whole: Some(WholeBlock { block, added_by, added_at }), .. }, _) => {
                let new = BlockRow::new(*id, (to, rank), block, recorded);
                Some(BlockRow { created_by: added_by.clone(), created_at: *added_at, ..new })
            }
            (E::BlockEdited { block, .. } | E::BlockTypeChanged { block, .. }, Some(row)) => Some(BlockRow {
                r#type: block.block_type().as_ref().to_owned(),
                content: block.data(),
                ..row.touched(recorded)
            }),
            (E::BlockMoved { rank, whole: None, .. }, Some(row)) => {
                Some(BlockRow { rank: rank.to_string(), ..row.touched(recorded) })
            }
            (E::BlockRemoved { .. }, Some(row)) => Some(BlockRow { removed: true, ..row.touched(recorded) }),
            (E::BlockRestored { rank, .. }, Some(row)) => {
                Some(BlockRow { removed: false, rank: rank.to_string(), ..row.touched(recorded) })
            }
            (
                E::BlockEdited { .. }
                | E::BlockTypeChanged { .. }
                | E::BlockMoved { whole: None, .. }
                | E::BlockRemoved { .. }
                | E::BlockRestored { .. },
                None,
            ) => None,
        }
    }

    fn key(row: &BlockRow) -> Uuid {
        row.id
    }

    async fn load(connection: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<Vec<BlockRow>> {
        sqlx::query_as!(
            BlockRow,
            "select id, note_id, type, content, rank, removed, created_by, created_at, updated_by, updated_at, version
               from blocks where id = any($1)",
            keys
        )
        .fetch_all(connection)
        .await
    }

    async fn save(connection: &mut PgConnection, rows: &[BlockRow]) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into blocks (id, note_id, type, content, rank, removed, created_by, created_at, updated_by,
                                 updated_at, version)
             select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::jsonb[], $5::text[], $6::boolean[],
                                  $7::text[], $8::timestamptz[], $9::text[], $10::timestamptz[], $11::bigint[])
             on conflict (id) do update set
               note_id = excluded.note_id, type = excluded.type, content = excluded.content, rank = excluded.rank,
               removed = excluded.removed, created_by = excluded.created_by, created_at = excluded.created_at,
               updated_by = excluded.updated_by, updated_at = excluded.updated_at, version = excluded.version",
            &column(rows, |row| row.id)[..],
            &column(rows, |row| row.note_id)[..],
            &column(rows, |row| row.r#type.as_str()) as &[&str],
            &column(rows, |row| Json(&row.content)) as &[Json<&Value>],
            &column(rows, |row| row.rank.as_str()) as &[&str],
            &column(rows, |row| row.removed)[..],
            &column(rows, |row| row.created_by.as_str()) as &[&str],
            &column(rows, |row| row.created_at)[..],
            &column(rows, |row| row.updated_by.as_str()) as &[&str],
            &column(rows, |row| row.updated_at)[..],
            &column(rows, |row| row.version)[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn remove(connection: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<()> {
        sqlx::query!("delete from blocks where id = any($1)", keys).execute(connection).await?;
        Ok(())
    }
}
