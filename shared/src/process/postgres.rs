//! Connections to Postgres: each service gets a pool whose sessions run as the role of that service and no other.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};

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

/// Options for connections that run as `role`. Unqualified names refer to `schema`, if it is given. Just-in-time
/// compilation is off: no request runs long enough to gain from it, and over new tables, whose size Postgres only guesses,
/// it would spend seconds on compiling reads that take microseconds. Commands look single things up, each by an index; where
/// one thing makes up most of a table, Postgres would read it whole.
pub fn options(url: &str, role: DatabaseRole, schema: Option<&str>) -> sqlx::Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)?
        .application_name(role.name())
        .options([("role", role.name()), ("jit", "off")]);
    let options = match role {
        DatabaseRole::Command => options.options([("enable_seqscan", "off")]),
        // A page in the order of an index must not become a bitmap of all that is there, sorted: how much that is for one
        // notebook of many, Postgres guesses by the average.
        // And an index costs what it costs on a disk without arms.
        // A statement is planned once, for any arguments: to plan a list again takes longer than to read a page of it.
        DatabaseRole::Query => options.options([
            ("enable_bitmapscan", "off"),
            ("random_page_cost", "1.1"),
            ("plan_cache_mode", "force_generic_plan"),
        ]),
        DatabaseRole::Projector => options,
    };
    Ok(match schema {
        Some(schema) => options.options([("search_path", schema)]),
        None => options,
    })
}

/// How long a connection may have been idle and still be used without asking whether it is alive: asking costs as much as
/// a small statement.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// A pool of at most `size` connections that run as `role`. Connections are made when first needed.
pub fn pool(url: &str, role: DatabaseRole, schema: Option<&str>, size: u32) -> sqlx::Result<PgPool> {
    Ok(PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .before_acquire(|connection, state| {
            Box::pin(async move {
                if state.idle_for > TRUSTED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options(url, role, schema)?))
}

/// Connects as `role` for the first time, and says what to do when that is not possible.
pub async fn reach(pool: &PgPool, role: DatabaseRole) -> anyhow::Result<()> {
    let Err(error) = pool.acquire().await else { return Ok(()) };
    let code = error.as_database_error().and_then(|error| error.code().map(Cow::into_owned));
    let name = role.name();
    Err(match code.as_deref() {
        // The migrations make the role.
        Some("22023") => anyhow::anyhow!(
            "The database has no role {name}. Run `daybook migrate` of this release, as the database's owner."
        ),
        Some("42501") => anyhow::anyhow!(
            "The login of DATABASE_URL is not {name} and was not granted it. Use another login, or grant it as the \
             database's owner: grant {name} to its-name"
        ),
        _ => {
            let place = place(&pool.connect_options());
            anyhow::Error::new(error).context(format!("Cannot reach the database of DATABASE_URL at {place}"))
        }
    })
}

/// Where a server is looked for: its host, or the folder of its socket.
pub(crate) fn place(options: &PgConnectOptions) -> String {
    options.get_socket().map_or_else(|| options.get_host().to_owned(), |folder| folder.display().to_string())
}

/// What is wrong with the database, for `/readyz`.
pub async fn complaint(pool: &PgPool) -> Option<String> {
    let cause = sqlx::query("select 1").execute(pool).await.err()?;
    tracing::warn!(%cause, "The database does not answer");
    Some("The database does not answer.".to_owned())
}

/// Refuses a server that may lose what it acknowledged: `fsync`, `full_page_writes` or `synchronous_commit` off.
pub async fn refuse_forgetful(pool: &PgPool) -> anyhow::Result<()> {
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value =
            sqlx::query_scalar!(r#"select current_setting($1) as "value!""#, setting).fetch_one(pool).await?;
        anyhow::ensure!(
            value != "off",
            "Postgres runs with {setting} = off, so it may lose acknowledged changes. Turn it on, or use --throwaway if \
             this database may be lost."
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_one_role_and_one_schema_and_compiles_nothing() {
        let options = options("postgres://db.example.org/daybook", DatabaseRole::Query, Some("read_1"));
        let options = options.expect("an address");
        assert_eq!(
            options.get_options(),
            Some(
                "-c role=daybook_query -c jit=off -c enable_bitmapscan=off -c random_page_cost=1.1 -c plan_cache_mode=force_generic_plan -c search_path=read_1"
            )
        );
    }
}
