//! Databases, copied from one template for each level.

use anyhow::Result;
use servers::testing::{self, TestDatabase};
use shared::process::postgres::{DatabaseRole, pool};
use shared::process::{migrate, read_schema};

use crate::master;

/// What a database has when a test gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing: not even migrated.
    Empty,
    /// The empty log, and the server's keys under [`master`].
    Log,
    /// The read tables of this release as well, at position 0.
    Tables,
}

/// A database of one's own, which goes when this is dropped.
pub async fn database(level: Level) -> Result<TestDatabase> {
    let template = match level {
        Level::Empty => "empty".to_owned(),
        Level::Log => format!("log_{}", migrate::fingerprint()),
        Level::Tables => format!("tables_{}_{}", migrate::fingerprint(), read_schema::name()),
    };
    testing::database(&template, async |url| fill(level, &url).await).await
}

async fn fill(level: Level, url: &str) -> Result<()> {
    if level == Level::Empty {
        return Ok(());
    }
    migrate::migrate(url, &master()).await?;
    if level == Level::Tables {
        let projector = pool(url, DatabaseRole::Projector, None, 1)?;
        read_schema::ensure(&projector, read_schema::name()).await?;
        projector.close().await;
    }
    Ok(())
}
