//! Who has which role in which notebook.

use chrono::{DateTime, Utc};
use shared::domain::access::Role;
use shared::domain::notebooks::NotebookEvent as E;
use shared::log::event::Recorded;
use uuid::Uuid;

use super::table::table;
use super::{FoldError, Projection, aggregate};
use crate::row_key::{aggregate_text, everyone, persons};

/// The table `notebook_members`.
#[derive(Debug)]
pub struct NotebookMembers;

table! {
    /// One person's role in one notebook.
    MemberRow in notebook_members, key (notebook_id: Uuid, user_id: Uuid) {
        role: Role,
        created_at: DateTime<Utc>,
    }
}

impl Projection for NotebookMembers {
    const VERSION: u32 = 1;
    type Event = E;
    /// The notebook, then the person.
    type Key = (Uuid, Uuid);
    type Row = MemberRow;

    fn keys(recorded: &Recorded, event: &E) -> Result<Vec<(Uuid, Uuid)>, FoldError> {
        match event {
            E::NotebookCreated { owner, .. } => Ok(vec![(aggregate(recorded)?, owner.0)]),
            E::NotebookRenamed { .. } | E::NotebookDescribed { .. } => Ok(vec![]),
        }
    }

    fn apply(
        (notebook_id, user_id): &(Uuid, Uuid),
        row: Option<MemberRow>,
        recorded: &Recorded,
        event: &E,
    ) -> Option<MemberRow> {
        match event {
            E::NotebookCreated { .. } => Some(MemberRow {
                notebook_id: *notebook_id,
                user_id: *user_id,
                role: Role::Owner,
                created_at: recorded.at,
            }),
            E::NotebookRenamed { .. } | E::NotebookDescribed { .. } => row,
        }
    }

    /// Everybody's: whom it took access from, nobody can tell any more. The persons it names by themselves too, as they
    /// may have no row yet and shall hear why.
    fn concerned(recorded: &Recorded) -> Vec<String> {
        let notebook = aggregate_text(recorded);
        let each = persons(recorded).map(|person| format!("{notebook}/{person}"));
        std::iter::once(everyone(&notebook)).chain(each).collect()
    }
}
