//! What events do to the row of a task.

use chrono::{DateTime, NaiveDate, Utc};
use shared::domain::tasks::{Details, Due, TaskEvent as E};
use shared::domain::text::{Description, fold};
use shared::log::event::Recorded;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{FoldError, Projection, aggregate, column};

/// The table `tasks`.
#[derive(Debug)]
pub struct Tasks;

/// A task as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct TaskRow {
    pub id: Uuid,
    pub note_id: Option<Uuid>,
    pub owner_id: Uuid,
    pub title: String,
    pub description: Option<String>,
    pub title_folded: String,
    pub description_folded: Option<String>,
    pub completed_at: Option<DateTime<Utc>>,
    pub due_at: Option<DateTime<Utc>>,
    pub due_on: Option<NaiveDate>,
    pub priority: i16,
    pub assignee_id: Option<Uuid>,
    pub removed: bool,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub updated_by: String,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

touched!(TaskRow);

impl TaskRow {
    fn new(
        id: Uuid,
        (note, owner): (Option<Uuid>, Uuid),
        title: &str,
        details: &Details,
        recorded: &Recorded,
    ) -> Self {
        Self {
            id,
            note_id: note,
            owner_id: owner,
            title: title.to_owned(),
            description: details.description.as_ref().map(ToString::to_string),
            title_folded: fold(title),
            description_folded: details.description.as_ref().map(Description::as_str).map(fold),
            completed_at: None,
            due_at: details.due.and_then(Due::at),
            due_on: details.due.and_then(Due::on),
            priority: details.priority.get().into(),
            assignee_id: details.assignee_id.map(|user| user.0),
            removed: false,
            created_by: recorded.meta.actor.clone(),
            created_at: recorded.at,
            updated_by: recorded.meta.actor.clone(),
            updated_at: recorded.at,
            version: recorded.aggregate.version,
        }
    }

    /// After an event that tells a part of it.
    fn after(self, event: &E, recorded: &Recorded) -> Self {
        let row = self.touched(recorded);
        match event {
            E::TaskRetitled { title } => {
                Self { title: title.as_str().to_owned(), title_folded: fold(title.as_str()), ..row }
            }
            E::TaskDescribed { description } => Self {
                description: description.as_ref().map(ToString::to_string),
                description_folded: description.as_ref().map(Description::as_str).map(fold),
                ..row
            },
            E::TaskScheduled { due } => Self { due_at: due.at(), due_on: due.on(), ..row },
            E::TaskUnscheduled {} => Self { due_at: None, due_on: None, ..row },
            E::TaskPrioritized { priority } => Self { priority: priority.get().into(), ..row },
            E::TaskAssigned { assignee_id } => Self { assignee_id: Some(assignee_id.0), ..row },
            E::TaskUnassigned { .. } => Self { assignee_id: None, ..row },
            E::TaskCompleted {} => Self { completed_at: Some(recorded.at), ..row },
            E::TaskReopened {} => Self { completed_at: None, ..row },
            E::TaskRemoved { .. } => Self { removed: true, ..row },
            E::TaskRestored { .. } => Self { removed: false, ..row },
            E::TaskAdded { .. } | E::TaskMoved { .. } => row,
        }
    }
}

impl Projection for Tasks {
    const NAME: &'static str = "tasks";
    const VERSION: u32 = 2;
    type Event = E;
    type Key = Uuid;
    type Row = TaskRow;

    fn keys(recorded: &Recorded, _: &E) -> Result<Vec<Uuid>, FoldError> {
        Ok(vec![aggregate(recorded)?])
    }

    fn apply(id: &Uuid, row: Option<TaskRow>, recorded: &Recorded, event: &E) -> Option<TaskRow> {
        if let E::TaskAdded { note_id, owner, title, completed, details } = event {
            let note = note_id.map(|note| note.0);
            let new = TaskRow::new(*id, (note, owner.0), title.as_str(), details, recorded);
            return Some(TaskRow { completed_at: completed.then_some(recorded.at), ..new });
        }
        if let E::TaskMoved { to, whole, .. } = event {
            let title = whole.title.as_str();
            return Some(TaskRow {
                completed_at: whole.completed_at,
                removed: whole.removed,
                created_by: whole.added_by.clone(),
                created_at: whole.added_at,
                ..TaskRow::new(*id, (Some(to.0), whole.owner.0), title, &whole.details, recorded)
            });
        }
        row.map(|row| row.after(event, recorded))
    }

    fn key(row: &TaskRow) -> Uuid {
        row.id
    }

    async fn load(connection: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<Vec<TaskRow>> {
        sqlx::query_as!(
            TaskRow,
            "select id, note_id, owner_id, title, description, title_folded, description_folded, completed_at, due_at,
                    due_on, priority, assignee_id, removed, created_by, created_at, updated_by, updated_at, version
               from tasks where id = any($1)",
            keys
        )
        .fetch_all(connection)
        .await
    }

    async fn save(connection: &mut PgConnection, rows: &[TaskRow]) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into tasks (id, note_id, owner_id, title, description, title_folded, description_folded,
                                completed_at, due_at, due_on, priority, assignee_id, removed, created_by, created_at,
                                updated_by, updated_at, version)
             select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                                  $8::timestamptz[], $9::timestamptz[], $10::date[], $11::smallint[], $12::uuid[],
                                  $13::boolean[], $14::text[], $15::timestamptz[], $16::text[],
                                  $17::timestamptz[], $18::bigint[])
             on conflict (id) do update set
               note_id = excluded.note_id, owner_id = excluded.owner_id, title = excluded.title,
               description = excluded.description, title_folded = excluded.title_folded,
               description_folded = excluded.description_folded, completed_at = excluded.completed_at,
               due_at = excluded.due_at, due_on = excluded.due_on, priority = excluded.priority,
               assignee_id = excluded.assignee_id, removed = excluded.removed,
               created_by = excluded.created_by, created_at = excluded.created_at,
               updated_by = excluded.updated_by, updated_at = excluded.updated_at, version = excluded.version",
            &column(rows, |row| row.id)[..],
            &column(rows, |row| row.note_id) as &[Option<Uuid>],
            &column(rows, |row| row.owner_id)[..],
            &column(rows, |row| row.title.as_str()) as &[&str],
            &column(rows, |row| row.description.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.title_folded.as_str()) as &[&str],
            &column(rows, |row| row.description_folded.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.completed_at) as &[Option<DateTime<Utc>>],
            &column(rows, |row| row.due_at) as &[Option<DateTime<Utc>>],
            &column(rows, |row| row.due_on) as &[Option<NaiveDate>],
            &column(rows, |row| row.priority)[..],
            &column(rows, |row| row.assignee_id) as &[Option<Uuid>],
            &column(rows, |row| row.removed)[..],
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
        sqlx::query!("delete from tasks where id = any($1)", keys).execute(connection).await?;
        Ok(())
    }
}
