//! A NATS server of our own, with `JetStream`, on a loopback port.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::leash::{Leash, Spawn};
use crate::log_file::{self, tail};
use crate::programs;
use crate::until::until;

/// Below the range from which the kernel takes the ports of outgoing connections, so that none of those sits
/// on ours while the server is down.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// How to start a NATS server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder for its configuration, its log and, in `jetstream/`, its streams; made when missing.
    pub store: PathBuf,
    /// The port on 127.0.0.1; without one a free one is found, and kept over restarts.
    pub port: Option<u16>,
}

/// A running NATS server; dropping it ends it.
#[derive(Debug)]
pub struct Nats {
    leash: Option<Leash>,
    program: PathBuf,
    store: PathBuf,
    port: u16,
    remove: Vec<PathBuf>,
}

impl Nats {
    /// Starts the server and waits until `JetStream` answers.
    pub async fn start(options: Options) -> Result<Self> {
        Self::start_removing(options, Vec::new()).await
    }

    /// As [`Nats::start`], with folders that are to go when the server does.
    pub(crate) async fn start_removing(options: Options, remove: Vec<PathBuf>) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&options.store)
            .with_context(|| format!("cannot make the folder {}", options.store.display()))?;
        let store = options.store.canonicalize().context("cannot resolve the folder of NATS")?;
        let program = programs::nats_server()?;
        let mut nats = Self { leash: None, program, store, port: options.port.unwrap_or_default(), remove };
        if options.port.is_some() {
            nats.launch().await?;
            return Ok(nats);
        }
        // Only the server itself can say that a port is free: an answer from before may be outdated.
        for _ in 0..50 {
            nats.port = next_port();
            match nats.launch().await {
                Ok(()) => return Ok(nats),
                Err(error) if error.is::<PortTaken>() => {}
                Err(error) => return Err(error),
            }
        }
        bail!("no free port was found for NATS from {FIRST_PORT} on")
    }

    /// The address for clients.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The process number of the server.
    pub fn pid(&self) -> Option<u32> {
        self.leash.as_ref().map(Leash::pid)
    }

    /// Stops the server cleanly, if it runs; [`Nats::restart`] starts it again.
    pub async fn stop(&mut self) -> Result<()> {
        match self.leash.take() {
            Some(leash) => leash.stop().await,
            None => Ok(()),
        }
    }

    /// Kills the server as a power cut would; [`Nats::restart`] starts it again.
    pub async fn kill9(&mut self) -> Result<()> {
        match self.leash.take() {
            Some(leash) => leash.kill9().await,
            None => Ok(()),
        }
    }

    /// Stops the server, if it runs, and starts it on the same port.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.launch().await
    }

    /// Kills the server, removes everything it stored and starts it on the same port.
    pub async fn wipe(&mut self) -> Result<()> {
        self.kill9().await?;
        match fs::remove_dir_all(self.store.join("jetstream")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context("cannot remove what NATS stored");
            }
            Ok(()) | Err(_) => {}
        }
        self.launch().await
    }

    /// Lets the server hang (SIGSTOP): connections stay open and nothing is answered, until [`Nats::thaw`].
    pub async fn freeze(&self) -> Result<()> {
        let leash = self.running()?;
        leash.signal("STOP")?;
        // Each thread stops when the signal reaches it: until then one may still answer.
        until(Duration::from_secs(5), "freezing NATS", async || Ok(leash.is_stopped()?.then_some(()))).await
    }

    /// Lets the server go on (SIGCONT).
    pub fn thaw(&self) -> Result<()> {
        self.running()?.signal("CONT")
    }

    fn running(&self) -> Result<&Leash> {
        self.leash.as_ref().context("NATS does not run")
    }

    async fn launch(&mut self) -> Result<()> {
        let name = fresh_name();
        let config = self.store.join("nats.conf");
        fs::write(&config, self.config(&name)).context("cannot write the configuration of NATS")?;
        let log = self.store.join("nats.log");
        // Each start reads its own words: an older "address already in use" must not be taken for ours.
        fs::write(&log, "").context("cannot empty the log of NATS")?;
        let mut leash = Leash::spawn(&Spawn {
            command: &[self.program.as_os_str(), "--config".as_ref(), config.as_os_str()],
            signal: "TERM",
            log: &log,
            log_limit: log_file::LIMIT,
            remove: &self.remove,
        })?;
        let port = self.port;
        until(Duration::from_secs(30), "starting NATS", async || match leash.ended()? {
            Some(_) => Err(why(&log)),
            None => Ok(answers(port, &name).await.unwrap_or(false).then_some(())),
        })
        .await?;
        self.leash = Some(leash);
        tracing::info!(nats.url = self.url(), "NATS is ready");
        Ok(())
    }

    /// Postgres is the truth and refills a stream that lost its last seconds, so NATS need not sync at each
    /// message.
    fn config(&self, name: &str) -> String {
        format!(
            "server_name: {name}\n\
             listen: \"127.0.0.1:{}\"\n\
             max_payload: 1MB\n\
             jetstream {{\n  store_dir: {:?}\n  sync_interval: \"10s\"\n}}\n",
            self.port,
            self.store.display().to_string(),
        )
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // While the server runs its watcher removes them; without a server nobody else would.
        if self.leash.is_none() {
            for folder in &self.remove {
                drop(fs::remove_dir_all(folder));
            }
        }
    }
}

/// Another process listens on the port.
#[derive(Debug)]
struct PortTaken(String);

impl std::fmt::Display for PortTaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "another process listens on the port of NATS; its log ends:\n{}", self.0)
    }
}

impl std::error::Error for PortTaken {}

fn why(log: &Path) -> anyhow::Error {
    let said = tail(log);
    if said.contains("address already in use") {
        return PortTaken(said).into();
    }
    anyhow::anyhow!("NATS did not start; its log ends:\n{said}")
}

/// One name per start, by which we know that it is our server that answers on the port.
fn fresh_name() -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    format!("daybook-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed))
}

/// Processes begin at different places, so that their first try mostly succeeds.
fn next_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap_or_default();
    let step = TRIED.fetch_add(1, Ordering::Relaxed) % PORTS;
    FIRST_PORT + (process.wrapping_mul(37) % PORTS + step) % PORTS
}

/// Whether the server of this name answers on the port, with `JetStream`: NATS' own text protocol, spoken just
/// far enough to ask.
async fn answers(port: u16, name: &str) -> Result<bool> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if !line.contains(&format!("\"server_name\":\"{name}\"")) {
        return Ok(false);
    }
    let ask = b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n\
                SUB answer 1\r\nPUB $JS.API.INFO answer 0\r\n\r\n";
    stream.write_all(ask).await?;
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 || line.starts_with("HMSG") || line.starts_with("-ERR") {
            return Ok(false);
        }
        if line.starts_with("MSG answer") {
            line.clear();
            stream.read_line(&mut line).await?;
            return Ok(!line.contains("\"error\""));
        }
    }
}
