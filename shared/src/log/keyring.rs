//! Opens stored events, with keys that are kept in memory for a while.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::OnceCell;

use crate::domain::{Event, ParseError};
use crate::log::encryption::{DataKey, EncryptionError, MasterKey, about};
use crate::log::event::{Opened, Recorded};
use crate::log::server_keys;
use crate::log::stored_event::{StoredEvent, StoredHeader};
use crate::log::upcasters::{newest, upcast};

/// Keys kept in memory by one process; at about 200 bytes each, 20 MB.
const KEPT_KEYS: u64 = 100_000;

/// How long a key is kept in memory after it was read. After this time a destroyed key is gone everywhere.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// An event that could not be opened or read.
#[derive(Debug)]
pub struct Unopened {
    /// Its parts in clear, which may be as false as its data: see [`Unopened::is_genuine`].
    pub recorded: Recorded,
    /// What is wrong with it.
    pub why: EncryptionError,
}

impl Unopened {
    /// Whether what is in clear of it is as it was recorded.
    pub fn is_genuine(&self) -> bool {
        match self.why {
            EncryptionError::Wrapped(_) | EncryptionError::NoKey(_) | EncryptionError::Unreadable { .. } => {
                true
            }
            EncryptionError::Forged(_) | EncryptionError::Altered(_) | EncryptionError::Database(_) => false,
        }
    }
}

/// What is known of a key owner's key.
#[derive(Clone)]
pub enum KeyState {
    /// It has one.
    Held(DataKey),
    /// It was destroyed, and there will be no other.
    Destroyed,
    /// What is stored of it does not open, and the master key is the right one.
    Damaged,
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
    mac_key: Arc<OnceCell<DataKey>>,
}

impl Keyring {
    /// A keyring over the database's keys. The pool's role must be allowed to read `es.key`.
    pub fn new(master: MasterKey, pool: PgPool) -> Self {
        let kept = Cache::builder().max_capacity(KEPT_KEYS).time_to_live(KEPT_FOR).build();
        Self { master, pool, kept, mac_key: Arc::default() }
    }

    /// The master key, to make new key owners' keys with.
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// The key of a key owner; `None` when it was destroyed.
    pub async fn key(&self, key_owner: &str) -> Result<Option<DataKey>, EncryptionError> {
        match self.keys(HashSet::from([key_owner])).await?.remove(key_owner) {
            Some(KeyState::Held(key)) => Ok(Some(key)),
            Some(KeyState::Damaged) => Err(EncryptionError::Wrapped(key_owner.to_owned())),
            Some(KeyState::Destroyed) => Ok(None),
            Some(KeyState::None) | None => Err(EncryptionError::NoKey(key_owner.to_owned())),
        }
    }

    /// Whether a key owner has a key, had one, or may still get its first.
    pub async fn state(&self, key_owner: &str) -> Result<KeyState, EncryptionError> {
        if let Some(key) = self.kept.get(key_owner).await {
            return Ok(KeyState::Held(key));
        }
        Ok(self.stored(&[key_owner.to_owned()]).await?.pop().map_or(KeyState::None, |(_, state)| state))
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
    pub async fn mac_key(&self) -> Result<&DataKey, EncryptionError> {
        self.mac_key.get_or_try_init(|| server_keys::mac_key(&self.pool, &self.master)).await
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
        let mac_key = self.mac_key().await?;
        let keys = self.keys(stored.iter().filter_map(StoredEvent::key_owner).collect()).await?;
        Ok(stored.into_iter().map(|event| open(event, &keys, mac_key)).collect())
    }

    /// What is in clear of an event, if it is as it was recorded.
    pub async fn check(&self, header: StoredHeader) -> Result<Recorded, EncryptionError> {
        if header.is_genuine(self.mac_key().await?) {
            Ok(header.recorded)
        } else {
            Err(EncryptionError::Altered(header.recorded.position))
        }
    }

    /// Takes in what `es.key` says of a key owner; `None`: it has no key, or no longer. One that does not open is left to
    /// whoever needs it.
    pub async fn learn(&self, key_owner: &str, wrapped: Option<&[u8]>) {
        match wrapped {
            None => self.forget(key_owner).await,
            Some(_) if self.kept.contains_key(key_owner) => {}
            Some(wrapped) => {
                if let Ok(key) = self.master.unwrap(key_owner, wrapped) {
                    self.kept.insert(key_owner.to_owned(), key).await;
                }
            }
        }
    }

    async fn keys(&self, key_owners: HashSet<&str>) -> sqlx::Result<HashMap<String, KeyState>> {
        let mut found = HashMap::with_capacity(key_owners.len());
        let mut missing = Vec::new();
        for key_owner in key_owners {
            match self.kept.get(key_owner).await {
                Some(key) => _ = found.insert(key_owner.to_owned(), KeyState::Held(key)),
                None => missing.push(key_owner.to_owned()),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        found.extend(self.stored(&missing).await?);
        Ok(found)
    }

    /// What is stored of key owners, of those of whom anything is.
    async fn stored(&self, key_owners: &[String]) -> sqlx::Result<Vec<(String, KeyState)>> {
        // One by one through the index: of an array alone, Postgres may decide while the table is small that it reads
        // it whole each time.
        let rows = sqlx::query!(
            "select k.key_owner, k.wrapped from unnest($1::text[]) u(key_owner)
              cross join lateral (select * from es.key k where k.key_owner = u.key_owner limit 1) k",
            key_owners
        );
        let mut stored = Vec::with_capacity(key_owners.len());
        for row in rows.fetch_all(&self.pool).await? {
            let state = match row.wrapped.map(|wrapped| self.master.unwrap(&row.key_owner, &wrapped)) {
                None => KeyState::Destroyed,
                Some(Err(_)) => KeyState::Damaged,
                Some(Ok(key)) => {
                    self.kept.insert(row.key_owner.clone(), key.clone()).await;
                    KeyState::Held(key)
                }
            };
            stored.push((row.key_owner, state));
        }
        Ok(stored)
    }
}

fn open(
    event: StoredEvent,
    keys: &HashMap<String, KeyState>,
    mac_key: &DataKey,
) -> Result<Opened, Box<Unopened>> {
    let read = read(&event, keys, mac_key);
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
    keys: &HashMap<String, KeyState>,
    mac_key: &DataKey,
) -> Result<Option<(String, Value, Event)>, EncryptionError> {
    let StoredEvent { recorded, payload, .. } = event;
    let position = recorded.position;
    let unreadable = |source| EncryptionError::Unreadable { position, source };
    let key_owner = event.key_owner().unwrap_or_default();
    let data = match (payload.sealed(), keys.get(key_owner)) {
        (Some(sealed), Some(KeyState::Held(key))) => {
            let about = about(&recorded.event_type, &recorded.aggregate.id, recorded.aggregate.version);
            Some(key.open(&about, sealed).ok_or(EncryptionError::Forged(position))?)
        }
        (Some(_), Some(KeyState::Damaged | KeyState::Destroyed | KeyState::None) | None) => None,
        (None, _) => Some(payload.data().ok_or(EncryptionError::Altered(position))?),
    };
    if !event.is_genuine(mac_key) {
        return Err(EncryptionError::Altered(position));
    }
    let Some(data) = data else {
        return match keys.get(key_owner) {
            Some(KeyState::Damaged) => Err(EncryptionError::Wrapped(key_owner.to_owned())),
            // Their key is made in the transaction that appends the first of its events.
            Some(KeyState::None) | None => Err(EncryptionError::NoKey(key_owner.to_owned())),
            Some(KeyState::Destroyed | KeyState::Held(_)) => Ok(None),
        };
    };
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
