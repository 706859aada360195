//! Persons who read all that they have again and again, and one who changes a note that all of them look at.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::id::UserId;
use sqlx::PgConnection;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::services::{Api, Services};

/// All of them at work.
pub(super) struct Readers {
    at_work: JoinSet<Seen>,
    writer: JoinHandle<Result<usize>>,
    stop: CancellationToken,
}

/// What readers saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) reads: Vec<Read>,
    pub(super) failed: usize,
    pub(super) different: usize,
    pub(super) commands: usize,
}

/// An answered read.
pub(super) struct Read {
    pub(super) begun: Instant,
    pub(super) took: Duration,
}

/// Somebody who reads.
struct Reader {
    api: Api,
    token: String,
    /// Every list and resource that the person has, and what it says: nobody changes it.
    due: Vec<(String, Value)>,
    changing: Arc<Changing>,
    stop: CancellationToken,
}

/// A note of the writer's. Its title names its version, so an answer shows by itself whether it is a whole one.
struct Changing {
    path: String,
    token: String,
}

impl Readers {
    pub(super) async fn start(services: &Services, owner: &mut PgConnection, count: usize) -> Result<Self> {
        let persons = persons(owner).await?;
        let (api, stop) = (services.api(), CancellationToken::new());
        let changing = Arc::new(Changing::new(&api).await?);
        let mut readers = Vec::with_capacity(count);
        for person in persons.iter().cycle().take(count) {
            let token = services.token(*person);
            let due = everything(&api, &token).await?;
            let (api, changing, stop) = (api.clone(), Arc::clone(&changing), stop.clone());
            readers.push(Reader { api, token, due, changing, stop });
        }
        let mut at_work = JoinSet::new();
        for reader in readers {
            at_work.spawn(reader.run());
        }
        let writer = tokio::spawn(changing.write(api, stop.clone()));
        Ok(Self { at_work, writer, stop })
    }

    /// Lets everybody end what they are at; gives what all have seen.
    pub(super) async fn stop(mut self) -> Result<Seen> {
        self.stop.cancel();
        let mut all = Seen { commands: self.writer.await??, ..Seen::default() };
        while let Some(seen) = self.at_work.join_next().await {
            let seen = seen?;
            all.reads.extend(seen.reads);
            all.failed += seen.failed;
            all.different += seen.different;
        }
        Ok(all)
    }
}

impl Seen {
    /// The longest of these reads.
    pub(super) fn longest(&self, of: impl Fn(&Read) -> bool) -> Duration {
        self.reads.iter().filter(|read| of(read)).map(|read| read.took).max().unwrap_or_default()
    }

    /// Takes in an answer, and gives it back unless it failed.
    fn take(&mut self, begun: Instant, path: &str, answer: Result<Value>) -> Option<Value> {
        self.reads.push(Read { begun, took: begun.elapsed() });
        answer
            .inspect_err(|error| {
                eprintln!("{path}: {error:#}");
                self.failed += 1;
            })
            .ok()
    }

    fn hold(&mut self, path: &str, is_due: bool, answer: &Value) {
        if !is_due {
            eprintln!("{path} is {answer}");
            self.different += 1;
        }
    }
}

impl Reader {
    async fn run(self) -> Seen {
        let (mut seen, mut last) = (Seen::default(), 0);
        while !self.stop.is_cancelled() {
            for (path, due) in &self.due {
                if self.stop.is_cancelled() {
                    break;
                }
                let begun = Instant::now();
                let answer = self.api.get(path, &self.token).await;
                if let Some(answer) = seen.take(begun, path, answer) {
                    seen.hold(path, answer == *due, &answer);
                }
            }
            let Changing { path, token } = &*self.changing;
            let begun = Instant::now();
            let answer = self.api.get(path, token).await;
            if let Some(answer) = seen.take(begun, path, answer) {
                let version = answer["version"].as_i64().unwrap_or_default();
                seen.hold(path, version >= last && answer["title"] == title(version), &answer);
                last = version;
            }
        }
        seen
    }
}

impl Changing {
    /// A note that can be read.
    async fn new(api: &Api) -> Result<Self> {
        api.register("writer").await?;
        let token = api.login("writer").await?;
        let id = |made: &Value| made["id"].as_str().map(str::to_owned).context("an answer without an id");
        let notebook = api.command(Method::POST, "/notebooks", &token, &json!({"name": "Lab"})).await?;
        let note = json!({"notebook_id": id(&notebook)?, "title": title(1)});
        let note = api.command(Method::POST, "/notes", &token, &note).await?;
        let path = format!("/notes/{}", id(&note)?);
        api.get(&format!("{path}?after={}", note["position"]), &token).await?;
        Ok(Self { path, token })
    }

    /// Changes it until told to stop; how often.
    async fn write(self: Arc<Self>, api: Api, stop: CancellationToken) -> Result<usize> {
        let mut commands = 0;
        for version in 2.. {
            if stop.is_cancelled() {
                break;
            }
            let change = json!({"title": title(version)});
            api.command(Method::PATCH, &self.path, &self.token, &change).await?;
            commands += 1;
        }
        Ok(commands)
    }
}

fn title(version: i64) -> String {
    format!("Version {version}")
}

async fn persons(owner: &mut PgConnection) -> Result<Vec<UserId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select aggregate_id::uuid from es.event where event_type = 'UserRegistered' order by position",
    )
    .fetch_all(owner)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

/// Every list and resource of a person, and what it says.
async fn everything(api: &Api, token: &str) -> Result<Vec<(String, Value)>> {
    let mut found = vec![("/me".to_owned(), api.get("/me", token).await?)];
    for list in ["/notebooks", "/notes"] {
        let path = format!("{list}?limit=200");
        let answer = api.get(&path, token).await?;
        let Value::Array(items) = &answer["items"] else { bail!("{path} has no items") };
        for item in items {
            let path = format!("{list}/{}", item["id"].as_str().context("an item has an id")?);
            found.push((path.clone(), api.get(&path, token).await?));
        }
        found.push((path, answer));
    }
    Ok(found)
}
