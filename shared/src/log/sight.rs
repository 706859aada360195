//! Who sees an event, judged by its scopes and effects alone: one pure function, which knows no module.
//!
//! What an event says of the past is not changed by what happened later. Its owner is the container whose key encrypts
//! it: who sees that container now, and had a grant when the event was recorded, sees the event. So a grant shows
//! nothing from before it, and what a thing was elsewhere stays there. The rest of the rules is about news of the tree:
//! who loses something from sight must hear of it.

use crate::domain::access::{
    Container, Effect, EffectError, Grant, Left, Principal, Role, Scope, Scopes, effective,
};
use crate::domain::id::UserId;
use crate::log::event::Recorded;

/// Grants and containers. All of it is true at one position, at which every event is judged: one that is judged by
/// grants of one position and places of another may be shown to somebody who could see it at neither.
pub trait Access {
    /// Whether the person is a guest: a viewer at most, and not one of everyone.
    fn is_guest(&self, user: UserId) -> bool;
    /// The grant of exactly this principal on exactly this container, also if it has ended.
    fn grant(&self, container: Container, principal: Principal) -> Option<Grant>;
    /// Where a container is; `None` if that is not known.
    fn standing(&self, container: Container) -> Option<Standing>;
    /// The oldest `since` of the grants that this principal holds on children in this container.
    fn oldest_within(&self, root: Container, principal: Principal) -> Option<i64>;
}

/// Where a container is, and whether what is in it may be seen there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The root that a child is in; `None` for a root.
    pub parent: Option<Container>,
    /// It is neither trashed, ended nor quarantined itself.
    pub is_sound: bool,
}

/// What of an event decides who sees it. Small, and without its data: an event is judged the same when its key is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its position.
    pub position: i64,
    /// Under whose key its data is; `None` if that is a scope of a newer release.
    pub owner: Option<Scope>,
    /// All its scopes.
    pub scopes: Vec<Scope>,
    /// What it does to containers and grants.
    pub effects: Vec<Effect>,
}

impl Subject {
    /// What decides about an event whose MAC was checked; `owner` is its owner if that is not the first scope. One whose
    /// effects this release cannot read is shown to nobody, and what it did to its owner is not known.
    pub fn of(recorded: &Recorded, owner: Option<&str>) -> Result<Self, EffectError> {
        let effects = Effect::from_json(recorded.effects.as_ref())?;
        Ok(Self { effects, ..Self::without_effects(recorded, owner) })
    }

    /// The same of one whose effects are not known.
    pub fn without_effects(recorded: &Recorded, owner: Option<&str>) -> Self {
        let scopes = Scopes::parse(&recorded.scopes);
        let owner = match owner {
            Some(owner) => owner.parse().ok(),
            None => scopes.owner(),
        };
        Self { position: recorded.position, owner, scopes: scopes.all().to_vec(), effects: Vec::new() }
    }

    /// The containers among its scopes.
    pub fn containers(&self) -> impl Iterator<Item = Container> {
        self.scopes.iter().filter_map(|scope| match *scope {
            Scope::Container(container) => Some(container),
            Scope::Principal(_) => None,
        })
    }
}

/// Whether a person may see an event.
pub fn sees(access: &impl Access, user: UserId, event: &Subject) -> bool {
    let viewer = Viewer::new(access, user);
    viewer.is_named(event)
        || viewer.is_let_in(event) && viewer.has_sight_of_owner(event)
        || event.effects.iter().any(|effect| viewer.must_hear(event, *effect))
}

/// Whether a person may see an event in the history of its owner: editors may, also what is older than their grant.
pub fn sees_in_history(access: &impl Access, user: UserId, event: &Subject) -> bool {
    let viewer = Viewer::new(access, user);
    let Some(Scope::Container(owner)) = event.owner else { return false };
    viewer.sight(owner) >= Some(Role::Editor)
        && event.containers().any(|container| viewer.grant(container).is_some())
}

/// The role in which a person sees a container now, if they do: whether they may subscribe to it.
pub fn sight(access: &impl Access, user: UserId, container: Container) -> Option<Role> {
    Viewer::new(access, user).sight(container)
}

/// Whether a person is one of those whom a principal means.
pub fn is_one_of(access: &impl Access, user: UserId, principal: Principal) -> bool {
    Viewer::new(access, user).principals().any(|own| own == principal)
}

/// One person, with what is granted to them.
struct Viewer<'a, A> {
    access: &'a A,
    user: UserId,
    is_guest: bool,
}

/// What the grants that count for a person come to on one container.
#[derive(Clone, Copy)]
struct Held {
    role: Role,
    since: i64,
}

impl<'a, A: Access> Viewer<'a, A> {
    fn new(access: &'a A, user: UserId) -> Self {
        Self { access, user, is_guest: access.is_guest(user) }
    }

    /// The principals that the person is.
    fn principals(&self) -> impl Iterator<Item = Principal> {
        let everyone = (!self.is_guest).then_some(Principal::Everyone);
        [Principal::User(self.user), Principal::Public].into_iter().chain(everyone)
    }

    fn grants(&self, container: Container) -> impl Iterator<Item = Grant> {
        self.principals().filter_map(move |principal| self.access.grant(container, principal))
    }

    /// What is granted on the container itself: of several grants the highest role, since the oldest.
    fn grant(&self, container: Container) -> Option<Held> {
        let held = |grant: Grant| Held {
            role: if self.is_guest { Role::Viewer } else { grant.role },
            since: grant.since,
        };
        let both = |one: Held, other: Held| Held {
            role: one.role.max(other.role),
            since: one.since.min(other.since),
        };
        self.grants(container).filter(Grant::is_active).map(held).reduce(both)
    }

    fn role(&self, container: Container) -> Option<Role> {
        self.grant(container).map(|held| held.role)
    }

    fn parent(&self, container: Container) -> Option<Container> {
        self.access.standing(container)?.parent
    }

    /// The role on a container, whatever state it is in: the higher of its own and its parent's.
    fn reach(&self, container: Container) -> Option<Role> {
        let inherited = self.parent(container).and_then(|parent| self.role(parent));
        effective(self.role(container), inherited)
    }

    /// The same, if neither the container nor its parent is trashed, ended, quarantined or unknown.
    fn sight(&self, container: Container) -> Option<Role> {
        let sound = |container| self.access.standing(container).filter(|standing| standing.is_sound);
        if let Some(parent) = sound(container)?.parent {
            sound(parent)?;
        }
        self.reach(container)
    }

    fn held_at(&self, position: i64, container: Container) -> bool {
        self.grant(container).is_some_and(|held| held.since <= position)
    }

    /// A grant on a container among the event's scopes is not younger than the event.
    fn is_let_in(&self, event: &Subject) -> bool {
        event.containers().any(|container| self.held_at(event.position, container))
    }

    fn is_named(&self, event: &Subject) -> bool {
        self.principals().any(|principal| event.scopes.contains(&Scope::Principal(principal)))
    }

    fn has_sight_of_owner(&self, event: &Subject) -> bool {
        match event.owner {
            Some(Scope::Container(owner)) => self.sight(owner).is_some(),
            // Only whom it names sees what is a person's own.
            Some(Scope::Principal(_)) | None => false,
        }
    }

    /// Whether an effect is news to the person, although they may not see the rest of what its event is about.
    fn must_hear(&self, event: &Subject, effect: Effect) -> bool {
        let position = event.position;
        match effect {
            Effect::Left(left) => self.saw_it_leave(left, position),
            Effect::Trashed(container) | Effect::Restored(container) => {
                self.is_let_in(event) && self.reach(container).is_some()
                    || self.holds_within(container, position)
            }
            Effect::Ended(container) => {
                let inherited = self.parent(container).and_then(|parent| self.role(parent));
                self.lost(container, position)
                    || self.is_let_in(event) && inherited.is_some()
                    || self.holds_within(container, position)
            }
            Effect::Cleared(container) => self.lost(container, position),
            // Whom a grant is about is named.
            Effect::Inside(_) | Effect::Granted { .. } | Effect::Revoked { .. } => false,
        }
    }

    /// The person sees what it left, and had a grant there at that time.
    fn saw_it_leave(&self, left: Left, position: i64) -> bool {
        self.sight(left.container).is_some()
            && left.containers().any(|container| self.held_at(position, container))
    }

    /// A grant on the container ended with the event at this position.
    fn lost(&self, container: Container, position: i64) -> bool {
        self.grants(container).any(|grant| grant.until == Some(position))
    }

    /// A grant on a child in this container is not younger than the event at this position.
    fn holds_within(&self, root: Container, position: i64) -> bool {
        self.principals().any(|principal| {
            self.access.oldest_within(root, principal).is_some_and(|since| since <= position)
        })
    }
}

#[cfg(test)]
mod ledger;
#[cfg(test)]
mod tests;
