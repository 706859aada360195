//! The writer's connection: it is opened again when it breaks, and never two are at work at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::time::Instant;

/// How often `es.keep_house` is run.
const HOUSE: Duration = Duration::from_hours(1);
/// How soon again when it left something to do.
const MORE_HOUSE: Duration = Duration::from_secs(1);
/// What a statement may take, unless the options say otherwise.
const STATEMENT: (&str, &str) = ("statement_timeout", "5s");
/// The most one attempt to connect may take.
const ATTEMPT: Duration = Duration::from_secs(6);

/// The writer's connection, if it is up.
pub(super) struct Line {
    options: PgConnectOptions,
    /// Each session holds this advisory lock. So the next one waits until the one before is gone, and no
    /// statement of a broken session takes effect after another answer was given in its place.
    fence: i64,
    open: Option<PgConnection>,
    house_due: Option<Instant>,
}

impl Line {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        let limited = options.get_options().is_some_and(|given| given.contains(STATEMENT.0));
        let options = if limited { options } else { options.options([STATEMENT]) };
        let options = options.application_name("daybook_writer").options([
            // A session whose client is gone without a word ends, and its lock with it.
            ("tcp_keepalives_idle", "3"),
            ("tcp_keepalives_interval", "1"),
            ("tcp_keepalives_count", "3"),
        ]);
        Self { options, fence: any_number(), open: None, house_due: None }
    }

    /// The connection. It is opened again, with growing pauses, until `deadline`.
    pub(super) async fn get(&mut self, deadline: Instant) -> Option<&mut PgConnection> {
        let mut pause = Duration::from_millis(20);
        while self.open.is_none() {
            match tokio::time::timeout(ATTEMPT, connect(&self.options, self.fence)).await {
                Ok(Ok(connection)) => {
                    self.open = Some(connection);
                    break;
                }
                Ok(Err(error)) => tracing::warn!(%error, "the writer cannot connect to Postgres"),
                Err(_) => tracing::warn!("Postgres does not answer the writer"),
            }
            if Instant::now() + pause >= deadline {
                return None;
            }
            wait(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        self.keep_house().await;
        self.open.as_mut()
    }

    /// Lets go of a connection that is broken or may be.
    pub(super) fn drop_connection(&mut self) {
        self.open = None;
    }

    /// Stops waiting for the earlier session: its commands were answered with an unknown outcome.
    pub(super) fn forget_the_past(&mut self) {
        self.open = None;
        self.fence = any_number();
    }

    /// Lets es.command have its weeks, and old rows go; a failure is a warning, as rows then go to the default partition.
    async fn keep_house(&mut self) {
        if self.house_due.is_some_and(|due| Instant::now() < due) {
            return;
        }
        self.house_due = Some(Instant::now() + HOUSE);
        let Some(connection) = &mut self.open else { return };
        let kept = sqlx::query_scalar!(r#"select es.keep_house() as "more!""#).fetch_one(&mut *connection);
        match tokio::time::timeout(ATTEMPT, kept).await {
            Ok(Ok(more)) => {
                if more {
                    self.house_due = Some(Instant::now() + MORE_HOUSE);
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "old commands were not tidied away"),
            Err(_) => tracing::warn!("tidying old commands away takes too long"),
        }
    }
}

async fn connect(options: &PgConnectOptions, fence: i64) -> sqlx::Result<PgConnection> {
    let mut connection = options.clone().disable_statement_logging().connect().await?;
    let locked = sqlx::query!("select pg_advisory_lock($1)", fence).execute(&mut connection).await;
    if let Err(error) = locked {
        connection.close_hard().await.ok();
        return Err(error);
    }
    Ok(connection)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a pause between attempts to connect: there is nothing to wait for"
)]
async fn wait(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// Not a secret, only unlikely to be another writer's.
fn any_number() -> i64 {
    RandomState::new().build_hasher().finish().cast_signed()
}
