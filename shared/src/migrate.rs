//! Bringing a database to this release's form: the log's tables only ever grow, and the server's keys are made once.

use anyhow::Context;
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

use crate::seal::MasterKey;
use crate::server_keys::ServerKeys;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/es");

/// An arbitrary number that all Daybook processes agree on: one of them migrates at a time.
const MIGRATION_LOCK: i64 = 0x6461_7962_6f6f_6b01;

/// Applies what is missing, as the database's owner.
pub async fn migrate(owner_url: &str, master: &MasterKey) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(owner_url).await.context("The database cannot be reached")?;
    sqlx::query!("select pg_advisory_lock($1)", MIGRATION_LOCK).execute(&mut connection).await?;
    MIGRATIONS
        .run(&mut connection)
        .await
        .context("The database could not be brought to this release's form")?;
    ServerKeys::make(&mut connection, master).await?;
    ServerKeys::load(&mut connection, master).await?;
    connection.close().await?;
    Ok(())
}

/// A name for the form of the log's tables, changed with every change of their files; tests name their template by it.
pub fn fingerprint() -> String {
    let sums = MIGRATIONS.iter().flat_map(|migration| migration.checksum.iter().copied());
    hex::encode(
        <sha2::Sha256 as sha2::Digest>::digest(sums.collect::<Vec<u8>>()).get(..6).unwrap_or_default(),
    )
}
