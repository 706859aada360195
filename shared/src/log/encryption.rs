//! Encryption: the data of an event is encrypted under the key of its key owner, and those keys under the master key.
//!
//! So the log can stay whole for ever while content can still be forgotten: when the one small key of a note is
//! destroyed, every copy of its events becomes unreadable, in backups and in the stream too. The cipher is
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with random 24-byte nonces. The associated data binds a ciphertext
//! to its event.

use std::sync::Arc;

use chacha20poly1305::aead::{self, Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretBox};
use serde_json::Value;

use crate::domain::ParseError;
use crate::domain::clock::random;

/// Length of a nonce in bytes.
pub(super) const NONCE: usize = 24;

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
    /// Its row is gone. A key that was destroyed leaves one.
    #[error(
        "the key of {0} is missing from es.key. It was not destroyed, as that leaves a row: restore the row from a backup"
    )]
    NoKey(String),
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

impl EncryptionError {
    /// The database's error, if it is one; else what is wrong with an event or a key.
    pub fn into_database(self) -> Result<sqlx::Error, Self> {
        match self {
            Self::Database(error) => Ok(error),
            other @ (Self::Wrapped(_)
            | Self::NoKey(_)
            | Self::Forged(_)
            | Self::Altered(_)
            | Self::Unreadable { .. }) => Err(other),
        }
    }
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

    /// Opens an event's data.
    pub(super) fn open(&self, about: &str, sealed: &[u8]) -> Option<Value> {
        serde_json::from_slice(&self.open_bytes(about, sealed)?).ok()
    }
}

/// What an encrypted payload is tied to: moved under another event it does not open.
pub fn about(event_type: &str, aggregate_id: &str, sequence: i64) -> String {
    format!("{event_type}/{aggregate_id}/{sequence}")
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
