//! Clients who work in one note, while strangers send to that note as much as they can: large blocks, which are refused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Client, Way, furnish, made, median};
use crate::measure::{Writer, histogram, work};
use crate::report::{hundredths, milliseconds};
use crate::services::{Api, Own};

/// So many of each.
const CLIENTS: usize = 8;
/// Nearly as many characters as a block may have.
const TEXT: usize = 44_000;

/// What the strangers cost the others.
#[derive(Serialize)]
pub(super) struct Hostile {
    alone_per_second: f64,
    beside_per_second: f64,
    ratio: f64,
    beside_p50_ms: f64,
    beside_p99_ms: f64,
    refused_per_second: f64,
}

struct Stranger {
    api: Api,
    token: Arc<str>,
    block: Arc<Value>,
}

impl Writer for Stranger {
    async fn step(&mut self) -> Result<()> {
        let (status, answer) =
            self.api.try_command(Method::POST, "/blocks", &self.token, &self.block).await?;
        let expected =
            [StatusCode::UNPROCESSABLE_ENTITY, StatusCode::NOT_FOUND, StatusCode::TOO_MANY_REQUESTS];
        ensure!(expected.contains(&status), "a stranger got {status} {answer}");
        Ok(())
    }
}

pub(super) async fn run(own: &Own, rounds: u32, length: Duration) -> Result<Hostile> {
    let token: Arc<str> = own.api.login("ada").await?.into();
    let notebook = made(&own.api, &token, "/notebooks", &json!({"name": "Open house"})).await?;
    let furnished = furnish(&own.api, &token, &notebook, CLIENTS).await?;
    let mut clients: Vec<Client> = furnished
        .own
        .iter()
        .map(|block| Client::new(&own.api, &token, Way::AtTheEnd, &furnished, block))
        .collect();
    own.api.register("mallory").await?;
    let token: Arc<str> = own.api.login("mallory").await?.into();
    let content = json!({"text": "x".repeat(TEXT)});
    let block = Arc::new(json!({"note_id": furnished.note, "type": "text", "content": content}));
    let stranger = || Stranger { api: own.api.clone(), token: token.clone(), block: block.clone() };
    let mut strangers: Vec<Stranger> = (0..CLIENTS).map(|_| stranger()).collect();
    work(&mut clients, length).await?;
    let (mut alone, mut beside, mut refused, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut took = histogram();
    for _ in 0..rounds {
        let quiet = work(&mut clients, length).await?.rate();
        let (ours, theirs) = tokio::try_join!(work(&mut clients, length), work(&mut strangers, length))?;
        took.add(&ours.latencies)?;
        ratios.push(ours.rate() / quiet);
        alone.push(quiet);
        beside.push(ours.rate());
        refused.push(theirs.rate());
    }
    ensure!(clients.iter().all(|client| client.refused == 0), "a client was refused beside strangers");
    Ok(Hostile {
        alone_per_second: median(&alone).round(),
        beside_per_second: median(&beside).round(),
        ratio: hundredths(median(&ratios)),
        beside_p50_ms: milliseconds(&took, 0.5),
        beside_p99_ms: milliseconds(&took, 0.99),
        refused_per_second: median(&refused).round(),
    })
}

impl fmt::Display for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            alone_per_second,
            beside_per_second,
            ratio,
            beside_p50_ms,
            beside_p99_ms,
            refused_per_second,
        } = self;
        write!(
            f,
            "{CLIENTS} clients in one note alone: {alone_per_second}/s. Beside {CLIENTS} strangers, of whom {refused_per_second} \
             blocks a second are refused: {beside_per_second}/s, {ratio} of that ({beside_p50_ms} ms, {beside_p99_ms} ms)."
        )
    }
}
