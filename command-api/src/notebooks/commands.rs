//! The commands of a notebook: who may give them, and each refusal.

use shared::domain::access::{Action, Container};
use shared::domain::id::{NotebookId, UserId};
use shared::domain::text::{Description, Title};
use shared::process::problem::{Problem, ProblemType};

use super::Notebook;
use crate::app::{Authorized, Home, Link, UnitOfWork, id_taken};
use crate::app::{Refusal, problem};
use crate::members;

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
}

impl Refusal for NotebookError {
    fn refuse(&self) -> ProblemType {
        match self {
            Self::Missing => ProblemType::NotebookMissing,
            Self::AlreadyExists => ProblemType::NotebookExists,
        }
    }
}

/// A notebook, read to decide by; it is in nothing. Nothing if there is none.
pub(crate) async fn chain(work: &mut UnitOfWork<'_>, notebook: NotebookId) -> Result<Vec<Link>, Problem> {
    let read = work.read_access::<Notebook>(&notebook.to_string()).await?;
    let link = Link { container: notebook.into(), cleared: 0 };
    Ok(if read.state.is_there() { vec![link] } else { Vec::new() })
}

/// Anybody starts notebooks, and owns what they started; owners change them.
pub(super) async fn authorize(
    notebook: &Notebook,
    work: &mut UnitOfWork<'_>,
    id: &str,
    commands: &[NotebookCommand],
) -> Result<Authorized, Problem> {
    let missing = || problem(&NotebookError::Missing);
    let itself: NotebookId = id.parse().map_err(|_| missing())?;
    let container = Container::from(itself);
    let create = commands.iter().find_map(|command| match command {
        NotebookCommand::Create { owner, .. } => Some(*owner),
        NotebookCommand::Rename { .. } | NotebookCommand::Describe { .. } => None,
    });
    match create {
        Some(_) if notebook.is_there() => {
            let user = work.user()?;
            let is_seen = work.is_seen_by(user, container).await?;
            return Err(if is_seen { problem(&NotebookError::AlreadyExists) } else { id_taken() });
        }
        Some(owner) => members::first_owner(work, container, owner)?,
        None => _ = work.require(Action::NotebooksChange, container, missing).await?,
    }
    Ok(Authorized { home: Home::of("notebook", id), ..Authorized::default() })
}
