//! What events do to the row of a task.

use chrono::{DateTime, NaiveDate, Utc};
use shared::domain::access::Scopes;
use shared::domain::id::NoteId;
use shared::domain::tasks::{Details, Due, TaskEvent as E};
use shared::domain::text::{Description, fold};
use shared::log::event::Recorded;
use uuid::Uuid;

use super::table::table;
use super::{FoldError, Projection, aggregate};

/// The table `tasks`.
#[derive(Debug)]
pub struct Tasks;

table! {
    /// A task as lists show it.
    TaskRow in tasks, key (id: Uuid), owner Note note_id, root notebook_id {
        note_id: Option<Uuid>,
        notebook_id: Option<Uuid>,
        owner_id: Uuid,
        title: String,
        description: Option<String>,
        title_folded: String,
        description_folded: Option<String>,
        completed_at: Option<DateTime<Utc>>,
        due_at: Option<DateTime<Utc>>,
        due_on: Option<NaiveDate>,
        priority: i16,
        assignee_id: Option<Uuid>,
        removed: bool,
        created_by: String,
        created_at: DateTime<Utc>,
        updated_by: String,
        updated_at: DateTime<Utc>,
        version: i64,
    }
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
            notebook_id: note.and_then(|note| root_of(note, recorded)),
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

/// What the note was in when the event was recorded.
fn root_of(note: Uuid, recorded: &Recorded) -> Option<Uuid> {
    Some(Scopes::parse(&recorded.scopes).parent_of(NoteId(note).into())?.id)
}

impl Projection for Tasks {
    const VERSION: u32 = 3;
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
}
