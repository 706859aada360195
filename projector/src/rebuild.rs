//! Rebuilding the live tables beside them, and swapping.
//!
//! The swap is short, and nobody but the leading projector waits for it:
//!
//! 1. The live checkpoint is locked: whoever feeds the live tables waits.
//! 2. The new tables are brought to the end of the log; that is what happened since a moment ago.
//! 3. The live checkpoint is retired, so that who waited for it fails and looks again, and the schemas are renamed.
//! 4. The new checkpoint, locked before, is let go when no statement reads the old tables any more. One that was being
//!    planned at the moment of the swap may read some tables of each; until it has ended, both say the same.

use std::time::Duration;

use shared::process::read_schema;
use sqlx::postgres::types::Oid;
use sqlx::{Executor, PgConnection, PgPool};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::engine::Engine;
use crate::engine::checkpoint::Checkpoint;
use crate::shadow_build::{ShadowBuild, ShadowBuildError};
use crate::tables;

/// How long the projector may take to end its batch before we give up; run again, we go on from here.
const LOCK: &str = "set local lock_timeout = '30s'";
/// How long statements that began before the swap are waited for.
const LAST_READERS: Duration = Duration::from_secs(1);
/// How often we look whether they are done.
const LOOK: Duration = Duration::from_millis(2);

impl ShadowBuild {
    /// Rebuilds the live tables and swaps; gives the position at which it did. Stopped half-way, it goes on from
    /// there when called again.
    pub async fn rebuild(&self) -> Result<i64, ShadowBuildError> {
        let session = self.enter().await?;
        let side = format!("{}_new", self.schema);
        let live_pool = self.pool(&self.schema);
        read_schema::ensure(&live_pool, &self.schema).await?;
        read_schema::begin(&live_pool, &side).await?;
        if skipped_since(&live_pool, &side).await? {
            tracing::info!("An event was skipped since these tables were begun; beginning again");
            self.clear(&live_pool, &side).await?;
        }
        let mut engine = self.engine(&side).await?;
        if engine.position() > 0 {
            tracing::info!(
                position = engine.position(),
                "Going on from where an earlier rebuild was stopped"
            );
        }
        self.fold(&live_pool, &mut engine, &side, i64::MAX).await?;
        self.complete(&side).await?;
        self.fold(&live_pool, &mut engine, &side, i64::MAX).await?;
        self.swap(&live_pool, &side, &mut engine).await?;
        tracing::info!(position = engine.position(), "The new tables are in place; dropping the old");
        self.sweep(&live_pool).await;
        self.leave(session).await?;
        Ok(engine.position())
    }

    async fn swap(
        &self,
        live_pool: &PgPool,
        side: &str,
        engine: &mut Engine,
    ) -> Result<(), ShadowBuildError> {
        let mut live = live_pool.begin().await?;
        live.execute(LOCK).await?;
        Checkpoint::lock(&mut live).await?;
        engine.look().await?;
        engine.catch_up_to(i64::MAX).await?;
        let side_pool = self.pool(side);
        let mut still = side_pool.begin().await?;
        Checkpoint::lock(&mut still).await?;
        let old = tables_of(&mut live, &self.schema).await?;
        Checkpoint::retire(&mut live).await?;
        tables::swap(&mut live, &self.schema, side).await?;
        live.commit().await?;
        until_unread(live_pool, &old).await?;
        still.rollback().await?;
        Ok(())
    }
}

/// Whether an operator skipped an event that the tables of `side` hold already.
async fn skipped_since(pool: &PgPool, side: &str) -> sqlx::Result<bool> {
    // The position stands in a schema whose name varies, so it is asked for at run time.
    let position: i64 =
        sqlx::query_scalar(&format!("select position from {side}.checkpoint")).fetch_one(pool).await?;
    sqlx::query_scalar!(
        r#"select exists (select from es.skip k join es.read_schema s on s.name = $1
                           where k.at >= s.made_at and k.position <= $2) as "skipped!""#,
        side,
        position
    )
    .fetch_one(pool)
    .await
}

async fn tables_of(connection: &mut PgConnection, schema: &str) -> sqlx::Result<Vec<Oid>> {
    sqlx::query_scalar!("select oid from pg_class where relnamespace = to_regnamespace($1)", schema)
        .fetch_all(connection)
        .await
}

/// Waits until no statement holds one of these tables for reading, but not for ever.
async fn until_unread(pool: &PgPool, tables: &[Oid]) -> sqlx::Result<()> {
    let deadline = Instant::now() + LAST_READERS;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < deadline {
        looks.tick().await;
        let read = sqlx::query_scalar!(
            r#"select exists (select from pg_locks
                               where relation = any($1) and mode = 'AccessShareLock' and pid <> pg_backend_pid()
                                 and database = (select oid from pg_database where datname = current_database())
                             ) as "read!""#,
            tables
        );
        if !read.fetch_one(pool).await? {
            break;
        }
    }
    Ok(())
}
