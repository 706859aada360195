//! The commands of a grant: who may give them, and each refusal.

use shared::domain::access::{Container, Kind, Principal, Role};
use shared::domain::id::UserId;
use shared::domain::members::MemberId;
use shared::process::problem::{Problem, ProblemType};

use super::{Member, witness};
use crate::app::{Authorized, Home, Loaded, UnitOfWork};
use crate::app::{Refusal, problem};
use crate::users::User;

/// What may be asked about one principal and one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberCommand {
    /// Give them a role, whether they had another one or none.
    Grant {
        /// Which.
        role: Role,
    },
    /// Take it away.
    Remove,
}

/// What authorization finds out for the command of a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberContext {
    /// The position at which all grants on the container ended the last time; 0 if they never did.
    pub cleared: i64,
}

/// Why a grant is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// There is none.
    #[error("There is no such member.")]
    Missing,
    /// Nobody can have this role on a thing of this kind, or not these.
    #[error("This role cannot be given to them here.")]
    NotForThisKind,
    /// Nobody would be left who could share or delete it.
    #[error("This is the last owner. Make somebody else an owner first.")]
    LastOwner,
}

impl Refusal for MemberError {
    fn refuse(&self) -> ProblemType {
        match self {
            Self::Missing => ProblemType::MemberMissing,
            Self::NotForThisKind => ProblemType::NotForThisKind,
            Self::LastOwner => ProblemType::LastOwner,
        }
    }
}

/// The highest role that a principal can be given on a container of a kind.
pub(super) fn most(kind: Kind, principal: Principal) -> Option<Role> {
    match (kind.is_child(), principal) {
        (false, Principal::User(_)) => Some(Role::Owner),
        (false, Principal::Everyone) | (true, Principal::User(_)) => Some(Role::Editor),
        (false, Principal::Public) | (true, Principal::Everyone | Principal::Public) => None,
    }
}

/// Owners grant and revoke, and everybody may leave. A person who is granted something must be there; when an owner goes,
/// another one must stay.
pub(super) async fn authorize(
    member: &Member,
    work: &mut UnitOfWork<'_>,
    id: &str,
    commands: &[MemberCommand],
) -> Result<Authorized<MemberContext>, Problem> {
    let id: MemberId = id.parse().map_err(|_| problem(&MemberError::Missing))?;
    let MemberId { container, principal } = id;
    let is_leaving = principal == Principal::User(work.user()?)
        && commands.iter().all(|command| matches!(command, MemberCommand::Remove));
    let needed = if is_leaving { Role::Viewer } else { Role::Owner };
    let found = work.require_role(needed, container, || missing(container)).await?;
    for command in commands {
        if let MemberCommand::Grant { role } = command {
            if most(container.kind, principal) < Some(*role) {
                return Err(problem(&MemberError::NotForThisKind));
            }
            is_there(work, principal).await?;
        }
    }
    let keeps = matches!(commands.last(), None | Some(MemberCommand::Grant { role: Role::Owner }));
    if member.role(found.cleared) == Some(Role::Owner) && !keeps {
        witness::name(work, id).await?;
    }
    let context = MemberContext { cleared: found.cleared };
    Ok(Authorized { home: home(found.home, principal), context, ..Authorized::default() })
}

/// Makes a person the owner of what a command creates. That is recorded first, as a grant shows nothing from before it.
pub(crate) fn first_owner(
    work: &mut UnitOfWork<'_>,
    container: Container,
    owner: UserId,
) -> Result<(), Problem> {
    let principal = Principal::User(owner);
    let id = MemberId { container, principal }.to_string();
    let itself = Home { scopes: vec![container.to_string()] };
    let authorized = Authorized { home: home(itself, principal), ..Authorized::default() };
    let grant = vec![MemberCommand::Grant { role: Role::Owner }];
    // If there is such a grant, there is such a container.
    work.change_ahead(&id, &Loaded::<Member>::default(), grant, authorized)
}

/// Where the events of a grant belong: to the container, and to whom it is about.
fn home(container: Home, principal: Principal) -> Home {
    let scopes = container.scopes.into_iter().chain([principal.to_string()]).collect();
    Home { scopes }
}

/// Refuses a person without an account. The account is read to decide by.
async fn is_there(work: &mut UnitOfWork<'_>, principal: Principal) -> Result<(), Problem> {
    let Principal::User(user) = principal else { return Ok(()) };
    let account = work.read::<User>(&user.to_string()).await?;
    if account.state.is_active() {
        Ok(())
    } else {
        Err(Problem::new(ProblemType::UserMissing, "There is no such account."))
    }
}

fn missing(container: Container) -> Problem {
    match container.kind {
        Kind::Notebook => Problem::new(ProblemType::NotebookMissing, "There is no such notebook."),
        Kind::Note => Problem::new(ProblemType::NoteMissing, "There is no such note."),
    }
}
