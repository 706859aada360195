//! Replaces read schemas, and drops unused ones.
//!
//! Renaming a schema locks no table, so readers never wait for it. Dropping a table does lock it. Therefore tables
//! are dropped one by one, with a short timeout, and tried again: a reader behind a waiting drop would wait as long
//! as the slowest reader before it.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, PgExecutor, PgPool};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Who wants to read a table waits at most this long for its end.
const LOCK: &str = "set local lock_timeout = '50ms'";
/// How often a table that is still read is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// Retires a schema, to be dropped by [`drop_gone`]; `false` if there is none.
pub(crate) async fn retire(executor: impl PgExecutor<'_>, schema: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select es.retire_read_schema($1) as "retired!""#, schema).fetch_one(executor).await
}

/// Retires the schemas that no projector has used for a day, but `ours`.
pub(crate) async fn retire_unused(pool: &PgPool, ours: &str) -> sqlx::Result<()> {
    let others = sqlx::query_scalar!("select name from es.read_schema where name <> $1", ours);
    for schema in others.fetch_all(pool).await? {
        let retired =
            sqlx::query_scalar!(r#"select es.retire_read_schema($1, '1 day') as "retired!""#, schema);
        if retired.fetch_one(pool).await? {
            tracing::info!(schema, "Nobody has used this read schema for a day; dropping it");
        }
    }
    Ok(())
}

/// Puts `side` in the place of `live`, which is retired.
pub(crate) async fn swap(connection: &mut PgConnection, live: &str, side: &str) -> sqlx::Result<()> {
    sqlx::query!("select es.swap_read_schema($1, $2)", live, side).execute(connection).await?;
    Ok(())
}

/// Drops retired tables that are not being read, trying for `patience`; the rest is dropped another time.
pub(crate) async fn drop_gone(pool: &PgPool, patience: Duration) {
    let deadline = Instant::now() + patience;
    let mut ticks = interval(AGAIN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match drop_once(pool).await {
            Ok(()) => return,
            Err(error) if Instant::now() >= deadline => {
                tracing::warn!(%error, "Old read tables could not be dropped; they will be, within the hour");
                return;
            }
            Err(_) => {}
        }
    }
}

async fn drop_once(pool: &PgPool) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    let tables = sqlx::query_scalar!(
        r#"select format('%I.%I', n.nspname, c.relname) as "table!"
             from es.read_schema s join pg_namespace n on n.nspname = s.name
             join pg_class c on c.relnamespace = n.oid
            where s.name ~ '^read_gone_' and c.relkind = 'r'"#
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut busy = Ok(());
    for table in tables {
        // With the views over it. Built at run time, because these names were not known before.
        busy = drop_one(&mut connection, &format!("drop table if exists {table} cascade")).await.and(busy);
    }
    busy?;
    let gone = sqlx::query_scalar!("select name from es.read_schema where name ~ '^read_gone_'")
        .fetch_all(&mut *connection);
    for schema in gone.await? {
        drop_one(&mut connection, &format!("drop schema if exists {schema}")).await?;
        sqlx::query!("delete from es.read_schema where name = $1", schema).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn drop_one(connection: &mut PgConnection, statement: &str) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    transaction.execute(LOCK).await?;
    transaction.execute(statement).await?;
    transaction.commit().await
}
