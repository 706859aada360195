//! Who sees an event: one pure function, used by sockets, history and the tests' checker.
//!
//! The scopes of an event find the candidates. Then the container decides in which the resource is *now*: if a note
//! is moved into a notebook that a person cannot see, its past is hidden with it. Only the event that it left is
//! shown to people who saw it just before. Events that name a person in their scopes concern that person, who
//! therefore sees them.

use std::fmt;
use std::str::FromStr;

use crate::domain::AggregateEvent;
use crate::domain::Event;
use crate::domain::access::{Role, effective};
use crate::domain::blocks::BlockEvent;
use crate::domain::id::{BlockId, NoteId, NotebookId, TaskId, UserId};
use crate::domain::notebooks::NotebookEvent;
use crate::domain::notes::NoteEvent;
use crate::domain::tasks::TaskEvent;
use crate::log::event::{Opened, Recorded};

/// Current roles and places, from wherever they are kept: in memory for sockets, in joined rows for history.
pub trait Access {
    /// The person's role in a notebook.
    fn in_notebook(&self, user: UserId, notebook: NotebookId) -> Option<Role>;
    /// The person's role on the note itself, shared beside its notebook.
    fn on_note(&self, user: UserId, note: NoteId) -> Option<Role>;
    /// The notebook that the note is in now; `None` if the note is gone.
    fn notebook_of(&self, note: NoteId) -> Option<NotebookId>;
    /// The note that the block or task is a part of now; `None` if it is gone, or has no note.
    fn note_of(&self, item: Item) -> Option<NoteId>;
}

/// What is a part of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// A block.
    Block(BlockId),
    /// A task; one with a block has the block's id.
    Task(TaskId),
}

/// A thing in a container that decides who sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placed {
    /// In a notebook.
    Note(NoteId),
    /// In a note.
    Item(Item),
}

/// A scope as events record it and as clients subscribe to it: `user:<id>`, `notebook:<id>`, `note:<id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A person.
    User(UserId),
    /// A notebook with its notes.
    Notebook(NotebookId),
    /// One note.
    Note(NoteId),
}

/// A text that is not a scope of this release.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is user:, notebook: or note: and an id")]
pub struct NoScope;

/// What an event is about, as far as it decides who sees it. Small: it is kept for every recent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The containers and persons recorded with the event; those of a newer release are left out.
    pub scopes: Vec<Scope>,
    /// The thing that changed.
    pub resource: Resource,
    /// The containers that the thing left by this event: people who see those learn that it is gone.
    pub left: Vec<Scope>,
}

/// The thing whose container decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// An account or a session: only the person sees it, whom the scopes name.
    Person,
    /// A notebook.
    Notebook(NotebookId),
    /// A note, in whatever notebook it is now.
    Note(NoteId),
    /// A part of a note, of whichever it is now.
    Item(Item),
}

/// The role that counts on a note: the higher of the direct role and the role in its current notebook.
pub fn role_on_note(access: &impl Access, user: UserId, note: NoteId) -> Option<Role> {
    let inherited = access.notebook_of(note).and_then(|notebook| access.in_notebook(user, notebook));
    effective(access.on_note(user, note), inherited)
}

/// Whether a person may subscribe to a scope.
pub fn sees_scope(access: &impl Access, user: UserId, scope: Scope) -> bool {
    match scope {
        Scope::User(named) => named == user,
        Scope::Notebook(notebook) => access.in_notebook(user, notebook).is_some(),
        Scope::Note(note) => role_on_note(access, user, note).is_some(),
    }
}

/// Whether the recorded scopes name the person, or something that they were given access to as such.
///
/// A note is not one's own by way of its notebook: its events name the notebook as well.
pub fn is_candidate(access: &impl Access, user: UserId, subject: &Subject) -> bool {
    subject.scopes.iter().any(|scope| match *scope {
        Scope::User(named) => named == user,
        Scope::Notebook(notebook) => access.in_notebook(user, notebook).is_some(),
        Scope::Note(note) => access.on_note(user, note).is_some(),
    })
}

/// Whether a person may see an event, with access as it is now.
pub fn sees(access: &impl Access, user: UserId, subject: &Subject) -> bool {
    subject.scopes.contains(&Scope::User(user))
        || subject.left.iter().any(|left| sees_scope(access, user, *left))
        || match subject.resource {
            Resource::Person => false,
            Resource::Notebook(notebook) => access.in_notebook(user, notebook).is_some(),
            Resource::Note(note) => role_on_note(access, user, note).is_some(),
            Resource::Item(item) => {
                access.note_of(item).is_some_and(|note| role_on_note(access, user, note).is_some())
            }
        }
}

impl Subject {
    /// What an opened event is about.
    pub fn of(opened: &Opened) -> Self {
        let recorded = &opened.recorded;
        let scopes: Vec<Scope> = recorded.scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
        let left = match &opened.event {
            Some(Event::Note(NoteEvent::NoteMoved { from, .. })) => vec![Scope::Notebook(*from)],
            Some(
                Event::Block(BlockEvent::BlockMoved { from, whole: Some(_), .. })
                | Event::Task(TaskEvent::TaskMoved { from, .. }),
            ) => vec![Scope::Note(*from)],
            Some(
                Event::Note(NoteEvent::NoteCreated { .. } | NoteEvent::NoteRetitled { .. })
                | Event::Block(_)
                | Event::Task(_)
                | Event::Notebook(_)
                | Event::Member(_)
                | Event::User(_)
                | Event::Session(_),
            ) => Vec::new(),
            None => left_when_erased(recorded, &scopes),
        };
        Self { scopes, resource: Resource::of(recorded), left }
    }
}

/// An erased move no longer says which end was which: the scopes name both, and its content is gone anyway.
fn left_when_erased(recorded: &Recorded, scopes: &[Scope]) -> Vec<Scope> {
    let is_end = |scope: &Scope| match (recorded.event_type.as_str(), scope) {
        ("NoteMoved", Scope::Notebook(_)) | ("BlockMoved" | "TaskMoved", Scope::Note(_)) => true,
        (_, Scope::Notebook(_) | Scope::Note(_) | Scope::User(_)) => false,
    };
    scopes.iter().copied().filter(is_end).collect()
}

impl Resource {
    /// The thing, if it is in a container.
    pub fn placed(self) -> Option<Placed> {
        match self {
            Self::Note(note) => Some(Placed::Note(note)),
            Self::Item(item) => Some(Placed::Item(item)),
            Self::Person | Self::Notebook(_) => None,
        }
    }

    /// By aggregate type and id, which stay readable when the content is erased.
    pub fn of(recorded: &Recorded) -> Self {
        let id = &recorded.aggregate.id;
        let notebook = || id.parse().map(Self::Notebook).ok();
        let note = || id.parse().map(Self::Note).ok();
        let found = match recorded.aggregate.kind.as_str() {
            NotebookEvent::AGGREGATE => notebook(),
            NoteEvent::AGGREGATE => note(),
            BlockEvent::AGGREGATE => id.parse().map(Item::Block).map(Self::Item).ok(),
            TaskEvent::AGGREGATE => id.parse().map(Item::Task).map(Self::Item).ok(),
            _ => None,
        };
        // An unknown event is shown only to the persons it names.
        found.unwrap_or(Self::Person)
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let (kind, id) = text.split_once(':').ok_or(NoScope)?;
        match kind {
            "user" => id.parse().map(Self::User),
            "notebook" => id.parse().map(Self::Notebook),
            "note" => id.parse().map(Self::Note),
            _ => return Err(NoScope),
        }
        .map_err(|_| NoScope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Notebook(id) => write!(f, "notebook:{id}"),
            Self::Note(id) => write!(f, "note:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use chrono::DateTime;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::log::event::{AggregateRef, Meta};

    const ADA: UserId = UserId(Uuid::from_u128(0xada));
    const BOB: UserId = UserId(Uuid::from_u128(0xb0b));
    const LAB: NotebookId = NotebookId(Uuid::from_u128(1));
    const SAFE: NotebookId = NotebookId(Uuid::from_u128(2));
    const THIRD: NotebookId = NotebookId(Uuid::from_u128(3));
    const NOTE: NoteId = NoteId(Uuid::from_u128(9));
    const DIARY: NoteId = NoteId(Uuid::from_u128(10));
    const BLOCK: BlockId = BlockId(Uuid::from_u128(11));

    #[derive(Default)]
    struct Now {
        notebooks: HashMap<(UserId, NotebookId), Role>,
        notes: HashMap<(UserId, NoteId), Role>,
        places: HashMap<NoteId, NotebookId>,
        items: HashMap<Item, NoteId>,
    }

    impl Access for Now {
        fn in_notebook(&self, user: UserId, notebook: NotebookId) -> Option<Role> {
            self.notebooks.get(&(user, notebook)).copied()
        }

        fn on_note(&self, user: UserId, note: NoteId) -> Option<Role> {
            self.notes.get(&(user, note)).copied()
        }

        fn notebook_of(&self, note: NoteId) -> Option<NotebookId> {
            self.places.get(&note).copied()
        }

        fn note_of(&self, item: Item) -> Option<NoteId> {
            self.items.get(&item).copied()
        }
    }

    impl Now {
        fn member(mut self, user: UserId, notebook: NotebookId) -> Self {
            self.notebooks.insert((user, notebook), Role::Viewer);
            self
        }

        fn shared(mut self, user: UserId, note: NoteId) -> Self {
            self.notes.insert((user, note), Role::Viewer);
            self
        }

        fn placed(mut self, note: NoteId, notebook: NotebookId) -> Self {
            self.places.insert(note, notebook);
            self
        }

        fn part(mut self, item: Item, note: NoteId) -> Self {
            self.items.insert(item, note);
            self
        }

        /// Whether the event reaches the person who asks for everything they may see.
        fn shows(&self, user: UserId, opened: &Opened) -> bool {
            let subject = Subject::of(opened);
            is_candidate(self, user, &subject) && sees(self, user, &subject)
        }
    }

    fn opened(aggregate: &str, id: Uuid, event_type: &str, data: Value, scopes: &[Scope]) -> Opened {
        let event = (data != Value::Null)
            .then(|| Event::parse(event_type, data.clone()).expect("an event of this release"));
        let recorded = Recorded {
            position: 1,
            id: Uuid::from_u128(77),
            at: DateTime::UNIX_EPOCH,
            aggregate: AggregateRef { kind: aggregate.to_owned(), id: id.to_string(), version: 1 },
            event_type: event_type.to_owned(),
            event_version: "1.0".to_owned(),
            data,
            scopes: scopes.iter().map(Scope::to_string).collect(),
            effects: None,
            meta: Meta { actor: ADA.to_string(), correlation: String::new(), causation: String::new() },
        };
        Opened { recorded, event }
    }

    fn retitled_in(notebook: NotebookId) -> Opened {
        let scopes = [Scope::Note(NOTE), Scope::Notebook(notebook)];
        opened("note", NOTE.0, "NoteRetitled", json!({"title": "Plans"}), &scopes)
    }

    fn moved(from: NotebookId, to: NotebookId) -> Opened {
        let scopes = [Scope::Note(NOTE), Scope::Notebook(from), Scope::Notebook(to)];
        opened("note", NOTE.0, "NoteMoved", json!({"from": from, "to": to}), &scopes)
    }

    #[test]
    fn a_member_sees_the_notebook_and_its_notes_and_a_stranger_neither() {
        let now = Now::default().member(ADA, LAB).placed(NOTE, LAB);
        let scopes = [Scope::Notebook(LAB)];
        let renamed = opened("notebook", LAB.0, "NotebookRenamed", json!({"name": "Lab"}), &scopes);
        for event in [renamed, retitled_in(LAB)] {
            assert!(now.shows(ADA, &event));
            assert!(!now.shows(BOB, &event));
        }
    }

    #[test]
    fn a_person_s_own_events_are_seen_by_that_person_only() {
        let data = json!({"user_id": ADA, "device": null, "address": null});
        let session = opened("user", Uuid::from_u128(5), "SessionOpened", data, &[Scope::User(ADA)]);
        assert!(Now::default().shows(ADA, &session));
        assert!(!Now::default().member(BOB, LAB).shows(BOB, &session));
    }

    #[test]
    fn an_account_s_event_without_a_person_in_its_scopes_is_seen_by_nobody() {
        let ended = opened("user", ADA.0, "SessionEnded", json!({"user_id": ADA}), &[]);
        assert!(!Now::default().shows(ADA, &ended));
    }

    #[test]
    fn a_note_moved_out_of_sight_takes_its_past_with_it() {
        let before = Now::default().member(BOB, LAB).placed(NOTE, LAB);
        assert!(before.shows(BOB, &retitled_in(LAB)));
        let after = Now::default().member(BOB, LAB).member(ADA, SAFE).placed(NOTE, SAFE);
        assert!(!after.shows(BOB, &retitled_in(LAB)));
        assert!(!after.shows(BOB, &retitled_in(SAFE)));
    }

    #[test]
    fn that_a_note_left_is_told_to_whoever_saw_it_and_to_whoever_sees_it_now() {
        let now = Now::default().member(BOB, LAB).member(ADA, SAFE).placed(NOTE, SAFE);
        assert!(now.shows(BOB, &moved(LAB, SAFE)));
        assert!(now.shows(ADA, &moved(LAB, SAFE)));
        assert!(!now.shows(UserId(Uuid::from_u128(3)), &moved(LAB, SAFE)));
    }

    #[test]
    fn that_it_once_came_is_not_told_when_it_has_gone_on() {
        let now = Now::default().member(BOB, SAFE).placed(NOTE, THIRD);
        assert!(!now.shows(BOB, &moved(LAB, SAFE)));
        assert!(now.shows(BOB, &moved(SAFE, THIRD)));
    }

    #[test]
    fn the_past_of_a_note_that_came_into_sight_can_be_asked_for_but_is_not_pushed() {
        let now = Now::default().member(ADA, SAFE).placed(NOTE, SAFE);
        let past = Subject::of(&retitled_in(LAB));
        assert!(sees(&now, ADA, &past));
        assert!(!is_candidate(&now, ADA, &past));
    }

    #[test]
    fn a_note_shared_by_itself_is_seen_wherever_it_goes() {
        let now = Now::default().shared(BOB, NOTE).placed(NOTE, SAFE);
        assert!(now.shows(BOB, &retitled_in(LAB)));
        assert!(now.shows(BOB, &retitled_in(SAFE)));
        assert!(sees_scope(&now, BOB, Scope::Note(NOTE)));
        assert!(!sees_scope(&now, BOB, Scope::Notebook(SAFE)));
    }

    #[test]
    fn a_note_that_is_gone_is_seen_by_nobody() {
        let now = Now::default().member(ADA, LAB);
        assert!(!now.shows(ADA, &retitled_in(LAB)));
        assert!(!sees_scope(&now, ADA, Scope::Note(NOTE)));
    }

    #[test]
    fn an_erased_move_still_tells_both_ends_and_nobody_else() {
        let scopes = [Scope::Note(NOTE), Scope::Notebook(LAB), Scope::Notebook(SAFE)];
        let erased = opened("note", NOTE.0, "NoteMoved", Value::Null, &scopes);
        assert!(Now::default().member(BOB, LAB).shows(BOB, &erased));
        assert!(!Now::default().member(BOB, THIRD).shows(BOB, &erased));
    }

    fn block(event_type: &str, data: Value, scopes: &[Scope]) -> Opened {
        opened("block", BLOCK.0, event_type, data, scopes)
    }

    fn edited_in(note: NoteId, notebook: NotebookId) -> Opened {
        let text = json!({"type": "text", "content": {"text": "secret"}});
        let scopes = [Scope::Note(note), Scope::Notebook(notebook)];
        block("BlockEdited", json!({"note_id": note, "block": text}), &scopes)
    }

    fn moved_block(from: NoteId, to: NoteId, scopes: &[Scope]) -> Opened {
        let text = json!({"type": "text", "content": {"text": "secret"}});
        let whole = json!({"block": text, "added_by": "ada", "added_at": "2026-01-31T12:00:00Z"});
        block("BlockMoved", json!({"from": from, "to": to, "rank": "a0", "whole": whole}), scopes)
    }

    #[test]
    fn a_block_is_seen_with_its_note_and_takes_its_past_to_another() {
        let lab = Now::default().member(BOB, LAB).member(ADA, SAFE).placed(NOTE, LAB).placed(DIARY, SAFE);
        let before = lab.part(Item::Block(BLOCK), NOTE);
        assert!(before.shows(BOB, &edited_in(NOTE, LAB)));
        assert!(!before.shows(ADA, &edited_in(NOTE, LAB)));
        let after = before.part(Item::Block(BLOCK), DIARY);
        assert!(!after.shows(BOB, &edited_in(NOTE, LAB)));
        assert!(!after.shows(BOB, &edited_in(DIARY, SAFE)));
        assert!(after.shows(ADA, &edited_in(DIARY, SAFE)));
    }

    #[test]
    fn that_a_block_left_is_told_to_whoever_sees_the_note_it_left() {
        let now = Now::default().member(BOB, LAB).placed(NOTE, LAB).placed(DIARY, SAFE);
        let now = now.part(Item::Block(BLOCK), DIARY);
        let scopes = [Scope::Note(NOTE), Scope::Note(DIARY), Scope::Notebook(LAB), Scope::Notebook(SAFE)];
        assert!(now.shows(BOB, &moved_block(NOTE, DIARY, &scopes)));
        assert!(!now.shows(ADA, &moved_block(NOTE, DIARY, &scopes)));
        assert!(now.shows(BOB, &block("BlockMoved", Value::Null, &scopes)));
        let within = json!({"from": NOTE, "to": NOTE, "rank": "a0"});
        assert!(!now.shows(BOB, &block("BlockMoved", within, &scopes[..1])));
    }

    #[test]
    fn a_task_of_nobody_s_note_is_its_owner_s_only() {
        let added = json!({"note_id": null, "owner": ADA, "title": "Call", "completed": false});
        let task = opened("task", BLOCK.0, "TaskAdded", added, &[Scope::User(ADA)]);
        assert!(Now::default().shows(ADA, &task));
        assert!(!Now::default().member(BOB, LAB).shows(BOB, &task));
    }

    #[test]
    fn an_aggregate_type_or_scope_of_a_newer_release_is_shown_to_nobody_else() {
        let mut song = retitled_in(LAB);
        song.recorded.aggregate.kind = "song".to_owned();
        song.recorded.scopes.push("choir:1".to_owned());
        let now = Now::default().member(ADA, LAB).placed(NOTE, LAB);
        assert!(!now.shows(ADA, &song));
    }

    #[test]
    fn scopes_read_what_they_write() {
        for scope in [Scope::User(ADA), Scope::Notebook(LAB), Scope::Note(NOTE)] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for wrong in ["", "*", "note", "note:", "note:7", "vault:00000000-0000-0000-0000-000000000001"] {
            assert_eq!(wrong.parse::<Scope>(), Err(NoScope), "{wrong}");
        }
    }
}
