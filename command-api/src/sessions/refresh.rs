//! Refresh tokens: opaque, stored hashed, replaced at each use.
//!
//! A token's successor is computed from it, so a request repeated because its answer was lost gets the same successor.
//! Used again later, it was stolen or copied: the session ends.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use shared::id::{SessionId, UserId};
use shared::problem::Problem;

use crate::app::App;

/// A session that is not used for this long ends by itself.
pub(super) const LIFETIME: TimeDelta = TimeDelta::days(30);
/// How long a replaced token still gets its successor.
const GRACE: TimeDelta = TimeDelta::seconds(10);
/// How many generations back a token is still known for its session's: at one each 15 minutes, a day.
const GENERATIONS: usize = 96;

/// A refresh token, as the client holds it.
pub(super) struct RefreshToken(Vec<u8>);

/// What became of a refresh token.
pub(super) enum Turn {
    /// It was good; here is the next.
    Next { user: UserId, session: SessionId, token: RefreshToken },
    /// It was replaced long ago.
    Reused { user: UserId, session: SessionId },
}

struct Row {
    session_id: String,
    user_id: String,
    refresh: Vec<u8>,
    rotated_at: DateTime<Utc>,
    is_open: bool,
}

impl RefreshToken {
    /// A session's first token.
    pub(super) fn first() -> Self {
        Self(shared::clock::random::<32>().to_vec())
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

/// Takes a token in and gives its successor; `None` for one that was never ours, or whose session has ended.
pub(super) async fn turn(app: &App, token: &RefreshToken) -> Result<Option<Turn>, Problem> {
    let (row, outlived) = match find(app, &[token.hash()]).await? {
        Some(row) => (Some(row), false),
        None => (find(app, &descendants(app, token)).await?, true),
    };
    let Some(row) = row.filter(|row| row.is_open) else { return Ok(None) };
    let (Ok(session), Ok(user)) = (row.session_id.parse(), row.user_id.parse()) else {
        return Err(Problem::internal("a session's row names no session"));
    };
    if outlived {
        return Ok(Some(Turn::Reused { user, session }));
    }
    let next = RefreshToken(app.keys.successor(&token.0).to_vec());
    if row.refresh == token.hash() && rotate(app, &row.session_id, token, &next).await? {
        return Ok(Some(Turn::Next { user, session, token: next }));
    }
    // Replaced: by this token's own successor a moment ago, or by somebody, some time ago. Look again; it may have been now.
    let Some(row) = find(app, &[token.hash()]).await?.filter(|row| row.is_open) else { return Ok(None) };
    let repeated = row.refresh == next.hash() && app.clock.now() - row.rotated_at < GRACE;
    Ok(Some(if repeated {
        Turn::Next { user, session, token: next }
    } else {
        Turn::Reused { user, session }
    }))
}

/// The hashes of the tokens that came or would come after this one. Only the server can compute them.
fn descendants(app: &App, token: &RefreshToken) -> Vec<Vec<u8>> {
    let next = |token: &RefreshToken| Some(RefreshToken(app.keys.successor(&token.0).to_vec()));
    std::iter::successors(next(token), next).take(GENERATIONS).map(|token| token.hash()).collect()
}

async fn find(app: &App, hashes: &[Vec<u8>]) -> Result<Option<Row>, Problem> {
    let row = sqlx::query_as!(
        Row,
        r#"select session_id, user_id, refresh, rotated_at,
                  ended_at is null and expires_at > clock_timestamp() as "is_open!"
             from es.session where refresh = any($1) or previous = any($1)"#,
        hashes
    );
    Ok(row.fetch_optional(&app.pool).await?)
}

async fn rotate(app: &App, session: &str, old: &RefreshToken, new: &RefreshToken) -> Result<bool, Problem> {
    let rotated = sqlx::query_scalar!(
        r#"select es.rotate_session($1, $2, $3, $4) as "rotated!""#,
        session,
        old.hash(),
        new.hash(),
        app.clock.now() + LIFETIME
    );
    Ok(rotated.fetch_one(&app.pool).await?)
}
