//! One `daybook up` at a time owns the data folder. It leaves a file there that says how to reach it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use shared::process::config::Stores;

/// How to reach a `daybook up`: kept in the data folder, readable by its owner only.
#[derive(Serialize, Deserialize)]
pub(crate) struct Running {
    /// The address of its port.
    pub(crate) url: String,
    /// Its database.
    pub(crate) database_url: String,
    /// Its process id.
    pub(crate) pid: u32,
}

/// Held while a `daybook up` runs on a data folder; the system lets go of it however the process ends.
pub(crate) struct Hold(#[expect(dead_code, reason = "the lock is held as long as the file is open")] File);

/// Takes the data folder, which is created if it does not exist, or says which process has it.
pub(crate) fn hold(data: &Path) -> anyhow::Result<Hold> {
    folder(data)?;
    let file =
        OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(data.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Hold(file)),
        Err(TryLockError::WouldBlock) => match read(data) {
            Ok(other) => bail!(
                "Daybook already runs on {} (process {}, {}). Stop it, or give this one another folder with --data.",
                data.display(),
                other.pid,
                other.url
            ),
            Err(_) => bail!("Another Daybook is already starting on {}.", data.display()),
        },
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("Cannot lock {}", data.display()))
        }
    }
}

/// Creates the data folder. Other users may pass through it, because Postgres may have to run as another user, but each
/// file in it is readable only by its owner.
pub(crate) fn folder(data: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(data);
    made.with_context(|| format!("Cannot create {}", data.display()))
}

/// A wildcard address cannot be connected to, so the loopback address stands for it.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address.ip(),
    };
    SocketAddr::new(ip, address.port())
}

/// Writes the file that says how to reach this process.
pub(crate) fn write(data: &Path, address: SocketAddr, database_url: &str) -> anyhow::Result<String> {
    let url = format!("http://{}", reachable(address));
    let running =
        Running { url: url.clone(), database_url: database_url.to_owned(), pid: std::process::id() };
    let path = data.join("running.json");
    let new = data.join("running.json.new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(&running)?)?;
    std::fs::rename(new, path)?;
    Ok(url)
}

/// How to reach the `daybook up` of a data folder.
pub(crate) fn read(data: &Path) -> anyhow::Result<Running> {
    let path = data.join("running.json");
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "No Daybook runs on {}: there is no {}. Start one with `daybook up`, or with ./dev up in a clone.",
            data.display(),
            path.display()
        ),
        read => read.with_context(|| format!("Cannot read {}", path.display()))?,
    };
    Ok(serde_json::from_slice(&text)?)
}

/// The address of the named database, or of that of the `daybook up` that runs on the data folder.
pub(crate) fn database(stores: &Stores) -> anyhow::Result<String> {
    match stores.database()? {
        Some(url) => Ok(url),
        None => Ok(read(&stores.data)?.database_url),
    }
}

/// Removes that file.
pub(crate) fn clear(data: &Path) {
    // Gone already is as good.
    _ = std::fs::remove_file(data.join("running.json"));
}
