//! Refresh tokens: opaque, stored hashed, replaced at each use.
//!
//! A token's successor is computed from it, so all tokens of a session are one chain, and the server can follow it from
//! any of them. A token that is used again within [`GRACE`] of its own replacement gets the newest token of its session:
//! an answer was lost, or two tabs asked, and everyone who asks ends with the same one. Used again later, it was stolen
//! or copied: the session ends.
//!
//! Only Postgres' clock counts here, for all times of a session: processes hand over how long something lasts, never when
//! it ends. When that clock is set back by more than [`GRACE`], the tokens that were replaced before count as replaced long ago.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use shared::domain::id::{SessionId, UserId};
use shared::process::problem::Problem;
use sqlx::postgres::types::PgInterval;

use crate::app::App;

/// A session that is not used for this long ends by itself.
pub(super) const LIFETIME: TimeDelta = TimeDelta::days(30);
/// How long a replaced token still gets the newest one.
const GRACE: TimeDelta = TimeDelta::seconds(10);
/// How many generations back a token is still known for its session's: at one each 15 minutes, a day.
const GENERATIONS: usize = 96;

/// A refresh token, as the client holds it.
pub(super) struct RefreshToken(Vec<u8>);

/// What became of a refresh token.
pub(super) enum Turn {
    /// It is good; here is the one to use next time.
    Next { user: UserId, session: SessionId, token: RefreshToken },
    /// It was replaced long ago.
    Reused { user: UserId, session: SessionId },
}

struct Row {
    session_id: String,
    user_id: String,
    /// How many times the given token's successors were replaced: 0 when it is the current one itself.
    generation: i32,
    /// Whether the given token was replaced within [`GRACE`].
    in_grace: bool,
    is_open: bool,
}

impl RefreshToken {
    /// A session's first token.
    pub(super) fn first() -> Self {
        Self(shared::domain::clock::random::<32>().to_vec())
    }

    /// Reads a token as a client sends it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32).map(Self)
    }

    /// As the client holds it.
    pub(super) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// As it is stored.
    pub(super) fn hash(&self) -> Vec<u8> {
        Sha256::digest(&self.0).to_vec()
    }
}

/// Takes a token in and gives the one to use from now on; `None` for one that was never ours, or whose session has ended.
pub(super) async fn turn(app: &App, token: &RefreshToken) -> Result<Option<Turn>, Problem> {
    let chain = chain(app, token);
    let hashes: Vec<Vec<u8>> = chain.iter().map(RefreshToken::hash).collect();
    loop {
        let Some(row) = find(app, &hashes).await?.filter(|row| row.is_open) else { return Ok(None) };
        let (Ok(session), Ok(user)) = (row.session_id.parse(), row.user_id.parse()) else {
            return Err(Problem::internal("a session's row names no session"));
        };
        let generation = usize::try_from(row.generation).map_err(Problem::internal)?;
        if generation > 0 {
            let newest = chain.into_iter().nth(generation).filter(|_| row.in_grace);
            return Ok(Some(newest.map_or(Turn::Reused { user, session }, |token| Turn::Next {
                user,
                session,
                token,
            })));
        }
        if let [old, new, ..] = &hashes[..]
            && rotate(app, &row.session_id, old, new).await?
        {
            return Ok(chain.into_iter().nth(1).map(|token| Turn::Next { user, session, token }));
        }
        // Somebody else replaced it, or ended the session, in this moment: look again.
    }
}

/// A token and those that came or would come after it. Only the server can compute them.
fn chain(app: &App, token: &RefreshToken) -> Vec<RefreshToken> {
    let next = |token: &RefreshToken| Some(RefreshToken(app.keys.successor(&token.0).to_vec()));
    std::iter::successors(Some(RefreshToken(token.0.clone())), next).take(GENERATIONS + 1).collect()
}

/// The session whose current token is one of a chain.
async fn find(app: &App, hashes: &[Vec<u8>]) -> Result<Option<Row>, Problem> {
    let row = sqlx::query_as!(
        Row,
        r#"select s.session_id, s.user_id, g.generation as "generation!",
                  coalesce(clock_timestamp() - s.rotated_at[g.generation] between -$2::interval and $2, false)
                    as "in_grace!",
                  s.ended_at is null and s.expires_at > clock_timestamp() as "is_open!"
             from es.session s
            cross join lateral (select array_position($1, s.refresh) - 1 as generation) g
            where s.refresh = any($1)"#,
        hashes,
        interval(GRACE)
    );
    Ok(row.fetch_optional(&app.pool).await?)
}

async fn rotate(app: &App, session: &str, old: &[u8], new: &[u8]) -> Result<bool, Problem> {
    let rotated = sqlx::query_scalar!(
        r#"select es.rotate_session($1, $2, $3, $4, $5) as "rotated!""#,
        session,
        old,
        new,
        interval(GRACE),
        interval(LIFETIME)
    );
    Ok(rotated.fetch_one(&app.pool).await?)
}

fn interval(time: TimeDelta) -> PgInterval {
    PgInterval::try_from(time).expect("so long is an interval")
}
