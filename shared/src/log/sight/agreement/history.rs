//! Random histories: what people wish, what the command path would have recorded, and what both accounts make of it.

use std::sync::LazyLock;

use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

use super::super::Subject;
use super::super::ledger::Ledger;
use crate::domain::access::{Effect, Principal, Role, Scope, Scopes};
use crate::domain::blocks::{BlockEvent, BlockText, Content, Depth, WholeBlock};
use crate::domain::id::{BlockId, NoteId, NotebookId, TaskId, UserId};
use crate::domain::members::{MemberEvent, MemberId};
use crate::domain::notebooks::NotebookEvent;
use crate::domain::notes::NoteEvent;
use crate::domain::sessions::SessionEvent;
use crate::domain::tasks::{Details, TaskEvent, WholeTask};
use crate::domain::tests::text;
use crate::domain::users::UserEvent;
use crate::domain::{AggregateEvent, Event};
use crate::log::event::{AggregateRef, Meta, Opened, Recorded};
use crate::log::visibility::{self as today, Item};

pub(super) const USERS: [UserId; 3] =
    [UserId(Uuid::from_u128(0xada)), UserId(Uuid::from_u128(0xb0b)), UserId(Uuid::from_u128(0xca2))];
const NOTEBOOKS: [NotebookId; 5] = [
    NotebookId(Uuid::from_u128(0x10)),
    NotebookId(Uuid::from_u128(0x11)),
    NotebookId(Uuid::from_u128(0x12)),
    NotebookId(Uuid::from_u128(0x13)),
    NotebookId(Uuid::from_u128(0x14)),
];
pub(super) const NOTES: [NoteId; 4] = [
    NoteId(Uuid::from_u128(0x20)),
    NoteId(Uuid::from_u128(0x21)),
    NoteId(Uuid::from_u128(0x22)),
    NoteId(Uuid::from_u128(0x23)),
];
/// A task block has the id of its task.
const PARTS: [Uuid; 3] = [Uuid::from_u128(0x30), Uuid::from_u128(0x31), Uuid::from_u128(0x32)];

/// The read tables, as far as today's visibility asks for them.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) notebooks: Vec<(NotebookId, UserId)>,
    pub(super) notes: Vec<(NoteId, NotebookId)>,
    pub(super) parts: Vec<(Item, Option<NoteId>)>,
    /// Its row is quarantined.
    pub(super) hidden: Option<NoteId>,
}

/// An event, for both ways to judge it.
pub(super) struct Entry {
    pub(super) event_type: String,
    pub(super) today: today::Subject,
    pub(super) erased: today::Subject,
    pub(super) subject: Subject,
    /// The notes among its scopes, and where they were once it had happened.
    pub(super) notes: Vec<(NoteId, NotebookId)>,
    /// The part it is about, and the note under whose key it is.
    pub(super) part: Option<(Item, Option<NoteId>)>,
    /// Of a part that went to another note: the notebook of the note it left.
    pub(super) left: Option<NotebookId>,
}

/// What has happened, and both accounts of it.
#[derive(Default)]
pub(super) struct World {
    pub(super) tables: Tables,
    pub(super) ledger: Ledger,
    pub(super) log: Vec<Entry>,
}

impl today::Access for Tables {
    fn in_notebook(&self, user: UserId, notebook: NotebookId) -> Option<Role> {
        self.notebooks.contains(&(notebook, user)).then_some(Role::Owner)
    }

    fn on_note(&self, _user: UserId, _note: NoteId) -> Option<Role> {
        None
    }

    fn notebook_of(&self, note: NoteId) -> Option<NotebookId> {
        get(&self.notes, note).filter(|_| self.hidden != Some(note))
    }

    fn note_of(&self, item: Item) -> Option<NoteId> {
        get(&self.parts, item).flatten()
    }
}

/// Events of a task that name no note.
static TASK_EVENTS: LazyLock<Vec<TaskEvent>> = LazyLock::new(|| {
    let names_a_note = |event: &TaskEvent| {
        matches!(
            event,
            TaskEvent::TaskAdded { .. }
                | TaskEvent::TaskMoved { .. }
                | TaskEvent::TaskRemoved { .. }
                | TaskEvent::TaskRestored { .. }
        )
    };
    TaskEvent::samples().into_iter().filter(|event| !names_a_note(event)).collect()
});

/// Events of accounts and sessions.
static PERSONAL_EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let users = UserEvent::samples().into_iter().map(Event::User);
    users.chain(SessionEvent::samples().into_iter().map(Event::Session)).collect()
});

static CONTENT: LazyLock<Content> = LazyLock::new(|| Content::Task {
    checked: false,
    depth: Depth::LEAST,
    rich: text::<BlockText>("Call").into(),
});

static ANY_TASK: LazyLock<WholeTask> = LazyLock::new(|| WholeTask {
    owner: USERS[0],
    title: text("Call"),
    completed_at: None,
    details: Details::default(),
    removed: false,
    added_by: String::new(),
    added_at: DateTime::UNIX_EPOCH,
});

impl World {
    /// Something happens. What it needs is made first, as the command path would have refused it.
    pub(super) fn happens(&mut self, wish: u32) {
        let [kind, a, b, c] = wish.to_le_bytes();
        let (notebook, note) = (pick(&NOTEBOOKS, b), pick(&NOTES, c));
        let part = if a & 0x80 == 0 {
            Item::Block(BlockId(pick(&PARTS, a)))
        } else {
            Item::Task(TaskId(pick(&PARTS, a)))
        };
        match kind % 10 {
            0 => {
                let event = PERSONAL_EVENTS[usize::from(a) % PERSONAL_EVENTS.len()].clone();
                self.records(event, &b, &[Scope::Principal(Principal::User(pick(&USERS, b)))], None);
            }
            1 => self.changes_notebook(notebook, a),
            2 => self.retitles(note, b),
            3 | 4 => self.moves_note(note, notebook, a),
            5 => self.changes_part(part, note, b),
            6..=8 => self.moves_part(part, note, b),
            _ => self.removes_part(part, note, b),
        }
    }

    fn changes_notebook(&mut self, notebook: NotebookId, byte: u8) {
        self.has_notebook(notebook, byte);
        let event = match byte % 2 {
            0 => NotebookEvent::NotebookRenamed { name: text("Laboratory") },
            _ => NotebookEvent::NotebookDescribed { description: None },
        };
        self.of_notebook(notebook, event);
    }

    fn has_notebook(&mut self, notebook: NotebookId, byte: u8) {
        if get(&self.tables.notebooks, notebook).is_none() {
            let owner = pick(&USERS, byte >> 3);
            self.tables.notebooks.push((notebook, owner));
            let granted = MemberEvent::MemberAdded { role: Role::Owner };
            let who = Principal::User(owner);
            let scopes = [Scope::Container(notebook.into()), Scope::Principal(who)];
            let id = MemberId { container: notebook.into(), principal: who };
            self.records(Event::Member(granted), &id, &scopes, None);
            self.of_notebook(notebook, NotebookEvent::NotebookCreated { owner, name: text("Lab") });
        }
    }

    fn of_notebook(&mut self, notebook: NotebookId, event: NotebookEvent) {
        self.records(Event::Notebook(event), &notebook, &[Scope::Container(notebook.into())], None);
    }

    /// Gives the notebook that it is in.
    fn has_note(&mut self, note: NoteId, byte: u8) -> NotebookId {
        if let Some(notebook) = get(&self.tables.notes, note) {
            return notebook;
        }
        let notebook = pick(&NOTEBOOKS, byte);
        self.has_notebook(notebook, byte);
        self.tables.notes.push((note, notebook));
        let event = NoteEvent::NoteCreated { notebook_id: notebook, title: text("Dreams") };
        self.of_note(note, &[notebook], event);
        notebook
    }

    fn of_note(&mut self, note: NoteId, notebooks: &[NotebookId], event: NoteEvent) {
        let notebooks = notebooks.iter().map(|notebook| Scope::Container((*notebook).into()));
        let scopes: Vec<Scope> = std::iter::once(Scope::Container(note.into())).chain(notebooks).collect();
        self.records(Event::Note(event), &note, &scopes, None);
    }

    fn retitles(&mut self, note: NoteId, byte: u8) {
        let notebook = self.has_note(note, byte);
        self.of_note(note, &[notebook], NoteEvent::NoteRetitled { title: text("Plans") });
    }

    fn moves_note(&mut self, note: NoteId, to: NotebookId, byte: u8) {
        let from = self.has_note(note, byte);
        self.has_notebook(to, byte);
        if from == to {
            return;
        }
        // Perhaps in one command with another title, which then has the same scopes.
        if byte.is_multiple_of(4) {
            self.of_note(note, &[from, to], NoteEvent::NoteRetitled { title: text("Plans") });
        }
        put(&mut self.tables.notes, note, to);
        self.of_note(note, &[from, to], NoteEvent::NoteMoved { from, to });
    }

    /// Gives the note that it is in; a task may be in none.
    fn has_part(&mut self, part: Item, note: NoteId, byte: u8) -> Option<NoteId> {
        if let Some(note) = get(&self.tables.parts, part) {
            return note;
        }
        let note = match part {
            Item::Task(_) if byte.is_multiple_of(4) => None,
            Item::Block(_) | Item::Task(_) => Some(note),
        };
        if let Some(note) = note {
            self.has_note(note, byte);
        }
        self.tables.parts.push((part, note));
        let event = match (part, note) {
            (Item::Block(_), Some(note_id)) => {
                Event::Block(BlockEvent::BlockAdded { note_id, block: CONTENT.clone(), rank: text("a0") })
            }
            (Item::Block(_), None) => panic!("every block is in a note"),
            (Item::Task(_), note_id) => Event::Task(TaskEvent::TaskAdded {
                note_id,
                owner: owner_of(part),
                title: text("Call"),
                completed: false,
                details: Details::default(),
            }),
        };
        self.of_part(part, note, None, event);
        note
    }

    /// It is about a part that is in a note, and perhaps left another one.
    fn of_part(&mut self, part: Item, note: Option<NoteId>, left: Option<NoteId>, event: Event) {
        let home = |note: NoteId| {
            let notebook = get(&self.tables.notes, note).expect("a part is in a note that there is");
            [Scope::Container(note.into()), Scope::Container(notebook.into())]
        };
        let scopes: Vec<Scope> = match note {
            Some(note) => home(note).into_iter().chain(left.into_iter().flat_map(home)).collect(),
            None => vec![Scope::Principal(Principal::User(owner_of(part)))],
        };
        self.records(event, &id_of(part), &scopes, Some((part, note)));
        let left = left.and_then(|note| get(&self.tables.notes, note));
        self.log.last_mut().expect("just recorded").left = left;
    }

    fn changes_part(&mut self, part: Item, note: NoteId, byte: u8) {
        let note = self.has_part(part, note, byte);
        let block = || CONTENT.clone();
        let event = match (part, note) {
            (Item::Block(_), Some(note_id)) if byte.is_multiple_of(2) => {
                Event::Block(BlockEvent::BlockEdited { note_id, block: block() })
            }
            (Item::Block(_), Some(note_id)) => {
                Event::Block(BlockEvent::BlockTypeChanged { note_id, block: block() })
            }
            (Item::Block(_), None) => panic!("every block is in a note"),
            (Item::Task(_), _) => Event::Task(TASK_EVENTS[usize::from(byte) % TASK_EVENTS.len()].clone()),
        };
        self.of_part(part, note, None, event);
    }

    fn moves_part(&mut self, part: Item, to: NoteId, byte: u8) {
        let Some(from) = self.has_part(part, to, byte) else { return };
        self.has_note(to, byte);
        if from == to {
            if let Item::Block(_) = part {
                let event = BlockEvent::BlockMoved { from, to, rank: text("a1"), whole: None };
                self.of_part(part, Some(from), None, Event::Block(event));
            }
            return;
        }
        let event = match part {
            Item::Block(_) => {
                let block = CONTENT.clone();
                // Perhaps in one command with another content, which then has the same scopes.
                if byte.is_multiple_of(4) {
                    let edited = BlockEvent::BlockEdited { note_id: from, block: block.clone() };
                    self.of_part(part, Some(to), Some(from), Event::Block(edited));
                }
                let whole = WholeBlock { block, added_by: String::new(), added_at: DateTime::UNIX_EPOCH };
                Event::Block(BlockEvent::BlockMoved { from, to, rank: text("a1"), whole: Some(whole) })
            }
            Item::Task(_) => Event::Task(TaskEvent::TaskMoved { from, to, whole: ANY_TASK.clone() }),
        };
        put(&mut self.tables.parts, part, Some(to));
        self.of_part(part, Some(to), Some(from), event);
    }

    fn removes_part(&mut self, part: Item, note: NoteId, byte: u8) {
        let note = self.has_part(part, note, byte);
        let event = match (part, note) {
            (Item::Block(_), Some(note_id)) if byte.is_multiple_of(2) => {
                Event::Block(BlockEvent::BlockRemoved { note_id })
            }
            (Item::Block(_), Some(note_id)) => {
                Event::Block(BlockEvent::BlockRestored { note_id, rank: text("a2") })
            }
            (Item::Block(_), None) => panic!("every block is in a note"),
            (Item::Task(_), note_id) if byte.is_multiple_of(2) => {
                Event::Task(TaskEvent::TaskRemoved { note_id })
            }
            (Item::Task(_), note_id) => Event::Task(TaskEvent::TaskRestored { note_id }),
        };
        self.of_part(part, note, None, event);
    }

    /// Records an event in the form of the log, and takes in its effects from there.
    fn records(
        &mut self,
        event: Event,
        id: &impl ToString,
        scopes: &[Scope],
        part: Option<(Item, Option<NoteId>)>,
    ) {
        let scopes: Vec<String> = scopes.iter().map(Scope::to_string).collect();
        let effects = Effect::to_json(&event.effects(&Scopes::parse(&scopes)));
        let (kind, event_type) = named(&event);
        let recorded = Recorded {
            position: i64::try_from(self.log.len()).expect("few events") + 1,
            id: Uuid::nil(),
            at: DateTime::UNIX_EPOCH,
            aggregate: AggregateRef { kind: kind.to_owned(), id: id.to_string(), version: 1 },
            event_type,
            event_version: event.version().to_owned(),
            data: Value::Null,
            scopes,
            effects,
            meta: Meta { actor: String::new(), correlation: String::new(), causation: String::new() },
        };
        let subject = Subject::of(&recorded, None).expect("effects of this release");
        let erased = today::Subject::of(&Opened { recorded: recorded.clone(), event: None });
        let event_type = recorded.event_type.clone();
        let today = today::Subject::of(&Opened { recorded, event: Some(event) });
        self.ledger.take(&subject);
        let notes = self.tables.notes.iter().copied();
        let notes = notes.filter(|(note, _)| today.scopes.contains(&today::Scope::Note(*note))).collect();
        self.log.push(Entry { event_type, today, erased, subject, notes, part, left: None });
    }
}

fn id_of(part: Item) -> Uuid {
    match part {
        Item::Block(BlockId(id)) | Item::Task(TaskId(id)) => id,
    }
}

/// Whose a task is.
fn owner_of(part: Item) -> UserId {
    pick(&USERS, id_of(part).as_bytes()[15])
}

pub(super) fn get<K: Copy + PartialEq, V: Copy>(rows: &[(K, V)], key: K) -> Option<V> {
    rows.iter().find(|(of, _)| *of == key).map(|(_, value)| *value)
}

fn put<K: Copy + PartialEq, V>(rows: &mut Vec<(K, V)>, key: K, value: V) {
    match rows.iter_mut().find(|(of, _)| *of == key) {
        Some((_, old)) => *old = value,
        None => rows.push((key, value)),
    }
}

fn pick<T: Copy>(all: &[T], byte: u8) -> T {
    all[usize::from(byte) % all.len()]
}

/// The aggregate type and the event's name.
fn named(event: &Event) -> (&'static str, String) {
    fn of<E: AggregateEvent>(event: &E) -> (&'static str, String) {
        (E::AGGREGATE, event.event_type())
    }
    match event {
        Event::User(event) => of(event),
        Event::Session(event) => of(event),
        Event::Member(event) => of(event),
        Event::Notebook(event) => of(event),
        Event::Note(event) => of(event),
        Event::Block(event) => of(event),
        Event::Task(event) => of(event),
    }
}
