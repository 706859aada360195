//! Encryption: the data of an event is encrypted under the key of its key owner, and those keys under the master key.
//!
//! So the log can stay whole for ever while content can still be forgotten: when the one small key of a note is
//! destroyed, every copy of its events becomes unreadable, in backups and in the stream too. The cipher is
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with random 24-byte nonces. The associated data binds a ciphertext
//! to its event.

use std::collections::{HashMap, HashSet};
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretBox};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use sqlx::PgPool;

use crate::domain::clock::random;
use crate::domain::{Event, ParseError};
use crate::log::event::{Opened, Recorded};
use crate::log::upcasters::{newest, upcast};

/// Length of a nonce in bytes.
const NONCE: usize = 24;
/// Keys kept in memory by one process; at about 200 bytes each, 20 MB.
const KEPT_KEYS: u64 = 100_000;
/// How long a key is kept in memory after it was read. After this time a destroyed key is gone everywhere.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// The key that wraps all others. It is never stored in the database.
#[derive(Clone)]
pub struct MasterKey(Arc<SecretBox<[u8; 32]>>);

/// The key of one key owner: a note, a notebook, a person.
#[derive(Clone)]
pub struct DataKey(Arc<SecretBox<[u8; 32]>>);

/// A payload as it is stored: `k` names the key owner, `n` is the nonce, `c` the ciphertext, both in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encrypted<'p> {
    k: &'p str,
    n: &'p str,
    c: &'p str,
}

/// Why something could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum EncryptionError {
    /// The master key is not the one that this database was written with, or the bytes were changed.
    #[error(
        "the key of {0} cannot be decrypted: is DAYBOOK_MASTER_KEY the one that this database was created with?"
    )]
    Wrapped(String),
    /// The ciphertext does not belong to this event, or was changed.
    #[error("the data of the event at position {0} cannot be decrypted with its owner's key")]
    Forged(i64),
    /// Not readable as an event of this release.
    #[error("the event at position {position}: {source}")]
    Unreadable {
        /// Its position in the log.
        position: i64,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Keys could not be read.
    #[error("the keys could not be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// An event that could not be opened or read.
#[derive(Debug)]
pub struct Unopened {
    /// Its parts in clear.
    pub recorded: Recorded,
    /// What is wrong with it.
    pub why: EncryptionError,
}

impl MasterKey {
    /// Reads a master key from its 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = hex::decode(text.trim()).ok()?.try_into().ok()?;
        Some(Self(Arc::new(SecretBox::new(Box::new(bytes)))))
    }

    /// A new key owner's key, and the form in which it is stored.
    pub fn make(&self, key_owner: &str) -> (DataKey, Vec<u8>) {
        let bytes: [u8; 32] = random();
        (DataKey(Arc::new(SecretBox::new(Box::new(bytes)))), self.wrap(key_owner, &bytes))
    }

    /// Wraps 32 secret bytes for storage: nonce, then ciphertext.
    pub fn wrap(&self, key_owner: &str, secret: &[u8; 32]) -> Vec<u8> {
        encrypt(self.0.expose_secret(), secret, key_owner.as_bytes())
    }

    /// The secret bytes behind a stored key.
    pub fn unwrap(&self, key_owner: &str, wrapped: &[u8]) -> Result<DataKey, EncryptionError> {
        decrypt(self.0.expose_secret(), wrapped, key_owner.as_bytes())
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .map(|bytes| DataKey(Arc::new(SecretBox::new(Box::new(bytes)))))
            .ok_or_else(|| EncryptionError::Wrapped(key_owner.to_owned()))
    }
}

impl DataKey {
    /// The bytes, for the server's own keys (token signing, folding of names).
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// Encrypts bytes that are no event's data: nonce, then ciphertext. They open only with the same `about`.
    pub fn encrypt_bytes(&self, about: &str, plain: &[u8]) -> Vec<u8> {
        encrypt(self.0.expose_secret(), plain, about.as_bytes())
    }

    /// What [`DataKey::encrypt_bytes`] encrypted; `None` when it was changed, or encrypted about something else.
    pub fn open_bytes(&self, about: &str, encrypted: &[u8]) -> Option<Vec<u8>> {
        decrypt(self.0.expose_secret(), encrypted, about.as_bytes())
    }

    /// Encrypts an event's data. `about` ties the ciphertext to its event; see [`about`].
    pub fn encrypt(&self, key_owner: &str, about: &str, data: &Value) -> Box<RawValue> {
        let plain = serde_json::to_vec(data).expect("a JSON value always serializes");
        let bytes = encrypt(self.0.expose_secret(), &plain, about.as_bytes());
        let (nonce, cipher) = bytes.split_at(NONCE);
        let encrypted = Encrypted { k: key_owner, n: &BASE64.encode(nonce), c: &BASE64.encode(cipher) };
        to_raw_value(&encrypted).expect("three strings always serialize")
    }

    fn open(&self, about: &str, encrypted: &Encrypted<'_>) -> Option<Value> {
        let mut bytes = BASE64.decode(encrypted.n).ok()?;
        if bytes.len() != NONCE {
            return None;
        }
        bytes.extend(BASE64.decode(encrypted.c).ok()?);
        let plain = decrypt(self.0.expose_secret(), &bytes, about.as_bytes())?;
        serde_json::from_slice(&plain).ok()
    }
}

/// What an encrypted payload is tied to: moved under another event it does not open.
pub fn about(event_type: &str, aggregate_id: &str, sequence: i64) -> String {
    format!("{event_type}/{aggregate_id}/{sequence}")
}

/// What tells an encrypted payload from every other there ever was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Under whose key it is encrypted.
    pub key_owner: String,
    /// Its nonce, as it is stored: 24 random bytes in base64.
    pub nonce: String,
}

/// The mark of a stored payload; `None` when it is in clear.
pub fn mark(payload: &Value) -> Option<Mark> {
    encrypted(payload)
        .map(|encrypted| Mark { key_owner: encrypted.k.to_owned(), nonce: encrypted.n.to_owned() })
}

/// What is known of a key owner's key.
#[derive(Clone)]
pub enum KeyState {
    /// It has one.
    Held(DataKey),
    /// It was destroyed, and there will be no other.
    Destroyed,
    /// There was none yet.
    None,
}

/// Opens stored events. One per process; the one place where data becomes readable.
#[derive(Clone)]
pub struct Keyring {
    master: MasterKey,
    pool: PgPool,
    kept: Cache<String, DataKey>,
}

impl Keyring {
    /// A keyring over the database's keys. The pool's role must be allowed to read `es.key`.
    pub fn new(master: MasterKey, pool: PgPool) -> Self {
        Self { master, pool, kept: Cache::builder().max_capacity(KEPT_KEYS).time_to_live(KEPT_FOR).build() }
    }

    /// The master key, to make new key owners' keys with.
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// The key of a key owner; `None` when it was destroyed.
    pub async fn key(&self, key_owner: &str) -> Result<Option<DataKey>, EncryptionError> {
        Ok(self.keys(HashSet::from([key_owner])).await?.remove(key_owner))
    }

    /// Whether a key owner has a key, had one, or may still get its first.
    pub async fn state(&self, key_owner: &str) -> Result<KeyState, EncryptionError> {
        if let Some(key) = self.kept.get(key_owner).await {
            return Ok(KeyState::Held(key));
        }
        match self.stored(&[key_owner.to_owned()]).await?.pop() {
            None => Ok(KeyState::None),
            Some((_, None)) => Ok(KeyState::Destroyed),
            Some((_, Some(key))) => Ok(KeyState::Held(key)),
        }
    }

    /// Keeps a key that was just made and recorded.
    pub async fn remember(&self, key_owner: String, key: DataKey) {
        self.kept.insert(key_owner, key).await;
    }

    /// Forgets a key owner's key at once, when its destruction was seen.
    pub async fn forget(&self, key_owner: &str) {
        self.kept.invalidate(key_owner).await;
    }

    /// Opens a batch of events, all of them or none; missing keys are read in one statement.
    pub async fn open(&self, stored: Vec<Recorded>) -> Result<Vec<Opened>, EncryptionError> {
        self.open_each(stored)
            .await?
            .into_iter()
            .map(|event| event.map_err(|unopened| unopened.why))
            .collect()
    }

    /// Opens a batch of events, each by itself; fails only when the keys cannot be had.
    pub async fn open_each(
        &self,
        stored: Vec<Recorded>,
    ) -> Result<Vec<Result<Opened, Box<Unopened>>>, EncryptionError> {
        let key_owners =
            stored.iter().filter_map(|event| encrypted(&event.data)).map(|encrypted| encrypted.k).collect();
        let keys = self.keys(key_owners).await?;
        Ok(stored.into_iter().map(|event| open(event, &keys)).collect())
    }

    async fn keys(&self, key_owners: HashSet<&str>) -> Result<HashMap<String, DataKey>, EncryptionError> {
        let mut found = HashMap::with_capacity(key_owners.len());
        let mut missing = Vec::new();
        for key_owner in key_owners {
            match self.kept.get(key_owner).await {
                Some(key) => _ = found.insert(key_owner.to_owned(), key),
                None => missing.push(key_owner.to_owned()),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let stored = self.stored(&missing).await?;
        found.extend(stored.into_iter().filter_map(|(key_owner, key)| Some((key_owner, key?))));
        Ok(found)
    }

    /// What is stored of key owners; no key where it was destroyed.
    async fn stored(&self, key_owners: &[String]) -> Result<Vec<(String, Option<DataKey>)>, EncryptionError> {
        // One by one through the index: of an array alone, Postgres may decide while the table is small that it reads
        // it whole each time.
        let rows = sqlx::query!(
            "select k.key_owner, k.wrapped from unnest($1::text[]) u(key_owner)
              cross join lateral (select * from es.key k where k.key_owner = u.key_owner limit 1) k",
            key_owners
        );
        let mut stored = Vec::with_capacity(key_owners.len());
        for row in rows.fetch_all(&self.pool).await? {
            let key = match row.wrapped {
                Some(wrapped) => {
                    let key = self.master.unwrap(&row.key_owner, &wrapped)?;
                    self.kept.insert(row.key_owner.clone(), key.clone()).await;
                    Some(key)
                }
                None => None,
            };
            stored.push((row.key_owner, key));
        }
        Ok(stored)
    }
}

fn encrypted(data: &Value) -> Option<Encrypted<'_>> {
    // Encrypted data has exactly these three members; no event's own data has a `k`.
    data.get("k").and_then(|_| Encrypted::deserialize(data).ok())
}

fn open(mut event: Recorded, keys: &HashMap<String, DataKey>) -> Result<Opened, Box<Unopened>> {
    let payload = event.data.take();
    let with = if let Some(encrypted) = encrypted(&payload) {
        let Some(key) = keys.get(encrypted.k) else { return Ok(Opened { recorded: event, event: None }) };
        Some((key, encrypted))
    } else {
        event.data = payload;
        None
    };
    match read(&mut event, with) {
        Ok(parsed) => Ok(Opened { recorded: event, event: Some(parsed) }),
        Err(why) => Err(Box::new(Unopened { recorded: event, why })),
    }
}

/// Decrypts the data in place, lifts it to the newest version, and reads it. A type or version of a newer release is
/// reported first, because this release cannot judge what else may be wrong with it.
fn read(event: &mut Recorded, key: Option<(&DataKey, Encrypted<'_>)>) -> Result<Event, EncryptionError> {
    let position = event.position;
    let unreadable = |source| EncryptionError::Unreadable { position, source };
    if !Event::knows(&event.event_type) {
        return Err(unreadable(ParseError::UnknownType(event.event_type.clone())));
    }
    if let Some((key, encrypted)) = key {
        let about = about(&event.event_type, &event.aggregate.id, event.aggregate.version);
        event.data = key.open(&about, &encrypted).ok_or(EncryptionError::Forged(position))?;
    }
    let (version, data) = upcast(&event.event_type, take(&mut event.event_version), event.data.take());
    event.event_version = version;
    event.data = data;
    if event.event_version != newest(&event.event_type) {
        let (name, version) = (event.event_type.clone(), event.event_version.clone());
        return Err(unreadable(ParseError::UnknownVersion(name, version)));
    }
    Event::parse(&event.event_type, event.data.clone()).map_err(unreadable)
}

fn encrypt(key: &[u8; 32], plain: &[u8], about: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE] = random();
    let cipher = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: about })
        .expect("only texts beyond 256 GiB cannot be encrypted");
    [nonce.as_slice(), &cipher].concat()
}

fn decrypt(key: &[u8; 32], bytes: &[u8], about: &[u8]) -> Option<Vec<u8>> {
    let (nonce, cipher) = bytes.split_first_chunk::<NONCE>()?;
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: cipher, aad: about })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn master() -> MasterKey {
        MasterKey::from_hex(&"07".repeat(32)).expect("64 digits")
    }

    #[test]
    fn a_wrapped_key_opens_only_for_its_owner() {
        let (key, wrapped) = master().make("note:1");
        assert_eq!(master().unwrap("note:1", &wrapped).expect("opens").expose(), key.expose());
        assert!(master().unwrap("note:2", &wrapped).is_err());
    }

    #[test]
    fn encrypted_data_opens_only_as_the_event_it_was_encrypted_for() {
        let (key, _) = master().make("note:1");
        let payload = key.encrypt("note:1", &about("NoteRetitled", "1", 2), &json!({"title": "Canary"}));
        assert!(!payload.get().contains("Canary"));
        let payload = serde_json::from_str(payload.get()).expect("JSON");
        let encrypted = encrypted(&payload).expect("it is encrypted");
        assert_eq!(key.open(&about("NoteRetitled", "1", 2), &encrypted), Some(json!({"title": "Canary"})));
        assert_eq!(key.open(&about("NoteRetitled", "1", 3), &encrypted), None);
    }

    #[test]
    fn encrypted_bytes_open_only_as_what_they_were_encrypted_for() {
        let (key, _) = master().make("note:1");
        let encrypted = key.encrypt_bytes("a/1", b"Canary");
        assert!(!encrypted.windows(6).any(|window| window == b"Canary"));
        assert_eq!(key.open_bytes("a/1", &encrypted).as_deref(), Some(b"Canary".as_slice()));
        assert_eq!(key.open_bytes("a/2", &encrypted), None);
        assert_eq!(key.open_bytes("a/1", &encrypted[..20]), None);
    }

    #[test]
    fn a_short_nonce_or_a_cut_ciphertext_is_refused() {
        let (key, _) = master().make("note:1");
        let wrong = Encrypted { k: "note:1", n: &BASE64.encode([0; 3]), c: "" };
        assert_eq!(key.open("x", &wrong), None);
        assert!(master().unwrap("note:1", &[1, 2, 3]).is_err());
    }
}
