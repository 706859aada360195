//! The one shape of an event, wherever it is shown: in the stream, on sockets, in history, in exports.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A stored event. In the log and in the stream its `data` is encrypted; [`crate::log::encryption::Keyring`] decrypts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Recorded {
    /// Place in the log: 1..N without gaps.
    pub position: i64,
    /// UUID v7, unique among all events.
    pub id: Uuid,
    /// When it was committed; never goes backwards along positions.
    pub at: DateTime<Utc>,
    /// The thing that changed.
    pub aggregate: AggregateRef,
    /// What happened, such as `NoteRetitled`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the form of `data`.
    pub event_version: String,
    /// The facts; null if the key that they were encrypted under has been destroyed.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The containers it belonged to when it was decided, and the persons whom it concerns.
    pub scopes: Vec<String>,
    /// The actor and the causes.
    pub meta: Meta,
}

/// Which thing an event is about, and its version after the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AggregateRef {
    /// What kind of thing it is, such as `note`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id of the thing.
    pub id: String,
    /// Its sequence: 1 for its first event.
    pub version: i64,
}

/// The actor, and the ids of what caused the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Meta {
    /// A user's id, or `policy:<name>`.
    pub actor: String,
    /// The id of the request that started everything.
    pub correlation: String,
    /// The event or the command that led to this one.
    pub causation: String,
}

/// What the actor of a policy's events begins with.
pub const POLICY: &str = "policy:";

/// Whether an actor is a policy.
pub fn is_policy(actor: &str) -> bool {
    actor.starts_with(POLICY)
}

/// A decrypted event: its data is readable again, or gone with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The event as everyone sees it.
    pub recorded: Recorded,
    /// What happened; `None` when it was erased. An erased event folds to nothing.
    pub event: Option<crate::domain::Event>,
}

/// What the event enum of each aggregate type says of itself.
pub trait AggregateEvent: DomainEvent {
    /// The aggregate type: a singular noun, the same in stored events, subjects and on the wire.
    const AGGREGATE: &'static str;

    /// Whether the data is encrypted. An event that says that something ended stays in clear: it must outlive the key.
    fn is_encrypted(&self) -> bool;

    /// Whether this is one of our event types.
    fn knows(event_type: &str) -> bool;

    /// This aggregate's event out of the list of all; `None` for another's.
    fn pick(event: crate::domain::Event) -> Option<Self>;

    /// The same, to look at.
    fn of(event: &crate::domain::Event) -> Option<&Self>;

    /// Whether it holds the whole state of its aggregate, so that earlier events are not needed, erased or not.
    fn tells_all(&self) -> bool {
        false
    }

    /// The facts without the name: what `data` holds.
    fn data(&self) -> Value {
        let value = serde_json::to_value(self).expect("events are plain data with string keys");
        match value {
            Value::Object(mut fields) => {
                fields.remove("type");
                Value::Object(fields)
            }
            other
            @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => other,
        }
    }

    /// Reads the facts back under their name.
    fn parse(event_type: &str, data: Value) -> serde_json::Result<Self> {
        let mut fields = match data {
            Value::Object(fields) => fields,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        fields.insert("type".to_owned(), Value::String(event_type.to_owned()));
        serde_json::from_value(Value::Object(fields))
    }
}

/// Implements cqrs-es' and our own trait for an event enum that derives `AsRefStr` and `VariantNames`.
#[macro_export]
macro_rules! aggregate_event {
    ($event:ty, variant: $variant:ident, aggregate: $aggregate:literal$(, tells_all: $tells_all:ident)?) => {
        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.as_ref().to_owned()
            }

            fn event_version(&self) -> String {
                self.version().to_owned()
            }
        }

        impl $crate::log::event::AggregateEvent for $event {
            const AGGREGATE: &'static str = $aggregate;

            fn is_encrypted(&self) -> bool {
                !self.says_an_end()
            }

            fn knows(event_type: &str) -> bool {
                <Self as strum::VariantNames>::VARIANTS.contains(&event_type)
            }

            fn pick(event: $crate::domain::Event) -> Option<Self> {
                if let $crate::domain::Event::$variant(event) = event { Some(event) } else { None }
            }

            fn of(event: &$crate::domain::Event) -> Option<&Self> {
                if let $crate::domain::Event::$variant(event) = event { Some(event) } else { None }
            }

            $(fn tells_all(&self) -> bool {
                <$event>::$tells_all(self)
            })?
        }
    };
}
