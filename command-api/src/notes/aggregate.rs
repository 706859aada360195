//! The rules of a note, on one page.

use serde::{Deserialize, Serialize};
use shared::domain::id::NotebookId;
use shared::domain::notes::NoteEvent;
use shared::domain::text::Title;
use shared::process::problem::Problem;

use super::commands::authorize;
use super::{NoteCommand, NoteError};
use crate::app::{At, Decide};
use crate::app::{Authorized, UnitOfWork};

/// A note, as far as its rules need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// Not created.
    #[default]
    Missing,
    /// There.
    Live {
        /// Its notebook.
        notebook_id: NotebookId,
        /// What it is called.
        title: Title,
        /// The position of its last move, which ended all grants on the note itself; 0 if it never moved.
        cleared: i64,
    },
}

use NoteCommand as C;
use NoteEvent as E;

impl Note {
    /// The notebook that it is in.
    pub fn notebook(&self) -> Option<NotebookId> {
        match self {
            Self::Missing => None,
            Self::Live { notebook_id, .. } => Some(*notebook_id),
        }
    }

    /// The position at which all grants on the note itself ended the last time; 0 if they never did.
    pub fn cleared(&self) -> i64 {
        match self {
            Self::Missing => 0,
            Self::Live { cleared, .. } => *cleared,
        }
    }

    fn evolve(&mut self, event: E) {
        match (event, self) {
            (E::NoteCreated { notebook_id, title }, note) => {
                *note = Self::Live { notebook_id, title, cleared: 0 };
            }
            (E::NoteRetitled { title: new }, Self::Live { title, .. }) => *title = new,
            (E::NoteMoved { to, .. }, Self::Live { notebook_id, .. }) => *notebook_id = to,
            (E::NoteRetitled { .. } | E::NoteMoved { .. }, Self::Missing) => (),
        }
    }
}

impl Decide for Note {
    const SNAPSHOT_VERSION: i32 = 2;
    const MISSING: Self::Error = NoteError::Missing;

    fn creates(commands: &[C]) -> bool {
        matches!(commands.first(), Some(C::Create { .. }))
    }

    fn decide(&self, command: C, (): &()) -> Result<Vec<E>, NoteError> {
        match (self, command) {
            (Self::Missing, C::Create { notebook_id, title }) => {
                Ok(vec![E::NoteCreated { notebook_id, title }])
            }
            (Self::Missing, C::Retitle { .. } | C::Move { .. }) => Err(NoteError::Missing),
            (Self::Live { .. }, C::Create { .. }) => Err(NoteError::AlreadyExists),

            (Self::Live { title: old, .. }, C::Retitle { title }) if *old == title => Ok(vec![]),
            (Self::Live { .. }, C::Retitle { title }) => Ok(vec![E::NoteRetitled { title }]),

            (Self::Live { notebook_id: from, .. }, C::Move { notebook_id: to }) if *from == to => Ok(vec![]),
            (Self::Live { notebook_id: from, .. }, C::Move { notebook_id: to }) => {
                Ok(vec![E::NoteMoved { from: *from, to }])
            }
        }
    }

    fn apply_at(&mut self, event: E, at: At) {
        let is_moved = matches!(event, E::NoteMoved { .. });
        self.evolve(event);
        if let Self::Live { cleared, .. } = self
            && is_moved
        {
            *cleared = at.position;
        }
    }

    async fn authorize(
        &self,
        work: &mut UnitOfWork<'_>,
        id: &str,
        commands: &[C],
    ) -> Result<Authorized, Problem> {
        authorize(self, work, id, commands).await
    }
}

crate::aggregate!(Note, NoteEvent, NoteCommand, NoteError, ());

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    fn note() -> TestFramework<Note> {
        TestFramework::with(())
    }

    fn title(text: &str) -> Title {
        Title::try_from(text.to_owned()).expect("a good title")
    }

    fn notebook(n: u128) -> NotebookId {
        NotebookId(Uuid::from_u128(n))
    }

    fn created() -> E {
        E::NoteCreated { notebook_id: notebook(1), title: title("Plans") }
    }

    #[test]
    fn a_note_is_created_once() {
        note()
            .given_no_previous_events()
            .when(C::Create { notebook_id: notebook(1), title: title("Plans") })
            .then_expect_events(vec![created()]);
        note()
            .given(vec![created()])
            .when(C::Create { notebook_id: notebook(1), title: title("Plans") })
            .then_expect_error(NoteError::AlreadyExists);
    }

    #[test]
    fn a_missing_note_cannot_be_changed() {
        note()
            .given_no_previous_events()
            .when(C::Retitle { title: title("Dreams") })
            .then_expect_error(NoteError::Missing);
        note()
            .given_no_previous_events()
            .when(C::Move { notebook_id: notebook(2) })
            .then_expect_error(NoteError::Missing);
    }

    #[test]
    fn asking_for_what_already_holds_changes_nothing() {
        note().given(vec![created()]).when(C::Retitle { title: title("Plans") }).then_expect_events(vec![]);
        note().given(vec![created()]).when(C::Move { notebook_id: notebook(1) }).then_expect_events(vec![]);
    }

    #[test]
    fn a_moved_note_names_both_notebooks() {
        let moved = E::NoteMoved { from: notebook(1), to: notebook(2) };
        note()
            .given(vec![created()])
            .when(C::Move { notebook_id: notebook(2) })
            .then_expect_events(vec![moved.clone()]);
        let back = E::NoteMoved { from: notebook(2), to: notebook(1) };
        note()
            .given(vec![created(), moved])
            .when(C::Move { notebook_id: notebook(1) })
            .then_expect_events(vec![back]);
    }
}
