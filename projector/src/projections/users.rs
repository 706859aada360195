//! What events do to the row of a user.

use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::domain::text::{DisplayName, fold};
use shared::domain::users::UserEvent as E;
use shared::log::event::Recorded;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{FoldError, Projection, aggregate, column};

/// The table `users`.
#[derive(Debug)]
pub struct Users;

/// A person as others and they themselves see them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct UserRow {
    pub id: Uuid,
    pub email: String,
    pub username: String,
    pub username_folded: String,
    pub display_name: String,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub avatar_url: Option<String>,
    pub preferences: Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl UserRow {
    fn touched(self, recorded: &Recorded) -> Self {
        Self { updated_at: recorded.at, version: recorded.aggregate.version, ..self }
    }
}

impl Projection for Users {
    const NAME: &'static str = "users";
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

    fn key(row: &UserRow) -> Uuid {
        row.id
    }

    async fn load(connection: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<Vec<UserRow>> {
        sqlx::query_as!(
            UserRow,
            "select id, email, username, username_folded, display_name, first_name, last_name, avatar_url,
                    preferences, created_at, updated_at, version
               from users where id = any($1)",
            keys
        )
        .fetch_all(connection)
        .await
    }

    async fn save(connection: &mut PgConnection, rows: &[UserRow]) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into users (id, email, username, username_folded, display_name, first_name, last_name,
                                avatar_url, preferences, created_at, updated_at, version)
             select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                                  $7::text[], $8::text[], $9::jsonb[], $10::timestamptz[], $11::timestamptz[],
                                  $12::bigint[])
             on conflict (id) do update set
               email = excluded.email, username = excluded.username, username_folded = excluded.username_folded,
               display_name = excluded.display_name, first_name = excluded.first_name,
               last_name = excluded.last_name, avatar_url = excluded.avatar_url,
               preferences = excluded.preferences, created_at = excluded.created_at,
               updated_at = excluded.updated_at, version = excluded.version",
            &column(rows, |row| row.id)[..],
            &column(rows, |row| row.email.as_str()) as &[&str],
            &column(rows, |row| row.username.as_str()) as &[&str],
            &column(rows, |row| row.username_folded.as_str()) as &[&str],
            &column(rows, |row| row.display_name.as_str()) as &[&str],
            &column(rows, |row| row.first_name.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.last_name.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.avatar_url.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.preferences.clone())[..],
            &column(rows, |row| row.created_at)[..],
            &column(rows, |row| row.updated_at)[..],
            &column(rows, |row| row.version)[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn remove(connection: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<()> {
        sqlx::query!("delete from users where id = any($1)", keys).execute(connection).await?;
        Ok(())
    }
}
