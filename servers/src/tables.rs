//! Every table, made from the files under `migrations` as they are now.
//!
//! Not by `shared`, which migrates real databases: it has SQL that is to be checked against these tables, so it may not
//! compile before they are there.

use std::fs;

use anyhow::{Context, Result};
use sqlx::{Connection, Executor, PgConnection};

/// Makes them in an empty database, whose address this is; gives the address at which read tables need no schema.
pub(crate) async fn make(url: &str) -> Result<String> {
    let mut connection = PgConnection::connect(url).await?;
    apply(&mut connection, "migrations/es").await?;
    connection.execute("create schema read; set search_path = read").await?;
    apply(&mut connection, "migrations/read").await?;
    connection.close().await?;
    Ok(format!("{url}&options=-csearch_path%3Dread"))
}

async fn apply(connection: &mut PgConnection, folder: &str) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("there is no {folder} in this folder"))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    for file in files {
        let name = file.display();
        let sql = fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
        connection.execute(sql.as_str()).await.with_context(|| format!("{name} does not apply"))?;
    }
    Ok(())
}
