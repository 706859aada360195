//! Connections to Postgres: each service gets a pool whose sessions run as the role of that service and no other.

use std::str::FromStr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// The database roles of the services (`migrations/es` makes them, and says what each may do).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseRole {
    /// Appends through `es.append`; never sees the read tables.
    Command,
    /// Reads the log, writes the read tables.
    Projector,
    /// Reads the read tables; writes nothing but live tickets.
    Query,
}

impl DatabaseRole {
    /// The role's name in Postgres.
    pub fn name(self) -> &'static str {
        match self {
            Self::Command => "daybook_command",
            Self::Projector => "daybook_projector",
            Self::Query => "daybook_query",
        }
    }
}

/// Options for connections that run as `role`; `schema` (if any) is what unqualified names mean.
pub fn options(url: &str, role: DatabaseRole, schema: Option<&str>) -> sqlx::Result<PgConnectOptions> {
    let options =
        PgConnectOptions::from_str(url)?.application_name(role.name()).options([("role", role.name())]);
    Ok(match schema {
        Some(schema) => options.options([("search_path", schema)]),
        None => options,
    })
}

/// A pool of at most `size` connections that run as `role`. Connections are made when first needed.
pub fn pool(url: &str, role: DatabaseRole, schema: Option<&str>, size: u32) -> sqlx::Result<PgPool> {
    Ok(PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options(url, role, schema)?))
}

/// Refuses a server that may lose what it acknowledged: `fsync`, `full_page_writes` or `synchronous_commit` off.
pub async fn refuse_forgetful(pool: &PgPool) -> anyhow::Result<()> {
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value =
            sqlx::query_scalar!(r#"select current_setting($1) as "value!""#, setting).fetch_one(pool).await?;
        anyhow::ensure!(
            value != "off",
            "Postgres runs with {setting} = off: it may lose what it has acknowledged. Turn it on, or say --throwaway \
             if this database may be lost."
        );
    }
    Ok(())
}
