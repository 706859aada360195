//! The commands of a notebook: who may give them, and each refusal.

use shared::domain::access::{Role, effective};
use shared::domain::id::{NotebookId, UserId};
use shared::domain::text::{Description, Title};
use shared::process::problem::{Problem, ProblemType};

use super::Notebook;
use crate::app::{Authorized, Home, UnitOfWork, id_taken};
use crate::app::{Refusal, problem};

/// What may be asked of a notebook.
#[derive(Clone, Debug)]
pub enum NotebookCommand {
    /// Start it.
    Create {
        /// Its first owner.
        owner: UserId,
        /// What it is called.
        name: Title,
    },
    /// Give it another name.
    Rename {
        /// What it is called from now on.
        name: Title,
    },
    /// Say what it is about.
    Describe {
        /// The description; empty clears it.
        description: Description,
    },
}

/// Why a notebook refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotebookError {
    /// There is none, or none that the caller may see.
    #[error("There is no such notebook.")]
    Missing,
    /// The id is in use.
    #[error("There is already a notebook with this id.")]
    AlreadyExists,
    /// The caller may see it, but not do this.
    #[error("Only owners of the notebook may do this.")]
    OwnerNeeded,
}

impl Refusal for NotebookError {
    fn refuse(&self) -> ProblemType {
        match self {
            Self::Missing => ProblemType::NotebookMissing,
            Self::AlreadyExists => ProblemType::NotebookExists,
            Self::OwnerNeeded => ProblemType::OwnerNeeded,
        }
    }
}

/// The caller's role in a notebook: read to decide by, so it must not have moved when the decision is recorded.
pub async fn role_in(work: &mut UnitOfWork<'_>, notebook: NotebookId) -> Result<Option<Role>, Problem> {
    let user = work.user()?;
    role_of(work, notebook, user).await
}

/// Somebody's role in a notebook, read to decide by.
pub(crate) async fn role_of(
    work: &mut UnitOfWork<'_>,
    notebook: NotebookId,
    user: UserId,
) -> Result<Option<Role>, Problem> {
    let notebook = work.read::<Notebook>(&notebook.to_string()).await?;
    // A notebook is in no container, so nothing is inherited.
    Ok(effective(notebook.state.role_of(user), None))
}

/// Anybody starts notebooks; owners change them.
pub(super) fn authorize(
    notebook: &Notebook,
    work: &UnitOfWork<'_>,
    id: &str,
    commands: &[NotebookCommand],
) -> Result<Authorized, Problem> {
    let user = work.user()?;
    let creates = commands.iter().any(|command| matches!(command, NotebookCommand::Create { .. }));
    match (notebook, notebook.role_of(user)) {
        (Notebook::Missing, _) | (Notebook::Live { .. }, Some(Role::Owner)) => (),
        (Notebook::Live { .. }, None) if creates => return Err(id_taken()),
        (Notebook::Live { .. }, Some(_)) if creates => return Err(problem(&NotebookError::AlreadyExists)),
        (Notebook::Live { .. }, Some(Role::Viewer | Role::Editor)) => {
            return Err(problem(&NotebookError::OwnerNeeded));
        }
        (Notebook::Live { .. }, None) => return Err(problem(&NotebookError::Missing)),
    }
    Ok(Authorized { home: Home::of("notebook", id), ..Authorized::default() })
}
