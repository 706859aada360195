//! The form in which the log and the stream have an event: its data as bytes, encrypted or in clear, and a MAC.
//!
//! The MAC is over all that is decided before the append. So who can write the database, and has not the master key,
//! can neither make an event nor change one, also of those whose data is in clear or whose key is gone. Position and time
//! are given by the append, and are not in it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::SecondsFormat;
use hmac::{Hmac, KeyInit, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::log::encryption::{DataKey, NONCE};
use crate::log::event::Recorded;

/// What a payload begins with if it is encrypted, with XChaCha20-Poly1305. JSON does not begin with it.
const XCHACHA20_POLY1305: u8 = 1;
/// 16 bytes that only who holds the master key can make.
pub type Mac = [u8; 16];

/// An event as it is stored: nothing of it is checked yet, and its data is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// What is not data; `data` is null.
    pub recorded: Recorded,
    /// Whose it is, if that is not the first scope.
    pub owner: Option<String>,
    /// Its data.
    pub payload: Payload,
    /// Over all of that but position and time.
    pub mac: Mac,
}

/// The same without its data, of which there is only the digest: enough to check the rest.
#[derive(Clone, Debug)]
pub struct StoredHeader {
    /// What is not data; `data` is null.
    pub recorded: Recorded,
    /// Whose it is, if that is not the first scope.
    pub owner: Option<String>,
    /// The SHA-256 of its payload.
    pub digest: [u8; 32],
    /// Over all of that but position and time.
    pub mac: Mac,
}

/// The data of an event as bytes. Encrypted: a byte 1, the nonce, the ciphertext with its tag. In clear: canonical JSON
/// (RFC 8785).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

/// An encrypted payload as JSON: whose key it is encrypted under, and bytes in base64url.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncryptedJson<'p> {
    owner: &'p str,
    nonce: &'p str,
    ciphertext: &'p str,
}

/// What a MAC is over.
#[derive(Debug)]
pub struct MacInput<'e> {
    /// A UUID v7.
    pub id: &'e uuid::Uuid,
    /// Aggregate type and id.
    pub aggregate: (&'e str, &'e str),
    /// Its place in the stream of the aggregate.
    pub sequence: i64,
    /// Type and version of the event.
    pub event: (&'e str, &'e str),
    /// Actor, correlation and causation.
    pub meta: [&'e str; 3],
    /// As [`StoredEvent::owner`].
    pub owner: Option<&'e str>,
    /// All of them, in order.
    pub scopes: &'e [String],
    /// As [`Recorded::effects`].
    pub effects: Option<&'e Value>,
    /// The SHA-256 of the payload.
    pub digest: [u8; 32],
}

impl Payload {
    /// Of data that stays in clear: no floats, and no integer beyond 2^53.
    pub fn clear(data: &Value) -> Self {
        Self(canonical(data))
    }

    /// Of nonce and ciphertext.
    pub(crate) fn encrypted(bytes: &[u8]) -> Self {
        Self([&[XCHACHA20_POLY1305], bytes].concat())
    }

    /// As it is in the database.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As it is in the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Nonce and ciphertext; `None` when it is in clear.
    pub(crate) fn sealed(&self) -> Option<&[u8]> {
        self.0.split_first().filter(|(kind, _)| **kind == XCHACHA20_POLY1305).map(|(_, sealed)| sealed)
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.sealed().is_some()
    }

    /// The nonce of an encrypted one: 24 random bytes.
    pub(crate) fn nonce(&self) -> Option<&[u8; NONCE]> {
        self.sealed()?.first_chunk()
    }

    /// Data in clear; `None` when it is encrypted, or no JSON.
    pub(crate) fn data(&self) -> Option<Value> {
        if self.is_encrypted() { None } else { serde_json::from_slice(&self.0).ok() }
    }

    /// As JSON: data in clear, or `{"owner", "nonce", "ciphertext"}`.
    pub fn to_json(&self, owner: &str) -> Value {
        let Some((nonce, ciphertext)) = self.sealed().and_then(<[u8]>::split_first_chunk::<NONCE>) else {
            return self.data().unwrap_or_default();
        };
        json!({"owner": owner, "nonce": BASE64.encode(nonce), "ciphertext": BASE64.encode(ciphertext)})
    }

    /// From its JSON, as [`Payload::to_json`] made it; `None` when that cannot be.
    fn from_json(data: &Value, owner: &str) -> Option<Self> {
        let Ok(encrypted) = EncryptedJson::deserialize(data) else { return Some(Self::clear(data)) };
        let nonce = BASE64.decode(encrypted.nonce).ok().filter(|nonce| nonce.len() == NONCE)?;
        let ciphertext = BASE64.decode(encrypted.ciphertext).ok()?;
        (encrypted.owner == owner).then(|| Self::encrypted(&[nonce, ciphertext].concat()))
    }

    /// At most so many bytes has [`Payload::to_json`].
    pub fn json_len(&self, owner: &str) -> usize {
        match self.sealed() {
            // Base64, its names, and quotes.
            Some(sealed) => sealed.len().div_ceil(3) * 4 + 4 + owner.len() + 50,
            None => self.0.len(),
        }
    }

    /// Its SHA-256.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

/// What tells an encrypted payload from every other there ever was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Under whose key it is encrypted.
    pub key_owner: String,
    /// Its nonce: 24 random bytes.
    pub nonce: [u8; NONCE],
}

impl Mark {
    /// The mark of a payload whose key, if it is encrypted, is the owner's; `None` when it is in clear.
    pub fn of(owner: &str, payload: &Payload) -> Option<Self> {
        payload.nonce().map(|nonce| Self { key_owner: owner.to_owned(), nonce: *nonce })
    }
}

impl DataKey {
    /// Encrypts an event's data. `about` ties the ciphertext to its event; see
    /// [`crate::log::encryption::about`].
    pub fn encrypt(&self, about: &str, data: &Value) -> Payload {
        let plain = serde_json::to_vec(data).expect("a JSON value always serializes");
        Payload::encrypted(&self.encrypt_bytes(about, &plain))
    }
}

impl StoredEvent {
    /// An event with the MAC of what it says; its data is in the payload.
    pub fn new(recorded: Recorded, payload: Payload, key: &DataKey) -> Self {
        let mac = input(&recorded, None, payload.digest()).mac(key);
        Self { recorded: Recorded { data: Value::Null, ..recorded }, owner: None, payload, mac }
    }

    /// Under whose key its data is encrypted, if it is.
    pub fn key_owner(&self) -> Option<&str> {
        self.recorded.scopes.first().map(String::as_str).filter(|_| self.payload.is_encrypted())
    }

    /// What tells its data from all other, if it is encrypted.
    pub fn mark(&self) -> Option<Mark> {
        Mark::of(self.key_owner()?, &self.payload)
    }

    /// As the stream has it: the one shape of events, with encrypted data as [`Payload::to_json`] writes it.
    pub fn to_recorded(&self) -> Recorded {
        let owner = self.recorded.scopes.first().map_or("", String::as_str);
        Recorded { data: self.payload.to_json(owner), ..self.recorded.clone() }
    }

    /// From the form of the stream; `None` when that cannot be.
    pub fn from_recorded(mut recorded: Recorded, mac: Mac) -> Option<Self> {
        let owner = recorded.scopes.first().map_or("", String::as_str);
        let payload = Payload::from_json(&recorded.data, owner)?;
        recorded.data = Value::Null;
        Some(Self { recorded, owner: None, payload, mac })
    }

    /// The leaf of a proof: canonical JSON (RFC 8785), with the time in microseconds and encrypted data as it is stored.
    pub fn leaf(&self) -> Vec<u8> {
        let event = self.to_recorded();
        let mut leaf = json!({
            "position": event.position,
            "id": event.id,
            "at": event.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            "aggregate": event.aggregate,
            "type": event.event_type,
            "event_version": event.event_version,
            "data": event.data,
            "scopes": event.scopes,
            "meta": event.meta,
        });
        if let Some(effects) = event.effects {
            leaf["effects"] = effects;
        }
        canonical(&leaf)
    }

    fn input(&self) -> MacInput<'_> {
        input(&self.recorded, self.owner.as_deref(), self.payload.digest())
    }

    /// Whether it is as it was recorded, whatever is in its payload.
    pub(crate) fn is_genuine(&self, key: &DataKey) -> bool {
        self.input().fits(key, &self.mac)
    }
}

impl StoredHeader {
    /// Whether it, and the payload that it is of, are as they were recorded.
    pub(crate) fn is_genuine(&self, key: &DataKey) -> bool {
        input(&self.recorded, self.owner.as_deref(), self.digest).fits(key, &self.mac)
    }
}

fn input<'e>(event: &'e Recorded, owner: Option<&'e str>, digest: [u8; 32]) -> MacInput<'e> {
    MacInput {
        id: &event.id,
        aggregate: (&event.aggregate.kind, &event.aggregate.id),
        sequence: event.aggregate.version,
        event: (&event.event_type, &event.event_version),
        meta: [&event.meta.actor, &event.meta.correlation, &event.meta.causation],
        owner,
        scopes: &event.scopes,
        effects: event.effects.as_ref(),
        digest,
    }
}

impl MacInput<'_> {
    /// The MAC: the first half of HMAC-SHA256 (RFC 2104), over id, sequence and digest, and then
    /// the other fields in the order in which they are declared, each after its length.
    pub fn mac(&self, key: &DataKey) -> Mac {
        let mut whole = [0; 16];
        whole.copy_from_slice(&self.hmac(key).finalize().into_bytes()[..16]);
        whole
    }

    fn fits(&self, key: &DataKey, mac: &Mac) -> bool {
        self.hmac(key).verify_truncated_left(mac).is_ok()
    }

    fn hmac(&self, key: &DataKey) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
        mac.update(self.id.as_bytes());
        mac.update(&self.sequence.to_be_bytes());
        mac.update(&self.digest);
        let [actor, correlation, causation] = self.meta;
        let texts =
            [self.aggregate.0, self.aggregate.1, self.event.0, self.event.1, actor, correlation, causation];
        for text in texts {
            put(&mut mac, text.as_bytes());
        }
        put_if(&mut mac, self.owner.map(str::as_bytes));
        put_if(&mut mac, self.effects.map(canonical).as_deref());
        for scope in self.scopes {
            put(&mut mac, scope.as_bytes());
        }
        mac
    }
}

fn put(mac: &mut Hmac<Sha256>, bytes: &[u8]) {
    mac.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    mac.update(bytes);
}

fn put_if(mac: &mut Hmac<Sha256>, bytes: Option<&[u8]>) {
    mac.update(&[u8::from(bytes.is_some())]);
    put(mac, bytes.unwrap_or_default());
}

fn canonical(value: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("a JSON value always has a canonical form")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::log::encryption::MasterKey;
    use crate::log::event::{AggregateRef, Meta};

    const NOTE: &str = "0193a5f0-0000-7000-8000-000000000002";

    fn key() -> DataKey {
        let master = MasterKey::from_hex(&"07".repeat(32)).expect("64 digits");
        master.unwrap("x", &master.wrap("x", &[1; 32])).expect("wrapped just now")
    }

    fn recorded() -> Recorded {
        Recorded {
            position: 7,
            id: "0193a5f0-0000-7000-8000-000000000001".parse().expect("an id"),
            at: "2026-11-30T12:00:00.000001Z".parse().expect("a time"),
            aggregate: AggregateRef { kind: "note".to_owned(), id: NOTE.to_owned(), version: 3 },
            event_type: "NoteRetitled".to_owned(),
            event_version: "1.0".to_owned(),
            data: Value::Null,
            scopes: vec![format!("note:{NOTE}"), "notebook:é".to_owned()],
            effects: None,
            meta: Meta { actor: "ada".to_owned(), correlation: "a".to_owned(), causation: "b".to_owned() },
        }
    }

    fn stored() -> StoredEvent {
        StoredEvent::new(recorded(), Payload::encrypted(&[5; NONCE + 20]), &key())
    }

    /// The leaf, with a line break before each name. (It has none itself, so no other leaf looks like it.) Proofs are made
    /// of leaves, so no byte of one may ever change.
    fn leaf(event: &StoredEvent) -> String {
        let leaf = String::from_utf8(event.leaf()).expect("text");
        assert!(!leaf.contains(char::is_whitespace), "white space that is not escaped: {leaf}");
        leaf.replace(",\"", ",\n\"")
    }

    #[test]
    fn the_leaf_of_an_encrypted_event() {
        insta::assert_snapshot!(leaf(&stored()), @r#"
        {"aggregate":{"id":"0193a5f0-0000-7000-8000-000000000002",
        "type":"note",
        "version":3},
        "at":"2026-11-30T12:00:00.000001Z",
        "data":{"ciphertext":"BQUFBQUFBQUFBQUFBQUFBQUFBQU",
        "nonce":"BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF",
        "owner":"note:0193a5f0-0000-7000-8000-000000000002"},
        "event_version":"1.0",
        "id":"0193a5f0-0000-7000-8000-000000000001",
        "meta":{"actor":"ada",
        "causation":"b",
        "correlation":"a"},
        "position":7,
        "scopes":["note:0193a5f0-0000-7000-8000-000000000002",
        "notebook:é"],
        "type":"NoteRetitled"}
        "#);
    }

    #[test]
    fn the_leaf_of_an_event_in_clear_and_with_effects() {
        let data = json!({"b": [1, null, "é\n"], "a": {}});
        let mut event = StoredEvent::new(recorded(), Payload::clear(&data), &key());
        event.recorded.effects = Some(json!([{"left": ["notebook:1"]}]));
        insta::assert_snapshot!(leaf(&event), @r#"
        {"aggregate":{"id":"0193a5f0-0000-7000-8000-000000000002",
        "type":"note",
        "version":3},
        "at":"2026-11-30T12:00:00.000001Z",
        "data":{"a":{},
        "b":[1,null,
        "é\n"]},
        "effects":[{"left":["notebook:1"]}],
        "event_version":"1.0",
        "id":"0193a5f0-0000-7000-8000-000000000001",
        "meta":{"actor":"ada",
        "causation":"b",
        "correlation":"a"},
        "position":7,
        "scopes":["note:0193a5f0-0000-7000-8000-000000000002",
        "notebook:é"],
        "type":"NoteRetitled"}
        "#);
    }

    /// The bytes a MAC is over are for good: of this event, and under this key, it is this one.
    #[test]
    fn the_mac_of_an_event() {
        assert_eq!(hex::encode(stored().mac), "79e168d2625d1bd9d2766221c6bc532e");
    }

    #[test]
    fn the_mac_of_an_event_in_clear_with_owner_and_effects() {
        let mut event = StoredEvent::new(recorded(), Payload::clear(&json!({"b": 1, "a": "é"})), &key());
        event.owner = Some("vault:1".to_owned());
        event.recorded.effects = Some(json!([{"left": ["notebook:1"]}]));
        assert_eq!(hex::encode(event.input().mac(&key())), "908564acdabf7d32ff7ec96eb7ef2ae3");
    }

    type Change = fn(&mut StoredEvent);

    const CHANGES: [Change; 17] = [
        |event| event.recorded.id = uuid::Uuid::nil(),
        |event| event.recorded.aggregate.kind = "notebook".to_owned(),
        |event| event.recorded.aggregate.id.push('0'),
        |event| event.recorded.aggregate.version += 1,
        |event| event.recorded.event_type.push('d'),
        |event| event.recorded.event_version = "1.1".to_owned(),
        |event| event.recorded.meta.actor = "bob".to_owned(),
        |event| event.recorded.meta.correlation.clear(),
        |event| event.recorded.meta.causation.push('c'),
        // The same letters, cut elsewhere.
        |event| {
            event.recorded.meta.actor = "adaa".to_owned();
            event.recorded.meta.correlation.clear();
        },
        |event| event.owner = Some(String::new()),
        |event| event.recorded.effects = Some(Value::Null),
        |event| event.recorded.scopes.clear(),
        |event| event.recorded.scopes.swap(0, 1),
        |event| event.recorded.scopes = vec![event.recorded.scopes.concat()],
        |event| event.payload = Payload::encrypted(&[6; NONCE + 20]),
        |event| event.payload = Payload::clear(&json!({})),
    ];

    #[test]
    fn a_mac_fits_one_event_only() {
        let (key, event) = (key(), stored());
        assert!(event.is_genuine(&key));
        let mut macs = HashSet::from([event.mac]);
        for (nth, change) in CHANGES.iter().enumerate() {
            let mut changed = event.clone();
            change(&mut changed);
            assert!(!changed.is_genuine(&key), "change {nth}");
            assert!(macs.insert(changed.input().mac(&key)), "change {nth}");
        }
        // What the append gives is not bound.
        let mut moved = event;
        moved.recorded.position += 1;
        moved.recorded.at += chrono::TimeDelta::hours(1);
        assert!(moved.is_genuine(&key));
    }

    #[test]
    fn an_event_comes_back_from_the_form_of_the_stream() {
        let data =
            json!({"owner": "somebody", "nonce": 1, "more": {"z": [], "a": 9_007_199_254_740_991_i64}});
        let payloads = [Payload::encrypted(&[5; NONCE + 20]), Payload::clear(&data)];
        for (payload, effects) in payloads.into_iter().zip([None, Some(json!([{"sung": {"z": 1, "a": []}}]))])
        {
            let event = StoredEvent::new(Recorded { effects, ..recorded() }, payload, &key());
            let wire = serde_json::to_string(&event.to_recorded()).expect("JSON");
            let read = StoredEvent::from_recorded(serde_json::from_str(&wire).expect("JSON"), event.mac);
            let read = read.expect("it has the form of the stream");
            assert!(read.is_genuine(&key()));
            assert_eq!(read.leaf(), event.leaf());
            assert_eq!(read, event);
        }
    }

    #[test]
    fn what_has_not_the_form_of_the_stream_is_no_event() {
        let stored = stored();
        for (member, value) in
            [("owner", json!("note:1")), ("nonce", json!("BQUF")), ("ciphertext", json!("~"))]
        {
            let mut recorded = stored.to_recorded();
            recorded.data[member] = value;
            assert_eq!(StoredEvent::from_recorded(recorded, stored.mac), None, "{member}");
        }
    }
}
