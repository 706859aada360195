//! Configuration that more than one program reads: where the databases are, and the key to what is in them.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;

use crate::domain::clock::random;
use crate::log::encryption::MasterKey;
use crate::process::http::Tls;
use crate::process::telemetry::Logs;

/// Where events and messages are kept.
#[derive(Clone, Debug, clap::Args)]
pub struct Stores {
    /// The address of a Postgres database, with its owner's login. Default: Daybook starts a server that keeps its data
    /// in the data folder.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// The address of a NATS server with `JetStream`. Default: Daybook starts a server that keeps its data in the data
    /// folder.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: Option<SecretString>,
    /// The folder for the master key, and for the data of servers that Daybook starts.
    #[arg(long, env = "DAYBOOK_DATA", default_value = ".daybook")]
    pub data: PathBuf,
    /// The master key, which encrypts the keys of all content: 64 hexadecimal digits. Default: the file `master.key` in the
    /// data folder, which is created at the first start. If you lose it, all content is lost.
    #[arg(long, env = "DAYBOOK_MASTER_KEY", hide_env_values = true)]
    pub master_key: Option<SecretString>,
    /// Accept a Postgres that may lose acknowledged changes (fsync off). Only for databases that may be lost.
    #[arg(long, env = "DAYBOOK_THROWAWAY")]
    pub throwaway: bool,
}

impl Stores {
    /// The address of a database of one's own, if one was named.
    pub fn database(&self) -> anyhow::Result<Option<String>> {
        self.database_url.as_ref().map(address).transpose()
    }

    /// The master key: as given, or from its file, which is made when there is none.
    pub fn master_key(&self) -> anyhow::Result<MasterKey> {
        master_key(self.master_key.as_ref(), &self.data, make_key)
    }
}

/// The settings of each service as a program of its own. `PORT` is the default port.
#[derive(Clone, Debug, clap::Args)]
pub struct Service<const PORT: u16> {
    /// The address of the Postgres database. Its login must be this service's role, or be granted it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// The address of a NATS server with `JetStream`. Without it everything works, with a delay of at most half a second.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: Option<SecretString>,
    /// The folder of the file `master.key`.
    #[arg(long, env = "DAYBOOK_DATA", default_value = ".daybook")]
    pub data: PathBuf,
    /// The master key, which encrypts the keys of all content: 64 hexadecimal digits. Default: the file `master.key` in the
    /// data folder.
    #[arg(long, env = "DAYBOOK_MASTER_KEY", hide_env_values = true)]
    pub master_key: Option<SecretString>,
    /// Accept a Postgres that may lose acknowledged changes (fsync off). Only for databases that may be lost.
    #[arg(long, env = "DAYBOOK_THROWAWAY")]
    pub throwaway: bool,
    /// The address to listen on.
    #[arg(long, env = "DAYBOOK_LISTEN", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))]
    pub listen: SocketAddr,
    /// A PEM file with the TLS certificate. Without it, the service speaks plain HTTP.
    #[arg(long, env = "DAYBOOK_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// A PEM file with the certificate's private key.
    #[arg(long, env = "DAYBOOK_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// What to log, and how.
    #[command(flatten)]
    pub logs: Logs,
}

impl<const PORT: u16> Service<PORT> {
    /// The address of the database.
    pub fn database(&self) -> anyhow::Result<String> {
        address(&self.database_url)
    }

    /// The master key: as given, or from its file. A service makes none: the database has been made with one.
    pub fn master_key(&self) -> anyhow::Result<MasterKey> {
        master_key(self.master_key.as_ref(), &self.data, |path| {
            bail!(
                "Give the master key that this database was created with: DAYBOOK_MASTER_KEY, or the file {}.",
                path.display()
            )
        })
    }

    /// What to speak TLS with, if it is to be spoken.
    pub fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let files = self.tls_cert.as_ref().zip(self.tls_key.as_ref());
        files.map(|(certificate, key)| Tls::load(certificate, key)).transpose()
    }
}

/// A wrong address may contain a password, so the error does not repeat it, as clap's would.
fn address(url: &SecretString) -> anyhow::Result<String> {
    let url = url.expose_secret();
    match PgConnectOptions::from_str(url) {
        Ok(_) => Ok(url.to_owned()),
        Err(cause) => bail!(
            "DATABASE_URL is not an address such as postgres://user:password@host/database. Write every character of the \
             password that is not a letter or a digit in the form %2F ({cause})"
        ),
    }
}

fn master_key(
    given: Option<&SecretString>,
    data: &Path,
    otherwise: impl FnOnce(&Path) -> anyhow::Result<SecretString>,
) -> anyhow::Result<MasterKey> {
    let path = data.join("master.key");
    let text = match given {
        Some(text) => text.clone(),
        None if path.exists() => {
            std::fs::read_to_string(&path).with_context(|| format!("Cannot read {}", path.display()))?.into()
        }
        None => otherwise(&path)?,
    };
    MasterKey::from_hex(text.expose_secret()).with_context(|| {
        format!(
            "The master key must be 64 hexadecimal digits (DAYBOOK_MASTER_KEY, or the file {})",
            path.display()
        )
    })
}

/// Binds `address`, or says how to choose another.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("Cannot listen on {address}. Choose another address with --listen (or DAYBOOK_LISTEN)")
    })
}

fn make_key(path: &Path) -> anyhow::Result<SecretString> {
    let text = hex::encode(random::<32>());
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.with_context(|| format!("Cannot create {}", path.display()))?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    tracing::info!(path = %path.display(), "Created a master key. Keep a copy of it in another place");
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_no_address_of_a_database_is_not_repeated() {
        let good = "postgres://ada:ab%2Fcd@localhost:5432/daybook?host=/run/postgresql";
        assert_eq!(address(&good.into()).ok().as_deref(), Some(good));
        for wrong in ["postgres://ada:secret/cd+ef==@localhost/daybook", "secret", "localhost/secret"] {
            let said = address(&wrong.into()).expect_err(wrong).to_string();
            assert!(said.contains("DATABASE_URL") && !said.contains("secret"), "{said}");
        }
    }

    fn stores(data: PathBuf, key: Option<&str>) -> Stores {
        Stores { database_url: None, nats_url: None, data, master_key: key.map(Into::into), throwaway: false }
    }

    #[test]
    fn a_master_key_is_made_once_and_only_its_owner_reads_it() {
        let data = std::env::temp_dir().join(hex::encode(random::<8>()));
        std::fs::create_dir(&data).expect("a new folder");
        stores(data.clone(), None).master_key().expect("made");
        let path = data.join("master.key");
        let first = std::fs::read_to_string(&path).expect("there");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        stores(data.clone(), None).master_key().expect("read");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), first);
        std::fs::remove_dir_all(data).expect("removed");
    }

    #[test]
    fn a_master_key_of_another_form_is_said() {
        let error = stores(PathBuf::from("."), Some("abc")).master_key().err().expect("refused").to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }
}
