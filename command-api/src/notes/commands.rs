//! The commands of a note: who may give them, and each refusal.

use shared::domain::access::Action;
use shared::domain::id::{NoteId, NotebookId};
use shared::domain::text::Title;
use shared::process::problem::{Problem, ProblemType};

use super::Note;
use crate::app::{Authorized, Home, Link, UnitOfWork, id_taken};
use crate::app::{Refusal, problem};
use crate::notebooks;

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

/// A note and its notebook, both read to decide by. Nothing if one of them is not there.
pub(crate) async fn chain(work: &mut UnitOfWork<'_>, note: NoteId) -> Result<Vec<Link>, Problem> {
    let read = work.read_access::<Note>(&note.to_string()).await?;
    let Some(notebook) = read.state.notebook() else { return Ok(Vec::new()) };
    let parent = notebooks::chain(work, notebook).await?;
    let link = Link { container: note.into(), cleared: read.state.cleared() };
    Ok(if parent.is_empty() { parent } else { [vec![link], parent].concat() })
}

/// Editors change a note. Who takes it out of a notebook must own that one, and be an editor where it goes.
pub(super) async fn authorize(
    note: &Note,
    work: &mut UnitOfWork<'_>,
    id: &str,
    commands: &[NoteCommand],
) -> Result<Authorized, Problem> {
    let missing = || problem(&NoteError::Missing);
    let itself: NoteId = id.parse().map_err(|_| missing())?;
    let mut home = Home::of("note", id);
    let now = note.notebook();
    if let Some(notebook) = now {
        if commands.iter().any(|command| matches!(command, NoteCommand::Create { .. })) {
            let user = work.user()?;
            let is_seen = work.is_seen_by(user, itself.into()).await?;
            return Err(if is_seen { problem(&NoteError::AlreadyExists) } else { id_taken() });
        }
        home = work.require(Action::NotesChange, itself.into(), missing).await?.home;
        let leaves = |command: &NoteCommand| match command {
            NoteCommand::Move { notebook_id } => *notebook_id != notebook,
            NoteCommand::Create { .. } | NoteCommand::Retitle { .. } => false,
        };
        if commands.iter().any(leaves) {
            work.require(Action::NotesMoveOut, itself.into(), missing).await?;
        }
    }
    for command in commands {
        let (action, notebook_id) = match command {
            NoteCommand::Create { notebook_id, .. } => (Action::NotesCreate, *notebook_id),
            NoteCommand::Move { notebook_id } => (Action::NotesMoveIn, *notebook_id),
            NoteCommand::Retitle { .. } => continue,
        };
        if now == Some(notebook_id) {
            continue;
        }
        let nowhere = || Problem::invalid("/notebook_id", "There is no such notebook.");
        let there = work.require(action, notebook_id.into(), nowhere).await?.home;
        home.scopes.extend(there.scopes);
    }
    Ok(Authorized { home, ..Authorized::default() })
}
