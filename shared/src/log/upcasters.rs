//! Lifts old versions of stored events to the newest one before anything reads them.
//!
//! To change the form of an event, raise its `event_version`, add a function here that turns the old `data` into the
//! new, and add a test with a sample of the old. Aggregates, projections, sockets and history all read through
//! [`upcast`].

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
pub const UPCASTERS: &[Upcaster] =
    &[Upcaster { event_type: "NotebookDescribed", from: "1.0", to: "2.0", lift: cleared_is_null }];

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

/// In `NotebookDescribed` 1.0 a description that was cleared was an empty text; since 2.0 it is null.
fn cleared_is_null(mut data: Value) -> Value {
    if let Some(description) = data.get_mut("description")
        && description == ""
    {
        description.take();
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Event;
    use crate::domain::notebooks::NotebookEvent;
    use crate::domain::tests::samples;
    use crate::domain::text::Description;
    use serde_json::json;

    /// What 1.0 has stored becomes, and what 2.0 has stored stays.
    #[test]
    fn a_cleared_description_is_null_since_2_0() {
        for (old, new, text) in [
            (json!({"description": ""}), json!({"description": null}), None),
            (json!({"description": "text"}), json!({"description": "text"}), Some("text")),
        ] {
            let lifted = ("2.0".to_owned(), new);
            assert_eq!(upcast("NotebookDescribed", "1.0".to_owned(), old), lifted);
            let (version, data) = lifted.clone();
            assert_eq!(upcast("NotebookDescribed", version, data.clone()), lifted);
            let description = text.map(|text| Description::try_from(text.to_owned()).expect("a description"));
            let described = Event::Notebook(NotebookEvent::NotebookDescribed { description });
            assert_eq!(Event::parse("NotebookDescribed", data).ok(), Some(described));
        }
    }

    #[test]
    fn every_event_is_written_in_its_newest_version() {
        for (event_type, data) in samples() {
            let event = Event::parse(event_type, data).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(event.version(), newest(event_type), "{event_type}");
        }
    }

    #[test]
    fn other_types_and_versions_are_left_alone() {
        for (event_type, version) in [("NotebookRenamed", "1.0"), ("NotebookDescribed", "3.0")] {
            let as_stored = (version.to_owned(), json!({"description": ""}));
            assert_eq!(upcast(event_type, version.to_owned(), as_stored.1.clone()), as_stored);
        }
    }
}
