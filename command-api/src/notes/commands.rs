//! The commands of a note: who may give them, and each refusal.

use shared::domain::access::Role;
use shared::domain::id::{NoteId, NotebookId, UserId};
use shared::domain::text::Title;
use shared::process::problem::{Problem, ProblemType};

use super::Note;
use crate::app::{Authorized, Home, UnitOfWork, id_taken};
use crate::app::{Refusal, problem};
use crate::notebooks::{self, role_in};

/// What may be asked of a note.
#[derive(Clone, Debug)]
pub enum NoteCommand {
    /// Start it.
    Create {
        /// In which notebook.
        notebook_id: NotebookId,
        /// What it is called.
        title: Title,
    },
    /// Give it another title.
    Retitle {
        /// What it is called from now on.
        title: Title,
    },
    /// Put it into another notebook.
    Move {
        /// Which.
        notebook_id: NotebookId,
    },
}

/// Why a note refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// There is none, or none that the caller may see.
    #[error("There is no such note.")]
    Missing,
    /// The id is in use.
    #[error("There is already a note with this id.")]
    AlreadyExists,
}

impl Refusal for NoteError {
    fn refuse(&self) -> ProblemType {
        match self {
            Self::Missing => ProblemType::NoteMissing,
            Self::AlreadyExists => ProblemType::NoteExists,
        }
    }
}

/// Editors change a note; moving needs an editor on both ends.
pub(super) async fn authorize(
    note: &Note,
    work: &mut UnitOfWork<'_>,
    id: &str,
    commands: &[NoteCommand],
) -> Result<Authorized, Problem> {
    let mut notebooks = Vec::new();
    if let Some(notebook) = note.notebook() {
        if commands.iter().any(|command| matches!(command, NoteCommand::Create { .. })) {
            let is_seen = role_in(work, notebook).await?.is_some();
            return Err(if is_seen { problem(&NoteError::AlreadyExists) } else { id_taken() });
        }
        may_edit_in(work, notebook, || problem(&NoteError::Missing)).await?;
        notebooks.push(notebook);
    }
    for command in commands {
        let (NoteCommand::Create { notebook_id, .. } | NoteCommand::Move { notebook_id }) = command else {
            continue;
        };
        if !notebooks.contains(notebook_id) {
            may_edit_in(work, *notebook_id, || {
                Problem::invalid("/notebook_id", "There is no such notebook.")
            })
            .await?;
            notebooks.push(*notebook_id);
        }
    }
    let mut scopes = vec![format!("note:{id}")];
    scopes.extend(notebooks.iter().map(|notebook| format!("notebook:{notebook}")));
    let home = Home { scopes };
    Ok(Authorized { home, ..Authorized::default() })
}

/// Somebody's role on a note, which is read to decide by.
pub(crate) async fn role_of(
    work: &mut UnitOfWork<'_>,
    note: NoteId,
    user: UserId,
) -> Result<Option<Role>, Problem> {
    let read = work.read::<Note>(&note.to_string()).await?;
    match read.state.notebook() {
        Some(notebook) => notebooks::role_of(work, notebook, user).await,
        None => Ok(None),
    }
}

/// The home of the events of a note's parts, if the caller may change them; the note is read to decide.
pub(crate) async fn may_edit(
    work: &mut UnitOfWork<'_>,
    note: NoteId,
    missing: impl Fn() -> Problem,
) -> Result<Home, Problem> {
    let read = work.read::<Note>(&note.to_string()).await?;
    let notebook = read.state.notebook().ok_or_else(&missing)?;
    may_edit_in(work, notebook, missing).await?;
    Ok(Home { scopes: vec![format!("note:{note}"), format!("notebook:{notebook}")] })
}

async fn may_edit_in(
    work: &mut UnitOfWork<'_>,
    notebook: NotebookId,
    missing: impl Fn() -> Problem,
) -> Result<(), Problem> {
    match role_in(work, notebook).await? {
        None => Err(missing()),
        Some(Role::Viewer) => Err(Problem::new(
            ProblemType::EditorNeeded,
            "Only editors and owners of the notebook may do this.",
        )),
        Some(Role::Editor | Role::Owner) => Ok(()),
    }
}
