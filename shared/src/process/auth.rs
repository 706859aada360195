//! Who asks: access tokens (EdDSA JWT, RFC 8037), and the sessions that have ended before their tokens did.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::domain::clock::Clock;
use crate::domain::id::{SessionId, UserId};
use crate::log::server_keys::ServerKeys;
use crate::process::lifecycle::Shutdown;
use crate::process::problem::{Problem, ProblemType};
use crate::process::signature;

/// How long an access token is good for.
pub const ACCESS_LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// How often a process asks which sessions have ended.
const POLL: Duration = Duration::from_millis(250);
/// For how long an end is remembered: no token of the session lives longer, and a minute for clocks that differ.
const OUTLIVES_TOKENS: TimeDelta = TimeDelta::minutes(16);
const ISSUER: &str = "daybook";
const AUDIENCE: &str = "daybook";
/// The media type of our tokens (RFC 9068), so that no other kind of JWT passes for one.
const TYPE: &str = "at+jwt";

/// Who asks, by a verified token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub user: UserId,
    /// Their login.
    pub session: SessionId,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    jti: String,
    iat: i64,
    exp: i64,
}

/// Makes access tokens. Only the command API has one.
#[derive(Clone)]
pub struct Issuer {
    key: Arc<EncodingKey>,
    kid: String,
    clock: Clock,
}

/// Sessions that have ended or expired, and when this process heard of it first. Each is forgotten after
/// [`OUTLIVES_TOKENS`], so these are never more than end in that time.
type Ended = Arc<RwLock<HashMap<SessionId, DateTime<Utc>>>>;

/// Verifies access tokens, and knows which sessions have ended since.
#[derive(Clone)]
pub struct Verifier {
    key: Arc<DecodingKey>,
    validation: Arc<Validation>,
    jwks: Arc<Value>,
    ended: Ended,
    clock: Clock,
}

impl Issuer {
    /// Signs with the server's key.
    pub fn new(keys: &ServerKeys, clock: Clock) -> Self {
        let (key, _, public) = signature::keys(keys.signing());
        Self { key: Arc::new(key), kid: key_id(&public), clock }
    }

    /// A token for a session, and when it ends.
    pub fn issue(&self, user: UserId, session: SessionId) -> (String, DateTime<Utc>) {
        let now = self.clock.now();
        let expires_at = now + ACCESS_LIFETIME;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            sid: session,
            jti: self.clock.new_id().to_string(),
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
        };
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = jsonwebtoken::encode(&header, &claims, &self.key)
            .expect("our claims and key always make a token");
        (token, expires_at)
    }
}

impl Verifier {
    /// Verifies against the server's key. Starts to follow ended sessions on `pool` until `shutdown`.
    pub fn start(keys: &ServerKeys, clock: Clock, pool: PgPool, shutdown: &Shutdown) -> Self {
        let (_, key, public) = signature::keys(keys.signing());
        let x = URL_SAFE_NO_PAD.encode(public);
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        // The end is compared with our own clock, which tests can set.
        validation.validate_exp = false;
        let verifier = Self {
            key: Arc::new(key),
            validation: Arc::new(validation),
            jwks: Arc::new(
                json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id(&public), "x": x}]}),
            ),
            ended: Arc::default(),
            clock,
        };
        let following = follow_ended(pool, verifier.ended.clone(), clock, shutdown.clone());
        shutdown.essential("ended-sessions follower", following);
        verifier
    }

    /// The caller behind a token, unless it is forged, has ended, or its session has.
    pub fn verify(&self, token: &str) -> Result<Caller, Problem> {
        let data =
            jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).map_err(|_| wrong_token())?;
        if data.header.typ.as_deref() != Some(TYPE) {
            return Err(wrong_token());
        }
        let expires_at = DateTime::from_timestamp(data.claims.exp, 0).ok_or_else(wrong_token)?;
        if expires_at <= self.clock.now() {
            return Err(Problem::new(
                ProblemType::TokenExpired,
                "The access token has expired. Get a new one at /api/v1/auth/refresh.",
            ));
        }
        let caller = Caller { user: data.claims.sub, session: data.claims.sid, expires_at };
        if self.is_ended(&caller) { Err(session_ended()) } else { Ok(caller) }
    }

    /// Whether the caller's session has ended.
    pub fn is_ended(&self, caller: &Caller) -> bool {
        self.ended.read().expect("nobody panics while holding this lock").contains_key(&caller.session)
    }

    /// Notes an end at once, in the process that decided it.
    pub fn note_ended(&self, session: SessionId) {
        self.ended.write().expect("nobody panics while holding this lock").insert(session, self.clock.now());
    }

    /// The public key, as `/.well-known/jwks.json` shows it (RFC 7517).
    pub fn jwks(&self) -> &Value {
        &self.jwks
    }
}

/// 401 for a session that has ended.
pub fn session_ended() -> Problem {
    Problem::new(ProblemType::SessionEnded, "This session has ended. Log in again.")
}

fn wrong_token() -> Problem {
    Problem::new(ProblemType::TokenInvalid, "This server did not issue the access token. Log in again.")
}

/// RFC 7638 wants the thumbprint of the canonical key; any stable name serves, and this is shorter.
fn key_id(public: &[u8; 32]) -> String {
    let digest = Sha256::digest(public);
    URL_SAFE_NO_PAD.encode(&digest[..9])
}

async fn follow_ended(pool: PgPool, ended: Ended, clock: Clock, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(POLL);
    let mut away = false;
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        match recently_ended(&pool).await {
            Ok(sessions) => {
                away = false;
                let mut ended = ended.write().expect("nobody panics while holding this lock");
                take_in(&mut ended, sessions, clock.now());
            }
            Err(cause) if !away => {
                away = true;
                tracing::warn!(%cause, "Cannot ask which sessions have ended; keeping to those known");
            }
            Err(_) => (),
        }
    }
}

fn take_in(ended: &mut HashMap<SessionId, DateTime<Utc>>, news: Vec<SessionId>, now: DateTime<Utc>) {
    ended.retain(|_, heard| now - *heard < OUTLIVES_TOKENS);
    for session in news {
        ended.entry(session).or_insert(now);
    }
}

/// By Postgres' clock, as all times of sessions are.
async fn recently_ended(pool: &PgPool) -> sqlx::Result<Vec<SessionId>> {
    let ids = sqlx::query_scalar!(
        "select session_id from es.session
          where ended_at > now() - $1::interval or expires_at between now() - $1::interval and now()",
        OUTLIVES_TOKENS as _
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

impl<S> FromRequestParts<S> for Caller
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Verifier::from_ref(state).verify(bearer(parts)?)
    }
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let missing = || {
        Problem::new(
            ProblemType::TokenMissing,
            "Send an access token: Authorization: Bearer <token>. Log in at /api/v1/auth/login.",
        )
    };
    let value = parts.headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| wrong_token())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn pair(clock: Clock) -> (Issuer, Verifier) {
        let keys = ServerKeys::fixed();
        let lazy = PgPool::connect_lazy("postgres://nowhere.invalid/none").expect("a well-formed address");
        (Issuer::new(&keys, clock), Verifier::start(&keys, clock, lazy, &Shutdown::new()))
    }

    fn at(seconds: i64) -> Clock {
        Clock::Fixed(DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("in range"))
    }

    #[tokio::test]
    async fn a_token_is_good_until_it_ends_and_no_longer() {
        let (user, session) = (UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)));
        let (token, _) = pair(at(0)).0.issue(user, session);
        assert_eq!(pair(at(899)).1.verify(&token).map(|caller| caller.user), Ok(user));
        assert_eq!(
            pair(at(900)).1.verify(&token).map_err(|problem| problem.kind),
            Err(ProblemType::TokenExpired)
        );
    }

    #[tokio::test]
    async fn a_changed_an_unsigned_and_a_symmetric_token_are_refused() {
        let (issuer, verifier) = pair(at(0));
        let (token, _) = issuer.issue(UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)));
        let parts: Vec<&str> = token.split('.').collect();
        let unsigned =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#), parts[1]);
        let symmetric = format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"at+jwt"}"#),
            parts[1],
            parts[2]
        );
        let changed = format!("{}.{}x.{}", parts[0], parts[1], parts[2]);
        for forged in [unsigned, symmetric, changed, String::new(), "a.b.c".to_owned()] {
            assert_eq!(
                verifier.verify(&forged).map_err(|problem| problem.kind),
                Err(ProblemType::TokenInvalid),
                "{forged}"
            );
        }
    }

    #[test]
    fn an_ended_session_is_remembered_for_as_long_as_its_tokens_live_and_no_longer() {
        let session = |n| SessionId(Uuid::from_u128(n));
        let mut ended = HashMap::new();
        // Each poll says it again, for as long as the row is new.
        for minute in 0..OUTLIVES_TOKENS.num_minutes() {
            take_in(&mut ended, vec![session(1)], at(minute * 60).now());
        }
        assert!(ended.contains_key(&session(1)) && OUTLIVES_TOKENS > ACCESS_LIFETIME);
        take_in(&mut ended, vec![session(2)], at(OUTLIVES_TOKENS.num_seconds()).now());
        assert_eq!(ended.into_keys().collect::<Vec<_>>(), [session(2)]);
    }

    #[tokio::test]
    async fn a_token_of_an_ended_session_is_refused() {
        let (issuer, verifier) = pair(at(0));
        let session = SessionId(Uuid::from_u128(2));
        let (token, _) = issuer.issue(UserId(Uuid::from_u128(1)), session);
        verifier.note_ended(session);
        assert_eq!(verifier.verify(&token).map_err(|problem| problem.kind), Err(ProblemType::SessionEnded));
    }
}
