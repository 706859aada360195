//! Typed ids: a note's id cannot be passed where a notebook's id is expected.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[cfg_attr(feature = "log", derive(sqlx::Type), sqlx(transparent))]
        pub struct $name(#[serde(deserialize_with = "hyphenated")] pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse::<Hyphenated>().map(|id| Self(id.into_uuid()))
            }
        }
    };
}

id!(
    /// A person.
    UserId
);
id!(
    /// One login of a person on one device.
    SessionId
);
id!(
    /// A notebook: a container of notes.
    NotebookId
);
id!(
    /// A note.
    NoteId
);
id!(
    /// A block of a note. Of a task block also the id of its task.
    BlockId
);
id!(
    /// A task. One with a block has that block's id.
    TaskId
);

/// Reads an id: 32 hexadecimal digits in either case, with four hyphens. Other forms of a UUID (`urn:uuid:…`, braces, no
/// hyphens, an array of bytes) are refused, because they would be further names of the same thing.
fn hyphenated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    struct Text;

    impl de::Visitor<'_> for Text {
        type Value = Uuid;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a UUID such as 0193a5f0-0000-7000-8000-000000000001")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Uuid, E> {
            let id: Hyphenated =
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
            Ok(id.into_uuid())
        }
    }

    deserializer.deserialize_str(Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ID: &str = "0193a5f0-0000-7000-8000-00000000abcd";

    #[test]
    fn an_id_is_read_in_either_case_and_written_in_lower_case() {
        for text in [ID.to_owned(), ID.to_ascii_uppercase()] {
            let id: NoteId = serde_json::from_value(json!(text)).expect("a UUID");
            assert_eq!((id.to_string(), json!(id)), (ID.to_owned(), json!(ID)));
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn other_forms_of_a_uuid_are_no_ids() {
        let texts = [
            ID.replace('-', ""),
            format!("{{{ID}}}"),
            format!("urn:uuid:{ID}"),
            format!(" {ID}"),
            ID[1..].to_owned(),
        ];
        for text in texts {
            assert!(text.parse::<NoteId>().is_err(), "{text}");
            assert!(serde_json::from_value::<NoteId>(json!(text)).is_err(), "{text}");
        }
        for value in [json!(vec![7; 16]), json!(7), Value::Null] {
            assert!(serde_json::from_value::<NoteId>(value.clone()).is_err(), "{value}");
        }
    }
}
