//! The commands of an account: who may give them, and each refusal.

use serde_json::{Map, Value, json};
use shared::domain::text::{DisplayName, Email, Username, WebAddress, fold_login};
use shared::process::problem::{Problem, ProblemType};

use crate::app::{Authorized, Claim, Home, UnitOfWork};
use crate::app::{Refusal, problem};
use crate::log::{self, ModuleRow, SideRow};

/// The kind of the claim on an e-mail address.
pub(crate) const EMAIL: &str = "email";
/// The kind of the claim on a username.
pub(crate) const USERNAME: &str = "username";

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

fn email_taken() -> Problem {
    Problem::new(ProblemType::EmailTaken, "Another account has this e-mail address.")
}

fn username_taken() -> Problem {
    Problem::new(ProblemType::UsernameTaken, "Another account has this username.")
}

/// A person's password hash, new or changed: an argon2id string.
fn credential(user_id: &str, hash: &str) -> SideRow {
    SideRow::Module(ModuleRow {
        operation: "credential",
        writes: ("credential", user_id.to_owned()),
        columns: json!({"user_id": user_id, "hash": hash}),
    })
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
                let claim = |kind, name: &str, taken| {
                    let value = work.app.keys.claim(kind, &fold_login(name));
                    Claim { claim: log::Claim { kind, value, owner: id.to_owned() }, taken }
                };
                authorized.rows.claims = vec![
                    claim(EMAIL, email.as_str(), email_taken()),
                    claim(USERNAME, username.as_str(), username_taken()),
                ];
                authorized.rows.side.push(credential(id, hash));
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
