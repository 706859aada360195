//! Grants and containers as the effects of all events so far leave them.

use super::*;

/// Everything is in lists: the tests have few of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) guests: Vec<UserId>,
    pub(super) grants: Vec<(Container, Principal, Grant)>,
    containers: Vec<(Container, Place)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    parent: Option<Container>,
    trashed: bool,
    ended: bool,
    /// Its row could not be folded, or is not loaded.
    hidden: bool,
}

impl Ledger {
    /// Takes in what an event does.
    pub(super) fn take(&mut self, event: &Subject) {
        for effect in &event.effects {
            self.take_effect(event, *effect);
        }
    }

    fn take_effect(&mut self, event: &Subject, effect: Effect) {
        let position = event.position;
        match effect {
            Effect::Inside(parent) => {
                let Some(Scope::Container(owner)) = event.owner else {
                    panic!("a person is in no container")
                };
                self.place(owner).parent = Some(parent);
            }
            Effect::Granted { container, principal, role } => {
                self.place(container);
                let is_it = |of: &&mut (Container, Principal, Grant)| (of.0, of.1) == (container, principal);
                match self.grants.iter_mut().find(is_it) {
                    Some((_, _, grant)) => *grant = Grant::granted(Some(*grant), role, position),
                    None => {
                        self.grants.push((container, principal, Grant::granted(None, role, position)));
                    }
                }
            }
            Effect::Revoked { container, principal } => {
                self.end(position, |of, who| (of, who) == (container, principal));
            }
            Effect::Cleared(container) => self.end(position, |of, _| of == container),
            Effect::Trashed(container) => self.place(container).trashed = true,
            Effect::Restored(container) => self.place(container).trashed = false,
            Effect::Ended(container) => {
                self.place(container).ended = true;
                self.end(position, |of, _| of == container);
            }
            // It is somewhere else now, and another effect says where.
            Effect::Left(_) => (),
        }
    }

    fn end(&mut self, position: i64, ends: impl Fn(Container, Principal) -> bool) {
        for (container, principal, grant) in &mut self.grants {
            if ends(*container, *principal) {
                *grant = grant.ended(position);
            }
        }
    }

    fn place(&mut self, container: Container) -> &mut Place {
        let found = self.containers.iter().position(|(of, _)| *of == container);
        let at = found.unwrap_or_else(|| {
            self.containers.push((container, Place::default()));
            self.containers.len() - 1
        });
        &mut self.containers[at].1
    }

    /// From now on it is not known where this container is.
    pub(super) fn hide(&mut self, container: Container) {
        self.place(container).hidden = true;
    }

    /// What a child is in.
    pub(super) fn parent_of(&self, child: Container) -> Option<Container> {
        self.containers.iter().find(|(of, _)| *of == child)?.1.parent
    }
}

impl Access for Ledger {
    fn is_guest(&self, user: UserId) -> bool {
        self.guests.contains(&user)
    }

    fn grant(&self, container: Container, principal: Principal) -> Option<Grant> {
        let found = self.grants.iter().find(|(of, who, _)| (*of, *who) == (container, principal));
        found.map(|(_, _, grant)| *grant)
    }

    fn standing(&self, container: Container) -> Option<Standing> {
        let (_, place) = self.containers.iter().find(|(of, place)| *of == container && !place.hidden)?;
        Some(Standing { parent: place.parent, is_sound: !place.trashed && !place.ended })
    }

    fn oldest_within(&self, root: Container, principal: Principal) -> Option<i64> {
        let is_within = |of: Container| self.parent_of(of) == Some(root);
        let held = self
            .grants
            .iter()
            .filter(|(of, who, grant)| *who == principal && grant.is_active() && is_within(*of));
        held.map(|(_, _, grant)| grant.since).min()
    }
}
