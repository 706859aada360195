//! Sessions: the logins of a person. A session is an aggregate of the module users, so that a login never conflicts
//! with a change of the account.

use serde::{Deserialize, Serialize};

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

    /// Whether it says that something ended, and so must outlive its key.
    pub fn says_an_end(&self) -> bool {
        match self {
            Self::SessionOpened { .. } => false,
            Self::SessionEnded { .. } => true,
        }
    }
}

crate::aggregate_event!(SessionEvent, aggregate: "session");
