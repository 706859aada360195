//! Finding accounts by what people type, and who may create one.

use std::net::SocketAddr;

use shared::domain::id::UserId;
use shared::domain::text::fold_login;
use shared::log::server_keys::ServerKeys;
use shared::process::problem::Problem;

use crate::app::App;
use crate::users::{EMAIL, USERNAME};

/// Who may create an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    /// Everybody who can reach the server.
    Open,
    /// Nobody.
    #[default]
    Closed,
}

impl Registration {
    /// The default: open on a loopback address, which only this machine reaches, and closed on others.
    pub fn by_default(listen: SocketAddr) -> Self {
        if listen.ip().is_loopback() { Self::Open } else { Self::Closed }
    }
}

/// What somebody typed to log in, in the form that accounts are looked up by: the same for every spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login(String);

impl From<&str> for Login {
    fn from(typed: &str) -> Self {
        Self(fold_login(typed))
    }
}

impl Login {
    /// What attempts are counted by: the account, under whichever of its names; or a name that has no account.
    pub fn throttled_by(&self, keys: &ServerKeys, user: Option<UserId>) -> Vec<u8> {
        keys.claim("login", &user.map_or_else(|| self.0.clone(), |user| user.to_string()))
    }
}

/// The account that is meant by an e-mail address or a username, and its password's hash.
pub async fn find_account(app: &App, login: &Login) -> Result<Option<(UserId, String)>, Problem> {
    // A username has no @, so a login is one or the other.
    let kind = if login.0.contains('@') { EMAIL } else { USERNAME };
    let row = sqlx::query!(
        "select credential.user_id, credential.hash from es.claim join es.credential on credential.user_id = claim.owner
          where claim.kind = $1 and claim.value = $2",
        kind,
        &app.keys.claim(kind, &login.0)[..]
    )
    .fetch_optional(&app.pool)
    .await?;
    Ok(row.and_then(|row| Some((row.user_id.parse().ok()?, row.hash))))
}
