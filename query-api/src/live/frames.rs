//! The frames of `daybook.v1`: JSON objects told apart by their `type`. docs/live.md explains them to clients.

use axum::extract::ws::Utf8Bytes;
use serde::{Deserialize, Serialize};
use shared::log::event::Recorded;

/// The only version there is.
pub(super) const PROTOCOL: &str = "daybook.v1";
/// The longest frame a client may send, in bytes; larger commands go by REST.
pub(super) const FRAME_BYTES: usize = 64 * 1024;
/// Topics one socket may subscribe to.
pub(super) const TOPICS: usize = 200;

/// What a client sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ClientFrame {
    /// The first frame.
    Hello {
        /// An access token; left out when the address carried a ticket.
        token: Option<String>,
        /// Scopes, or `*`.
        #[serde(default = "everything")]
        topics: Vec<String>,
        /// Where the client left off.
        resume: Option<Resume>,
    },
    /// More topics, from now on.
    Subscribe {
        /// Comes back with the reply.
        id: String,
        /// Scopes, or `*`.
        topics: Vec<String>,
        /// Only these event types.
        events: Option<Vec<String>>,
    },
    /// Fewer topics, from now on.
    Unsubscribe {
        /// Comes back with the reply.
        id: String,
        /// As they were subscribed.
        topics: Vec<String>,
    },
    /// A newer access token of the same person, before the old one ends.
    Token {
        /// The token.
        token: String,
    },
    /// Are you there?
    Ping {},
}

/// Where a client left off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    /// The history its position counts in.
    pub(super) epoch: String,
    /// The last position it has taken in.
    pub(super) after: i64,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerFrame<'a> {
    Welcome { protocol: &'static str, epoch: &'a str, position: i64, heartbeat_ms: u64, limits: Limits },
    Live { position: i64 },
    Progress { position: i64 },
    Reply { id: &'a str, position: i64 },
    Refused { id: Option<&'a str>, code: &'a str, detail: &'a str },
    Event { event: &'a Recorded },
    Reset { reason: &'static str },
    Pong {},
    Bye { code: &'a str, reconnect_after_ms: Option<u64> },
}

/// What a client has to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Limits {
    frame_bytes: usize,
    topics: usize,
}

/// The limits in force.
pub(super) const LIMITS: Limits = Limits { frame_bytes: FRAME_BYTES, topics: TOPICS };

impl ServerFrame<'_> {
    /// As it goes over the wire.
    pub(super) fn text(&self) -> Utf8Bytes {
        serde_json::to_string(self).expect("frames are plain data with string keys").into()
    }
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_asks_for_everything_unless_it_says_otherwise() {
        let hello = serde_json::from_str(r#"{"type": "hello", "token": "t"}"#).expect("a frame");
        assert!(matches!(hello, ClientFrame::Hello { topics, resume: None, .. } if topics == ["*"]));
    }

    #[test]
    fn an_unknown_frame_or_field_is_refused() {
        for wrong in [
            r#"{"type": "sing"}"#,
            r#"{"type": "hello", "tokn": "t"}"#,
            r#"{"type": "ping", "more": 1}"#,
            r#"{"type": "hello", "resume": {"epoch": "0000000a", "after": "7"}}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<ClientFrame>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_frame_names_itself() {
        assert_eq!(ServerFrame::Live { position: 7 }.text().as_str(), r#"{"type":"live","position":7}"#);
        assert_eq!(ServerFrame::Pong {}.text().as_str(), r#"{"type":"pong"}"#);
    }
}
