//! What events do to the row of a notebook.

use chrono::{DateTime, Utc};
use shared::domain::notebooks::NotebookEvent as E;
use shared::log::event::Recorded;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{FoldError, Projection, aggregate, column};

/// The table `notebooks`.
#[derive(Debug)]
pub struct Notebooks;

/// A notebook; its members are rows of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct NotebookRow {
    pub id: Uuid,
    pub name: String,
    /// Empty when there is none.
    pub description: String,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub updated_by: String,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

touched!(NotebookRow);

impl Projection for Notebooks {
    const NAME: &'static str = "notebooks";
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

    fn key(row: &NotebookRow) -> Uuid {
        row.id
    }

    async fn load(connection: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<Vec<NotebookRow>> {
        sqlx::query_as!(
            NotebookRow,
            "select id, name, description, created_by, created_at, updated_by, updated_at, version
               from notebooks where id = any($1)",
            keys
        )
        .fetch_all(connection)
        .await
    }

    async fn save(connection: &mut PgConnection, rows: &[NotebookRow]) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into notebooks (id, name, description, created_by, created_at, updated_by, updated_at, version)
             select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[],
                                  $7::timestamptz[], $8::bigint[])
             on conflict (id) do update set
               name = excluded.name, description = excluded.description, created_by = excluded.created_by,
               created_at = excluded.created_at, updated_by = excluded.updated_by,
               updated_at = excluded.updated_at, version = excluded.version",
            &column(rows, |row| row.id)[..],
            &column(rows, |row| row.name.as_str()) as &[&str],
            &column(rows, |row| row.description.as_str()) as &[&str],
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
        sqlx::query!("delete from notebooks where id = any($1)", keys).execute(connection).await?;
        Ok(())
    }
}
