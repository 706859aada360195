//! Who sees what at one position, written from the text of the design alone: it shares nothing with what it judges but
//! the words in which events are recorded.

use shared::domain::access::{Container, Effect, Grant, Principal, Role, Scope};
use shared::domain::id::UserId;

use crate::live::access::{Hidden, News, Place};

/// All grants and containers as they were at one position.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    things: Vec<(Container, Place)>,
    grants: Vec<Row>,
    /// Which rows of grants are quarantined: nobody sees anything by them.
    veiled: Vec<(Container, Option<Principal>)>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    on: Container,
    of: Principal,
    role: Role,
    since: i64,
    until: Option<i64>,
}

impl Tree {
    /// A root begins, which no effect says.
    pub(super) fn make(&mut self, root: Container) {
        self.things.push((root, Place::default()));
    }

    pub(super) fn take(&mut self, news: &News) {
        let position = news.position();
        for effect in &news.subject.effects {
            match *effect {
                Effect::Inside(parent) => {
                    let Some(Scope::Container(owner)) = news.subject.owner else { continue };
                    if self.thing(owner).is_none() {
                        self.things.push((owner, Place::default()));
                    }
                    self.change(owner, |thing| thing.parent = Some(parent));
                }
                Effect::Left(_) => {}
                Effect::Granted { container, principal, role } => {
                    self.grant(position, container, principal, role);
                }
                Effect::Revoked { container, principal } => self.end(position, container, Some(principal)),
                Effect::Cleared(container) => self.end(position, container, None),
                Effect::Trashed(container) => self.change(container, |thing| thing.trashed = true),
                Effect::Restored(container) => self.change(container, |thing| thing.trashed = false),
                Effect::Ended(container) => {
                    self.change(container, |thing| thing.ended = true);
                    self.end(position, container, None);
                }
            }
        }
        for hidden in &news.hidden {
            match *hidden {
                Hidden::Container(container) => self.change(container, |thing| thing.hidden = true),
                Hidden::Grants(container, whose) => self.veiled.push((container, whose)),
            }
        }
    }

    fn change(&mut self, container: Container, how: impl FnOnce(&mut Place)) {
        if let Some((_, thing)) = self.things.iter_mut().find(|(of, _)| *of == container) {
            how(thing);
        }
    }

    fn grant(&mut self, position: i64, on: Container, of: Principal, role: Role) {
        match self.grants.iter_mut().find(|row| row.on == on && row.of == of) {
            Some(row) if row.until.is_none() => row.role = role,
            Some(row) => *row = Row { on, of, role, since: position, until: None },
            None => self.grants.push(Row { on, of, role, since: position, until: None }),
        }
    }

    fn end(&mut self, position: i64, on: Container, whose: Option<Principal>) {
        for row in &mut self.grants {
            if row.on == on && whose.is_none_or(|whose| whose == row.of) && row.until.is_none() {
                row.until = Some(position);
            }
        }
    }

    pub(super) fn thing(&self, container: Container) -> Option<Place> {
        self.things.iter().find(|(of, _)| *of == container).map(|(_, thing)| *thing)
    }

    /// The rows of grants that can be read, those that ended among them.
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.grants.iter().filter(|row| !self.is_veiled(row.on, row.of))
    }

    pub(super) fn is_veiled(&self, on: Container, of: Principal) -> bool {
        self.veiled.iter().any(|(veiled, whose)| *veiled == on && whose.is_none_or(|whose| whose == of))
    }

    /// The same as whoever reads the tables gets them.
    pub(super) fn held_by(&self, principal: Principal) -> Vec<(Container, Grant)> {
        let own = self.rows().filter(|row| row.of == principal);
        own.map(|row| (row.on, Grant { role: row.role, since: row.since, until: row.until })).collect()
    }

    /// The rows that count for a person: nobody is a guest.
    fn own(&self, person: UserId) -> impl Iterator<Item = &Row> {
        self.rows().filter(move |row| {
            row.of == Principal::User(person) || row.of == Principal::Everyone || row.of == Principal::Public
        })
    }

    /// Since when there is a grant on exactly this.
    fn since(&self, person: UserId, on: Container) -> Option<i64> {
        self.own(person).filter(|row| row.on == on && row.until.is_none()).map(|row| row.since).min()
    }

    fn parent(&self, of: Container) -> Option<Container> {
        self.thing(of)?.parent
    }

    fn reach(&self, person: UserId, to: Container) -> bool {
        let has = |on| self.since(person, on).is_some();
        has(to) || self.parent(to).is_some_and(has)
    }

    pub(super) fn sight(&self, person: UserId, of: Container) -> bool {
        let is_sound =
            |of| self.thing(of).is_some_and(|thing| !thing.trashed && !thing.ended && !thing.hidden);
        is_sound(of) && self.parent(of).is_none_or(is_sound) && self.reach(person, of)
    }

    /// Whether a person is shown an event: DESIGN, "Who sees an event", from (1) to (6).
    pub(super) fn shows(&self, person: UserId, news: &News) -> bool {
        let (event, at) = (&news.subject, news.position());
        let names = |principal| event.scopes.contains(&Scope::Principal(principal));
        if names(Principal::User(person)) || names(Principal::Everyone) || names(Principal::Public) {
            return true;
        }
        let not_after = |on| self.since(person, on).is_some_and(|since| since <= at);
        let let_in = event.scopes.iter().any(|scope| match *scope {
            Scope::Container(container) => not_after(container),
            Scope::Principal(_) => false,
        });
        if let Some(Scope::Container(owner)) = event.owner
            && let_in
            && self.sight(person, owner)
        {
            return true;
        }
        let stands_in_it =
            |root| self.things.iter().any(|(child, thing)| thing.parent == Some(root) && not_after(*child));
        event.effects.iter().any(|effect| match *effect {
            Effect::Left(left) => {
                self.sight(person, left.container)
                    && (not_after(left.container) || left.parent.is_some_and(not_after))
            }
            Effect::Trashed(of) | Effect::Restored(of) => {
                let_in && self.reach(person, of) || stands_in_it(of)
            }
            Effect::Ended(of) => {
                self.ended_with(person, of, at)
                    || let_in && self.parent(of).is_some_and(|parent| self.since(person, parent).is_some())
                    || stands_in_it(of)
            }
            Effect::Cleared(of) => self.ended_with(person, of, at),
            Effect::Inside(_) | Effect::Granted { .. } | Effect::Revoked { .. } => false,
        })
    }

    /// A grant of the person's ended with the event there.
    fn ended_with(&self, person: UserId, on: Container, at: i64) -> bool {
        self.own(person).any(|row| row.on == on && row.until == Some(at))
    }
}
