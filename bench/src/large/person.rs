//! A person with a note of so many blocks, a notebook of so many notes, and so many tasks; made over the API.

use anyhow::{Context, Result};
use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::clock::Clock;

use crate::services::Api;

/// Commands that are under way at once.
const AT_ONCE: usize = 32;
/// Blocks that a note may begin with.
const BEGINNING: usize = 999;

/// Somebody, and what they have.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) token: String,
    pub(super) notebook: String,
    pub(super) note: String,
    /// The note's, in order.
    pub(super) blocks: Vec<String>,
    /// Where the last page of the notebook's notes is.
    pub(super) last_notes: String,
    /// Where the last page of the person's tasks is.
    pub(super) last_tasks: String,
}

/// Who makes things.
struct Maker<'a> {
    api: &'a Api,
    token: String,
}

impl Person {
    /// Makes it all. Half of the tasks are in notes.
    pub(super) async fn furnish(api: &Api, name: &'static str, blocks: usize, notes: usize) -> Result<Self> {
        api.register(name).await?;
        let maker = Maker { api, token: api.login(name).await? };
        let notebook = maker.made("/notebooks", &json!({"name": "Lab"})).await?;
        let all_notes = maker.notes(&notebook, notes).await?;
        maker.tasks(&all_notes).await?;
        let (note, blocks) = maker.note_with(&notebook, blocks).await?;
        let Maker { token, .. } = maker;
        let (last_notes, last_tasks) = (String::new(), String::new());
        Ok(Self { name, token, notebook, note, blocks, last_notes, last_tasks })
    }

    /// The same with a new token, and with lists that were read to their end at that position.
    pub(super) async fn again(self, api: &Api, head: i64) -> Result<Self> {
        let token = api.login(self.name).await?;
        until_read(api, &token, head).await?;
        let notes = format!("/notes?notebook_id={}&limit=200", self.notebook);
        let (last_notes, last_tasks) =
            (last_page(api, &token, &notes).await?, last_page(api, &token, "/tasks?limit=200").await?);
        Ok(Self { token, last_notes, last_tasks, ..self })
    }
}

impl Maker<'_> {
    /// The id of what was made.
    async fn made(&self, path: &str, body: &Value) -> Result<String> {
        let answer = self.api.command(Method::POST, path, &self.token, body).await?;
        answer["id"].as_str().map(str::to_owned).context("an answer without an id")
    }

    async fn notes(&self, notebook: &str, count: usize) -> Result<Vec<String>> {
        let note = async |nth: usize| {
            let body = json!({"notebook_id": notebook, "title": format!("What we tried, and what came of it, part {nth}")});
            self.made("/notes", &body).await
        };
        all("notes", (0..count).map(note)).await
    }

    async fn tasks(&self, notes: &[String]) -> Result<()> {
        let task = async |nth: usize| {
            let id = self.made("/tasks", &new_task(nth, &notes[nth])).await?;
            if nth.is_multiple_of(10) {
                let path = format!("/tasks/{id}/complete");
                self.api.command(Method::POST, &path, &self.token, &Value::Null).await?;
            }
            Ok(())
        };
        all("tasks", (0..notes.len()).map(task)).await?;
        Ok(())
    }

    /// The note, and its blocks in order. Those that it does not begin with are added behind each of those, here and
    /// there at once.
    async fn note_with(&self, notebook: &str, count: usize) -> Result<(String, Vec<String>)> {
        let begin: Vec<String> =
            (0..count.min(BEGINNING)).map(|_| Clock::System.new_id().to_string()).collect();
        let blocks: Vec<Value> = begin.iter().enumerate().map(|(nth, id)| new_block(nth, Some(id))).collect();
        let body = json!({"notebook_id": notebook, "title": "All of it", "blocks": blocks});
        let note = self.made("/notes", &body).await?;
        let (each, over) = ((count - begin.len()) / begin.len(), (count - begin.len()) % begin.len());
        let behind = async |(nth, first): (usize, String)| {
            let mut blocks = vec![first];
            for _ in 0..each + usize::from(nth < over) {
                let mut body = new_block(nth, None);
                (body["note_id"], body["after"]) = (json!(note), json!(blocks.last()));
                blocks.push(self.made("/blocks", &body).await?);
            }
            Ok(blocks)
        };
        let blocks = all("rows of blocks", begin.into_iter().enumerate().map(behind)).await?;
        Ok((note, blocks.concat()))
    }
}

/// What all of these give, in their order; some are under way at once.
async fn all<T>(
    what: &str,
    making: impl IntoIterator<Item = impl Future<Output = Result<T>>>,
) -> Result<Vec<T>> {
    let mut made = Vec::new();
    let mut making = std::pin::pin!(stream::iter(making).buffered(AT_ONCE));
    while let Some(one) = making.next().await {
        made.push(one?);
        if made.len().is_multiple_of(1_000) {
            eprintln!("{} {what}", made.len());
        }
    }
    Ok(made)
}

/// A text block of the usual length.
fn new_block(nth: usize, id: Option<&String>) -> Value {
    let text = format!(
        "What we tried in part {nth}, and what came of it: nothing that would have made us any wiser."
    );
    let mut block = json!({"type": "text", "content": {"text": text}});
    if let Some(id) = id {
        block["id"] = json!(id);
    }
    block
}

/// One of the tasks: every second is in the note, two of three are due.
fn new_task(nth: usize, note: &str) -> Value {
    let mut task = json!({"title": format!("Write about part number {nth}"), "priority": nth % 5});
    if nth.is_multiple_of(2) {
        task["note_id"] = json!(note);
    }
    if !nth.is_multiple_of(3) {
        task["due_at"] = json!(format!("2030-{:02}-{:02}T12:00:00Z", 1 + nth % 12, 1 + nth % 28));
    }
    task
}

/// Waits until reads are at that position.
async fn until_read(api: &Api, token: &str, position: i64) -> Result<()> {
    let path = format!("/me?after={position}");
    // Until then the answer is 503.
    let read = async || Ok(api.get(&path, token).await.ok());
    servers::until::until(super::SETTLED_WITHIN, "reading all that was made", read).await?;
    Ok(())
}

/// The address of a list's last page; `list` has a parameter already.
async fn last_page(api: &Api, token: &str, list: &str) -> Result<String> {
    let mut page_at = list.to_owned();
    loop {
        let page = api.get(&page_at, token).await?;
        let Some(cursor) = page["next_cursor"].as_str() else { return Ok(page_at) };
        page_at = format!("{list}&cursor={cursor}");
    }
}
