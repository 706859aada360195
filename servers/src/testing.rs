//! For tests: a migrated database of their own in milliseconds, and a NATS of their own.
//!
//! The migrations run once, into a template; each test gets a copy of it. Tests of many processes share a server if
//! `DAYBOOK_TEST_POSTGRES` names one (`./dev test` does that). Otherwise each process starts its own, so that a plain
//! `cargo test` works too.

mod statements;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use crate::nats::{self, Nats};
use crate::postgres::{self, Durability, Postgres, quoted};
use crate::programs::variable;

pub use statements::{statements, statements_with_rows, whole_statements, will_count_statements};

/// Holds the address of the shared server's maintenance database.
pub const SERVER_VARIABLE: &str = "DAYBOOK_TEST_POSTGRES";

/// An arbitrary number, the same in all test processes. One for all templates: migrations make roles, which belong to
/// the whole server.
const TEMPLATE_LOCK: i64 = 0x6461_7962_6f6f_6b00;

/// How a template is copied. Files are quicker to copy than to log, and much quicker to drop, where nothing is
/// synced to disk.
const STRATEGY: &str = "file_copy";

/// A database that goes when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its address, with the superuser's name.
    pub url: String,
    server: String,
    name: String,
}

/// Starts a throw-away Postgres that is not shared with anyone.
pub async fn throwaway_postgres() -> Result<Postgres> {
    let data = temporary_folder()?.keep();
    Postgres::start(postgres::Options { data, durability: Durability::Throwaway, settings: Vec::new() }).await
}

/// The address of the maintenance database of the server that this process' tests share.
pub async fn postgres() -> Result<&'static str> {
    static SERVER: OnceCell<(String, Option<Postgres>)> = OnceCell::const_new();
    let (url, _) = SERVER
        .get_or_try_init(async || {
            if let Some(url) = variable(SERVER_VARIABLE).and_then(|url| url.into_string().ok()) {
                return Ok((url, None));
            }
            let own = throwaway_postgres().await?;
            anyhow::Ok((own.maintenance_url(), Some(own)))
        })
        .await?;
    Ok(url)
}

/// A fresh copy of the template `name`, which `migrate` fills first if this server does not have it yet.
///
/// The name must change whenever the migrations do (put a fingerprint into it). `migrate` gets the address of
/// an empty database and must close its connections: a database in use cannot be copied.
pub async fn database(name: &str, migrate: impl AsyncFnOnce(String) -> Result<()>) -> Result<TestDatabase> {
    let server = postgres().await?;
    let template = format!("template_{name}");
    let mut admin = PgConnection::connect(server).await.context("the Postgres for tests does not answer")?;
    make_template(server, &mut admin, &template, migrate).await?;
    let copy = fresh_name();
    // A copy that a killed process with our number left behind.
    admin.execute(format!("drop database if exists {copy} with (force)").as_str()).await?;
    let create = format!("create database {copy} template {} strategy {STRATEGY}", quoted(&template));
    admin.execute(create.as_str()).await.with_context(|| format!("cannot copy {template}"))?;
    admin.close().await?;
    Ok(TestDatabase { url: with_database(server, &copy), server: server.to_owned(), name: copy })
}

/// A NATS server of one's own, whose store goes with it.
pub async fn nats() -> Result<Nats> {
    let store = temporary_folder()?.keep();
    Nats::start_removing(nats::Options { store: store.clone(), port: None }, vec![store]).await
}

async fn make_template(
    server: &str,
    admin: &mut PgConnection,
    template: &str,
    migrate: impl AsyncFnOnce(String) -> Result<()>,
) -> Result<()> {
    if exists(admin, template).await? {
        return Ok(());
    }
    sqlx::query("select pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut *admin).await?;
    if !exists(admin, template).await? {
        // Under another name until it is complete: a process that dies half-way leaves no half a template.
        let building = format!("building_{template}");
        let quoted_building = quoted(&building);
        admin.execute(format!("drop database if exists {quoted_building} with (force)").as_str()).await?;
        admin.execute(format!("create database {quoted_building}").as_str()).await?;
        migrate(with_database(server, &building)).await.with_context(|| format!("cannot fill {template}"))?;
        let rename = format!("alter database {quoted_building} rename to {}", quoted(template));
        admin.execute(rename.as_str()).await.context("is a connection of the migration still open?")?;
    }
    sqlx::query("select pg_advisory_unlock($1)").bind(TEMPLATE_LOCK).execute(&mut *admin).await?;
    Ok(())
}

async fn exists(admin: &mut PgConnection, name: &str) -> Result<bool> {
    let found =
        sqlx::query("select from pg_database where datname = $1").bind(name).fetch_optional(admin).await?;
    Ok(found.is_some())
}

fn fresh_name() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// The same server's address with another database in it.
fn with_database(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let (address, _) = address.rsplit_once('/').unwrap_or((address, ""));
    format!("{address}/{name}?{options}")
}

/// A folder in `place` that is gone with what is returned. Others may pass through it: as root without user namespaces,
/// the Postgres in a folder below runs as another user.
pub fn folder(prefix: &str, place: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(Permissions::from_mode(0o711))
        .tempdir_in(place)
        .context("cannot make a temporary folder")
}

fn temporary_folder() -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("daybook-test-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(Path::new("/tmp"))
        .context("cannot make a temporary folder")
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A test's runtime may be ending around us, so the last word is spoken on a thread of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&server).await?;
                admin.execute(format!("drop database if exists {name} with (force)").as_str()).await?;
                anyhow::Ok(admin.close().await?)
            })
        });
        // Best effort: what stays goes with the server, or is replaced by the next copy of that name.
        drop(dropping.join());
    }
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_in_an_address_is_replaced() {
        assert_eq!(with_database("postgres://u@h/postgres?host=/tmp/x", "a"), "postgres://u@h/a?host=/tmp/x");
        assert_eq!(with_database("postgres://u@h:5432/postgres", "a"), "postgres://u@h:5432/a?");
    }
}
