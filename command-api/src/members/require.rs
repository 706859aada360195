//! The only code that decides on the write side who may do what: by the table of actions, and the grants on a container and
//! on what it is in.
//!
//! What is decided on is named in the append: the container and its parent, also when the grant is the child's own, and the
//! one grant that was relied on. If that one goes, but another is enough, the command is decided again, and stands.

use shared::domain::access::{Action, Answer, Container, On, Principal, Role, Situation, Who};
use shared::domain::id::UserId;
use shared::domain::members::MemberId;
use shared::process::problem::{Problem, ProblemType};

use super::Member;
use super::commands::most;
use crate::app::{Home, Link, UnitOfWork};

/// What was found about a container that somebody may do something with.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where the events of its parts belong.
    pub home: Home,
    /// The position at which all grants on it ended the last time; 0 if they never did.
    pub cleared: i64,
}

impl UnitOfWork<'_> {
    /// Refuses a caller who may not do this with the container: by `unseen` if they do not see it.
    pub async fn require(
        &mut self,
        action: Action,
        container: Container,
        unseen: impl Fn() -> Problem,
    ) -> Result<Found, Problem> {
        let least = least(action, On::Container(container.kind))?;
        let user = self.user()?;
        let chain = (self.app.chain)(self, container).await?;
        let held = self.held(user, &chain, least).await?;
        answered(action, least, held, unseen)?;
        Ok(Found::of(&chain))
    }

    /// The same for what is a person's own.
    pub fn require_own(
        &self,
        action: Action,
        person: UserId,
        unseen: impl Fn() -> Problem,
    ) -> Result<(), Problem> {
        let least = least(action, On::Person)?;
        let is_own = self.user()? == person;
        answered(action, least, is_own.then_some(Role::Owner), unseen)
    }

    /// Refuses a caller who has not at least this role on the container: for grants, which no route asks for yet.
    pub(super) async fn require_role(
        &mut self,
        needed: Role,
        container: Container,
        unseen: impl Fn() -> Problem,
    ) -> Result<Found, Problem> {
        let user = self.user()?;
        let chain = (self.app.chain)(self, container).await?;
        match self.held(user, &chain, needed).await? {
            None => Err(unseen()),
            Some(role) if role < needed => Err(forbidden(needed)),
            Some(_) => Ok(Found::of(&chain)),
        }
    }

    /// Whether somebody sees a container. What was found is named like what the caller may do.
    pub async fn is_seen_by(&mut self, user: UserId, container: Container) -> Result<bool, Problem> {
        let chain = (self.app.chain)(self, container).await?;
        Ok(self.held(user, &chain, Role::Viewer).await?.is_some())
    }

    /// The role that somebody has by the grants on a container and its parent. The first grant that is enough is named; if
    /// none is, the highest role.
    async fn held(&mut self, user: UserId, chain: &[Link], needed: Role) -> Result<Option<Role>, Problem> {
        // Most people have a grant of their own on the root.
        let own = chain.iter().rev().map(|link| (*link, Principal::User(user)));
        let all = [Principal::Everyone, Principal::Public];
        let others = chain.iter().rev().flat_map(|link| all.map(|principal| (*link, principal)));
        let grants = own.chain(others).filter(|(link, who)| most(link.container.kind, *who).is_some());
        let grants: Vec<(Link, String)> = grants
            .map(|(link, principal)| (link, MemberId { container: link.container, principal }.to_string()))
            .collect();
        let mut highest = None;
        let (first, rest) = grants.split_at(grants.len().min(1));
        for together in [first, rest] {
            let ids: Vec<String> = together.iter().map(|(_, id)| id.clone()).collect();
            let members = self.look_up_all::<Member>(&ids).await?;
            for ((link, id), member) in together.iter().zip(members) {
                let role = member.state.role(link.cleared);
                if role >= Some(needed) {
                    self.expect::<Member>(id, member.sequence);
                    return Ok(role);
                }
                highest = highest.max(role);
            }
        }
        Ok(highest)
    }
}

impl Found {
    fn of(chain: &[Link]) -> Self {
        let scopes = chain.iter().map(|link| link.container.to_string()).collect();
        Self { home: Home { scopes }, cleared: chain.first().map_or(0, |link| link.cleared) }
    }
}

/// The least role that an action needs on such a thing. One that is about other things, or about none, is asked for by mistake.
fn least(action: Action, on: On) -> Result<Role, Problem> {
    let rule = action.rule();
    match rule.who {
        Who::Role(least) if rule.on.contains(&on) => Ok(least),
        Who::Role(_) | Who::SignedIn | Who::Anyone => {
            Err(Problem::internal(format!("{action:?} is asked for on {on:?}, which it is not about")))
        }
    }
}

/// Refuses a caller whose role is not enough.
fn answered(
    action: Action,
    least: Role,
    held: Option<Role>,
    unseen: impl Fn() -> Problem,
) -> Result<(), Problem> {
    match action.rule().answer(Situation::live(held)) {
        Answer::Yes => Ok(()),
        Answer::Forbidden => Err(forbidden(least)),
        // The caller is signed in, and nothing is in the trash yet.
        Answer::Unseen | Answer::LogIn | Answer::Trashed => Err(unseen()),
    }
}

fn forbidden(needed: Role) -> Problem {
    match needed {
        Role::Owner => Problem::new(ProblemType::OwnerNeeded, "Only owners may do this."),
        Role::Viewer | Role::Editor => {
            Problem::new(ProblemType::EditorNeeded, "Only editors and owners may do this.")
        }
    }
}
