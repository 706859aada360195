//! The language of every module, and the one list of all events.

pub mod access;
mod aggregate_event;
pub mod clock;
pub mod id;
pub mod rank;
pub mod text;

pub mod blocks;
pub mod notebooks;
pub mod notes;
pub mod sessions;
pub mod tasks;
pub mod users;

use serde_json::Value;

pub use aggregate_event::AggregateEvent;
use blocks::BlockEvent;
use notebooks::NotebookEvent;
use notes::NoteEvent;
use sessions::SessionEvent;
use tasks::TaskEvent;
use users::UserEvent;

/// Any event of any module: the table of contents. A new module adds a line here, and the compiler names the other places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// users
    User(UserEvent),
    /// users: one login
    Session(SessionEvent),
    /// notebooks
    Notebook(NotebookEvent),
    /// notes
    Note(NoteEvent),
    /// blocks
    Block(BlockEvent),
    /// tasks
    Task(TaskEvent),
}

/// The events of one aggregate type, as a part of all.
pub trait Listed: AggregateEvent {
    /// This aggregate's event out of the list of all; `None` for another's.
    fn pick(event: Event) -> Option<Self>;

    /// The same, to look at.
    fn of(event: &Event) -> Option<&Self>;
}

macro_rules! listed {
    ($($variant:ident($event:ty),)*) => {$(
        impl Listed for $event {
            fn pick(event: Event) -> Option<Self> {
                if let Event::$variant(event) = event { Some(event) } else { None }
            }

            fn of(event: &Event) -> Option<&Self> {
                if let Event::$variant(event) = event { Some(event) } else { None }
            }
        }
    )*};
}

listed! {
    User(UserEvent),
    Session(SessionEvent),
    Notebook(NotebookEvent),
    Note(NoteEvent),
    Block(BlockEvent),
    Task(TaskEvent),
}

/// Why a stored event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// A newer release wrote it.
    #[error("this release does not know events of type {0}")]
    UnknownType(String),
    /// Its type is known, but a newer release wrote another version.
    #[error("this release does not know version {1} of events of type {0}")]
    UnknownVersion(String, String),
    /// Its type is known, but it does not have its form.
    #[error("the data of a {0} does not have its form: {1}")]
    Malformed(String, serde_json::Error),
}

impl ParseError {
    /// Whether a newer release may be able to read it.
    pub fn is_newer(&self) -> bool {
        match self {
            Self::UnknownType(_) | Self::UnknownVersion(..) => true,
            Self::Malformed(..) => false,
        }
    }
}

impl Event {
    /// Whether this release knows events of this type.
    pub fn knows(event_type: &str) -> bool {
        UserEvent::knows(event_type)
            || SessionEvent::knows(event_type)
            || NotebookEvent::knows(event_type)
            || NoteEvent::knows(event_type)
            || BlockEvent::knows(event_type)
            || TaskEvent::knows(event_type)
    }

    /// The version of this event's form.
    pub fn version(&self) -> &'static str {
        match self {
            Self::User(event) => event.version(),
            Self::Session(event) => event.version(),
            Self::Notebook(event) => event.version(),
            Self::Note(event) => event.version(),
            Self::Block(event) => event.version(),
            Self::Task(event) => event.version(),
        }
    }

    /// Reads an event by its type's name.
    pub fn parse(event_type: &str, data: Value) -> Result<Self, ParseError> {
        let malformed = |error| ParseError::Malformed(event_type.to_owned(), error);
        if UserEvent::knows(event_type) {
            UserEvent::parse(event_type, data).map(Self::User).map_err(malformed)
        } else if SessionEvent::knows(event_type) {
            SessionEvent::parse(event_type, data).map(Self::Session).map_err(malformed)
        } else if NotebookEvent::knows(event_type) {
            NotebookEvent::parse(event_type, data).map(Self::Notebook).map_err(malformed)
        } else if NoteEvent::knows(event_type) {
            NoteEvent::parse(event_type, data).map(Self::Note).map_err(malformed)
        } else if BlockEvent::knows(event_type) {
            BlockEvent::parse(event_type, data).map(Self::Block).map_err(malformed)
        } else if TaskEvent::knows(event_type) {
            TaskEvent::parse(event_type, data).map(Self::Task).map_err(malformed)
        } else {
            Err(ParseError::UnknownType(event_type.to_owned()))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::HashSet;
    use strum::VariantNames;

    /// Each event's type and a sample of the data that are stored of it; the list must be complete.
    pub(crate) fn samples() -> Vec<(&'static str, Value)> {
        let id = "0193a5f0-0000-7000-8000-000000000001";
        let at = "2026-01-31T12:00:00Z";
        let task =
            json!({"type": "task", "content": {"checked": true, "depth": 0, "text": "Call", "spans": []}});
        vec![
            ("UserRegistered", json!({"email": "ada@example.org", "username": "ada", "display_name": "Ada"})),
            (
                "ProfileEdited",
                json!({"display_name": "Ada L.", "first_name": "Ada", "last_name": null, "avatar_url": null}),
            ),
            (
                "PreferencesSet",
                json!({"preferences": {"theme": "dark", "zoom": 1.25, "one": 1.0, "least": 5e-324}}),
            ),
            ("SessionOpened", json!({"user_id": id, "device": "laptop", "address": "127.0.0.1"})),
            ("SessionEnded", json!({"user_id": id})),
            ("NotebookCreated", json!({"owner": id, "name": "Lab"})),
            ("NotebookRenamed", json!({"name": "Laboratory"})),
            ("NotebookDescribed", json!({"description": null})),
            ("NoteCreated", json!({"notebook_id": id, "title": "Dreams"})),
            ("NoteRetitled", json!({"title": "Plans"})),
            ("NoteMoved", json!({"from": id, "to": id})),
            ("BlockAdded", json!({"note_id": id, "block": task, "rank": "a0"})),
            ("BlockEdited", json!({"note_id": id, "block": task})),
            ("BlockTypeChanged", json!({"note_id": id, "block": task})),
            ("BlockMoved", json!({"from": id, "to": id, "rank": "a0V"})),
            ("BlockRemoved", json!({"note_id": id})),
            ("BlockRestored", json!({"note_id": id, "rank": "Zz"})),
            ("TaskAdded", json!({"note_id": id, "owner": id, "title": "Call", "completed": false})),
            ("TaskRetitled", json!({"title": ""})),
            ("TaskDescribed", json!({"description": null})),
            ("TaskScheduled", json!({"due_at": at})),
            ("TaskScheduled", json!({"due_on": "2026-01-31"})),
            ("TaskUnscheduled", json!({})),
            ("TaskPrioritized", json!({"priority": 4})),
            ("TaskAssigned", json!({"assignee_id": id})),
            ("TaskUnassigned", json!({"assignee_id": id})),
            ("TaskCompleted", json!({})),
            ("TaskReopened", json!({})),
            (
                "TaskMoved",
                json!({"from": id, "to": id, "whole": {"owner": id, "title": "Call", "completed_at": at,
                    "details": {"due_at": at, "priority": 1}, "added_by": "policy:sync", "added_at": at}}),
            ),
            ("TaskRemoved", json!({"note_id": id})),
            ("TaskRestored", json!({"note_id": null})),
        ]
    }

    /// Stored JSON is a promise.
    #[test]
    fn every_event_reads_its_stored_form() {
        let samples = samples();
        for (event_type, data) in &samples {
            let event = Event::parse(event_type, data.clone()).unwrap_or_else(|error| panic!("{error}"));
            let again = match event {
                Event::User(event) => event.data(),
                Event::Session(event) => event.data(),
                Event::Notebook(event) => event.data(),
                Event::Note(event) => event.data(),
                Event::Block(event) => event.data(),
                Event::Task(event) => event.data(),
            };
            assert_eq!(&again, data, "{event_type}");
            assert!(Event::knows(event_type), "{event_type}");
        }
        let known = UserEvent::VARIANTS.len()
            + SessionEvent::VARIANTS.len()
            + NotebookEvent::VARIANTS.len()
            + NoteEvent::VARIANTS.len()
            + BlockEvent::VARIANTS.len()
            + TaskEvent::VARIANTS.len();
        let types: HashSet<&str> = samples.iter().map(|(event_type, _)| *event_type).collect();
        assert_eq!(types.len(), known, "an event has no sample of its stored form");
    }

    #[test]
    fn an_event_of_a_newer_release_is_told_from_a_broken_one() {
        assert!(matches!(Event::parse("NoteSung", json!({})), Err(ParseError::UnknownType(_))));
        assert!(!Event::knows("NoteSung"));
        assert!(matches!(Event::parse("NoteRetitled", json!({})), Err(ParseError::Malformed(..))));
    }
}
