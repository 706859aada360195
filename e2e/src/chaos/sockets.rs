//! Clients that hold a WebSocket, come back to either query API with where they were, and remember what they got.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use shared::process::lifecycle::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::LIMIT;
use super::load::Client;
use super::world::Addresses;
use crate::PASSWORD;

/// How soon a client comes back.
const AGAIN: Duration = Duration::from_millis(50);
/// How long an answer to anything may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Heartbeats come every 15 seconds: who hears none of three comes back.
const SILENCE: Duration = Duration::from_secs(45);

/// Sockets that are open.
#[derive(Debug)]
pub(super) struct Sockets {
    tasks: JoinSet<Socket>,
    stop: Shutdown,
    reached: Vec<(String, watch::Receiver<i64>)>,
}

/// What one client got.
#[derive(Debug)]
pub(super) struct Socket {
    /// Whose it is.
    pub(super) person: String,
    /// Position and id of each event, as they came.
    pub(super) events: Vec<(i64, String)>,
    /// Where it began: everything after this position must come.
    pub(super) from: i64,
    /// What should not have been said to it.
    pub(super) complaints: Vec<String>,
    /// How often it came back.
    pub(super) resumed: usize,
    epoch: Option<String>,
    last: watch::Sender<i64>,
    email: String,
    token: String,
    addresses: Arc<Addresses>,
    at: usize,
}

impl Sockets {
    /// Opens a socket for each of the clients, and waits until each has been told where it begins.
    pub(super) async fn open(clients: &[Client], addresses: &Arc<Addresses>) -> Result<Self> {
        let mut sockets = Self { tasks: JoinSet::new(), stop: Shutdown::new(), reached: Vec::new() };
        for (number, client) in clients.iter().enumerate() {
            let (last, mut reached) = watch::channel(-1);
            let socket = Socket {
                person: client.id.clone(),
                events: Vec::new(),
                from: -1,
                complaints: Vec::new(),
                resumed: 0,
                epoch: None,
                last,
                email: client.email(),
                token: client.token.clone(),
                addresses: addresses.clone(),
                at: number % 2,
            };
            sockets.tasks.spawn(socket.run(sockets.stop.clone()));
            timeout(LIMIT, reached.wait_for(|last| *last >= 0)).await.context("no socket opens")??;
            sockets.reached.push((client.id.clone(), reached));
        }
        Ok(sockets)
    }

    /// Waits until a person's socket has come to a position; whether it has.
    pub(super) async fn reach(&self, person: &str, position: i64) -> bool {
        let Some((_, reached)) = self.reached.iter().find(|(of, _)| of == person) else { return true };
        let mut reached = reached.clone();
        matches!(timeout(LIMIT, reached.wait_for(|last| *last >= position)).await, Ok(Ok(_)))
    }

    /// Closes them, and gives what each got.
    pub(super) async fn close(mut self) -> Result<Vec<Socket>> {
        self.stop.cancel();
        let mut sockets = Vec::new();
        while let Some(ended) = timeout(LIMIT, self.tasks.join_next()).await? {
            sockets.push(ended?);
        }
        Ok(sockets)
    }
}

impl Socket {
    async fn run(mut self, stop: Shutdown) -> Self {
        let mut tries = interval(AGAIN);
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tries.tick().await;
            let Some(ended) = stop.run_until_cancelled(self.converse()).await else { return self };
            // Why it ended is the server's business: killed, or ended by a cause that it told.
            drop(ended);
            self.at = 1 - self.at;
        }
    }

    /// Holds a socket until it ends.
    async fn converse(&mut self) -> Result<()> {
        let url = self.addresses.queries[self.at].replacen("http", "ws", 1);
        let mut request = format!("{url}/api/v1/live").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("daybook.v1"));
        let (mut socket, _) = timeout(PATIENCE, connect_async(request)).await??;
        let mut hello = json!({"type": "hello", "token": self.token});
        if let Some(epoch) = &self.epoch {
            hello["resume"] = json!({"epoch": epoch, "after": *self.last.borrow()});
        }
        socket.send(Message::text(hello.to_string())).await?;
        while let Some(frame) = timeout(SILENCE, socket.next()).await? {
            if let Message::Text(text) = frame? {
                self.hear(&serde_json::from_str(&text)?).await?;
            }
        }
        Ok(())
    }

    async fn hear(&mut self, frame: &Value) -> Result<()> {
        let position = || frame["position"].as_i64().context("a frame without a position");
        match frame["type"].as_str().unwrap_or_default() {
            "welcome" if self.epoch.is_none() => {
                self.epoch = frame["epoch"].as_str().map(str::to_owned);
                self.from = position()?;
                self.last.send_replace(self.from);
            }
            "welcome" => self.resumed += 1,
            "event" => self.take(&frame["event"])?,
            "live" | "progress" => {
                let position = position()?;
                self.last.send_if_modified(|last| {
                    let news = position > *last;
                    *last = position.max(*last);
                    news
                });
            }
            "reset" => self.complaints.push(format!("{} was told {frame}", self.person)),
            "bye" => {
                if frame["reconnect_after_ms"].is_null() {
                    self.log_in().await?;
                }
                bail!("{frame}");
            }
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, event: &Value) -> Result<()> {
        let position = event["position"].as_i64().context("an event without a position")?;
        let last = *self.last.borrow();
        if position <= last {
            self.complaints.push(format!("{} had everything up to {last}, and got {event}", self.person));
        }
        self.events.push((position, event["id"].as_str().unwrap_or_default().to_owned()));
        self.last.send_replace(position.max(last));
        Ok(())
    }

    /// A token lasts 15 minutes.
    async fn log_in(&mut self) -> Result<()> {
        let login = json!({"login": self.email, "password": PASSWORD});
        let url = format!("{}/api/v1/auth/login", self.addresses.commands[self.at]);
        let answer = self.addresses.client.post(url).json(&login).timeout(PATIENCE).send().await?;
        let tokens: Value = answer.error_for_status()?.json().await?;
        tokens["access_token"].as_str().context("no token")?.clone_into(&mut self.token);
        Ok(())
    }
}
