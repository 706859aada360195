//! The commands of an account: who may give them, and each refusal.

use serde_json::{Map, Value};
use shared::problem::{Problem, ProblemType};
use shared::text::{DisplayName, Email, Username, WebAddress, fold_login};

use super::account::{EMAIL, USERNAME};
use crate::aggregate::{Refusal, problem};
use crate::app::{Authorized, Home, UnitOfWork};
use crate::log::{Claim, SideRow};

/// What may be asked of an account.
#[derive(Clone, Debug)]
pub enum UserCommand {
    /// Make it.
    Register {
        /// Its address.
        email: Email,
        /// Its name to log in with.
        username: Username,
        /// What others see.
        display_name: DisplayName,
        /// The password's hash: a side row, no part of an event.
        hash: String,
    },
    /// Change the profile; `None` leaves, `Some(None)` clears.
    Edit {
        /// What others see.
        display_name: Option<DisplayName>,
        /// Given name.
        first_name: Option<Option<DisplayName>>,
        /// Family name.
        last_name: Option<Option<DisplayName>>,
        /// A picture.
        avatar_url: Option<Option<WebAddress>>,
    },
    /// Change preferences by a JSON merge patch (RFC 7396).
    Prefer {
        /// The patch.
        patch: Map<String, Value>,
    },
}

/// Why an account refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// There is none.
    #[error("There is no such account.")]
    Missing,
    /// The id is in use.
    #[error("There is already an account with this id.")]
    AlreadyExists,
    /// They are for settings, not for data.
    #[error("Preferences have at most 64 KiB as JSON.")]
    PreferencesTooLarge,
}

impl Refusal for UserError {
    fn refuse(&self) -> ProblemType {
        match self {
            Self::Missing => ProblemType::UserMissing,
            Self::AlreadyExists => ProblemType::UserExists,
            Self::PreferencesTooLarge => ProblemType::PreferencesTooLarge,
        }
    }
}

/// Everybody registers and changes only themselves.
pub(super) fn authorize(
    work: &UnitOfWork<'_>,
    id: &str,
    commands: &[UserCommand],
) -> Result<Authorized, Problem> {
    let mut authorized = Authorized { home: Home::of("user", id), ..Authorized::default() };
    for command in commands {
        match command {
            UserCommand::Register { email, username, hash, .. } => {
                let claim = |kind, name: &str| Claim {
                    kind,
                    value: work.app.keys.claim(kind, &fold_login(name)),
                    owner: id.to_owned(),
                };
                authorized.rows.claims =
                    vec![claim(EMAIL, email.as_str()), claim(USERNAME, username.as_str())];
                authorized.rows.side.push(SideRow::Credential { user_id: id.to_owned(), hash: hash.clone() });
            }
            UserCommand::Edit { .. } | UserCommand::Prefer { .. } => {
                if work.user()?.to_string() != id {
                    return Err(problem(&UserError::Missing));
                }
            }
        }
    }
    Ok(authorized)
}
