//! Who has which role in which notebook.

use chrono::{DateTime, Utc};
use shared::domain::access::Role;
use shared::domain::notebooks::NotebookEvent as E;
use shared::log::event::Recorded;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{FoldError, Projection, aggregate, column};
use crate::row_key::{aggregate_text, everyone, persons};

/// The table `notebook_members`.
#[derive(Debug)]
pub struct NotebookMembers;

/// One person's role in one notebook.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct MemberRow {
    pub notebook_id: Uuid,
    pub user_id: Uuid,
    pub role: Role,
    pub created_at: DateTime<Utc>,
}

impl Projection for NotebookMembers {
    const NAME: &'static str = "notebook_members";
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

    fn key(row: &MemberRow) -> (Uuid, Uuid) {
        (row.notebook_id, row.user_id)
    }

    /// Everybody's: whom it took access from, nobody can tell any more. The persons it names by themselves too, as they
    /// may have no row yet and shall hear why.
    fn concerned(recorded: &Recorded) -> Vec<String> {
        let notebook = aggregate_text(recorded);
        let each = persons(recorded).map(|person| format!("{notebook}/{person}"));
        std::iter::once(everyone(&notebook)).chain(each).collect()
    }

    async fn load(connection: &mut PgConnection, keys: &[(Uuid, Uuid)]) -> sqlx::Result<Vec<MemberRow>> {
        sqlx::query_as!(
            MemberRow,
            r#"select m.notebook_id, m.user_id, m.role as "role: Role", m.created_at
                 from unnest($1::uuid[], $2::uuid[]) k (notebook_id, user_id)
                 join notebook_members m using (notebook_id, user_id)"#,
            &column(keys, |key| key.0)[..],
            &column(keys, |key| key.1)[..]
        )
        .fetch_all(connection)
        .await
    }

    async fn save(connection: &mut PgConnection, rows: &[MemberRow]) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into notebook_members (notebook_id, user_id, role, created_at)
             select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[])
             on conflict (notebook_id, user_id) do update set
               role = excluded.role, created_at = excluded.created_at",
            &column(rows, |row| row.notebook_id)[..],
            &column(rows, |row| row.user_id)[..],
            &column(rows, |row| name(row.role)) as &[&str],
            &column(rows, |row| row.created_at)[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn remove(connection: &mut PgConnection, keys: &[(Uuid, Uuid)]) -> sqlx::Result<()> {
        sqlx::query!(
            "delete from notebook_members m
              using unnest($1::uuid[], $2::uuid[]) k (notebook_id, user_id)
              where m.notebook_id = k.notebook_id and m.user_id = k.user_id",
            &column(keys, |key| key.0)[..],
            &column(keys, |key| key.1)[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// The role as it is stored: an enum has no array type that sqlx could bind.
fn name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Editor => "editor",
        Role::Owner => "owner",
    }
}
