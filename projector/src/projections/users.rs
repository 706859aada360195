//! What events do to the row of a user.

use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::domain::text::{DisplayName, fold};
use shared::domain::users::UserEvent as E;
use shared::log::event::Recorded;
use uuid::Uuid;

use super::table::table;
use super::{FoldError, Projection, aggregate};

/// The table `users`.
#[derive(Debug)]
pub struct Users;

table! {
    /// A person as others and they themselves see them.
    UserRow in users, key (id: Uuid) {
        email: String,
        username: String,
        username_folded: String,
        display_name: String,
        first_name: Option<String>,
        last_name: Option<String>,
        avatar_url: Option<String>,
        preferences: Value,
        created_at: DateTime<Utc>,
        updated_at: DateTime<Utc>,
        version: i64,
    }
}

impl UserRow {
    fn touched(self, recorded: &Recorded) -> Self {
        Self { updated_at: recorded.at, version: recorded.aggregate.version, ..self }
    }
}

impl Projection for Users {
    const VERSION: u32 = 2;
    type Event = E;
    type Key = Uuid;
    type Row = UserRow;

    fn keys(recorded: &Recorded, _: &E) -> Result<Vec<Uuid>, FoldError> {
        Ok(vec![aggregate(recorded)?])
    }

    fn apply(id: &Uuid, row: Option<UserRow>, recorded: &Recorded, event: &E) -> Option<UserRow> {
        match (event, row) {
            (E::UserRegistered { email, username, display_name }, _) => Some(UserRow {
                id: *id,
                email: email.to_string(),
                username: username.to_string(),
                username_folded: fold(username.as_str()),
                display_name: display_name.to_string(),
                first_name: None,
                last_name: None,
                avatar_url: None,
                preferences: Value::Object(serde_json::Map::new()),
                created_at: recorded.at,
                updated_at: recorded.at,
                version: recorded.aggregate.version,
            }),
            (E::ProfileEdited { display_name, first_name, last_name, avatar_url }, Some(row)) => {
                Some(UserRow {
                    display_name: display_name.to_string(),
                    first_name: first_name.as_ref().map(DisplayName::to_string),
                    last_name: last_name.as_ref().map(DisplayName::to_string),
                    avatar_url: avatar_url.as_ref().map(ToString::to_string),
                    ..row.touched(recorded)
                })
            }
            (E::PreferencesSet { preferences }, Some(row)) => {
                Some(UserRow { preferences: Value::Object(preferences.clone()), ..row.touched(recorded) })
            }
            (E::ProfileEdited { .. } | E::PreferencesSet { .. }, None) => None,
        }
    }
}
