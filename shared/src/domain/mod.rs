//! The language of every module, and the one list of all events.

pub mod access;
mod aggregate_event;
pub mod clock;
pub mod id;
pub mod rank;
pub mod text;

pub mod blocks;
pub mod members;
pub mod notebooks;
pub mod notes;
pub mod sessions;
pub mod tasks;
pub mod users;

use serde_json::Value;

use access::{Effect, Scopes};
pub use aggregate_event::AggregateEvent;
use blocks::BlockEvent;
use members::MemberEvent;
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
    /// members of notebooks and notes
    Member(MemberEvent),
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
    ($($variant:ident($event:ty),)*) => {
        $(impl Listed for $event {
            fn pick(event: Event) -> Option<Self> {
                if let Event::$variant(event) = event { Some(event) } else { None }
            }

            fn of(event: &Event) -> Option<&Self> {
                if let Event::$variant(event) = event { Some(event) } else { None }
            }
        })*

        /// Of the samples of all modules the type, and the data that are stored.
        #[cfg(test)]
        pub(crate) fn samples() -> Vec<(String, Value)> {
            let mut all = Vec::new();
            $(all.extend(<$event>::samples().iter().map(|event| (event.as_ref().to_owned(), event.data())));)*
            all
        }
    };
}

listed! {
    User(UserEvent),
    Session(SessionEvent),
    Member(MemberEvent),
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
            || MemberEvent::knows(event_type)
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
            Self::Member(event) => event.version(),
            Self::Notebook(event) => event.version(),
            Self::Note(event) => event.version(),
            Self::Block(event) => event.version(),
            Self::Task(event) => event.version(),
        }
    }

    /// What it does to containers and grants, when it is recorded with these scopes.
    pub fn effects(&self, scopes: &Scopes) -> Vec<Effect> {
        match self {
            Self::User(event) => event.effects(scopes),
            Self::Session(event) => event.effects(scopes),
            Self::Member(event) => event.effects(scopes),
            Self::Notebook(event) => event.effects(scopes),
            Self::Note(event) => event.effects(scopes),
            Self::Block(event) => event.effects(scopes),
            Self::Task(event) => event.effects(scopes),
        }
    }

    /// Reads an event by its type's name.
    pub fn parse(event_type: &str, data: Value) -> Result<Self, ParseError> {
        let malformed = |error| ParseError::Malformed(event_type.to_owned(), error);
        if UserEvent::knows(event_type) {
            UserEvent::parse(event_type, data).map(Self::User).map_err(malformed)
        } else if SessionEvent::knows(event_type) {
            SessionEvent::parse(event_type, data).map(Self::Session).map_err(malformed)
        } else if MemberEvent::knows(event_type) {
            MemberEvent::parse(event_type, data).map(Self::Member).map_err(malformed)
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
    use std::fmt::Debug;
    use strum::VariantNames;
    use uuid::Uuid;

    /// An id for samples.
    pub(crate) const ID: Uuid = Uuid::from_u128(0x0193_a5f0_0000_7000_8000_0000_0000_0001);

    /// A value that is made of a text.
    pub(crate) fn text<T: TryFrom<String, Error: Debug>>(text: &str) -> T {
        text.to_owned().try_into().expect("a good text")
    }

    /// JSON on one line, or, if that would be a long one, with a line for each field.
    fn lines(json: &Value) -> String {
        let line = json.to_string();
        if line.len() > 120 { format!("{json:#}") } else { line }
    }

    /// Stored JSON is a promise. Of a sample of each event of a module, which must be complete, `compare` compares type,
    /// version and data with a snapshot in that module's tests.
    pub(crate) fn keep_stored_form<E: Listed + VariantNames>(samples: &[E], compare: impl FnOnce(String)) {
        for event_type in E::VARIANTS {
            let has_sample = samples.iter().any(|sample| sample.event_type() == *event_type);
            assert!(has_sample, "{event_type} has no sample of its stored form");
        }
        let stored = samples.iter().map(|sample| {
            let (event_type, data) = (sample.event_type(), sample.data());
            let read = Event::parse(&event_type, data.clone()).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(E::of(&read), Some(sample), "{event_type}");
            assert_eq!(E::of(&read).map(E::data).as_ref(), Some(&data), "{event_type}");
            assert!(Event::knows(&event_type), "{event_type}");
            format!("{event_type} {} {}\n", sample.event_version(), lines(&data))
        });
        let stored = stored.collect();
        let advice = "What is stored of an event has changed, and events of the old form stay in the log. If there is \
            more than a new optional field or a new event, give it a new version and an upcaster \
            (shared/src/log/upcasters.rs). Then write the new form into the snapshot.";
        insta::with_settings!({description => advice}, { compare(stored) });
    }

    /// Effects are stored as well. `compare` compares those of each sample with a snapshot in that module's tests.
    pub(crate) fn keep_effects<E: Listed>(samples: &[E], scopes: &[&str], compare: impl FnOnce(String)) {
        let scopes = Scopes::parse(scopes);
        let stored = samples.iter().map(|sample| {
            let effects = Effect::to_json(&sample.effects(&scopes)).unwrap_or_default();
            format!("{} {}\n", sample.event_type(), lines(&effects))
        });
        let stored = stored.collect();
        let advice = "What an event does to containers and grants has changed. Who sees events of the past is decided \
            by the effects that were stored with them, so both must be right together.";
        insta::with_settings!({description => advice}, { compare(stored) });
    }

    #[test]
    fn an_event_of_a_newer_release_is_told_from_a_broken_one() {
        assert!(matches!(Event::parse("NoteSung", json!({})), Err(ParseError::UnknownType(_))));
        assert!(!Event::knows("NoteSung"));
        assert!(matches!(Event::parse("NoteRetitled", json!({})), Err(ParseError::Malformed(..))));
    }
}
