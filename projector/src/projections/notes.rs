//! What events do to the row of a note.

use chrono::{DateTime, Utc};
use shared::domain::notes::NoteEvent as E;
use shared::log::event::Recorded;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{FoldError, Projection, aggregate, column};

/// The table `notes`.
#[derive(Debug)]
pub struct Notes;

/// A note as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct NoteRow {
    pub id: Uuid,
    pub notebook_id: Uuid,
    pub title: String,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub updated_by: String,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

touched!(NoteRow);

impl Projection for Notes {
    const NAME: &'static str = "notes";
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

    fn key(row: &NoteRow) -> Uuid {
        row.id
    }

    async fn load(connection: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<Vec<NoteRow>> {
        sqlx::query_as!(
            NoteRow,
            "select id, notebook_id, title, created_by, created_at, updated_by, updated_at, version
               from notes where id = any($1)",
            keys
        )
        .fetch_all(connection)
        .await
    }

    async fn save(connection: &mut PgConnection, rows: &[NoteRow]) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into notes (id, notebook_id, title, created_by, created_at, updated_by, updated_at, version)
             select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[],
                                  $7::timestamptz[], $8::bigint[])
             on conflict (id) do update set
               notebook_id = excluded.notebook_id, title = excluded.title, created_by = excluded.created_by,
               created_at = excluded.created_at, updated_by = excluded.updated_by,
               updated_at = excluded.updated_at, version = excluded.version",
            &column(rows, |row| row.id)[..],
            &column(rows, |row| row.notebook_id)[..],
            &column(rows, |row| row.title.as_str()) as &[&str],
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
        sqlx::query!("delete from notes where id = any($1)", keys).execute(connection).await?;
        Ok(())
    }
}
