//! Passwords: argon2id (RFC 9106) with 19 MiB, two passes, one lane; off the async threads, a few at a time.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use shared::domain::text::{TextError, fold, opaque};
use shared::process::problem::Problem;
use tokio::sync::Semaphore;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How many characters a password has.
const SHORTEST: usize = 8;
const LONGEST: usize = 256;

/// Passwords that every attacker tries first. Longer lists add little once there is a throttle.
const COMMONEST: [&str; 20] = [
    "12345678",
    "123456789",
    "1234567890",
    "password",
    "password1",
    "passw0rd",
    "qwertyuiop",
    "qwerty123",
    "1q2w3e4r",
    "11111111",
    "00000000",
    "iloveyou",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "letmein1",
    "welcome1",
    "admin123",
    "superman",
];

/// A password that may be set: 8 to 256 characters, not one of the commonest. It is kept in Unicode's NFC and with U+0020
/// for spaces of any width, so that every keyboard types the same; it is counted as it was sent and in that form.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 8, max_length = 256, pattern = r"^[^\x00]*$")]
pub struct Password(SecretString);

impl TryFrom<String> for Password {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        within(&text)?;
        let text = opaque(&text);
        within(&text)?;
        if COMMONEST.contains(&fold(&text).as_str()) {
            return Err(TextError::Form("is one of the most common passwords; choose another"));
        }
        Ok(Self(text.into()))
    }
}

fn within(password: &str) -> Result<(), TextError> {
    match password.chars().count() {
        0..SHORTEST => Err(TextError::TooShort(SHORTEST)),
        SHORTEST..=LONGEST => Ok(()),
        _ => Err(TextError::TooLong(LONGEST)),
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Nothing: a password is no part of what an idempotency key is bound to.
impl Serialize for Password {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Passwords {
    /// Each hash takes 19 MiB and a core for a while: one at a time per core.
    places: Arc<Semaphore>,
    /// Checked for accounts that do not exist, so that they take as long as others.
    nobodys: Arc<str>,
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let nobodys = hash("nobody's password").expect("the parameters are within argon2's bounds");
        Self { places: Arc::new(Semaphore::new(cores)), nobodys: nobodys.into() }
    }
}

impl Passwords {
    /// The hash of a new password, as a PHC string.
    pub async fn hash(&self, password: &Password) -> Result<String, Problem> {
        let password = password.0.clone();
        self.run(move || hash(password.expose_secret())).await?.map_err(Problem::internal)
    }

    /// Whether the password is right. `hash` is `None` for an account that does not exist: same time, always wrong.
    pub async fn check(&self, password: &SecretString, hash: Option<String>) -> Result<bool, Problem> {
        let (password, exists) = (SecretString::from(opaque(password.expose_secret())), hash.is_some());
        let hash = hash.unwrap_or_else(|| self.nobodys.to_string());
        let right = self.run(move || check(password.expose_secret(), &hash)).await?;
        Ok(right && exists)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let place = self.places.clone().acquire_owned().await.map_err(Problem::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(Problem::internal)
    }
}

fn argon2() -> Argon2<'static> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    argon2().hash_password(password.as_bytes()).map(|hash| hash.to_string())
}

fn check(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_long_and_common_passwords_are_refused() {
        let (decomposed, composed_longer) = ("e\u{301}".repeat(7), "\u{958}".repeat(129));
        for wrong in
            ["1234567", "Password1", "ｐａｓｓｗｏｒｄ", &"a".repeat(257), &decomposed, &composed_longer]
        {
            assert!(Password::try_from(wrong.to_owned()).is_err(), "{wrong} was accepted");
        }
    }

    #[tokio::test]
    async fn a_password_is_right_in_every_composition_and_with_spaces_of_every_width() {
        let passwords = Passwords::default();
        let set = |text: &str| Password::try_from(text.to_owned()).expect("long enough");
        let hash = passwords.hash(&set("caf\u{e9} na\u{ef}ve")).await.expect("hashes");
        for typed in
            ["cafe\u{301} nai\u{308}ve", "caf\u{e9}\u{a0}na\u{ef}ve", "cafe\u{301}\u{3000}na\u{ef}ve"]
        {
            assert_eq!(passwords.check(&typed.into(), Some(hash.clone())).await, Ok(true), "{typed}");
        }
        for typed in ["cafe nai\u{308}ve", "CAF\u{e9} na\u{ef}ve", "caf\u{e9} na\u{ef}ve "] {
            assert_eq!(passwords.check(&typed.into(), Some(hash.clone())).await, Ok(false), "{typed}");
        }
    }

    #[test]
    fn hostile_passwords_are_taken_as_they_are_or_refused_for_their_length() {
        let kept = |text: &str| {
            Password::try_from(text.to_owned()).map(|password| password.0.expose_secret().to_owned())
        };
        for odd in ["\0", "\u{fffe}", "\u{202e}", "\u{2028}", "\u{200b}", "\u{3164}", " ", "\u{301}"] {
            assert_eq!(kept(&odd.repeat(8)), Ok(odd.repeat(8)), "{odd:?}");
        }
        assert_eq!(kept("12345678 "), Ok("12345678 ".to_owned()));
        assert_eq!(kept(&"\u{301}".repeat(512 * 1024)), Err(TextError::TooLong(256)));
    }

    #[tokio::test]
    async fn a_password_is_right_for_its_own_hash_only() {
        let passwords = Passwords::default();
        let hash = passwords
            .hash(&Password::try_from("correct horse".to_owned()).expect("long enough"))
            .await
            .expect("hashes");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(passwords.check(&"correct horse".into(), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.check(&"wrong horse".into(), Some(hash)).await, Ok(false));
        assert_eq!(passwords.check(&"nobody's password".into(), None).await, Ok(false));
    }
}
