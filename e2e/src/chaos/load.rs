//! Clients that make notebooks and notes, retitle and move notes, and know what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::clock::Clock;
use shared::process::lifecycle::Shutdown;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::LIMIT;
use super::history::{Acknowledged, History};
use super::world::Addresses;
use crate::PASSWORD;
use crate::chance::Chance;

/// A client that hears nothing for so long asks the other command API.
const PATIENCE: Duration = Duration::from_secs(2);
/// How soon it asks again.
const AGAIN: Duration = Duration::from_millis(100);
/// One command in so many goes to the other command API, without need.
const STRAY: u64 = 200;
const NOTEBOOKS: usize = 8;

/// Somebody who sends one command after the other.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) notebooks: BTreeMap<String, Notebook>,
    pub(super) notes: BTreeMap<String, Note>,
    pub(super) token: String,
    /// The position of its last acknowledgement.
    pub(super) last: i64,
    name: String,
    addresses: Arc<Addresses>,
    /// Which of the command APIs is asked.
    at: usize,
    history: Arc<History>,
    chance: Chance,
    sent: u64,
}

/// What a notebook is after what was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notebook {
    pub(super) name: String,
    pub(super) version: i64,
}

/// What a note is after what was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) notebook: String,
    pub(super) title: String,
    pub(super) version: i64,
}

/// An answer that says what happened.
struct Answer {
    body: Value,
    epoch: Option<String>,
}

impl Client {
    /// Makes an account and logs in.
    pub(super) async fn start(
        number: usize,
        addresses: &Arc<Addresses>,
        history: &Arc<History>,
        chance: Chance,
    ) -> Result<Self> {
        let mut client = Self {
            id: String::new(),
            notebooks: BTreeMap::new(),
            notes: BTreeMap::new(),
            token: String::new(),
            last: 0,
            name: format!("client{number}"),
            addresses: addresses.clone(),
            at: number % 2,
            history: history.clone(),
            chance,
            sent: 0,
        };
        let account = json!({"email": client.email(), "password": PASSWORD});
        client.answered(Method::POST, "/auth/register", &account, "register").await?;
        client.log_in().await?;
        Ok(client)
    }

    /// What they log in with.
    pub(super) fn email(&self) -> String {
        format!("{}@example.org", self.name)
    }

    /// Sends requests.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.addresses.client
    }

    /// Sends commands until it is told to stop.
    pub(super) async fn run(mut self, stop: Shutdown) -> Result<Self> {
        while !stop.is_cancelled() {
            self.step().await.with_context(|| format!("{} ({})", self.name, self.id))?;
        }
        Ok(self)
    }

    /// Sends a command of chance, until it is acknowledged.
    pub(super) async fn step(&mut self) -> Result<()> {
        self.sent += 1;
        if self.chance.below(STRAY) == 0 {
            self.at = 1 - self.at;
        }
        match self.chance.below(100) {
            _ if self.notebooks.len() < 2 => self.make_notebook().await,
            _ if self.notes.is_empty() => self.make_note().await,
            0..2 if self.notebooks.len() < NOTEBOOKS => self.make_notebook().await,
            0..5 => self.rename_notebook().await,
            5..20 => self.make_note().await,
            20..70 => self.change(true, false).await,
            70..90 => self.change(false, true).await,
            _ => self.change(true, true).await,
        }
    }

    async fn make_notebook(&mut self) -> Result<()> {
        let (id, name) = (Clock::System.new_id().to_string(), self.text());
        let body = json!({"id": id, "name": name});
        // Its owner's grant, and the notebook.
        let version = self.acknowledged(Method::POST, "/notebooks", &body, &id, 2).await?;
        self.notebooks.insert(id, Notebook { name, version });
        Ok(())
    }

    async fn rename_notebook(&mut self) -> Result<()> {
        let (id, name) = (self.some_notebook(), self.text());
        let body = json!({"name": name});
        let version = self.acknowledged(Method::PATCH, &format!("/notebooks/{id}"), &body, &id, 1).await?;
        self.notebooks.insert(id, Notebook { name, version });
        Ok(())
    }

    async fn make_note(&mut self) -> Result<()> {
        let (id, title, notebook) = (Clock::System.new_id().to_string(), self.text(), self.some_notebook());
        let body = json!({"id": id, "notebook_id": notebook, "title": title});
        let version = self.acknowledged(Method::POST, "/notes", &body, &id, 1).await?;
        self.notes.insert(id, Note { notebook, title, version });
        Ok(())
    }

    async fn change(&mut self, retitle: bool, moving: bool) -> Result<()> {
        let nth = self.chance.index(self.notes.len());
        let (id, mut note) =
            self.notes.iter().nth(nth).map(|(id, note)| (id.clone(), note.clone())).context("no note")?;
        let mut body = json!({});
        if retitle {
            note.title = self.text();
            body["title"] = json!(note.title);
        }
        if moving {
            let others = self.notebooks.keys().filter(|other| **other != note.notebook);
            let others: Vec<String> = others.cloned().collect();
            note.notebook.clone_from(&others[self.chance.index(others.len())]);
            body["notebook_id"] = json!(note.notebook);
        }
        let events = usize::from(retitle) + usize::from(moving);
        let version = self.acknowledged(Method::PATCH, &format!("/notes/{id}"), &body, &id, events).await?;
        self.notes.insert(id, Note { version, ..note });
        Ok(())
    }

    fn some_notebook(&mut self) -> String {
        let nth = self.chance.index(self.notebooks.len());
        self.notebooks.keys().nth(nth).cloned().unwrap_or_default()
    }

    /// A text that nothing had before.
    fn text(&self) -> String {
        format!("{} wrote this as number {}", self.name, self.sent)
    }

    /// Sends a command until it is acknowledged, and gives the version that it made.
    async fn acknowledged(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
        id: &str,
        events: usize,
    ) -> Result<i64> {
        let key = format!("{}-{}", self.name, self.sent);
        let Answer { body, epoch } = self.answered(method, path, body, &key).await?;
        let (version, position) = (body["version"].as_i64(), body["position"].as_i64());
        let version = version.context("an answer without a version")?;
        let position = position.context("an answer without a position")?;
        self.last = position;
        let (actor, id) = (self.id.clone(), id.to_owned());
        self.history.add(Acknowledged { actor, key, events, id, version, position, epoch });
        Ok(version)
    }

    async fn log_in(&mut self) -> Result<()> {
        let login = json!({"login": self.email(), "password": PASSWORD});
        let tokens = Box::pin(self.answered(Method::POST, "/auth/login", &login, "login")).await?.body;
        tokens["access_token"].as_str().context("no token")?.clone_into(&mut self.token);
        tokens["user_id"].as_str().context("no id")?.clone_into(&mut self.id);
        Ok(())
    }

    /// Sends a request, with the same key each time, until there is an answer that says what happened.
    async fn answered(&mut self, method: Method, path: &str, body: &Value, key: &str) -> Result<Answer> {
        let deadline = Instant::now() + LIMIT;
        let mut tries = interval(AGAIN);
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = String::new();
        while Instant::now() < deadline {
            tries.tick().await;
            match self.send(&method, path, body, key).await {
                Ok((status, headers, text)) if status.is_success() => {
                    return Ok(Answer { body: serde_json::from_str(&text)?, epoch: epoch(&headers) });
                }
                Ok((StatusCode::UNAUTHORIZED, ..)) if path != "/auth/login" => self.log_in().await?,
                Ok((status, _, text))
                    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS =>
                {
                    last = text;
                    self.turn();
                }
                Ok((status, _, text)) => bail!("{method} {path} with {body} is refused: {status} {text}"),
                Err(error) => {
                    last = format!("{error:?}");
                    self.turn();
                }
            }
        }
        bail!("{method} {path} has no answer, but at last {last}")
    }

    /// The next try goes to the other command API.
    fn turn(&mut self) {
        self.history.repeat();
        self.at = 1 - self.at;
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: &Value,
        key: &str,
    ) -> reqwest::Result<(StatusCode, HeaderMap, String)> {
        let url = format!("{}/api/v1{path}", self.addresses.commands[self.at]);
        let request = self.addresses.client.request(method.clone(), url).timeout(PATIENCE).json(body);
        let answer = request.bearer_auth(&self.token).header("Idempotency-Key", key).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, answer.text().await?))
    }
}

/// The history that the position of an answer counts in: `Position: <epoch>-<n>`.
fn epoch(headers: &HeaderMap) -> Option<String> {
    let (epoch, _) = headers.get("position")?.to_str().ok()?.split_once('-')?;
    Some(epoch.to_owned())
}
