//! A service's program that can be killed, frozen and started again on its port, and that dies with this process.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};
use kit::master_digits;
use serde_json::Value;
use servers::leash::{Leash, Spawn};
use servers::until::until;

use super::LIMIT;
use crate::executable;

/// Where the ports of services begin: below the range from which outgoing connections take theirs. One of those could
/// sit on a service's port while that is down, and in that range a client can even be connected to itself.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 10_000;

/// One process of a service, with what it takes to start it again.
#[derive(Debug)]
pub(super) struct Process {
    /// What the program is called, and which of its kind this is: `command-api-1`.
    pub(super) name: String,
    command: Vec<OsString>,
    port: u16,
    folder: PathBuf,
    starts: u32,
    leash: Option<Leash>,
}

impl Process {
    /// The process number `number` of a program; it does not run yet. Its logs go into `folder`.
    pub(super) fn new(
        program: &str,
        number: usize,
        folder: &Path,
        database_url: &str,
        nats_url: &str,
    ) -> Result<Self> {
        let port = free_port()?;
        let command = vec![
            "env".into(),
            format!("DATABASE_URL={database_url}").into(),
            format!("NATS_URL={nats_url}").into(),
            format!("DAYBOOK_MASTER_KEY={}", master_digits()).into(),
            executable(program)?.into(),
            "--listen".into(),
            format!("127.0.0.1:{port}").into(),
        ];
        let name = format!("{program}-{}", number + 1);
        Ok(Self { name, command, port, folder: folder.to_owned(), starts: 0, leash: None })
    }

    /// Its address, the same after every start.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it, and waits until it listens.
    pub(super) async fn start(&mut self) -> Result<()> {
        self.starts += 1;
        let log = self.log();
        let command: Vec<_> = self.command.iter().map(OsString::as_os_str).collect();
        let mut leash = Leash::spawn(&Spawn {
            command: &command,
            signal: "TERM",
            log: &log,
            // It is searched for what must not be in it.
            log_limit: u64::MAX,
            remove: &[],
        })?;
        until(LIMIT, "starting a service", async || {
            if let Some(status) = leash.ended()? {
                bail!("{} ended ({status}): {}", self.name, self.last_words());
            }
            Ok(self.said("Listening").then_some(()))
        })
        .await?;
        self.leash = Some(leash);
        Ok(())
    }

    /// kill -9.
    pub(super) async fn kill(&mut self) -> Result<()> {
        match self.leash.take() {
            Some(leash) => leash.kill9().await,
            None => Ok(()),
        }
    }

    /// SIGSTOP: its connections stay open, and it does nothing.
    pub(super) fn freeze(&self) -> Result<()> {
        self.leash.as_ref().context("it does not run")?.signal("STOP")
    }

    /// SIGCONT.
    pub(super) fn thaw(&self) -> Result<()> {
        self.leash.as_ref().context("it does not run")?.signal("CONT")
    }

    /// Whether it says that it leads. A frozen one says so until it knows better.
    pub(super) fn leads(&self) -> bool {
        let changes = self.messages().filter(|message| message.contains("ead"));
        changes.fold(false, |leads, message| match message.as_str() {
            "Leading" => true,
            "No longer leading" => false,
            other if other.starts_with("Lost the lead") => false,
            _ => leads,
        })
    }

    /// How often it has said since its start that it took or lost the lead.
    pub(super) fn losses(&self) -> usize {
        self.messages().filter(|message| message.starts_with("Lost the lead")).count()
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        format!("{}: {}", self.name, lines[lines.len().saturating_sub(5)..].join("\n"))
    }

    fn said(&self, what: &str) -> bool {
        self.messages().any(|message| message == what)
    }

    /// What it has said since its start. A projector may lead the policies besides the tables; that is not told here.
    fn messages(&self) -> impl Iterator<Item = String> {
        let said = |line: &str| {
            let entry: Value = serde_json::from_str(line).ok()?;
            let message = entry["message"].as_str().filter(|_| entry["role"] != "Policies")?;
            Some(message.to_owned())
        };
        self.text().lines().filter_map(said).collect::<Vec<_>>().into_iter()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// A file for each start, so that nobody mistakes an older log for the current one.
    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.{}.log", self.name, self.starts))
    }
}

/// A port that nobody listens on, found by listening on it.
fn free_port() -> Result<u16> {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    // Processes begin at different places, so that two of them hardly ever find the same.
    let from = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap_or_default();
    let from = from.wrapping_mul(37) % PORTS;
    for _ in 0..PORTS {
        let step = TRIED.fetch_add(1, Ordering::Relaxed) % PORTS;
        let port = FIRST_PORT + (from + step) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("there is no free port from {FIRST_PORT} on")
}
