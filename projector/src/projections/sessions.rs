//! What events do to the row of a session.

use chrono::{DateTime, Utc};
use shared::domain::sessions::SessionEvent as E;
use shared::log::event::Recorded;
use uuid::Uuid;

use super::table::table;
use super::{FoldError, Projection, aggregate};

/// The table `sessions`.
#[derive(Debug)]
pub struct Sessions;

table! {
    /// One login of a person on one device.
    SessionRow in sessions, key (id: Uuid) {
        user_id: Uuid,
        device: Option<String>,
        address: Option<String>,
        opened_at: DateTime<Utc>,
        ended_at: Option<DateTime<Utc>>,
        version: i64,
    }
}

impl Projection for Sessions {
    const VERSION: u32 = 1;
    type Event = E;
    type Key = Uuid;
    type Row = SessionRow;

    fn keys(recorded: &Recorded, _: &E) -> Result<Vec<Uuid>, FoldError> {
        Ok(vec![aggregate(recorded)?])
    }

    fn apply(id: &Uuid, row: Option<SessionRow>, recorded: &Recorded, event: &E) -> Option<SessionRow> {
        let version = recorded.aggregate.version;
        match (event, row) {
            (E::SessionOpened { user_id, device, address }, _) => Some(SessionRow {
                id: *id,
                user_id: user_id.0,
                device: device.clone(),
                address: address.clone(),
                opened_at: recorded.at,
                ended_at: None,
                version,
            }),
            (E::SessionEnded { .. }, Some(row)) => {
                Some(SessionRow { ended_at: Some(recorded.at), version, ..row })
            }
            // The end is in clear and outlives the erased beginning: there is nothing left to show.
            (E::SessionEnded { .. }, None) => None,
        }
    }
}
