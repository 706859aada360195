//! Access in memory: the roles of connected persons, and the places of the notes, blocks and tasks that events were
//! about.
//!
//! Both are loaded from the read tables when first needed, and kept up to date by the feed. A loaded row may be ahead
//! of the feed, so each remembers the position at which it was true, and older events do not undo it.

use std::collections::{BTreeMap, HashMap, HashSet};

use shared::domain::Event;
use shared::domain::access::Role;
use shared::domain::blocks::BlockEvent;
use shared::domain::id::{NoteId, NotebookId, UserId};
use shared::domain::notebooks::NotebookEvent;
use shared::domain::notes::NoteEvent;
use shared::domain::tasks::TaskEvent;
use shared::log::event::Opened;
use shared::log::visibility::{Access, Item, Placed, Resource, Scope, Subject};
use uuid::Uuid;

/// What an event does to access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// A person has a role in a notebook now.
    Role(UserId, NotebookId, Role),
    /// It is in this notebook or note now.
    Place(Placed, Uuid),
    /// The roles in a notebook, of all or of this person, are no longer known: access is denied.
    Close(NotebookId, Option<UserId>),
    /// It is in no container, or its container is no longer known: nobody sees it through one.
    Hide(Placed),
}

/// Rows of the read tables, true at a position.
#[derive(Clone, Debug)]
pub(super) struct Loaded<T> {
    pub(super) rows: Vec<T>,
    pub(super) as_of: i64,
}

#[derive(Debug)]
struct Person {
    roles: HashMap<NotebookId, Role>,
    as_of: i64,
}

#[derive(Clone, Copy, Debug)]
struct Parent {
    /// The notebook or note; `None`: it is not there.
    inside: Option<Uuid>,
    as_of: i64,
}

/// What is known of access.
#[derive(Debug, Default)]
pub(super) struct Known {
    people: HashMap<UserId, Person>,
    viewers: HashMap<NotebookId, HashSet<UserId>>,
    places: HashMap<Placed, Parent>,
    /// Roles given by events that the feed has yet to come to. A loaded place may be ahead of the feed, in a notebook
    /// that is newer than what the feed knows.
    ahead: BTreeMap<i64, Change>,
}

impl Change {
    /// Erased events change nothing: what they were about is gone from the read tables.
    pub(super) fn of(opened: &Opened) -> Self {
        let id = &opened.recorded.aggregate.id;
        let placed = Resource::of(&opened.recorded).placed();
        let place = |inside: Uuid| placed.map_or(Self::None, |placed| Self::Place(placed, inside));
        match &opened.event {
            Some(Event::Notebook(NotebookEvent::NotebookCreated { owner, .. })) => {
                id.parse().map_or(Self::None, |notebook| Self::Role(*owner, notebook, Role::Owner))
            }
            Some(Event::Note(NoteEvent::NoteCreated { notebook_id, .. })) => place(notebook_id.0),
            Some(Event::Note(NoteEvent::NoteMoved { to, .. })) => place(to.0),
            Some(
                Event::Block(
                    BlockEvent::BlockAdded { note_id, .. } | BlockEvent::BlockMoved { to: note_id, .. },
                )
                | Event::Task(
                    TaskEvent::TaskAdded { note_id: Some(note_id), .. }
                    | TaskEvent::TaskMoved { to: note_id, .. },
                ),
            ) => place(note_id.0),
            Some(Event::Task(TaskEvent::TaskAdded { note_id: None, .. })) => {
                placed.map_or(Self::None, Self::Hide)
            }
            Some(
                Event::Notebook(
                    NotebookEvent::NotebookRenamed { .. } | NotebookEvent::NotebookDescribed { .. },
                )
                | Event::Note(NoteEvent::NoteRetitled { .. })
                | Event::Block(_)
                | Event::Task(_)
                | Event::Member(_)
                | Event::User(_)
                | Event::Session(_),
            )
            | None => Self::None,
        }
    }
}

impl Change {
    /// What a quarantined row of the read tables means for access (docs/quarantine.md).
    pub(super) fn quarantined(table: &str, key: &str) -> Option<Self> {
        let placed = match table {
            "notes" => key.parse().map(Placed::Note).ok(),
            "blocks" => key.parse().map(Item::Block).map(Placed::Item).ok(),
            "tasks" => key.parse().map(Item::Task).map(Placed::Item).ok(),
            _ => None,
        };
        if placed.is_some() {
            return placed.map(Self::Hide);
        }
        let (notebook, person) = key.split_once('/')?;
        let notebook = notebook.strip_prefix("notebook:")?.parse().ok()?;
        if person == "*" {
            return Some(Self::Close(notebook, None));
        }
        person.parse().map(|person| Self::Close(notebook, Some(person))).ok()
    }

    /// Whether it takes sight away because something could not be taken in.
    pub(super) fn is_quarantined(self) -> bool {
        match self {
            Self::Close(..) | Self::Hide(_) => true,
            Self::None | Self::Role(..) | Self::Place(..) => false,
        }
    }
}

impl Known {
    /// Forgets everything: another history has begun.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn knows_person(&self, user: UserId) -> bool {
        self.people.contains_key(&user)
    }

    /// What must be placed before it can be judged who sees this; `new` are places that are about to be taken in.
    pub(super) fn needs(&self, subject: &Subject, new: &HashMap<Placed, Uuid>) -> Vec<Placed> {
        let note = |scope: &Scope| match scope {
            Scope::Note(note) => Some(Placed::Note(*note)),
            Scope::User(_) | Scope::Notebook(_) => None,
        };
        let mut needed: Vec<Placed> = subject.left.iter().filter_map(note).collect();
        if let Some(placed) = subject.resource.placed() {
            needed.push(placed);
            if let Placed::Item(_) = placed {
                let known = || self.places.get(&placed).and_then(|place| place.inside);
                let inside = new.get(&placed).copied().or_else(known);
                needed.extend(inside.map(|note| Placed::Note(NoteId(note))));
            }
        }
        needed.retain(|placed| !new.contains_key(placed) && !self.places.contains_key(placed));
        needed
    }

    pub(super) fn knows_place(&self, placed: Placed) -> bool {
        self.places.contains_key(&placed)
    }

    /// Takes in a person's roles.
    pub(super) fn add_person(&mut self, user: UserId, loaded: &Loaded<(NotebookId, Role)>) {
        for (notebook, _) in &loaded.rows {
            self.viewers.entry(*notebook).or_default().insert(user);
        }
        let roles = loaded.rows.iter().copied().collect();
        self.people.insert(user, Person { roles, as_of: loaded.as_of });
        for (position, change) in self.ahead.clone().split_off(&(loaded.as_of + 1)) {
            self.apply(position, change);
        }
    }

    /// Takes in the roles that events give which the feed has yet to come to.
    pub(super) fn foresee(&mut self, changes: &[(i64, Change)]) {
        for (position, change) in changes {
            if matches!(change, Change::Role(..)) {
                self.apply(*position, *change);
                self.ahead.insert(*position, *change);
            }
        }
    }

    /// The feed has come to a position: nothing up to there is ahead of it.
    pub(super) fn reached(&mut self, position: i64) {
        self.ahead = self.ahead.split_off(&(position + 1));
    }

    /// Lets a person go whose last socket has closed.
    pub(super) fn dismiss(&mut self, user: UserId) {
        let Some(person) = self.people.remove(&user) else { return };
        for notebook in person.roles.keys() {
            self.forget_viewer(user, *notebook);
        }
    }

    /// Forgets of which notes it is not known where they stand; it is loaded again when needed.
    pub(super) fn unhide(&mut self) {
        self.places.retain(|_, place| place.inside.is_some());
    }

    fn forget_viewer(&mut self, user: UserId, notebook: NotebookId) {
        if let Some(viewers) = self.viewers.get_mut(&notebook) {
            viewers.remove(&user);
            if viewers.is_empty() {
                self.viewers.remove(&notebook);
            }
        }
    }

    /// Takes in places that were loaded, unless newer events have changed them.
    pub(super) fn place(&mut self, loaded: &Loaded<(Placed, Option<Uuid>)>) {
        for (placed, inside) in &loaded.rows {
            self.put(*placed, Parent { inside: *inside, as_of: loaded.as_of });
        }
    }

    /// Takes in what an event changes.
    pub(super) fn apply_all(&mut self, position: i64, changes: &[Change]) {
        for change in changes {
            self.apply(position, *change);
        }
    }

    fn apply(&mut self, position: i64, change: Change) {
        match change {
            Change::None => {}
            Change::Role(user, notebook, role) => {
                if let Some(person) = self.people.get_mut(&user).filter(|person| person.as_of < position) {
                    person.roles.insert(notebook, role);
                    self.viewers.entry(notebook).or_default().insert(user);
                }
            }
            Change::Place(placed, inside) => {
                self.put(placed, Parent { inside: Some(inside), as_of: position });
            }
            Change::Hide(placed) => self.put(placed, Parent { inside: None, as_of: position }),
            Change::Close(notebook, person) => {
                let viewers = self.viewers.get(&notebook).into_iter().flatten().copied();
                let whom: Vec<UserId> =
                    viewers.filter(|viewer| person.is_none_or(|person| person == *viewer)).collect();
                for user in whom {
                    self.shut_out(user, notebook, position);
                }
            }
        }
    }

    fn put(&mut self, placed: Placed, place: Parent) {
        let known = self.places.entry(placed).or_insert(place);
        if known.as_of < place.as_of {
            *known = place;
        }
    }

    fn shut_out(&mut self, user: UserId, notebook: NotebookId, position: i64) {
        if let Some(person) = self.people.get_mut(&user).filter(|person| person.as_of < position) {
            person.roles.remove(&notebook);
            self.forget_viewer(user, notebook);
        }
    }

    /// Keeps only the places of these, and of the notes they are in, once there are more than `most`.
    pub(super) fn shrink(&mut self, most: usize, keep: impl FnOnce() -> HashSet<Placed>) {
        if self.places.len() > most {
            let mut keep = keep();
            let inside = |placed: &Placed| self.places.get(placed).and_then(|place| place.inside);
            let items = keep.iter().filter(|placed| matches!(placed, Placed::Item(_)));
            let notes: Vec<Uuid> = items.filter_map(inside).collect();
            keep.extend(notes.into_iter().map(|note| Placed::Note(NoteId(note))));
            self.places.retain(|placed, _| keep.contains(placed));
        }
    }

    /// The connected persons whom an event may concern, by its recorded scopes.
    pub(super) fn candidates(&self, subject: &Subject) -> HashSet<UserId> {
        let mut found = HashSet::new();
        for scope in &subject.scopes {
            match scope {
                Scope::User(user) if self.knows_person(*user) => _ = found.insert(*user),
                Scope::Notebook(notebook) => found.extend(self.viewers.get(notebook).into_iter().flatten()),
                // Notes are not shared by themselves yet: their notebook's members are the ones.
                Scope::User(_) | Scope::Note(_) => {}
            }
        }
        found
    }

    /// Everything that a person was given access to, as scopes.
    pub(super) fn scopes_of(&self, user: UserId) -> Vec<Scope> {
        let notebooks = self.people.get(&user).into_iter().flat_map(|person| person.roles.keys());
        std::iter::once(Scope::User(user)).chain(notebooks.copied().map(Scope::Notebook)).collect()
    }
}

impl Access for Known {
    fn in_notebook(&self, user: UserId, notebook: NotebookId) -> Option<Role> {
        self.people.get(&user)?.roles.get(&notebook).copied()
    }

    fn on_note(&self, _user: UserId, _note: NoteId) -> Option<Role> {
        None
    }

    fn notebook_of(&self, note: NoteId) -> Option<NotebookId> {
        self.places.get(&Placed::Note(note))?.inside.map(NotebookId)
    }

    fn note_of(&self, item: Item) -> Option<NoteId> {
        self.places.get(&Placed::Item(item))?.inside.map(NoteId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::log::visibility::sees;

    const ADA: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));
    const NEW: NotebookId = NotebookId(Uuid::from_u128(3));
    const NOTE: NoteId = NoteId(Uuid::from_u128(4));

    /// The feed is at 5; that the note stands in a notebook of 8 was loaded at 9.
    fn ahead() -> (Known, Subject) {
        let mut known = Known::default();
        known.add_person(ADA, &Loaded { rows: Vec::new(), as_of: 5 });
        known.place(&Loaded { rows: vec![(Placed::Note(NOTE), Some(NEW.0))], as_of: 9 });
        let subject = Subject { scopes: Vec::new(), resource: Resource::Note(NOTE), left: Vec::new() };
        (known, subject)
    }

    #[test]
    fn a_note_that_will_be_in_a_newer_notebook_of_mine_is_seen_before_the_feed_comes_there() {
        let (mut known, subject) = ahead();
        assert!(!sees(&known, ADA, &subject));
        known.foresee(&[(8, Change::Role(ADA, NEW, Role::Owner))]);
        assert!(sees(&known, ADA, &subject));
    }

    #[test]
    fn who_comes_meanwhile_sees_it_too_and_a_stranger_does_not() {
        let (mut known, subject) = ahead();
        known.foresee(&[(8, Change::Role(ADA, NEW, Role::Owner))]);
        known.dismiss(ADA);
        known.add_person(ADA, &Loaded { rows: Vec::new(), as_of: 6 });
        known.add_person(BOB, &Loaded { rows: Vec::new(), as_of: 6 });
        assert!(sees(&known, ADA, &subject));
        assert!(!sees(&known, BOB, &subject));
    }

    #[test]
    fn what_the_feed_has_reached_is_forgotten() {
        let (mut known, _) = ahead();
        known.foresee(&[
            (8, Change::Role(ADA, NEW, Role::Owner)),
            (9, Change::Place(Placed::Note(NOTE), NEW.0)),
        ]);
        assert_eq!(known.ahead.len(), 1, "places are loaded as they are");
        known.reached(8);
        assert!(known.ahead.is_empty());
    }
}
