//! One leader for each role among all processes of a database: the process that holds the role's advisory lock.
//!
//! A frozen leader loses its session, and with it the lock. When it wakes up, it may still act for a moment before it
//! notices. Therefore every effect of a leader is fenced by itself (the relay by the expected sequence, the projector
//! by compare-and-set of its checkpoint). Leadership only keeps processes out of each other's way.

use std::future::Future;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::process::lifecycle::{Part, Shutdown};

/// How often a standby tries and a leader shows that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// A session as silent as this loses its lock.
const SILENCE: &str = "3s";
/// A beat that is not answered in this time is lost. It is shorter than [`SILENCE`], which a successor waits for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A job that one process at a time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderRole<'s> {
    /// Publishes the log to the stream.
    Relay,
    /// Writes the read tables of the schema of this name: each release has its own, and a new one builds while the old
    /// one leads.
    Projector(&'s str),
    /// Builds tables beside those of the schema of this name, to take their place or to be compared with.
    ShadowBuild(&'s str),
    /// Runs the policies.
    Policies,
    /// Signs the log's checkpoints.
    Sealer,
}

impl LeaderRole<'_> {
    /// The number of its advisory lock; locks belong to one database, so these clash with no other installation.
    pub fn lock(self) -> i64 {
        const FIRST: i64 = 0x6461_7962_6f6f_6b10;
        match self {
            Self::Relay => FIRST,
            Self::Policies => FIRST + 2,
            Self::Sealer => FIRST + 3,
            Self::Projector(schema) => number("projector", schema),
            Self::ShadowBuild(schema) => number("shadow_build", schema),
        }
    }
}

fn number(role: &str, schema: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(format!("{role}/{schema}")).into();
    let (first, _) = digest.split_first_chunk().expect("32 bytes are more than 8");
    i64::from_be_bytes(*first)
}

/// Takes a role for as long as the returned session is open; `None` if another process holds it. For work that is done
/// once; use [`lead`] to lead for ever.
pub async fn hold(options: &PgConnectOptions, role: LeaderRole<'_>) -> sqlx::Result<Option<PgConnection>> {
    let mut session = PgConnection::connect_with(options).await?;
    let lock = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "locked!""#, role.lock());
    let locked = lock.fetch_one(&mut session).await?;
    Ok(locked.then_some(session))
}

/// Runs `work` whenever this process leads, until `shutdown`.
///
/// `work` gets a token that is cancelled by `shutdown` (it should then end by itself) and when the lead is lost
/// (it is then dropped at its next await). Work that ends by itself gives up the lead, and tries to get it again.
pub async fn lead<F, Work>(options: &PgConnectOptions, role: LeaderRole<'_>, shutdown: &Shutdown, mut work: F)
where
    F: FnMut(Shutdown) -> Work,
    Work: Future<Output = ()>,
{
    while let Some(session) = stand(options, role, shutdown).await {
        let term = shutdown.child_token();
        // A task of its own: work that computes for long must not silence the beat.
        let over = CancellationToken::new();
        let mut beating = Part::spawn("leader's beat", beat(session, over.clone()));
        tracing::info!(?role, "Leading");
        tokio::select! {
            () = work(term.clone()) => {
                tracing::info!(?role, "No longer leading");
                over.cancel();
                beating.await;
            }
            () = &mut beating => {
                term.cancel();
                tracing::warn!(?role, "Lost the lead: the session that held it has ended");
            }
        }
        pause(shutdown).await;
    }
}

/// Tries each second until this session holds the lock; `None` at shutdown.
async fn stand(
    options: &PgConnectOptions,
    role: LeaderRole<'_>,
    shutdown: &Shutdown,
) -> Option<PgConnection> {
    let options = options.clone().options([("idle_session_timeout", SILENCE)]);
    let mut session = None;
    while !shutdown.is_cancelled() {
        match try_once(&options, role, &mut session).await {
            Ok(true) => return session,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(?role, error = &error as &dyn std::error::Error, "Cannot stand for the lead");
                session = None;
            }
        }
        pause(shutdown).await;
    }
    None
}

/// Tries, never waits for, the lock: a waiting session holds back vacuum in the whole database.
async fn try_once(
    options: &PgConnectOptions,
    role: LeaderRole<'_>,
    session: &mut Option<PgConnection>,
) -> sqlx::Result<bool> {
    if session.is_none() {
        *session = Some(patiently(PgConnection::connect_with(options)).await?);
    }
    let Some(session) = session else { return Ok(false) };
    let lock = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "locked!""#, role.lock());
    patiently(lock.fetch_one(&mut *session)).await
}

/// Keeps the session alive until it is `over`, or lost.
async fn beat(mut session: PgConnection, over: CancellationToken) {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = async {
        loop {
            beats.tick().await;
            if patiently(session.ping()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        // A broken session cannot be closed, and the loss must be known at once.
        () = ended => return,
        () = over.cancelled() => {}
    }
    // Closed rather than dropped, so that a successor finds the lock free.
    drop(patiently(session.close()).await);
}

async fn patiently<T>(answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    timeout(PATIENCE, answer).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

async fn pause(shutdown: &Shutdown) {
    // Cancelled or a beat later: both are what was waited for.
    drop(timeout(BEAT, shutdown.cancelled()).await);
}

#[cfg(test)]
mod tests {
    use super::LeaderRole;

    #[test]
    fn each_schema_has_a_role_of_its_own() {
        let numbers = [
            LeaderRole::Relay,
            LeaderRole::Policies,
            LeaderRole::Sealer,
            LeaderRole::Projector("read_a"),
            LeaderRole::Projector("read_b"),
            LeaderRole::ShadowBuild("read_a"),
        ]
        .map(LeaderRole::lock);
        assert_eq!(std::collections::HashSet::from(numbers).len(), numbers.len());
    }
}
