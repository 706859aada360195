//! A Postgres of our own: created if its folder is empty, and reached only by a private Unix socket.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::leash::{Leash, Spawn};
use crate::log_file::{self, tail};
use crate::programs::{self, PostgresPrograms};
use crate::until::until;
use crate::user::User;

/// The one superuser; nobody else can reach the folder of the socket.
const SUPERUSER: &str = "daybook";
/// The database every cluster has, from which others are made.
const MAINTENANCE: &str = "postgres";

/// What a commit is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A commit survives a power cut.
    Durable,
    /// Nothing survives: the data folder is removed when the server goes. For tests.
    Throwaway,
}

impl Durability {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Durable => &[
                "max_connections=300",
                "shared_buffers=256MB",
                "max_wal_size=2GB",
                "min_wal_size=256MB",
                "checkpoint_timeout=15min",
            ],
            Self::Throwaway => &[
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=off",
                "max_connections=500",
                "shared_buffers=128MB",
                "wal_level=minimal",
                "max_wal_senders=0",
            ],
        }
    }

    /// `INT` is the fast shutdown, which writes everything; `QUIT` just ends.
    fn signal(self) -> &'static str {
        match self {
            Self::Durable => "INT",
            Self::Throwaway => "QUIT",
        }
    }
}

/// How to start a Postgres.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder; made, with its parents, when missing.
    pub data: PathBuf,
    /// What a commit is worth.
    pub durability: Durability,
    /// Further settings, `name=value`; they win over those that follow from the durability.
    pub settings: Vec<String>,
}

/// A running Postgres; dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    leash: Option<Leash>,
    options: Options,
    programs: PostgresPrograms,
    user: User,
    socket: PathBuf,
}

impl Postgres {
    /// Starts the server, after `initdb` when the data folder is empty, and waits until it answers.
    pub async fn start(options: Options) -> Result<Self> {
        let data = &options.data;
        fs::create_dir_all(data)
            .with_context(|| format!("cannot make the data folder {}", data.display()))?;
        let options =
            Options { data: data.canonicalize().context("cannot resolve the data folder")?, ..options };
        let programs = programs::postgres(major_of(&options.data)?)
            .with_context(|| format!("the data folder {} cannot be used", options.data.display()))?;
        let user = User::choose()?;
        let socket = socket_folder()?;
        user.give(socket.path())?;
        if !options.data.join("PG_VERSION").exists() {
            initdb(&programs, user, &options)?;
        }
        let mut postgres = Self { leash: None, options, programs, user, socket: socket.keep() };
        postgres.launch().await?;
        Ok(postgres)
    }

    /// The address of one of its databases, as sqlx and psql read it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}@localhost/{database}?host={}", self.socket.display())
    }

    /// The address of the database from which others are made.
    pub fn maintenance_url(&self) -> String {
        self.url(MAINTENANCE)
    }

    /// Makes an empty database, unless it is there already.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let mut connection = PgConnection::connect(&self.maintenance_url()).await?;
        let made = connection.execute(format!("create database {}", quoted(name)).as_str()).await;
        match made {
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P04") => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot make the database {name}")),
        }
    }

    /// The process number of the server.
    pub fn pid(&self) -> Option<u32> {
        self.leash.as_ref().map(Leash::pid)
    }

    /// Stops the server cleanly, if it runs; [`Postgres::restart`] starts it again.
    pub async fn stop(&mut self) -> Result<()> {
        match self.leash.take() {
            Some(leash) => leash.stop().await,
            None => Ok(()),
        }
    }

    /// Kills the server as a power cut would; [`Postgres::restart`] starts it again.
    pub async fn kill9(&mut self) -> Result<()> {
        match self.leash.take() {
            Some(leash) => leash.kill9().await,
            None => Ok(()),
        }
    }

    /// Stops the server, if it runs, and starts it at the same address.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.launch().await
    }

    /// Stops the server and removes its socket (and its data, when throw-away) before returning, which a mere
    /// drop leaves to the watcher.
    pub async fn shutdown(mut self) -> Result<()> {
        self.stop().await
    }

    async fn launch(&mut self) -> Result<()> {
        let log = self.options.data.join("server.log");
        let url = self.maintenance_url();
        until(Duration::from_mins(1), "starting Postgres", async || {
            let Some(leash) = &mut self.leash else {
                self.leash = Some(self.spawn(&log)?);
                return Ok(None);
            };
            if leash.ended()?.is_some() {
                // Not a mere drop: the watcher would take the socket's folder from the next attempt.
                if let Some(leash) = self.leash.take() {
                    leash.kill9().await?;
                }
                let said = tail(&log);
                // After a kill -9 the server's own children take a moment to notice.
                ensure!(said.contains("still in use"), "Postgres did not start; its log ends:\n{said}");
                return Ok(None);
            }
            Ok(PgConnection::connect(&url).await.ok())
        })
        .await
        .with_context(|| format!("Postgres does not answer; its log is {}", log.display()))?
        .close()
        .await?;
        tracing::info!(postgres.url = url, postgres.major = self.programs.major, "Postgres is ready");
        Ok(())
    }

    fn spawn(&self, log: &Path) -> Result<Leash> {
        let mut command = self.user.command(self.programs.bin.join("postgres"));
        command.extend([
            "-D".into(),
            self.options.data.clone().into(),
            "-k".into(),
            self.socket.clone().into(),
        ]);
        let reach = ["listen_addresses=", "unix_socket_permissions=0700", "port=5432"].map(str::to_owned);
        let durability = self.options.durability.settings().iter().map(|&setting| setting.to_owned());
        for setting in durability.chain(self.options.settings.iter().cloned()).chain(reach) {
            command.extend(["-c".into(), setting.into()]);
        }
        Leash::spawn(&Spawn {
            command: &command.iter().map(OsString::as_os_str).collect::<Vec<_>>(),
            signal: self.options.durability.signal(),
            log,
            log_limit: log_file::LIMIT,
            remove: &self.temporary(),
        })
    }

    fn temporary(&self) -> Vec<PathBuf> {
        match self.options.durability {
            Durability::Durable => vec![self.socket.clone()],
            Durability::Throwaway => vec![self.socket.clone(), self.options.data.clone()],
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // While the server runs its watcher removes them; without a server nobody else would.
        if self.leash.is_none() {
            for folder in self.temporary() {
                drop(fs::remove_dir_all(folder));
            }
        }
    }
}

/// The major version that made the data folder, or nothing when it is still empty.
fn major_of(data: &Path) -> Result<Option<u32>> {
    let file = data.join("PG_VERSION");
    if !file.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    text.trim().parse().map(Some).with_context(|| format!("{} holds no version", file.display()))
}

/// A folder that only we can enter. In `/tmp`, because a socket's path may have 107 bytes and no more.
fn socket_folder() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("daybook-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in("/tmp")
        .context("cannot make a folder for the socket")
}

fn initdb(programs: &PostgresPrograms, user: User, options: &Options) -> Result<()> {
    let data = &options.data;
    user.give(data)?;
    let sync = matches!(options.durability, Durability::Throwaway).then_some("--no-sync");
    let command = user.command(programs.bin.join("initdb"));
    let output = Command::new(&command[0])
        .args(&command[1..])
        .args([OsStr::new("-D"), data.as_os_str()])
        // Sorted by bytes, the same on every machine for ever; letters and case are those of Unicode.
        .args([
            "--encoding=UTF8",
            "--locale=C",
            "--lc-ctype=C.UTF-8",
            "--data-checksums",
            "--no-instructions",
        ])
        .args([&format!("--username={SUPERUSER}"), "--auth-local=trust", "--auth-host=reject"])
        .args(sync)
        .current_dir("/")
        .output()
        .context("cannot start `initdb`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "initdb could not make {}: {}", data.display(), said.trim());
    Ok(())
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_private_and_fits_into_107_bytes() {
        let folder = socket_folder().unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(folder.path().join(".s.PGSQL.5432.lock").as_os_str().len() <= 107);
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
    }
}
