//! What events do to the row of a session.

use chrono::{DateTime, Utc};
use shared::domain::sessions::SessionEvent as E;
use shared::log::event::Recorded;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{FoldError, Projection, aggregate, column};

/// The table `sessions`.
#[derive(Debug)]
pub struct Sessions;

/// One login of a person on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct SessionRow {
    pub id: Uuid,
    pub user_id: Uuid,
    pub device: Option<String>,
    pub address: Option<String>,
    pub opened_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub version: i64,
}

impl Projection for Sessions {
    const NAME: &'static str = "sessions";
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

    fn key(row: &SessionRow) -> Uuid {
        row.id
    }

    async fn load(connection: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<Vec<SessionRow>> {
        sqlx::query_as!(
            SessionRow,
            "select id, user_id, device, address, opened_at, ended_at, version
               from sessions where id = any($1)",
            keys
        )
        .fetch_all(connection)
        .await
    }

    async fn save(connection: &mut PgConnection, rows: &[SessionRow]) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into sessions (id, user_id, device, address, opened_at, ended_at, version)
             select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[],
                                  $6::timestamptz[], $7::bigint[])
             on conflict (id) do update set
               user_id = excluded.user_id, device = excluded.device, address = excluded.address,
               opened_at = excluded.opened_at, ended_at = excluded.ended_at, version = excluded.version",
            &column(rows, |row| row.id)[..],
            &column(rows, |row| row.user_id)[..],
            &column(rows, |row| row.device.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.address.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.opened_at)[..],
            &column(rows, |row| row.ended_at) as &[Option<DateTime<Utc>>],
            &column(rows, |row| row.version)[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn remove(connection: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<()> {
        sqlx::query!("delete from sessions where id = any($1)", keys).execute(connection).await?;
        Ok(())
    }
}
