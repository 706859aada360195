//! The server's own keys: created once, and kept encrypted in `es.key` beside the keys of key owners.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sqlx::{PgConnection, PgExecutor};

use crate::domain::clock::random;
use crate::domain::text::fold;
use crate::log::encryption::{DataKey, EncryptionError, MasterKey};

/// Every key of the server by the name of its key owner.
const NAMES: [&str; 5] = ["server:tokens", "server:claims", "server:refresh", "server:cursors", EVENTS];
/// Of the key that the MACs of events are made with.
const EVENTS: &str = "server:events";

/// What the server signs and folds with.
#[derive(Clone)]
pub struct ServerKeys {
    tokens: DataKey,
    claims: DataKey,
    refresh: DataKey,
    cursors: DataKey,
}

impl ServerKeys {
    /// Makes the keys that are not there yet. As the database's owner, under the migration lock.
    pub async fn make(connection: &mut PgConnection, master: &MasterKey) -> sqlx::Result<()> {
        for name in NAMES {
            sqlx::query!(
                "insert into es.key (key_owner, wrapped, made_at) values ($1, $2, clock_timestamp())
                 on conflict (key_owner) do nothing",
                name,
                master.wrap(name, &random())
            )
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }

    /// Reads and unwraps the keys.
    pub async fn load(executor: impl PgExecutor<'_>, master: &MasterKey) -> Result<Self, EncryptionError> {
        let rows = sqlx::query!(
            r#"select key_owner, wrapped as "wrapped!" from es.key where key_owner = any($1)"#,
            &NAMES as &[&str]
        )
        .fetch_all(executor)
        .await?;
        let key = |name: &str| {
            let row = rows
                .iter()
                .find(|row| row.key_owner == name)
                .ok_or_else(|| EncryptionError::Wrapped(name.to_owned()))?;
            master.unwrap(name, &row.wrapped)
        };
        let [tokens, claims, refresh, cursors, _] = NAMES;
        Ok(Self {
            tokens: key(tokens)?,
            claims: key(claims)?,
            refresh: key(refresh)?,
            cursors: key(cursors)?,
        })
    }

    /// Keys that are always the same; for tests.
    #[cfg(test)]
    pub(crate) fn fixed() -> Self {
        let master = MasterKey::from_hex(&"07".repeat(32)).expect("64 digits");
        let key = |n: u8| master.unwrap("x", &master.wrap("x", &[n; 32])).expect("wrapped just now");
        Self { tokens: key(1), claims: key(2), refresh: key(3), cursors: key(4) }
    }

    /// The private key that signs access tokens.
    pub(crate) fn signing(&self) -> &[u8; 32] {
        self.tokens.expose()
    }

    /// The value in `es.claim` for a name: equal for names that differ only in case, and useless to a thief.
    pub fn claim(&self, kind: &str, name: &str) -> Vec<u8> {
        mac(&self.claims, &[kind.as_bytes(), b"\0", fold(name).as_bytes()]).to_vec()
    }

    /// The refresh token that follows `token`: the same each time, so that a repeated request gets the same answer.
    pub fn successor(&self, token: &[u8]) -> [u8; 32] {
        mac(&self.refresh, &[token])
    }

    /// Authenticates a cursor, so that clients cannot make their own.
    pub fn cursor(&self, content: &[u8]) -> [u8; 32] {
        mac(&self.cursors, &[content])
    }
}

/// The key that the MACs of events are made with.
pub async fn mac_key(executor: impl PgExecutor<'_>, master: &MasterKey) -> Result<DataKey, EncryptionError> {
    let wrapped = sqlx::query_scalar!(
        r#"select wrapped as "wrapped!" from es.key where key_owner = $1 and wrapped is not null"#,
        EVENTS
    );
    let wrapped: Option<Vec<u8>> = wrapped.fetch_optional(executor).await?;
    match wrapped {
        Some(wrapped) => master.unwrap(EVENTS, &wrapped),
        None => Err(EncryptionError::Wrapped(EVENTS.to_owned())),
    }
}

fn mac(key: &DataKey, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
