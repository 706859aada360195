//! One-time tickets: what a browser puts into the address of a socket instead of an access token.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::domain::clock::random;
use shared::domain::id::{SessionId, UserId};
use shared::process::auth::Caller;
use shared::process::problem::{Problem, ProblemType};

use super::Live;

/// How long a ticket is good for.
const LIFETIME: TimeDelta = TimeDelta::seconds(30);

/// A ticket for one socket: `GET /api/v1/live?ticket=…`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = live::Ticket)]
pub(super) struct Ticket {
    /// The value for the address; valid once.
    ticket: String,
    /// Until when.
    expires_at: DateTime<Utc>,
}

/// Get a ticket for a socket.
///
/// For clients that cannot send their token in the first frame. A ticket opens one socket, once, within 30 seconds.
#[utoipa::path(
    post,
    path = "/live/tickets",
    tag = "live",
    responses((status = 201, body = Ticket))
)]
pub(super) async fn buy(
    State(live): State<Live>,
    caller: Caller,
) -> Result<(StatusCode, Json<Ticket>), Problem> {
    let ticket = URL_SAFE_NO_PAD.encode(random::<32>());
    let now = live.clock.now();
    let expires_at = now + LIFETIME;
    sqlx::query!(
        "with gone as (delete from live.ticket where expires_at < $6)
         insert into live.ticket (hash, user_id, session_id, caller_until, expires_at) values ($1, $2, $3, $4, $5)",
        hash(&ticket),
        caller.user.0,
        caller.session.0,
        caller.expires_at,
        expires_at,
        now
    )
    .execute(&live.pool)
    .await?;
    Ok((StatusCode::CREATED, Json(Ticket { ticket, expires_at })))
}

/// The caller behind a ticket, which is worth nothing from now on.
pub(super) async fn redeem(live: &Live, ticket: &str) -> Result<Caller, Problem> {
    let row = sqlx::query!(
        r#"delete from live.ticket where hash = $1
           returning user_id as "user: UserId", session_id as "session: SessionId", caller_until, expires_at"#,
        hash(ticket)
    )
    .fetch_optional(&live.pool)
    .await?;
    let now = live.clock.now();
    let row = row.filter(|row| row.expires_at > now && row.caller_until > now);
    let caller = row.map(|row| Caller { user: row.user, session: row.session, expires_at: row.caller_until });
    caller.filter(|caller| !live.verifier.is_ended(caller)).ok_or_else(|| {
        Problem::new(
            ProblemType::TicketInvalid,
            "The ticket was used before, is too old, or was not issued here.",
        )
    })
}

fn hash(ticket: &str) -> Vec<u8> {
    Sha256::digest(ticket.as_bytes()).to_vec()
}
