//! Finding accounts by what people type, and who may create one.

use std::net::SocketAddr;

use shared::id::UserId;
use shared::problem::Problem;

use crate::app::App;

/// The kind of the claim on an e-mail address.
pub(crate) const EMAIL: &str = "email";
/// The kind of the claim on a username.
pub(crate) const USERNAME: &str = "username";

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

/// The account that is meant by an e-mail address or a username, and its password's hash.
pub async fn find_account(app: &App, login: &str) -> Result<Option<(UserId, String)>, Problem> {
    // A username has no @, so a login is one or the other.
    let kind = if login.contains('@') { EMAIL } else { USERNAME };
    let row = sqlx::query!(
        "select credential.user_id, credential.hash from es.claim join es.credential on credential.user_id = claim.owner
          where claim.kind = $1 and claim.value = $2",
        kind,
        &app.keys.claim(kind, login.trim())[..]
    )
    .fetch_optional(&app.pool)
    .await?;
    Ok(row.and_then(|row| Some((row.user_id.parse().ok()?, row.hash))))
}
