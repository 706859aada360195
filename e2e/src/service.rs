//! A service in a process of its own, which says in its log where it listens.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use kit::master_digits;
use reqwest::Client;
use serde_json::Value;
use servers::leash::send;
use servers::until::until;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{LIMIT, executable};

/// A service's program that runs until it is stopped or this is dropped.
#[derive(Debug)]
pub struct Service {
    /// Where it listens, such as `http://127.0.0.1:4321`.
    pub url: String,
    client: Client,
    child: Child,
    /// A log that nobody reads would stop whoever writes it.
    _log: JoinHandle<()>,
}

/// The program `name`, listening on a port that the system chooses; `daybook` is all services in one process.
pub fn command(name: &str, database_url: &str, nats_url: &str) -> Result<Command> {
    let mut command = Command::new(executable(name)?);
    if name == "daybook" {
        command.arg("up");
    }
    command
        .args(["--listen", "127.0.0.1:0", "--throwaway"])
        .env("DATABASE_URL", database_url)
        .env("NATS_URL", nats_url)
        .env("DAYBOOK_MASTER_KEY", master_digits())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

impl Service {
    /// Starts a service, and waits until it listens.
    pub async fn start(mut command: Command) -> Result<Self> {
        let mut child = command.spawn()?;
        let log = child.stderr.take().context("its log is piped")?;
        let mut lines = BufReader::new(log).lines();
        let url = timeout(LIMIT, address(&mut lines)).await.context("it does not listen in time")??;
        let rest = async move { while let Ok(Some(_)) = lines.next_line().await {} };
        Ok(Self { url, client: Client::new(), child, _log: tokio::spawn(rest) })
    }

    /// The status and the text of an address such as `/readyz`.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Asks until it says that it is ready.
    pub async fn ready(&self) -> Result<()> {
        until(LIMIT, "getting ready", async || Ok((self.get("/readyz").await?.0 == 200).then_some(()))).await
    }

    /// kill -9.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("it was running")
    }

    /// SIGTERM, and how it ended.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        let id = self.child.id().context("it has ended already")?;
        send("TERM", &id.to_string())?;
        Ok(timeout(LIMIT, self.child.wait()).await.context("it does not end in time")??)
    }
}

/// Every line of the log is an object; one of them has the address.
async fn address(lines: &mut Lines<BufReader<ChildStderr>>) -> Result<String> {
    let mut said = String::new();
    while let Some(line) = lines.next_line().await? {
        let entry: Value = serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))?;
        if let Some(url) = entry["url"].as_str() {
            return Ok(url.to_owned());
        }
        said.push_str(&line);
    }
    bail!("it ended: {said}")
}
