//! Migrates a database to this release: the log's tables only grow, and the server's keys are created once.

use std::collections::HashMap;

use anyhow::{Context, bail};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::log::encryption::MasterKey;
use crate::log::server_keys::ServerKeys;
use crate::process::postgres::place;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/es");

/// An arbitrary number that all Daybook processes agree on: one of them migrates at a time.
const MIGRATION_LOCK: i64 = 0x6461_7962_6f6f_6b01;

/// Applies what is missing, as the database's owner.
pub async fn migrate(owner_url: &str, master: &MasterKey) -> anyhow::Result<()> {
    let options: PgConnectOptions = owner_url.parse()?;
    let connected = PgConnection::connect_with(&options).await;
    let mut connection =
        connected.with_context(|| format!("Cannot reach the database at {}", place(&options)))?;
    sqlx::query!("select pg_advisory_lock($1)", MIGRATION_LOCK).execute(&mut connection).await?;
    MIGRATIONS.run(&mut connection).await.context("The database could not be migrated to this release")?;
    // The services check the migrations. The table is sqlx's own, so none of our migrations may name it.
    connection
        .execute("grant select on _sqlx_migrations to daybook_command, daybook_projector, daybook_query")
        .await?;
    ServerKeys::make(&mut connection, master).await?;
    ServerKeys::load(&mut connection, master).await?;
    connection.close().await?;
    Ok(())
}

/// Refuses a database that is not migrated to exactly this release, and says what to do. Every role may call it.
pub async fn ensure_current(pool: &PgPool) -> anyhow::Result<()> {
    let applied: HashMap<i64, Vec<u8>> =
        sqlx::query_as("select version, checksum from public._sqlx_migrations where success")
            .fetch_all(pool)
            .await
            .or_else(none_yet)?
            .into_iter()
            .collect();
    for migration in MIGRATIONS.iter() {
        match applied.get(&migration.version) {
            None => bail!(
                "The database does not have the form of this release: migration {} is missing. Run `daybook migrate` of \
                 this release, as the database's owner.",
                migration.version
            ),
            Some(checksum) if *checksum != *migration.checksum => bail!(
                "The database was made by other migrations than those of this release: number {} is not the same. Name \
                 another database, or run `daybook migrate` on a new one.",
                migration.version
            ),
            Some(_) => (),
        }
    }
    if let Some(newer) = applied.keys().find(|version| !MIGRATIONS.version_exists(**version)) {
        bail!(
            "The database has the form of a newer release: this one does not know its migration {newer}. Start the \
             services of the release whose `daybook migrate` ran last."
        );
    }
    Ok(())
}

/// No such table, or one that an earlier release did not let the services see, holds none of this release.
fn none_yet<T>(error: sqlx::Error) -> sqlx::Result<Vec<T>> {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    if matches!(code.as_deref(), Some("42P01" | "42501")) { Ok(Vec::new()) } else { Err(error) }
}

/// A name for the form of the log's tables, changed with every change of their files; tests name their template by it.
pub fn fingerprint() -> String {
    let sums = MIGRATIONS.iter().flat_map(|migration| migration.checksum.iter().copied());
    hex::encode(
        <sha2::Sha256 as sha2::Digest>::digest(sums.collect::<Vec<u8>>()).get(..6).unwrap_or_default(),
    )
}
