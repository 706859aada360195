//! Events for tests, made from their names alone.

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::Event;
use shared::log::event::{AggregateRef, Meta, Opened, Recorded};
use uuid::Uuid;

/// An id that is easily told from others.
pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A time, so many seconds after the beginning.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// The event of a position; its aggregate is `id(1)`.
pub(crate) fn recorded(position: i64) -> Recorded {
    Recorded {
        position,
        id: id(u128::try_from(position).unwrap_or_default()),
        at: at(position),
        aggregate: AggregateRef { kind: String::new(), id: id(1).to_string(), version: position },
        event_type: String::new(),
        event_version: "1.0".to_owned(),
        data: serde_json::Value::Null,
        scopes: vec![],
        effects: None,
        meta: Meta { actor: "ada".to_owned(), correlation: String::new(), causation: String::new() },
    }
}

/// `event` happened at `position` to the aggregate `about`.
pub(crate) fn opened(position: i64, about: u128, event: Event) -> Opened {
    let mut recorded = recorded(position);
    recorded.aggregate.id = id(about).to_string();
    Opened { recorded, event: Some(event) }
}
