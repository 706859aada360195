//! What events do to the row of a notebook.

use chrono::{DateTime, Utc};
use shared::domain::notebooks::NotebookEvent as E;
use shared::log::event::Recorded;
use uuid::Uuid;

use super::table::table;
use super::{FoldError, Projection, aggregate};

/// The table `notebooks`.
#[derive(Debug)]
pub struct Notebooks;

table! {
    /// A notebook; its members are rows of their own.
    NotebookRow in notebooks, key (id: Uuid), owner Notebook id {
        name: String,
        /// Empty when there is none.
        description: String,
        created_by: String,
        created_at: DateTime<Utc>,
        updated_by: String,
        updated_at: DateTime<Utc>,
        version: i64,
    }
}

touched!(NotebookRow);

impl Projection for Notebooks {
    const VERSION: u32 = 1;
    type Event = E;
    type Key = Uuid;
    type Row = NotebookRow;

    fn keys(recorded: &Recorded, _: &E) -> Result<Vec<Uuid>, FoldError> {
        Ok(vec![aggregate(recorded)?])
    }

    fn apply(id: &Uuid, row: Option<NotebookRow>, recorded: &Recorded, event: &E) -> Option<NotebookRow> {
        match (event, row) {
            (E::NotebookCreated { owner: _, name }, _) => Some(NotebookRow {
                id: *id,
                name: name.to_string(),
                description: String::new(),
                created_by: recorded.meta.actor.clone(),
                created_at: recorded.at,
                updated_by: recorded.meta.actor.clone(),
                updated_at: recorded.at,
                version: recorded.aggregate.version,
            }),
            (E::NotebookRenamed { name }, Some(row)) => {
                Some(NotebookRow { name: name.to_string(), ..row.touched(recorded) })
            }
            (E::NotebookDescribed { description }, Some(row)) => {
                let description = description.as_ref().map(ToString::to_string).unwrap_or_default();
                Some(NotebookRow { description, ..row.touched(recorded) })
            }
            (E::NotebookRenamed { .. } | E::NotebookDescribed { .. }, None) => None,
        }
    }
}
