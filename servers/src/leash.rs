//! A child process that ends with us, even if we are ended by kill -9.
//!
//! The child is started through `sh`, which leaves a watcher behind and then becomes the program, so the process that
//! we spawned _is_ the server. The watcher reads a pipe whose other end only we hold. When we are gone, for whatever
//! reason, the kernel closes that end; the watcher wakes, ends the server and removes its temporary folders. Dropping
//! a [`Leash`] closes the pipe too, so there is no `Drop` to get wrong.
//!
//! Both are in a process group of their own: a Ctrl-C in the terminal reaches only us, and we stop the server
//! cleanly. As long as the watcher is in that group, the kernel does not give the group's number to another process,
//! so a late signal never hits a stranger.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::log_file::BoundedLog;
use crate::until::until;

/// `$1` is the signal that asks the server to end, `$2` how many folders to remove after it; they follow,
/// then the program. The watcher is started by a subshell that ends at once, so that the server does not
/// find a child it does not know.
const SCRIPT: &str = r#"
signal=$1 folders=$2
shift 2
exec 3<&0 </dev/null
(
    (
        read -r _ <&3
        kill -s "$signal" $$ && kill -s CONT $$
        tries=0
        while kill -0 $$ && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
        kill -s KILL $$
        while [ "$folders" -gt 0 ]; do rm -rf -- "$1"; shift; folders=$((folders - 1)); done
    ) >/dev/null 2>&1 &
)
shift "$folders"
exec "$@" 3<&-
"#;

/// How a child is to be started and ended.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The program and its arguments, as `sh` would find them.
    pub command: &'a [&'a OsStr],
    /// The signal that asks it to end, without `SIG`: `INT`, `TERM`, `QUIT`.
    pub signal: &'static str,
    /// What it prints is appended here.
    pub log: &'a Path,
    /// How large the log may become before its older part goes, in bytes.
    pub log_limit: u64,
    /// Folders removed once we let go of it; [`Leash::stop`] and [`Leash::kill9`] leave them.
    pub remove: &'a [PathBuf],
}

/// A running child process; dropping it ends the child.
#[derive(Debug)]
pub struct Leash {
    child: Child,
    signal: &'static str,
    _log: BoundedLog,
}

impl Leash {
    /// Starts the child; it may still fail at once, see [`Leash::ended`].
    pub fn spawn(spawn: &Spawn<'_>) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(spawn.log)
            .with_context(|| format!("cannot write the log {}", spawn.log.display()))?;
        let bounded = BoundedLog::watch(spawn.log, spawn.log_limit).context("cannot watch the log")?;
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "sh", spawn.signal, &spawn.remove.len().to_string()])
            .args(spawn.remove)
            .args(spawn.command)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().context("cannot share the log")?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start `sh`")?;
        Ok(Self { child, signal: spawn.signal, _log: bounded })
    }

    /// The process number of the server itself.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the child ended, or nothing while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot ask after a child process")
    }

    /// Sends a signal, named without `SIG`, to the child alone.
    pub fn signal(&self, name: &str) -> Result<()> {
        send(name, &self.pid().to_string())
    }

    /// Whether every thread of the child is stopped by a signal: state `T` in `/proc/<pid>/task/<tid>/stat`.
    pub fn is_stopped(&self) -> Result<bool> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid()))
            .context("cannot look at a child process")?;
        let mut states =
            tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
        // The name before the state is in parentheses, and may hold any character.
        Ok(states.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))))
    }

    /// Asks the child to end and waits until it has; after 20 seconds it is killed.
    pub async fn stop(mut self) -> Result<()> {
        if self.ended()?.is_none() {
            self.signal(self.signal)?;
            self.signal("CONT")?;
        }
        let asked = self.wait(Duration::from_secs(20)).await;
        self.kill9().await?;
        asked
    }

    /// Kills the child as a power cut would, and waits until it is gone.
    pub async fn kill9(mut self) -> Result<()> {
        // The whole group: the watcher must not outlive this child and remove what the next one needs.
        send("KILL", &format!("-{}", self.pid()))?;
        self.wait(Duration::from_secs(10)).await
    }

    async fn wait(&mut self, limit: Duration) -> Result<()> {
        until(limit, "ending a server", async || self.ended()).await.map(drop)
    }
}

/// Sends a signal, such as `TERM`, to a process, or with `-` before its number to its group. `kill` is built into every
/// `sh`, whereas the program of that name is an optional package.
pub fn send(signal: &str, target: &str) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", r#"kill -s "$1" -- "$2" 2>/dev/null"#, "sh", signal, target])
        .status()
        .context("cannot start `sh`")?;
    ensure!(status.success(), "process {target} is gone, so it cannot get SIG{signal}");
    Ok(())
}
