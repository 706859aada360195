//! The commands of a session, and each refusal.

use chrono::TimeDelta;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use shared::domain::id::UserId;
use shared::process::auth::session_ended;
use shared::process::problem::{Problem, ProblemType};

use super::Session;
use crate::app::{Authorized, Home, UnitOfWork};
use crate::app::{Refusal, problem};
use crate::log::{ModuleRow, SideRow};
use crate::users::User;

/// What may be asked of a session.
#[derive(Clone, Debug)]
pub enum SessionCommand {
    /// Log a person in.
    Open {
        /// Who logs in.
        user_id: UserId,
        /// What the client calls itself.
        device: Option<String>,
        /// The peer's address.
        address: Option<String>,
        /// The hash of the first refresh token.
        refresh: Vec<u8>,
        /// After what time without use the session ends by itself.
        lifetime: TimeDelta,
    },
    /// Log out.
    End,
}

/// Why a session refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is none, or it is another person's.
    #[error("There is no such session.")]
    Missing,
    /// The id is in use.
    #[error("There is already a session with this id.")]
    AlreadyExists,
}

impl Refusal for SessionError {
    fn refuse(&self) -> ProblemType {
        match self {
            Self::Missing => ProblemType::SessionMissing,
            Self::AlreadyExists => ProblemType::SessionExists,
        }
    }
}

/// The server opens sessions, after checking a password; their person, or the server, ends them.
pub(super) async fn authorize(
    session: &Session,
    work: &mut UnitOfWork<'_>,
    id: &str,
    commands: &[SessionCommand],
) -> Result<Authorized, Problem> {
    let stranger = work.caller.is_some_and(|caller| session.user().is_some_and(|user| user != caller.user));
    if stranger {
        return Err(problem(&SessionError::Missing));
    }
    let mut authorized = Authorized::default();
    for command in commands {
        let (user, row) = match command {
            SessionCommand::Open { user_id, device, address, refresh, lifetime } => {
                // A change of the account that ends its sessions must not miss this one.
                work.read::<User>(&user_id.to_string()).await?;
                let columns = json!({
                    "session_id": id,
                    "user_id": user_id.to_string(),
                    "refresh": format!("\\x{}", hex::encode(refresh)),
                    "lifetime": lifetime.num_seconds(),
                    "device": device.clone().unwrap_or_default(),
                    "address": address.clone().unwrap_or_default(),
                });
                (*user_id, row("session", id, columns))
            }
            SessionCommand::End => (
                session.user().ok_or_else(|| problem(&SessionError::Missing))?,
                row("session_end", id, json!({"session_id": id})),
            ),
        };
        authorized.home = Home::of("user", &user.to_string());
        authorized.rows.side.push(row);
    }
    Ok(authorized)
}

fn row(operation: &'static str, session: &str, columns: Value) -> SideRow {
    SideRow::Module(ModuleRow { operation, writes: ("session", session.to_owned()), columns })
}

/// Refuses a caller whose session has ended, on whichever instance that was decided. A policy has no session: what ends those
/// of the person it acts for changes the account, which is named instead.
pub fn refuse_ended<'w>(work: &'w mut UnitOfWork<'_>) -> BoxFuture<'w, Result<(), Problem>> {
    async move {
        let Some(caller) = work.caller else {
            if let Some(user) = work.on_behalf_of {
                work.read::<User>(&user.to_string()).await?;
            }
            return Ok(());
        };
        let session = work.read::<Session>(&caller.session.to_string()).await?;
        if session.state.is_open_for(caller.user) { Ok(()) } else { Err(session_ended()) }
    }
    .boxed()
}
