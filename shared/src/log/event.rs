//! The one shape of an event, wherever it is shown: in the stream, on sockets, in history, in exports.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::Event;

/// A stored event. In the log and in the stream its `data` is encrypted; [`crate::log::keyring::Keyring`] decrypts
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Recorded {
    /// Place in the log: 1..N without gaps.
    pub position: i64,
    /// UUID v7, unique among all events.
    pub id: Uuid,
    /// When it was committed; never goes backwards along positions.
    pub at: DateTime<Utc>,
    /// The thing that changed.
    pub aggregate: AggregateRef,
    /// What happened, such as `NoteRetitled`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the form of `data`.
    pub event_version: String,
    /// The facts; null if the key that they were encrypted under has been destroyed.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The containers it belonged to when it was decided, and the persons whom it concerns.
    pub scopes: Vec<String>,
    /// What it does to containers and grants, in clear; absent if nothing. As it is stored, so that effects of a newer
    /// release are passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Object>)]
    pub effects: Option<Value>,
    /// The actor and the causes.
    pub meta: Meta,
}

/// Which thing an event is about, and its version after the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AggregateRef {
    /// What kind of thing it is, such as `note`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id of the thing.
    pub id: String,
    /// Its sequence: 1 for its first event.
    pub version: i64,
}

/// The actor, and the ids of what caused the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Meta {
    /// A user's id, or `policy:<name>`.
    pub actor: String,
    /// The id of the request that started everything.
    pub correlation: String,
    /// The event or the command that led to this one.
    pub causation: String,
}

/// What the actor of a policy's events begins with.
pub const POLICY: &str = "policy:";

/// Whether an actor is a policy.
pub fn is_policy(actor: &str) -> bool {
    actor.starts_with(POLICY)
}

/// A decrypted event: its data is readable again, or gone with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The event as everyone sees it.
    pub recorded: Recorded,
    /// What happened; `None` when it was erased. An erased event folds to nothing.
    pub event: Option<Event>,
}
