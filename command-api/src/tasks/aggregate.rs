//! The rules of a task, on one page.

use serde::{Deserialize, Serialize};
use shared::domain::blocks::BlockText;
use shared::domain::id::{NoteId, UserId};
use shared::domain::tasks::{Details, Due, TaskEvent, WholeTask};
use shared::process::problem::Problem;

use super::commands::authorize;
use super::{TaskCommand, TaskContext, TaskError};
use crate::app::{At, Decide};
use crate::app::{Authorized, UnitOfWork};
use crate::blocks::{LastEdits, TaskFacts};

/// A task, as far as its rules need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Not added.
    #[default]
    Missing,
    /// Wanted.
    Live(Todo),
    /// No longer wanted; it can be restored.
    Removed(Todo),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// The note it belongs to; without one it is its owner's own.
    pub note_id: Option<NoteId>,
    /// Who wants it done.
    pub owner: UserId,
    /// What is to be done.
    pub title: BlockText,
    /// Whether it is done.
    pub completed: bool,
    /// What its block does not know.
    pub details: Details,
    /// When persons last changed what it has in common with its block.
    pub last_edits: LastEdits,
}

use TaskCommand as C;
use TaskEvent as E;

impl Task {
    /// The task, whether it is removed or not.
    pub fn todo(&self) -> Option<&Todo> {
        match self {
            Self::Missing => None,
            Self::Live(todo) | Self::Removed(todo) => Some(todo),
        }
    }

    /// The task, if it is wanted.
    pub fn live(&self) -> Option<&Todo> {
        match self {
            Self::Missing | Self::Removed(_) => None,
            Self::Live(todo) => Some(todo),
        }
    }

    /// What it has in common with its block. A task without a note is nobody's block.
    pub fn task_facts(&self) -> TaskFacts {
        let Some(todo) = self.todo().filter(|todo| todo.note_id.is_some()) else {
            return TaskFacts::default();
        };
        TaskFacts {
            alive: self.live().is_some(),
            note: todo.note_id,
            text: Some(todo.title.clone()),
            done: Some(todo.completed),
        }
    }

    /// When persons last changed that.
    pub fn last_edits(&self) -> LastEdits {
        self.todo().map(|todo| todo.last_edits).unwrap_or_default()
    }

    fn take(&mut self) -> Option<Todo> {
        match std::mem::take(self) {
            Self::Missing => None,
            Self::Live(todo) | Self::Removed(todo) => Some(todo),
        }
    }

    fn evolve(&mut self, event: E) {
        let last_edits = self.last_edits();
        match event {
            E::TaskAdded { note_id, owner, title, completed, details } => {
                *self = Self::Live(Todo { note_id, owner, title, completed, details, last_edits });
            }
            E::TaskMoved {
                to,
                whole: WholeTask { owner, title, completed_at, details, removed, .. },
                ..
            } => {
                let completed = completed_at.is_some();
                let todo = Todo { note_id: Some(to), owner, title, completed, details, last_edits };
                *self = if removed { Self::Removed(todo) } else { Self::Live(todo) };
            }
            E::TaskRemoved { .. } => *self = self.take().map_or(Self::Missing, Self::Removed),
            E::TaskRestored { .. } => *self = self.take().map_or(Self::Missing, Self::Live),
            event @ (E::TaskRetitled { .. }
            | E::TaskDescribed { .. }
            | E::TaskScheduled { .. }
            | E::TaskUnscheduled {}
            | E::TaskPrioritized { .. }
            | E::TaskAssigned { .. }
            | E::TaskUnassigned { .. }
            | E::TaskCompleted {}
            | E::TaskReopened {}) => match self {
                Self::Live(todo) | Self::Removed(todo) => todo.evolve(event),
                // What an erased event left unmade stays so.
                Self::Missing => (),
            },
        }
    }
}

impl Todo {
    fn evolve(&mut self, event: E) {
        match event {
            E::TaskRetitled { title } => self.title = title,
            E::TaskDescribed { description } => self.details.description = description,
            E::TaskScheduled { due } => self.details.due = Some(due),
            E::TaskUnscheduled {} => self.details.due = None,
            E::TaskPrioritized { priority } => self.details.priority = priority,
            E::TaskAssigned { assignee_id } => self.details.assignee_id = Some(assignee_id),
            E::TaskUnassigned { .. } => self.details.assignee_id = None,
            E::TaskCompleted {} => self.completed = true,
            E::TaskReopened {} => self.completed = false,
            E::TaskAdded { .. } | E::TaskMoved { .. } | E::TaskRemoved { .. } | E::TaskRestored { .. } => (),
        }
    }

    /// What happens to a task that is wanted.
    fn decide(&self, command: C, context: &TaskContext) -> Result<Vec<E>, TaskError> {
        let details = &self.details;
        Ok(match command {
            C::Retitle { title } if title == self.title => vec![],
            C::Retitle { title } => {
                titled(self.note_id, &title)?;
                vec![E::TaskRetitled { title }]
            }
            C::Describe { description } => {
                let description = description.filter(|text| !text.as_str().is_empty());
                if description == details.description {
                    vec![]
                } else {
                    vec![E::TaskDescribed { description }]
                }
            }
            C::Schedule { due } if Some(due) == details.due => vec![],
            C::Schedule { due } => vec![E::TaskScheduled { due }],
            C::ClearDueAt => match details.due {
                Some(Due::At(_)) => vec![E::TaskUnscheduled {}],
                Some(Due::On(_)) | None => vec![],
            },
            C::ClearDueOn => match details.due {
                Some(Due::On(_)) => vec![E::TaskUnscheduled {}],
                Some(Due::At(_)) | None => vec![],
            },
            C::Prioritize { priority } if priority == details.priority => vec![],
            C::Prioritize { priority } => vec![E::TaskPrioritized { priority }],
            C::Assign { assignee_id } if assignee_id == details.assignee_id => vec![],
            C::Assign { assignee_id: Some(assignee_id) } => vec![E::TaskAssigned { assignee_id }],
            C::Assign { assignee_id: None } => {
                details.assignee_id.map(|assignee_id| E::TaskUnassigned { assignee_id }).into_iter().collect()
            }
            C::Complete => {
                if self.completed {
                    vec![]
                } else {
                    vec![E::TaskCompleted {}]
                }
            }
            C::Reopen => {
                if self.completed {
                    vec![E::TaskReopened {}]
                } else {
                    vec![]
                }
            }
            C::Move { note_id } => self.moved(false, note_id, context),
            C::Remove => vec![E::TaskRemoved { note_id: self.note_id }],
            C::Restore => vec![],
            C::Add { .. } => return Err(TaskError::AlreadyExists),
        })
    }

    fn moved(&self, removed: bool, to: NoteId, context: &TaskContext) -> Vec<E> {
        // Only a task with a note can change its note, and only the command path knows its past.
        let (Some(from), Some(past)) = (self.note_id.filter(|from| *from != to), context.past.clone()) else {
            return vec![];
        };
        let whole = WholeTask {
            owner: self.owner,
            title: self.title.clone(),
            completed_at: past.completed_at.filter(|_| self.completed),
            details: self.details.clone(),
            removed,
            added_by: past.origin.by,
            added_at: past.origin.at,
        };
        vec![E::TaskMoved { from, to, whole }]
    }
}

/// A task of its own is known by its title alone; one with a block is known by its place too.
fn titled(note: Option<NoteId>, title: &BlockText) -> Result<(), TaskError> {
    if note.is_none() && title.as_str().trim().is_empty() { Err(TaskError::Untitled) } else { Ok(()) }
}

impl Decide for Task {
    const SNAPSHOT_VERSION: i32 = 3;
    const MISSING: Self::Error = TaskError::Missing;

    fn creates(commands: &[C]) -> bool {
        matches!(commands.first(), Some(C::Add { .. }))
    }

    fn decide(&self, command: C, context: &TaskContext) -> Result<Vec<E>, TaskError> {
        match (self, command) {
            (Self::Missing, C::Add { note_id, owner, title, completed, details }) => {
                titled(note_id, &title)?;
                Ok(vec![E::TaskAdded { note_id, owner, title, completed, details }])
            }
            (Self::Missing, _) => Err(TaskError::Missing),
            (Self::Live(todo), command) => todo.decide(command, context),

            (Self::Removed(_), C::Remove) => Ok(vec![]),
            (Self::Removed(todo), C::Restore) => Ok(vec![E::TaskRestored { note_id: todo.note_id }]),
            (Self::Removed(todo), C::Move { note_id }) => Ok(todo.moved(true, note_id, context)),
            (Self::Removed(_), C::Add { .. }) => Err(TaskError::AlreadyExists),
            (Self::Removed(_), _) => Err(TaskError::Removed),
        }
    }

    fn apply_at(&mut self, event: E, at: At) {
        let before = self.task_facts();
        self.evolve(event);
        let after = self.task_facts();
        if let Self::Live(todo) | Self::Removed(todo) = self {
            todo.last_edits.take(at, &before, &after);
        }
    }

    async fn authorize(
        &self,
        work: &mut UnitOfWork<'_>,
        id: &str,
        commands: &[C],
    ) -> Result<Authorized<TaskContext>, Problem> {
        authorize(self, work, id, commands).await
    }
}

crate::aggregate!(Task, TaskEvent, TaskCommand, TaskError, TaskContext);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Refusal;
    use crate::blocks::Origin;
    use crate::tasks::commands::Past;
    use chrono::{DateTime, TimeDelta, Utc};
    use cqrs_es::test::TestFramework;
    use shared::domain::tasks::Priority;
    use shared::domain::text::Description;
    use uuid::Uuid;

    const ADA: UserId = UserId(Uuid::from_u128(0xada));
    const BOB: UserId = UserId(Uuid::from_u128(0xb0b));
    const NOTE: NoteId = NoteId(Uuid::from_u128(1));
    const OTHER: NoteId = NoteId(Uuid::from_u128(2));

    fn task() -> TestFramework<Task> {
        TestFramework::with(TaskContext { past: Some(past()) })
    }

    fn title(text: &str) -> BlockText {
        BlockText::try_from(text.to_owned()).expect("a title")
    }

    fn description(text: &str) -> Description {
        Description::try_from(text.to_owned()).expect("a description")
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn due(seconds: i64) -> Due {
        Due::At(at(seconds).to_rfc3339().try_into().expect("a time"))
    }

    fn due_on(day: &str) -> Due {
        Due::On(day.to_owned().try_into().expect("a day"))
    }

    fn priority(number: u8) -> Priority {
        Priority::try_from(number).expect("a priority")
    }

    fn details() -> Details {
        Details {
            description: Some(description("More")),
            due: Some(due(60)),
            priority: priority(3),
            assignee_id: Some(BOB),
        }
    }

    fn added(note_id: Option<NoteId>) -> E {
        let details = details();
        E::TaskAdded { note_id, owner: ADA, title: title("Call"), completed: false, details }
    }

    fn removed() -> E {
        E::TaskRemoved { note_id: Some(NOTE) }
    }

    fn restored() -> E {
        E::TaskRestored { note_id: Some(NOTE) }
    }

    fn every_change() -> Vec<C> {
        vec![
            C::Retitle { title: title("Write") },
            C::Describe { description: None },
            C::Schedule { due: due_on("2026-03-01") },
            C::ClearDueAt,
            C::ClearDueOn,
            C::Prioritize { priority: priority(0) },
            C::Assign { assignee_id: None },
            C::Complete,
            C::Reopen,
        ]
    }

    #[test]
    fn a_task_is_added_once() {
        let add = |note_id| {
            let details = details();
            C::Add { note_id, owner: ADA, title: title("Call"), completed: false, details }
        };
        for note_id in [None, Some(NOTE)] {
            task().given_no_previous_events().when(add(note_id)).then_expect_events(vec![added(note_id)]);
        }
        for events in [vec![added(None)], vec![added(Some(NOTE)), removed()]] {
            task().given(events).when(add(Some(NOTE))).then_expect_error(TaskError::AlreadyExists);
        }
    }

    #[test]
    fn only_a_task_of_a_note_may_be_untitled() {
        for blank in ["", " \n\t", "\u{3000}"] {
            let add = |note_id| C::Add {
                note_id,
                owner: ADA,
                title: title(blank),
                completed: false,
                details: Details::default(),
            };
            task().given_no_previous_events().when(add(None)).then_expect_error(TaskError::Untitled);
            let retitle = || C::Retitle { title: title(blank) };
            task().given(vec![added(None)]).when(retitle()).then_expect_error(TaskError::Untitled);
            task()
                .given(vec![added(Some(NOTE))])
                .when(retitle())
                .then_expect_events(vec![E::TaskRetitled { title: title(blank) }]);
            task().given_no_previous_events().when(add(Some(NOTE))).then_expect_events(vec![E::TaskAdded {
                note_id: Some(NOTE),
                owner: ADA,
                title: title(blank),
                completed: false,
                details: Details::default(),
            }]);
        }
        assert_eq!(TaskError::Untitled.fields()[0].pointer, "/title");
    }

    #[test]
    fn a_missing_task_cannot_be_changed() {
        let others = vec![C::Move { note_id: OTHER }, C::Remove, C::Restore];
        for command in every_change().into_iter().chain(others) {
            task().given_no_previous_events().when(command).then_expect_error(TaskError::Missing);
        }
    }

    #[test]
    fn a_removed_task_can_only_be_restored() {
        let given = || task().given(vec![added(Some(NOTE)), removed()]);
        for command in every_change() {
            given().when(command).then_expect_error(TaskError::Removed);
        }
        given().when(C::Remove).then_expect_events(vec![]);
        given().when(C::Restore).then_expect_events(vec![restored()]);
    }

    #[test]
    fn asking_for_what_already_holds_changes_nothing() {
        let given = || task().given(vec![added(Some(NOTE))]);
        for command in [
            C::Retitle { title: title("Call") },
            C::Describe { description: Some(description("More")) },
            C::Schedule { due: due(60) },
            C::Prioritize { priority: priority(3) },
            C::Assign { assignee_id: Some(BOB) },
            C::Reopen,
            C::Restore,
            C::Move { note_id: NOTE },
        ] {
            given().when(command).then_expect_events(vec![]);
        }
        let bare = E::TaskAdded {
            note_id: None,
            owner: ADA,
            title: title("Call"),
            completed: true,
            details: Details::default(),
        };
        for command in [
            C::Describe { description: None },
            C::Describe { description: Some(description("")) },
            C::ClearDueAt,
            C::ClearDueOn,
            C::Prioritize { priority: priority(0) },
            C::Assign { assignee_id: None },
            C::Complete,
        ] {
            task().given(vec![bare.clone()]).when(command).then_expect_events(vec![]);
        }
    }

    #[test]
    fn each_change_says_what_it_is_now() {
        for (command, event) in [
            (C::Retitle { title: title("Write") }, E::TaskRetitled { title: title("Write") }),
            (C::Describe { description: None }, E::TaskDescribed { description: None }),
            (C::Describe { description: Some(description("")) }, E::TaskDescribed { description: None }),
            (C::Schedule { due: due(61) }, E::TaskScheduled { due: due(61) }),
            (C::Schedule { due: due_on("2026-03-01") }, E::TaskScheduled { due: due_on("2026-03-01") }),
            (C::ClearDueAt, E::TaskUnscheduled {}),
            (C::Prioritize { priority: priority(4) }, E::TaskPrioritized { priority: priority(4) }),
            (C::Assign { assignee_id: Some(ADA) }, E::TaskAssigned { assignee_id: ADA }),
            (C::Assign { assignee_id: None }, E::TaskUnassigned { assignee_id: BOB }),
            (C::Complete, E::TaskCompleted {}),
            (C::Remove, removed()),
        ] {
            task()
                .given(vec![added(Some(NOTE))])
                .when(command.clone())
                .then_expect_events(vec![event.clone()]);
            // And asked again there is nothing left to do.
            task().given(vec![added(Some(NOTE)), event]).when(command).then_expect_events(vec![]);
        }
    }

    #[test]
    fn a_day_takes_the_place_of_a_time_and_a_time_of_a_day() {
        let given = |event: E| task().given(vec![added(Some(NOTE)), event]);
        let (at, on) = (due(60), due_on("1970-01-01"));
        let scheduled = |due| E::TaskScheduled { due };
        given(scheduled(on)).when(C::Schedule { due: on }).then_expect_events(vec![]);
        given(scheduled(on)).when(C::Schedule { due: at }).then_expect_events(vec![scheduled(at)]);
        given(scheduled(at)).when(C::Schedule { due: on }).then_expect_events(vec![scheduled(on)]);
        // Only what is there is cleared.
        given(scheduled(on)).when(C::ClearDueAt).then_expect_events(vec![]);
        given(scheduled(on)).when(C::ClearDueOn).then_expect_events(vec![E::TaskUnscheduled {}]);
        given(scheduled(at)).when(C::ClearDueOn).then_expect_events(vec![]);
        given(scheduled(at)).when(C::ClearDueAt).then_expect_events(vec![E::TaskUnscheduled {}]);
        given(E::TaskUnscheduled {}).when(C::Schedule { due: on }).then_expect_events(vec![scheduled(on)]);
    }

    #[test]
    fn a_task_is_completed_and_reopened_by_turns() {
        let given = |events: &[E]| task().given([&[added(None)], events].concat());
        given(&[E::TaskCompleted {}]).when(C::Complete).then_expect_events(vec![]);
        given(&[E::TaskCompleted {}]).when(C::Reopen).then_expect_events(vec![E::TaskReopened {}]);
        given(&[E::TaskCompleted {}, E::TaskReopened {}])
            .when(C::Complete)
            .then_expect_events(vec![E::TaskCompleted {}]);
    }

    #[test]
    fn a_restored_task_is_what_it_was() {
        let given = || task().given(vec![added(Some(NOTE)), E::TaskCompleted {}, removed(), restored()]);
        for command in [
            C::Retitle { title: title("Call") },
            C::Describe { description: Some(description("More")) },
            C::Schedule { due: due(60) },
            C::Prioritize { priority: priority(3) },
            C::Assign { assignee_id: Some(BOB) },
            C::Complete,
        ] {
            given().when(command).then_expect_events(vec![]);
        }
    }

    /// Of a task that went on to a note whose key is gone, only the ends are left; they may come twice.
    #[test]
    fn an_end_that_is_told_twice_loses_nothing() {
        let twice = || task().given(vec![added(Some(NOTE)), removed(), removed()]);
        twice().when(C::Restore).then_expect_events(vec![restored()]);
        twice().when(C::Complete).then_expect_error(TaskError::Removed);
        let alive = task().given(vec![added(Some(NOTE)), restored()]);
        alive.when(C::Retitle { title: title("Call") }).then_expect_events(vec![]);
    }

    fn past() -> Past {
        let origin = Origin { by: "ada".to_owned(), at: at(1) };
        Past { origin, completed_at: Some(at(2)) }
    }

    fn moved(completed: bool, removed: bool) -> E {
        let whole = WholeTask {
            owner: ADA,
            title: title("Call"),
            completed_at: completed.then(|| at(2)),
            details: details(),
            removed,
            added_by: "ada".to_owned(),
            added_at: at(1),
        };
        E::TaskMoved { from: NOTE, to: OTHER, whole }
    }

    #[test]
    fn a_task_goes_with_its_block_whole_and_as_it_is() {
        let there = || C::Move { note_id: OTHER };
        for (before, completed, gone) in [
            (vec![], false, false),
            (vec![E::TaskCompleted {}], true, false),
            (vec![E::TaskCompleted {}, E::TaskReopened {}], false, false),
            (vec![E::TaskCompleted {}, removed()], true, true),
        ] {
            let events = [vec![added(Some(NOTE))], before].concat();
            let expected = moved(completed, gone);
            task().given(events).when(there()).then_expect_events(vec![expected.clone()]);
            let here = || task().given(vec![expected.clone()]);
            here().when(there()).then_expect_events(vec![]);
            if gone {
                let restored = E::TaskRestored { note_id: Some(OTHER) };
                here().when(C::Restore).then_expect_events(vec![restored]);
            } else {
                let changed = if completed { vec![] } else { vec![E::TaskCompleted {}] };
                here().when(C::Complete).then_expect_events(changed);
            }
        }
        // Who has no note has no block to go with.
        task().given(vec![added(None)]).when(there()).then_expect_events(vec![]);
    }
}
