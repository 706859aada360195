//! What events do to the row of a note.

use chrono::{DateTime, Utc};
use shared::domain::notes::NoteEvent as E;
use shared::log::event::Recorded;
use uuid::Uuid;

use super::table::table;
use super::{FoldError, Projection, aggregate};

/// The table `notes`.
#[derive(Debug)]
pub struct Notes;

table! {
    /// A note as lists show it.
    NoteRow in notes, key (id: Uuid), owner Note id {
        notebook_id: Uuid,
        title: String,
        created_by: String,
        created_at: DateTime<Utc>,
        updated_by: String,
        updated_at: DateTime<Utc>,
        version: i64,
    }
}

touched!(NoteRow);

impl Projection for Notes {
    const VERSION: u32 = 1;
    type Event = E;
    type Key = Uuid;
    type Row = NoteRow;

    fn keys(recorded: &Recorded, _: &E) -> Result<Vec<Uuid>, FoldError> {
        Ok(vec![aggregate(recorded)?])
    }

    fn apply(id: &Uuid, row: Option<NoteRow>, recorded: &Recorded, event: &E) -> Option<NoteRow> {
        match (event, row) {
            (E::NoteCreated { notebook_id, title }, _) => Some(NoteRow {
                id: *id,
                notebook_id: notebook_id.0,
                title: title.to_string(),
                created_by: recorded.meta.actor.clone(),
                created_at: recorded.at,
                updated_by: recorded.meta.actor.clone(),
                updated_at: recorded.at,
                version: recorded.aggregate.version,
            }),
            (E::NoteRetitled { title }, Some(row)) => {
                Some(NoteRow { title: title.to_string(), ..row.touched(recorded) })
            }
            (E::NoteMoved { from: _, to }, Some(row)) => {
                Some(NoteRow { notebook_id: to.0, ..row.touched(recorded) })
            }
            (E::NoteRetitled { .. } | E::NoteMoved { .. }, None) => None,
        }
    }
}
