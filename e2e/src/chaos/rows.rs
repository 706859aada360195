//! What can be read, against what the acknowledged commands make of it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use servers::until::until;

use super::LIMIT;
use super::load::{Client, Note, Notebook};
use super::report::Report;
use super::world::World;
use crate::operate;

const PATIENCE: Duration = Duration::from_secs(10);

/// Reads what each client has, half of them from one query API and half from the other.
pub(super) async fn compare(
    report: &mut Report,
    world: &World,
    clients: &[Client],
    after: &str,
) -> Result<()> {
    for (number, client) in clients.iter().enumerate() {
        let url = &world.addresses().queries[number % 2];
        let notebook = |row: &Value| Notebook { name: text(row, "name"), version: version(row) };
        let found = list(client, url, "notebooks", after, notebook).await?;
        differences(report, &client.notebooks, &found);
        let note = |row: &Value| Note {
            notebook: text(row, "notebook_id"),
            title: text(row, "title"),
            version: version(row),
        };
        let found = list(client, url, "notes", after, note).await?;
        differences(report, &client.notes, &found);
    }
    Ok(())
}

/// All pages of a list, by id.
async fn list<T>(
    client: &Client,
    url: &str,
    module: &str,
    after: &str,
    row: impl Fn(&Value) -> T,
) -> Result<BTreeMap<String, T>> {
    let mut found = BTreeMap::new();
    let mut path = format!("{url}/api/v1/{module}?limit=200&after={after}");
    loop {
        let page = page(client, &path).await?;
        for item in page["items"].as_array().context("a list has items")? {
            found.insert(text(item, "id"), row(item));
        }
        let Some(next) = page["next_cursor"].as_str() else { return Ok(found) };
        path = format!("{url}/api/v1/{module}?limit=200&after={after}&cursor={next}");
    }
}

/// Asks until there is an answer: whoever was started just now may still be behind.
async fn page(client: &Client, path: &str) -> Result<Value> {
    until(LIMIT, "reading", async || {
        let request = client.http().get(path).bearer_auth(&client.token).timeout(PATIENCE);
        let answer = match request.send().await.and_then(reqwest::Response::error_for_status) {
            Ok(answer) => answer,
            Err(error) if error.status().is_some_and(|status| status.is_client_error()) => Err(error)?,
            Err(_) => return Ok(None),
        };
        Ok(Some(answer.json().await?))
    })
    .await
}

fn differences<T: PartialEq + Debug>(
    report: &mut Report,
    due: &BTreeMap<String, T>,
    found: &BTreeMap<String, T>,
) {
    let strangers = found.keys().filter(|id| !due.contains_key(*id));
    for id in due.keys().chain(strangers) {
        let (due, found) = (due.get(id), found.get(id));
        if due != found {
            report.different += 1;
            report.tell(format!("{id} should be {due:?}, and is {found:?}"));
        }
    }
}

fn text(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

fn version(row: &Value) -> i64 {
    row["version"].as_i64().unwrap_or_default()
}

/// `daybook check`, which compares every column of every row with a rebuild.
pub(super) async fn check(report: &mut Report, world: &World) {
    if let Err(error) = operate("check", &world.database_url()).await {
        report.different += 1;
        report.tell(error.to_string());
    }
}
