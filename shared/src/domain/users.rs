//! Persons: what can happen to an account.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::access::{Effect, Scopes};
use crate::domain::text::{DisplayName, Email, Username, WebAddress};

/// A fact about one person. Stored for ever: add variants and optional fields, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::AsRefStr, strum::VariantNames)]
#[serde(tag = "type")]
pub enum UserEvent {
    /// Someone made an account. The password is no part of it: credentials are side rows.
    UserRegistered {
        /// Unique without regard to case.
        email: Email,
        /// Unique without regard to case.
        username: Username,
        /// What others see.
        display_name: DisplayName,
    },
    /// The person changed how they present themselves; the whole profile as it is now.
    ProfileEdited {
        /// What others see.
        display_name: DisplayName,
        /// Given name.
        first_name: Option<DisplayName>,
        /// Family name.
        last_name: Option<DisplayName>,
        /// A picture.
        avatar_url: Option<WebAddress>,
    },
    /// The person's preferences as they are now; their meaning is the clients'.
    PreferencesSet {
        /// A JSON object of at most 64 KiB.
        preferences: Map<String, Value>,
    },
}

impl UserEvent {
    /// The version of this event's form.
    pub fn version(&self) -> &'static str {
        match self {
            Self::UserRegistered { .. } | Self::ProfileEdited { .. } | Self::PreferencesSet { .. } => "1.0",
        }
    }

    /// Whether it is stored in clear, as it says that something ended and so must outlive its key.
    pub fn is_in_clear(&self) -> bool {
        match self {
            Self::UserRegistered { .. } | Self::ProfileEdited { .. } | Self::PreferencesSet { .. } => false,
        }
    }

    /// What it does to containers and grants.
    pub fn effects(&self, _: &Scopes) -> Vec<Effect> {
        match self {
            Self::UserRegistered { .. } | Self::ProfileEdited { .. } | Self::PreferencesSet { .. } => {
                Vec::new()
            }
        }
    }
}

crate::aggregate_event!(UserEvent, aggregate: "user");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{keep_effects, keep_stored_form, text};
    use serde_json::json;

    pub(super) fn samples() -> Vec<UserEvent> {
        let preferences = json!({"theme": "dark", "zoom": 1.25, "one": 1.0, "least": 5e-324});
        let Value::Object(preferences) = preferences else { panic!("an object") };
        vec![
            UserEvent::UserRegistered {
                email: text("ada@example.org"),
                username: text("ada"),
                display_name: text("Ada"),
            },
            UserEvent::ProfileEdited {
                display_name: text("Ada L."),
                first_name: Some(text("Ada")),
                last_name: None,
                avatar_url: None,
            },
            UserEvent::PreferencesSet { preferences },
        ]
    }

    #[test]
    pub(super) fn every_event_keeps_its_stored_form() {
        keep_stored_form(&samples(), |stored| {
            insta::assert_snapshot!(stored, @r#"
            UserRegistered 1.0 {"display_name":"Ada","email":"ada@example.org","username":"ada"}
            ProfileEdited 1.0 {"avatar_url":null,"display_name":"Ada L.","first_name":"Ada","last_name":null}
            PreferencesSet 1.0 {"preferences":{"least":5e-324,"one":1.0,"theme":"dark","zoom":1.25}}
            "#);
        });
    }

    #[test]
    pub(super) fn every_event_keeps_its_effects() {
        keep_effects(&samples(), &["user:0193a5f0-0000-7000-8000-000000000001"], |stored| {
            insta::assert_snapshot!(stored, @r"
            UserRegistered null
            ProfileEdited null
            PreferencesSet null
            ");
        });
    }
}
