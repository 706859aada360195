//! What events do to the row of a block.

use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::domain::blocks::{BlockEvent as E, Content, WholeBlock};
use shared::domain::id::NoteId;
use shared::domain::rank::Rank;
use shared::log::event::Recorded;
use uuid::Uuid;

use super::table::table;
use super::{FoldError, Projection, aggregate};

/// The table `blocks`.
#[derive(Debug)]
pub struct Blocks;

table! {
    /// A block as its note shows it.
    BlockRow in blocks, key (id: Uuid), owner Note note_id {
        note_id: Uuid,
        r#type: String,
        content: Value,
        rank: String,
        removed: bool,
        created_by: String,
        created_at: DateTime<Utc>,
        updated_by: String,
        updated_at: DateTime<Utc>,
        version: i64,
    }
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
}
