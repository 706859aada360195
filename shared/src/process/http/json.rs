//! Parses JSON, and refuses an object with two members of the same name: programs differ in which of the two they take
//! (RFC 8259, section 4), so one that checks a body could see other values than one that acts on it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Why a text is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum JsonError {
    /// It is no JSON.
    #[error("the text is not JSON: {0}")]
    Syntax(serde_json::Error),
    /// An object has two members of the name at this JSON pointer.
    #[error("{0} is there twice")]
    Duplicate(String),
}

/// Reads a text that is one JSON value.
pub(super) fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut twice = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let parsed = Unique { twice: &mut twice }.deserialize(&mut deserializer);
    if !twice.is_empty() {
        twice.reverse();
        return Err(JsonError::Duplicate(twice.iter().fold(String::new(), |at, name| below(&at, name))));
    }
    let value = parsed.map_err(JsonError::Syntax)?;
    deserializer.end().map_err(JsonError::Syntax)?;
    Ok(value)
}

/// The JSON pointer (RFC 6901) to a member or item below another one.
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Reads a [`Value`], and fails at a duplicate member.
struct Unique<'a> {
    /// The names on the way to a duplicate, from the inside out; empty until one is found.
    twice: &'a mut Vec<String>,
}

impl Unique<'_> {
    /// What comes next, read by `next`; `name` says where it stands.
    fn inside<T>(&mut self, name: &impl ToString, next: impl FnOnce(Unique<'_>) -> T) -> T {
        let read = next(Unique { twice: self.twice });
        if !self.twice.is_empty() {
            self.twice.push(name.to_string());
        }
        read
    }
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = self.inside(&items.len(), |unique| seq.next_element_seed(unique))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            match members.entry(name) {
                Entry::Vacant(free) => {
                    let value = self.inside(free.key(), |unique| map.next_value_seed(unique))?;
                    free.insert(value);
                }
                Entry::Occupied(taken) => {
                    self.twice.push(taken.key().clone());
                    return Err(A::Error::custom("a duplicate member"));
                }
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

    fn twice(text: &str) -> Option<String> {
        match parse(text.as_bytes()) {
            Err(JsonError::Duplicate(pointer)) => Some(pointer),
            Err(JsonError::Syntax(_)) | Ok(_) => None,
        }
    }

    #[test]
    fn a_duplicate_member_is_found_at_every_depth() {
        for (text, pointer) in [
            (r#"{"a": 1, "a": 1}"#, "/a"),
            (r#"{"a": {"b": [0, {"c/d": 1, "c/d": 2}]}}"#, "/a/b/1/c~1d"),
            (r#"[[], [{"": 1, "": 1}]]"#, "/1/0/"),
            (r#"{"a": 1, "\u0061": 2}"#, "/a"),
            (r#"{"a": {"x": 1}, "b": {"x": 1, "x": 1}}"#, "/b/x"),
            // Whatever comes after it.
            (r#"{"a": 1, "a": {"#, "/a"),
        ] {
            assert_eq!(twice(text).as_deref(), Some(pointer), "{text}");
        }
        for text in [r#"{"a": 1, "b": {"a": 1}}"#, r#"[{"a": 1}, {"a": 1}]"#, r#"{"a": 1, "A": 1}"#] {
            assert_eq!(twice(text), None, "{text}");
            assert!(parse(text.as_bytes()).is_ok());
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_read_as_serde_json_reads_it(value in values()) {
            let text = value.to_string();
            let expected: Value = serde_json::from_str(&text).expect("it was written as JSON");
            prop_assert_eq!(parse(text.as_bytes()).expect("no member stands twice"), expected);
        }

        #[test]
        fn a_text_is_accepted_exactly_if_serde_json_accepts_it(text in ".{0,40}") {
            prop_assert_eq!(parse(text.as_bytes()).is_ok(), serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
