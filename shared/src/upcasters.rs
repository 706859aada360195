//! Old forms of stored events, lifted to today's before anything reads them.
//!
//! To change an event's form: raise its `event_version`, add a function here that turns the old `data` into the new, and
//! a test that holds a sample of the old. Aggregates, projections, sockets and history all read through [`upcast`].

use serde_json::Value;

/// One step from a version of an event type to the next.
pub struct Upcaster {
    /// The event type that changed.
    pub event_type: &'static str,
    /// The version that this step reads.
    pub from: &'static str,
    /// The version that it produces.
    pub to: &'static str,
    /// The step itself, over the event's `data`.
    pub lift: fn(Value) -> Value,
}

/// Every step there is, in the order in which they were added.
pub const UPCASTERS: &[Upcaster] = &[];

/// The version of an event type that this release writes; every type began with 1.0.
pub fn newest(event_type: &str) -> &'static str {
    UPCASTERS.iter().rev().find(|step| step.event_type == event_type).map_or("1.0", |step| step.to)
}

/// Lifts `data` through every step that applies.
pub fn upcast(event_type: &str, version: String, data: Value) -> (String, Value) {
    UPCASTERS.iter().fold((version, data), |(version, data), step| {
        if step.event_type == event_type && step.from == version {
            (step.to.to_owned(), (step.lift)(data))
        } else {
            (version, data)
        }
    })
}
