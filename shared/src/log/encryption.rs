//! Encryption: the data of an event is encrypted under the key of its key owner, and those keys under the master key.
//!
//! So the log can stay whole for ever while content can still be forgotten: when the one small key of a note is
//! destroyed, every copy of its events becomes unreadable, in backups and in the stream too. The cipher is
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with random 24-byte nonces. The associated data binds a ciphertext
//! to its event.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chacha20poly1305::aead::{self, Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretBox};
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::OnceCell;

use crate::domain::clock::random;
use crate::domain::{Event, ParseError};
use crate::log::event::{Opened, Recorded};
use crate::log::server_keys;
use crate::log::stored_event::{NONCE, Payload, StoredEvent, StoredHeader};
use crate::log::upcasters::{newest, upcast};

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
    /// The event does not have the MAC of what it says.
    #[error("the event at position {0} is not as it was recorded: its MAC is of something else")]
    Altered(i64),
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
    /// Its parts in clear, which may be as false as its data.
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
    pub fn encrypt(&self, about: &str, data: &Value) -> Payload {
        let plain = serde_json::to_vec(data).expect("a JSON value always serializes");
        Payload::encrypted(&self.encrypt_bytes(about, &plain))
    }

    fn open(&self, about: &str, sealed: &[u8]) -> Option<Value> {
        serde_json::from_slice(&self.open_bytes(about, sealed)?).ok()
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
    /// Its nonce: 24 random bytes.
    pub nonce: [u8; NONCE],
}

impl Mark {
    /// The mark of a payload whose key, if it is encrypted, is the owner's; `None` when it is in clear.
    pub fn of(owner: &str, payload: &Payload) -> Option<Self> {
        payload.nonce().map(|nonce| Self { key_owner: owner.to_owned(), nonce: *nonce })
    }
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
    /// What the MACs of events are made with.
    macs: Arc<OnceCell<DataKey>>,
}

impl Keyring {
    /// A keyring over the database's keys. The pool's role must be allowed to read `es.key`.
    pub fn new(master: MasterKey, pool: PgPool) -> Self {
        let kept = Cache::builder().max_capacity(KEPT_KEYS).time_to_live(KEPT_FOR).build();
        Self { master, pool, kept, macs: Arc::default() }
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

    /// The key that the MACs of events are made with.
    pub async fn macs(&self) -> Result<&DataKey, EncryptionError> {
        self.macs.get_or_try_init(|| server_keys::macs(&self.pool, &self.master)).await
    }

    /// Opens a batch of events, all of them or none; missing keys are read in one statement.
    pub async fn open(&self, stored: Vec<StoredEvent>) -> Result<Vec<Opened>, EncryptionError> {
        self.open_each(stored)
            .await?
            .into_iter()
            .map(|event| event.map_err(|unopened| unopened.why))
            .collect()
    }

    /// Opens a batch of events, each by itself; fails only when the keys cannot be had.
    pub async fn open_each(
        &self,
        stored: Vec<StoredEvent>,
    ) -> Result<Vec<Result<Opened, Box<Unopened>>>, EncryptionError> {
        let macs = self.macs().await?;
        let keys = self.keys(stored.iter().filter_map(StoredEvent::key_owner).collect()).await?;
        Ok(stored.into_iter().map(|event| open(event, &keys, macs)).collect())
    }

    /// What is in clear of an event, if it is as it was recorded.
    pub async fn check(&self, header: StoredHeader) -> Result<Recorded, EncryptionError> {
        if header.is_genuine(self.macs().await?) {
            Ok(header.recorded)
        } else {
            Err(EncryptionError::Altered(header.recorded.position))
        }
    }

    /// Takes in what `es.key` says of a key owner; `None`: it has no key, or no longer.
    pub async fn learn(&self, key_owner: &str, wrapped: Option<&[u8]>) -> Result<(), EncryptionError> {
        match wrapped {
            None => self.forget(key_owner).await,
            Some(_) if self.kept.contains_key(key_owner) => {}
            Some(wrapped) => {
                let key = self.master.unwrap(key_owner, wrapped)?;
                self.kept.insert(key_owner.to_owned(), key).await;
            }
        }
        Ok(())
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

fn open(
    event: StoredEvent,
    keys: &HashMap<String, DataKey>,
    macs: &DataKey,
) -> Result<Opened, Box<Unopened>> {
    let read = read(&event, keys, macs);
    let mut recorded = event.recorded;
    match read {
        Ok(Some((version, data, event))) => {
            recorded.event_version = version;
            recorded.data = data;
            Ok(Opened { recorded, event: Some(event) })
        }
        Ok(None) => Ok(Opened { recorded, event: None }),
        Err(why) => Err(Box::new(Unopened { recorded, why })),
    }
}

/// The data, lifted to the newest version, and read; `None` if the key is gone. First whether all of it is as it was
/// recorded, then whether this release knows it.
fn read(
    event: &StoredEvent,
    keys: &HashMap<String, DataKey>,
    macs: &DataKey,
) -> Result<Option<(String, Value, Event)>, EncryptionError> {
    let StoredEvent { recorded, payload, .. } = event;
    let position = recorded.position;
    let unreadable = |source| EncryptionError::Unreadable { position, source };
    let key = event.key_owner().and_then(|key_owner| keys.get(key_owner));
    let data = match (payload.sealed(), key) {
        (Some(sealed), Some(key)) => {
            let about = about(&recorded.event_type, &recorded.aggregate.id, recorded.aggregate.version);
            Some(key.open(&about, sealed).ok_or(EncryptionError::Forged(position))?)
        }
        (Some(_), None) => None,
        (None, _) => Some(payload.data().ok_or(EncryptionError::Altered(position))?),
    };
    if !event.is_genuine(macs) {
        return Err(EncryptionError::Altered(position));
    }
    let Some(data) = data else { return Ok(None) };
    if !Event::knows(&recorded.event_type) {
        return Err(unreadable(ParseError::UnknownType(recorded.event_type.clone())));
    }
    let (version, data) = upcast(&recorded.event_type, recorded.event_version.clone(), data);
    if version != newest(&recorded.event_type) {
        return Err(unreadable(ParseError::UnknownVersion(recorded.event_type.clone(), version)));
    }
    let event = Event::parse(&recorded.event_type, data.clone()).map_err(unreadable)?;
    Ok(Some((version, data, event)))
}

fn encrypt(key: &[u8; 32], plain: &[u8], about: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE] = random();
    let cipher = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), aead::Payload { msg: plain, aad: about })
        .expect("only texts beyond 256 GiB cannot be encrypted");
    [nonce.as_slice(), &cipher].concat()
}

fn decrypt(key: &[u8; 32], bytes: &[u8], about: &[u8]) -> Option<Vec<u8>> {
    let (nonce, cipher) = bytes.split_first_chunk::<NONCE>()?;
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), aead::Payload { msg: cipher, aad: about })
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
        let payload = key.encrypt(&about("NoteRetitled", "1", 2), &json!({"title": "Canary"}));
        assert!(!payload.as_bytes().windows(6).any(|window| window == b"Canary"));
        let sealed = payload.sealed().expect("it is encrypted");
        assert_eq!(key.open(&about("NoteRetitled", "1", 2), sealed), Some(json!({"title": "Canary"})));
        assert_eq!(key.open(&about("NoteRetitled", "1", 3), sealed), None);
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
        assert_eq!(key.open("x", &[0; 3]), None);
        assert_eq!(key.open("x", &[0; NONCE]), None);
        assert!(master().unwrap("note:1", &[1, 2, 3]).is_err());
    }
}
