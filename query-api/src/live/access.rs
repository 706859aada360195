//! What the gateway knows of access: the grants of connected persons, of everyone and of the public, and where containers
//! are.
//!
//! All of it is true at one position. Before rows of a later position are taken in, what happened up to there is applied
//! to everything that is known; rows of an earlier position are brought up to the known one first. So nobody is judged
//! by a grant of one position and a place of another. What happened is applied once: a grant that was given and taken
//! again is not given a second time.

use std::collections::{HashMap, HashSet};

use shared::domain::access::{Container, Effect, Grant, Principal, Scope};
use shared::domain::id::UserId;
use shared::log::sight::{Access, Standing, Subject};

/// What an event does to access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// Its position, scopes and effects.
    pub(super) subject: Subject,
    /// The rows that could not be kept up with it.
    pub(super) hidden: Vec<Hidden>,
}

/// A quarantined row (docs/quarantine.md): nobody sees anything by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    /// A container, and so what is in it.
    Container(Container),
    /// The grants on a container, of all principals or of one.
    Grants(Container, Option<Principal>),
}

/// Where a container is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) parent: Option<Container>,
    pub(super) trashed: bool,
    pub(super) ended: bool,
    pub(super) hidden: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The history that the position is in.
    epoch: String,
    position: i64,
    /// Where containers are; `None`: there is no such container.
    places: HashMap<Container, Option<Place>>,
    /// How many of them were kept when the others were forgotten.
    kept: usize,
    grants: HashMap<Container, HashMap<Principal, Grant>>,
    /// The principals all of whose grants are known, with the containers that these are on.
    held: HashMap<Principal, HashSet<Container>>,
    /// The last position at which somebody may have lost sight of something.
    last_loss: i64,
}

impl News {
    /// That nothing happened there.
    pub(super) fn nothing(position: i64) -> Self {
        let subject = Subject { position, owner: None, scopes: Vec::new(), effects: Vec::new() };
        Self { subject, hidden: Vec::new() }
    }

    pub(super) fn position(&self) -> i64 {
        self.subject.position
    }

    fn takes_sight(&self) -> bool {
        let takes = |effect: &Effect| match effect {
            Effect::Left(_)
            | Effect::Revoked { .. }
            | Effect::Cleared(_)
            | Effect::Trashed(_)
            | Effect::Ended(_) => true,
            Effect::Inside(_) | Effect::Granted { .. } | Effect::Restored(_) => false,
        };
        !self.hidden.is_empty() || self.subject.effects.iter().any(takes)
    }
}

impl Known {
    /// Nothing, at a position, of principals that have no grants.
    pub(super) fn nothing(epoch: &str, position: i64, principals: &[Principal]) -> Self {
        let held = principals.iter().map(|principal| (*principal, HashSet::new())).collect();
        Self { epoch: epoch.to_owned(), position, held, ..Self::default() }
    }

    /// The same, asked in a history in which nothing has happened yet.
    pub(super) fn before_all(self, epoch: &str) -> Self {
        let mut nothing = Self::nothing(epoch, 0, &self.principals().collect::<Vec<_>>());
        nothing.places = self.places.into_keys().map(|container| (container, None)).collect();
        nothing
    }

    /// A row with a grant; of no effect if the principal is none of those.
    pub(super) fn put_grant(&mut self, container: Container, principal: Principal, grant: Grant) {
        if let Some(held) = self.held.get_mut(&principal) {
            held.insert(container);
            self.grants.entry(container).or_default().insert(principal, grant);
        }
    }

    /// A row with a container, or that there is none.
    pub(super) fn put_place(&mut self, container: Container, place: Option<Place>) {
        self.places.insert(container, place);
    }

    /// In which history everything is true.
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// At which position everything is true.
    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// The last position at which somebody may have lost sight of something.
    pub(super) fn last_loss(&self) -> i64 {
        self.last_loss
    }

    pub(super) fn principals(&self) -> impl Iterator<Item = Principal> {
        self.held.keys().copied()
    }

    pub(super) fn knows(&self, principal: Principal) -> bool {
        self.held.contains_key(&principal)
    }

    /// Nothing up to a position is unknown.
    pub(super) fn reach(&mut self, position: i64) {
        self.position = self.position.max(position);
    }

    /// Takes in what happened next, also about containers that were not known yet: one that comes to be in another is
    /// there, and in no trash.
    pub(super) fn follow(&mut self, news: &News) {
        let comes_in = |effect: &Effect| matches!(effect, Effect::Inside(_));
        if let Some(Scope::Container(owner)) = news.subject.owner
            && news.position() > self.position
            && news.subject.effects.iter().any(comes_in)
        {
            self.places.entry(owner).or_insert(None);
        }
        self.apply(news);
    }

    /// Takes in what happened next to what is known; nothing that was taken in already.
    pub(super) fn apply(&mut self, news: &News) {
        if news.position() <= self.position {
            return;
        }
        self.position = news.position();
        for effect in &news.subject.effects {
            self.take_effect(news.subject.owner, *effect);
        }
        for hidden in &news.hidden {
            self.hide(*hidden);
        }
        if news.takes_sight() {
            self.last_loss = self.position;
        }
    }

    fn take_effect(&mut self, owner: Option<Scope>, effect: Effect) {
        match effect {
            Effect::Inside(parent) => {
                if let Some(Scope::Container(owner)) = owner
                    && let Some(place) = self.places.get_mut(&owner)
                {
                    *place = Some(Place { parent: Some(parent), ..place.unwrap_or_default() });
                }
            }
            // It is somewhere else now, and another effect says where.
            Effect::Left(_) => (),
            Effect::Granted { container, principal, role } => {
                let earlier = self.grant(container, principal);
                self.put_grant(container, principal, Grant::granted(earlier, role, self.position));
                // It is there now, and to be loaded.
                if self.places.get(&container) == Some(&None) {
                    self.places.remove(&container);
                }
            }
            Effect::Revoked { container, principal } => self.end(container, Some(principal)),
            Effect::Cleared(container) => self.end(container, None),
            Effect::Trashed(container) => self.change(container, |place| place.trashed = true),
            Effect::Restored(container) => self.change(container, |place| place.trashed = false),
            Effect::Ended(container) => {
                self.change(container, |place| place.ended = true);
                self.end(container, None);
            }
        }
    }

    fn end(&mut self, container: Container, whose: Option<Principal>) {
        for (principal, grant) in self.grants.get_mut(&container).into_iter().flatten() {
            if whose.is_none_or(|whose| whose == *principal) {
                *grant = grant.ended(self.position);
            }
        }
    }

    fn change(&mut self, container: Container, how: impl FnOnce(&mut Place)) {
        if let Some(Some(place)) = self.places.get_mut(&container) {
            how(place);
        }
    }

    fn hide(&mut self, hidden: Hidden) {
        match hidden {
            Hidden::Container(container) => self.change(container, |place| place.hidden = true),
            Hidden::Grants(container, whose) => {
                let holders = self.grants.remove(&container).unwrap_or_default();
                for (principal, grant) in holders {
                    if whose.is_none_or(|whose| whose == principal) {
                        self.held.entry(principal).or_default().remove(&container);
                    } else {
                        self.put_grant(container, principal, grant);
                    }
                }
            }
        }
    }

    /// Takes in rows that are true at the same position.
    pub(super) fn merge(&mut self, loaded: Self) {
        for principal in loaded.held.keys() {
            self.dismiss(*principal);
        }
        for (container, holders) in loaded.grants {
            self.grants.entry(container).or_default().extend(holders);
        }
        self.held.extend(loaded.held);
        self.places.extend(loaded.places);
    }

    /// Forgets the grants of a principal.
    pub(super) fn dismiss(&mut self, principal: Principal) {
        for container in self.held.remove(&principal).into_iter().flatten() {
            if let Some(holders) = self.grants.get_mut(&container) {
                holders.remove(&principal);
                if holders.is_empty() {
                    self.grants.remove(&container);
                }
            }
        }
    }

    /// Forgets where containers are: that may have changed otherwise than by what happened.
    pub(super) fn forget_places(&mut self) {
        self.places.clear();
        self.kept = 0;
        self.last_loss = self.position + 1;
    }

    /// Forgets where containers are, once there are `most` more than those that are kept: those in others that somebody has
    /// a grant of their own on, and what they are in, which are needed together, however many they are.
    pub(super) fn shrink(&mut self, most: usize) {
        if self.places.len() > self.kept + most {
            let parent = |of| self.places.get(&of).copied().flatten().and_then(|place| place.parent);
            let kept: HashSet<Container> =
                self.children().flat_map(|(of, _)| [Some(of), parent(of)]).flatten().collect();
            self.places.retain(|of, _| kept.contains(of));
            self.kept = self.places.len();
        }
    }

    /// What must be loaded before it is known whether these can be seen.
    pub(super) fn unknown(&self, containers: impl IntoIterator<Item = Container>) -> Vec<Container> {
        containers.into_iter().filter_map(|container| self.first_unknown(container)).collect()
    }

    /// The container, or what it is in.
    fn first_unknown(&self, container: Container) -> Option<Container> {
        match self.places.get(&container) {
            None => Some(container),
            Some(place) => {
                place.and_then(|place| place.parent).filter(|parent| !self.places.contains_key(parent))
            }
        }
    }

    /// What must be loaded before it is known who sees an event.
    pub(super) fn needs(&self, event: &Subject) -> Vec<Container> {
        let owner = match event.owner {
            Some(Scope::Container(owner)) => Some(owner),
            Some(Scope::Principal(_)) | None => None,
        };
        let left = event.effects.iter().filter_map(|effect| match effect {
            Effect::Left(left) => Some(left.container),
            Effect::Inside(_)
            | Effect::Granted { .. }
            | Effect::Revoked { .. }
            | Effect::Cleared(_)
            | Effect::Trashed(_)
            | Effect::Restored(_)
            | Effect::Ended(_) => None,
        });
        let changed: Vec<Container> = changed(event).collect();
        let mut needed = self.unknown(owner.into_iter().chain(left).chain(changed.iter().copied()));
        if !changed.is_empty() {
            needed.extend(self.unknown(self.children().map(|(child, _)| child)));
        }
        needed
    }

    /// Whether an event changes the state of a container, of which also whoever has something in it hears.
    pub(super) fn is_about_state(event: &Subject) -> bool {
        changed(event).next().is_some()
    }

    /// The containers in others that somebody has a grant of their own on.
    fn children(&self) -> impl Iterator<Item = (Container, &HashMap<Principal, Grant>)> {
        self.grants.iter().filter(|(of, _)| of.kind.is_child()).map(|(of, holders)| (*of, holders))
    }

    /// Where a container is; `None` if there is none, or that is not known.
    pub(super) fn place(&self, container: Container) -> Option<Place> {
        self.places.get(&container).copied().flatten()
    }

    fn is_in(&self, child: Container, root: Container) -> bool {
        self.place(child).and_then(|place| place.parent) == Some(root)
    }

    /// The connected persons whom an event may concern: all others see nothing of it, wherever containers are.
    pub(super) fn concerned(&self, event: &Subject) -> HashSet<UserId> {
        let mut principals = HashSet::new();
        for scope in &event.scopes {
            match scope {
                Scope::Principal(principal) => _ = principals.insert(*principal),
                Scope::Container(container) => {
                    principals
                        .extend(self.grants.get(container).into_iter().flat_map(HashMap::keys).copied());
                }
            }
        }
        for root in changed(event) {
            let within = self.children().filter(|(child, _)| self.is_in(*child, root));
            principals.extend(within.flat_map(|(_, holders)| holders.keys()).copied());
        }
        if principals.contains(&Principal::Everyone) || principals.contains(&Principal::Public) {
            principals = self.held.keys().copied().collect();
        }
        let people = principals.into_iter().filter(|principal| self.knows(*principal));
        let user = |principal| match principal {
            Principal::User(user) => Some(user),
            Principal::Everyone | Principal::Public => None,
        };
        people.filter_map(user).collect()
    }

    /// The scopes by which a person's past after a position is found: that of the person and of all, the containers that were
    /// granted then or later, and what these are in. `Err`: what must be loaded first.
    pub(super) fn scopes_of(&self, user: UserId, after: i64) -> Result<HashSet<Scope>, Vec<Container>> {
        let (mut scopes, mut unknown) = (HashSet::new(), Vec::new());
        for principal in [Principal::User(user), Principal::Everyone, Principal::Public] {
            scopes.insert(Scope::Principal(principal));
            let containers = self.held.get(&principal).into_iter().flatten().copied();
            for container in containers {
                let held = self.grant(container, principal);
                if held.is_some_and(|grant| grant.until.is_none_or(|until| until > after)) {
                    scopes.insert(Scope::Container(container));
                    if container.kind.is_child() {
                        unknown.extend(self.first_unknown(container));
                        let parent = self.standing(container).and_then(|standing| standing.parent);
                        scopes.extend(parent.map(Scope::Container));
                    }
                }
            }
        }
        if unknown.is_empty() { Ok(scopes) } else { Err(unknown) }
    }
}

impl Access for Known {
    /// No account is a guest yet.
    fn is_guest(&self, _user: UserId) -> bool {
        false
    }

    fn grant(&self, container: Container, principal: Principal) -> Option<Grant> {
        self.grants.get(&container)?.get(&principal).copied()
    }

    fn standing(&self, container: Container) -> Option<Standing> {
        let Place { parent, trashed, ended, hidden } = self.place(container)?;
        Some(Standing { parent, is_sound: !trashed && !ended && !hidden })
    }

    fn oldest_within(&self, root: Container, principal: Principal) -> Option<i64> {
        let held = self.held.get(&principal)?.iter().filter(|container| self.is_in(**container, root));
        held.filter_map(|container| self.grant(*container, principal))
            .filter(Grant::is_active)
            .map(|grant| grant.since)
            .min()
    }
}

/// The containers whose state an event changes: also who has grants in them hears of it.
fn changed(event: &Subject) -> impl Iterator<Item = Container> {
    event.effects.iter().filter_map(|effect| match effect {
        Effect::Trashed(container) | Effect::Restored(container) | Effect::Ended(container) => {
            Some(*container)
        }
        Effect::Inside(_)
        | Effect::Left(_)
        | Effect::Granted { .. }
        | Effect::Revoked { .. }
        | Effect::Cleared(_) => None,
    })
}
