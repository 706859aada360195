//! What a command hands to the log, and what the log answers.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use shared::domain::access::Effect;
use shared::log::encryption::DataKey;
use shared::log::event::Meta;
use shared::log::stored_event::{Mac, MacInput, Payload};
use uuid::Uuid;

/// Everything one command wants recorded. All of it is, or nothing.
#[derive(Clone, Debug)]
pub struct Append {
    /// What happened, in order; may be empty. Those of one aggregate have sequences without a gap.
    pub events: Vec<NewEvent>,
    /// What was only read to decide, and must not have moved.
    pub expects: Vec<Expect>,
    /// Claims given up, before others are taken.
    pub released: Vec<Claim>,
    /// Claims taken. One already held by the same owner is no clash.
    pub claims: Vec<Claim>,
    /// Items that leave their place, before others are taken.
    pub freed: Vec<Freed>,
    /// Places taken. One the item already has is no clash.
    pub places: Vec<RankSlot>,
    /// Rows that are no events, because they hold secrets.
    pub side: Vec<SideRow>,
    /// What makes the command take effect once.
    pub key: IdempotencyKey,
    /// The id in the answer, for a repeated request with the same key.
    pub answer_id: String,
    /// The version in the answer.
    pub answer_version: i64,
}

impl Append {
    /// An append of nothing but its key; the caller fills in the rest.
    pub fn new(key: IdempotencyKey, answer_id: impl Into<String>, answer_version: i64) -> Self {
        Self {
            events: Vec::new(),
            expects: Vec::new(),
            released: Vec::new(),
            claims: Vec::new(),
            freed: Vec::new(),
            places: Vec::new(),
            side: Vec::new(),
            key,
            answer_id: answer_id.into(),
            answer_version,
        }
    }
}

impl Append {
    /// Whether `es.command` has a row of it: a client may send it again, or nothing else tells that it was recorded.
    pub(super) fn is_kept(&self) -> bool {
        !self.key.ours || self.events.is_empty()
    }
}

/// One event, as it will be stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// A UUID v7, never used before.
    pub event_id: Uuid,
    /// Which kind of stream it belongs to.
    pub aggregate_type: &'static str,
    /// Which stream.
    pub aggregate_id: String,
    /// Its place in the stream, from 1.
    pub sequence: i64,
    /// The event's name, such as `NoteRetitled`.
    pub event_type: String,
    /// The version of its shape, such as `1.0`.
    pub event_version: String,
    /// What it says, encrypted or in clear.
    pub payload: Payload,
    /// The actor and the causes.
    pub meta: Meta,
    /// The idempotency key of a client, for whoever reads the log; no MAC is over it.
    pub key: Option<String>,
    /// The containers and persons it concerns.
    pub scopes: Vec<String>,
    /// What it does to containers and grants.
    pub effects: Vec<Effect>,
    /// Over all of that; see [`NewEvent::with_mac`].
    pub mac: Mac,
}

impl NewEvent {
    /// The same with the MAC of what it says.
    #[must_use]
    pub fn with_mac(mut self, key: &DataKey) -> Self {
        let effects = Effect::to_json(&self.effects);
        let input = MacInput {
            id: &self.event_id,
            aggregate: (self.aggregate_type, &self.aggregate_id),
            sequence: self.sequence,
            event: (&self.event_type, &self.event_version),
            meta: [&self.meta.actor, &self.meta.correlation, &self.meta.causation],
            owner: None,
            scopes: &self.scopes,
            effects: effects.as_ref(),
            digest: self.payload.digest(),
        };
        self.mac = input.mac(key);
        self
    }
}

/// The sequence an aggregate had when it was read; 0: it must not exist.
#[derive(Clone, Debug)]
pub struct Expect {
    /// Which kind of stream.
    pub aggregate_type: &'static str,
    /// Which stream.
    pub aggregate_id: String,
    /// Its last sequence as read.
    pub sequence: i64,
    /// Only its place and state were read: up to 100 later events without effects do not matter, such as another name.
    pub access_only: bool,
}

impl Expect {
    /// Whether it is about that aggregate.
    pub fn is_of(&self, aggregate_type: &str, aggregate_id: &str) -> bool {
        self.aggregate_type == aggregate_type && self.aggregate_id == aggregate_id
    }
}

/// Something that may exist once only, held by an owner.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What kind of thing, such as `email`.
    pub kind: &'static str,
    /// A keyed hash of the folded value.
    pub value: Vec<u8>,
    /// Who holds it.
    pub owner: String,
}

/// An item that leaves its place in a container; of no effect if it is not there.
#[derive(Clone, Debug)]
pub struct Freed {
    /// Where it was.
    pub container: String,
    /// The item.
    pub item: String,
    /// Its rank.
    pub rank: String,
}

/// The rank an item takes in a container. An item has one place, a rank one item.
#[derive(Clone, Debug)]
pub struct RankSlot {
    /// In which container.
    pub container: String,
    /// Its rank there; compared byte by byte.
    pub rank: String,
    /// The item.
    pub item: String,
    /// The item that it was asked to stand beside, which must not have moved.
    pub beside: Option<Beside>,
    /// The gap in which no other item may be, but for those that leave in the same command. Whoever guards a gap waits
    /// for all others who add to the container; so only those do it who move what stands there.
    pub guards: Option<Gap>,
}

/// An item of the same container, and where it stood when the rank was chosen.
#[derive(Clone, Debug)]
pub struct Beside {
    /// The item.
    pub item: String,
    /// Its rank.
    pub rank: String,
}

/// What lies between two ranks.
#[derive(Clone, Debug, Default)]
pub struct Gap {
    /// The rank before; none at the beginning of the container.
    pub after: Option<String>,
    /// The rank behind; none at its end.
    pub before: Option<String>,
}

/// A row beside the events.
#[derive(Clone)]
pub enum SideRow {
    /// A row of a module's own.
    Module(ModuleRow),
    /// A new key to encrypt under. If the key owner has one, or had one that was destroyed, that is a conflict on aggregate
    /// type `key`.
    KeyMade {
        /// Whose.
        key_owner: String,
        /// The key, wrapped by the master key.
        wrapped: Vec<u8>,
    },
    /// A key is destroyed, and with it what it encrypted. From then on the key owner can have none.
    KeyDestroyed {
        /// Whose.
        key_owner: String,
    },
}

/// What `es.append_sides` does for a module.
#[derive(Clone)]
pub struct ModuleRow {
    /// Its name there, such as `session_end`.
    pub operation: &'static str,
    /// The row that it writes, such as that of a session: no two commands of one batch write the same.
    pub writes: (&'static str, String),
    /// An object: the columns by their names; bytes as `\x` and hexadecimal digits.
    pub columns: Value,
}

impl fmt::Debug for SideRow {
    /// Only the kind: what is in them belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Module(row) => row.operation,
            Self::KeyMade { .. } => "KeyMade",
            Self::KeyDestroyed { .. } => "KeyDestroyed",
        })
    }
}

/// What makes a command take effect once, however often it is sent.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// The actor; keys of different actors never collide.
    pub actor: String,
    /// The key. Every command has one.
    pub key: String,
    /// Made by us, because the client sent none: nobody but the writer will ever send it again.
    pub ours: bool,
    /// A hash of the request, to notice a key used for something else.
    pub fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// What it is known by in `es.command`.
    pub fn hash(&self) -> Uuid {
        hash(&self.actor, &self.key)
    }
}

/// What a key of an actor is known by: 16 bytes of a hash. If the key is a UUID of version 7, they begin as that does, so
/// that keys of one time stay together in the index.
pub fn hash(actor: &str, key: &str) -> Uuid {
    let digest = Sha256::new().chain_update(actor).chain_update([0]).chain_update(key).finalize();
    let (mut bytes, _) =
        digest.split_first_chunk::<16>().map(|(first, rest)| (*first, rest)).expect("SHA-256 has 32 bytes");
    if let Some(id) = Uuid::parse_str(key).ok().filter(|id| id.get_version_num() == 7) {
        bytes[..6].copy_from_slice(&id.as_bytes()[..6]);
    }
    Uuid::from_bytes(bytes)
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is recorded, for good.
    Appended {
        /// The position of its first event; `last + 1` if it had none.
        first: i64,
        /// The position of its last event; if it had none, the head position at which its key was recorded.
        last: i64,
        /// The time of its events.
        recorded_at: DateTime<Utc>,
    },
    /// The key was used before; nothing is recorded.
    Seen {
        /// Of the earlier command; the caller compares.
        fingerprint: Vec<u8>,
        /// The id answered then.
        id: String,
        /// The version answered then.
        version: i64,
        /// The position answered then.
        position: i64,
    },
    /// An aggregate has moved (or a key owner has a key already); nothing is recorded.
    Conflict {
        /// Which kind of stream.
        aggregate_type: String,
        /// Which stream.
        id: String,
        /// Its actual last sequence.
        sequence: i64,
    },
    /// Somebody else holds a claim; nothing is recorded.
    Claimed {
        /// Of which kind.
        kind: String,
    },
    /// A place or its gap is taken, the item is elsewhere, or the one beside it has moved; nothing is recorded.
    Placed {
        /// In which container.
        container: String,
        /// The rank that was asked for.
        rank: String,
    },
}
