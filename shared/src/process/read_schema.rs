//! The read schema is named after its form, so each release feeds and reads the tables that it was compiled for.
//!
//! To change a table, change its file under `migrations/read`. To change what a projection does with events, raise
//! its version in [`VERSIONS`]. Either gives the schema another name. The projector of the new release creates and
//! fills it, while the old release still serves.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use sqlx::{Executor, PgConnection, PgPool};

use crate::process::postgres::DatabaseRole;

/// The files that make the schema, in their order. They name no schema: they apply to any new, empty one.
pub const FILES: &[(&str, &str)] = &[
    ("0001_checkpoint", include_str!("../../../migrations/read/0001_checkpoint.sql")),
    ("0002_users", include_str!("../../../migrations/read/0002_users.sql")),
    ("0003_notebooks", include_str!("../../../migrations/read/0003_notebooks.sql")),
    ("0004_notes", include_str!("../../../migrations/read/0004_notes.sql")),
    ("0005_feed", include_str!("../../../migrations/read/0005_feed.sql")),
    ("0006_quarantine", include_str!("../../../migrations/read/0006_quarantine.sql")),
    ("0007_blocks", include_str!("../../../migrations/read/0007_blocks.sql")),
    ("0008_tasks", include_str!("../../../migrations/read/0008_tasks.sql")),
    ("0009_members", include_str!("../../../migrations/read/0009_members.sql")),
    ("9000_access", include_str!("../../../migrations/read/9000_access.sql")),
    INDEXES,
];

/// The last of them: what only readers need, so that tables may be filled before they get it.
const INDEXES: (&str, &str) = ("9999_indexes", include_str!("../../../migrations/read/9999_indexes.sql"));

/// The name of every projection (and of its table), and the version of its fold.
pub const VERSIONS: &[(&str, u32)] = &[
    ("users", 2),
    ("sessions", 1),
    ("notebooks", 1),
    ("notes", 1),
    ("blocks", 1),
    ("tasks", 3),
    ("members", 1),
    ("feed", 1),
];

/// The tables count as caught up when they are at most this many events behind.
pub const NEAR: i64 = 1_000;

static NAME: LazyLock<String> = LazyLock::new(|| format!("read_{}", fingerprint(FILES, VERSIONS)));

/// The name of this binary's read schema: `read_` and 12 hexadecimal digits.
pub fn name() -> &'static str {
    &NAME
}

/// Makes the schema `name` unless it is there, and notes that it is in use. The pool's role is the projector's, which
/// then owns it; the query role may read it. A schema that can be seen is complete, unless it was [`begin`]ned.
pub async fn ensure(pool: &PgPool, name: &str) -> sqlx::Result<()> {
    make(pool, name, FILES).await
}

/// Like [`ensure`], for tables that are read only after they are [`complete`]d: they fill faster without indexes.
pub async fn begin(pool: &PgPool, name: &str) -> sqlx::Result<()> {
    make(pool, name, FILES.strip_suffix(&[INDEXES]).expect("it is the last")).await
}

/// Gives the tables of `name` their indexes, unless they have them, and counts what is in them: else the first readers
/// would be planned for as if the tables were empty.
pub async fn complete(pool: &PgPool, name: &str) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let has = sqlx::query_scalar!(r#"select to_regclass($1 || '.feed_pkey') is not null as "has!""#, name)
        .fetch_one(&mut *transaction)
        .await?;
    if !has {
        fill(&mut transaction, name, &[INDEXES]).await?;
    }
    transaction.commit().await?;
    for table in VERSIONS.iter().map(|(table, _)| *table).chain(["checkpoint", "quarantine"]) {
        pool.execute(format!("analyze {name}.{table}").as_str()).await?;
    }
    Ok(())
}

async fn make(pool: &PgPool, name: &str, files: &[(&str, &str)]) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let new = sqlx::query_scalar!(r#"select es.make_read_schema($1) as "new!""#, name)
        .fetch_one(&mut *transaction)
        .await?;
    if new {
        fill(&mut transaction, name, files).await?;
        grant(&mut transaction, name).await?;
    }
    transaction.commit().await
}

/// Made at run time: no statement can take the name of a schema as a parameter.
async fn fill(connection: &mut PgConnection, name: &str, files: &[(&str, &str)]) -> sqlx::Result<()> {
    connection.execute(format!("set local search_path = {name}").as_str()).await?;
    for (_, file) in files {
        connection.execute(*file).await?;
    }
    Ok(())
}

async fn grant(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let query = DatabaseRole::Query.name();
    let grant = format!(
        "grant usage on schema {name} to {query}; grant select on all tables in schema {name} to {query};"
    );
    connection.execute(grant.as_str()).await?;
    Ok(())
}

fn fingerprint(files: &[(&str, &str)], versions: &[(&str, u32)]) -> String {
    let mut shape = Sha256::new();
    for (name, text) in files {
        shape.update(format!("{name}\n{}\n{text}\n", text.len()));
    }
    for (name, version) in versions {
        shape.update(format!("{name}={version}\n"));
    }
    hex::encode(shape.finalize().get(..6).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/read");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().replace(".sql", ""))
            .collect();
        found.sort();
        assert_eq!(found, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn another_shape_or_another_fold_has_another_name() {
        let now = fingerprint(FILES, VERSIONS);
        assert_eq!(name(), format!("read_{now}"));
        assert_ne!(now, fingerprint(&FILES[1..], VERSIONS));
        assert_ne!(now, fingerprint(FILES, &[("users", 2)]));
        assert_ne!(fingerprint(FILES, &[("notes", 1)]), fingerprint(FILES, &[("notes", 2)]));
    }
}
