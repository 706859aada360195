//! Sessions: the logins of a person. A session is an aggregate of the module users, so that a login never conflicts
//! with a change of the account.

use serde::{Deserialize, Serialize};

use crate::domain::access::{Effect, Scopes};
use crate::domain::id::UserId;

/// A fact about one login. Stored for ever: add variants and optional fields, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::AsRefStr, strum::VariantNames)]
#[serde(tag = "type")]
pub enum SessionEvent {
    /// A person logged in.
    SessionOpened {
        /// Whose session it is.
        user_id: UserId,
        /// What the client calls itself.
        device: Option<String>,
        /// The peer's address.
        address: Option<String>,
    },
    /// The person logged out, or the session was ended for them. Names the person: it must be readable for ever.
    SessionEnded {
        /// Whose session it was.
        user_id: UserId,
    },
}

impl SessionEvent {
    /// The version of this event's form.
    pub fn version(&self) -> &'static str {
        match self {
            Self::SessionOpened { .. } | Self::SessionEnded { .. } => "1.0",
        }
    }

    /// Whether it is stored in clear, as it says that something ended and so must outlive its key.
    pub fn is_in_clear(&self) -> bool {
        match self {
            Self::SessionOpened { .. } => false,
            Self::SessionEnded { .. } => true,
        }
    }

    /// What it does to containers and grants.
    pub fn effects(&self, _: &Scopes) -> Vec<Effect> {
        match self {
            Self::SessionOpened { .. } | Self::SessionEnded { .. } => Vec::new(),
        }
    }
}

crate::aggregate_event!(SessionEvent, aggregate: "session");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{ID, keep_effects, keep_stored_form};

    pub(super) fn samples() -> Vec<SessionEvent> {
        vec![
            SessionEvent::SessionOpened {
                user_id: UserId(ID),
                device: Some("laptop".to_owned()),
                address: Some("127.0.0.1".to_owned()),
            },
            SessionEvent::SessionEnded { user_id: UserId(ID) },
        ]
    }

    #[test]
    pub(super) fn every_event_keeps_its_stored_form() {
        keep_stored_form(&samples(), |stored| {
            insta::assert_snapshot!(stored, @r#"
            SessionOpened 1.0 {"address":"127.0.0.1","device":"laptop","user_id":"0193a5f0-0000-7000-8000-000000000001"}
            SessionEnded 1.0 {"user_id":"0193a5f0-0000-7000-8000-000000000001"}
            "#);
        });
    }

    #[test]
    pub(super) fn every_event_keeps_its_effects() {
        keep_effects(&samples(), &["user:0193a5f0-0000-7000-8000-000000000001"], |stored| {
            insta::assert_snapshot!(stored, @r"
            SessionOpened null
            SessionEnded null
            ");
        });
    }
}
