//! What the events of every module have in common.

use cqrs_es::DomainEvent;
use serde_json::{Map, Value};

use crate::domain::access::{Effect, Scopes};

/// What the event enum of each aggregate type says of itself.
pub trait AggregateEvent: DomainEvent {
    /// The aggregate type: a singular noun, the same in stored events, subjects and on the wire.
    const AGGREGATE: &'static str;

    /// Whether the data is encrypted. An event that says that something ended stays in clear: it must outlive the key. So
    /// does a grant, which has no key.
    fn is_encrypted(&self) -> bool;

    /// Whether this is one of our event types.
    fn knows(event_type: &str) -> bool;

    /// Whether it holds the whole state of its aggregate, so that earlier events are not needed, erased or not.
    fn tells_all(&self) -> bool {
        false
    }

    /// What it does to containers and grants, when it is recorded with these scopes: mostly nothing.
    fn effects(&self, scopes: &Scopes) -> Vec<Effect>;

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

    /// Samples of all its events, from the tests beside it.
    #[cfg(test)]
    fn samples() -> Vec<Self>;
}

/// Implements cqrs-es' and our own trait for an event enum that derives `AsRefStr` and `VariantNames`. The tests beside
/// it must have samples of its events, a test that holds what is stored of them, and one that holds their effects.
#[macro_export]
macro_rules! aggregate_event {
    ($event:ty, aggregate: $aggregate:literal$(, tells_all: $tells_all:ident)?) => {
        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.as_ref().to_owned()
            }

            fn event_version(&self) -> String {
                self.version().to_owned()
            }
        }

        impl $crate::domain::AggregateEvent for $event {
            const AGGREGATE: &'static str = $aggregate;

            fn is_encrypted(&self) -> bool {
                !self.is_in_clear()
            }

            fn knows(event_type: &str) -> bool {
                <Self as strum::VariantNames>::VARIANTS.contains(&event_type)
            }

            fn effects(&self, scopes: &$crate::domain::access::Scopes) -> Vec<$crate::domain::access::Effect> {
                <$event>::effects(self, scopes)
            }

            $(fn tells_all(&self) -> bool {
                <$event>::$tells_all(self)
            })?

            #[cfg(test)]
            fn samples() -> Vec<Self> {
                tests::samples()
            }
        }

        #[cfg(test)]
        const _: [fn(); 2] = [tests::every_event_keeps_its_stored_form, tests::every_event_keeps_its_effects];
    };
}
