//! What it costs to work where others work: many clients in one note, and as many in a note each.

mod crowd;
mod hostile;
mod joins;

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use shared::domain::clock::Clock;
use sqlx::{Executor, PgConnection};

use crate::measure::{Writer, histogram, work};
use crate::report::{hundredths, milliseconds};
use crate::services::{Api, on_own_servers};
use crowd::Crowd;
use hostile::Hostile;
use joins::Joins;

/// How long each way is tried before it is measured.
const WARM: Duration = Duration::from_millis(500);

/// What to measure.
pub(crate) struct Plan {
    /// How many clients work at once.
    pub(crate) clients: Vec<usize>,
    /// How often both are measured, in turn.
    pub(crate) rounds: u32,
    /// For how long each.
    pub(crate) length: Duration,
    /// How many blocks are put behind one block in the end, while others work in the same note.
    pub(crate) behind: u64,
    /// Where the servers' data goes.
    pub(crate) folder: PathBuf,
}

/// What a client does over and over.
#[derive(Clone, Copy)]
enum Way {
    AtTheEnd,
    BehindOneBlock,
    Edited,
    Moved,
}

const WAYS: [(&str, Way); 4] = [
    ("a block added at the end", Way::AtTheEnd),
    ("a block added behind one block", Way::BehindOneBlock),
    ("an own block edited", Way::Edited),
    ("an own block moved behind one block, or to the end", Way::Moved),
];

/// What was measured.
pub(crate) struct Measured {
    figures: Vec<Figure>,
    hostile: Hostile,
    joins: Joins,
    crowd: Option<Crowd>,
}

/// One way, by so many clients.
struct Figure {
    way: &'static str,
    clients: usize,
    together: Series,
    apart: Series,
    ratios: Vec<f64>,
}

/// All rounds of one side.
struct Series {
    rates: Vec<f64>,
    refused: u64,
    took: Histogram<u64>,
}

/// A note, its first block and a block for each client; another one stands behind them.
struct Furnished {
    note: String,
    first: String,
    own: Vec<String>,
}

/// A client of one note.
struct Client {
    api: Api,
    token: Arc<str>,
    way: Way,
    note: String,
    first: String,
    own: String,
    done: u64,
    refused: u64,
}

impl Client {
    fn new(api: &Api, token: &Arc<str>, way: Way, furnished: &Furnished, own: &str) -> Self {
        Self {
            api: api.clone(),
            token: token.clone(),
            way,
            note: furnished.note.clone(),
            first: furnished.first.clone(),
            own: own.to_owned(),
            done: 0,
            refused: 0,
        }
    }
}

impl Writer for Client {
    async fn step(&mut self) -> Result<()> {
        let text = format!("The other {}, and what came of it: nothing that made us any wiser.", self.done);
        // There and back: to where it stands already it would not move.
        let place = if self.done.is_multiple_of(2) {
            json!({"note_id": self.note, "after": self.first})
        } else {
            json!({"note_id": self.note})
        };
        let block = json!({"note_id": self.note, "type": "text", "content": {"text": text}});
        let (method, path, body) = match self.way {
            Way::AtTheEnd => (Method::POST, "/blocks".to_owned(), block),
            Way::BehindOneBlock => {
                let mut block = block;
                block["after"] = json!(self.first);
                (Method::POST, "/blocks".to_owned(), block)
            }
            Way::Edited => {
                (Method::PATCH, format!("/blocks/{}", self.own), json!({"content": {"text": text}}))
            }
            Way::Moved => (Method::POST, format!("/blocks/{}/move", self.own), place),
        };
        self.done += 1;
        let (status, answer) = self.api.try_command(method, &path, &self.token, &body).await?;
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => self.refused += 1,
            _ => ensure!(status.is_success(), "{status} {answer}"),
        }
        Ok(())
    }
}

impl Series {
    fn new() -> Self {
        Self { rates: Vec::new(), refused: 0, took: histogram() }
    }

    async fn add(&mut self, clients: &mut Vec<Client>, length: Duration) -> Result<f64> {
        let before: u64 = clients.iter().map(|client| client.refused).sum();
        let stretch = work(clients, length).await?;
        let refused = clients.iter().map(|client| client.refused).sum::<u64>() - before;
        self.refused += refused;
        self.took.add(&stretch.latencies)?;
        let share =
            f64::from(u32::try_from(stretch.steps - refused)?) / f64::from(u32::try_from(stretch.steps)?);
        self.rates.push(stretch.rate() * share);
        Ok(stretch.rate() * share)
    }

    fn figures(&self) -> Value {
        json!({
            "per_second": median(&self.rates).round(), "refused": self.refused,
            "p50_ms": milliseconds(&self.took, 0.5), "p99_ms": milliseconds(&self.took, 0.99),
        })
    }
}

fn median(all: &[f64]) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// Measures on durable servers of its own.
pub(crate) async fn run(plan: &Plan) -> Result<Measured> {
    on_own_servers(&plan.folder, async |own| {
        let figures = compare(plan, &own.api, &mut own.owner).await?;
        let hostile = hostile::run(own, plan.rounds, plan.length).await?;
        let joins = joins::run(own, plan.rounds, plan.length).await?;
        let crowd = if plan.behind == 0 { None } else { Some(crowd::run(own, plan.behind).await?) };
        Ok(Measured { figures, hostile, joins, crowd })
    })
    .await
}

async fn compare(plan: &Plan, api: &Api, owner: &mut PgConnection) -> Result<Vec<Figure>> {
    let most = plan.clients.iter().copied().max().context("at least one number of clients")?;
    api.register("ada").await?;
    let token: Arc<str> = api.login("ada").await?.into();
    let notebook = made(api, &token, "/notebooks", &json!({"name": "Lab"})).await?;
    let mut figures = Vec::new();
    for (name, way) in WAYS {
        // Notes of their own: what one way leaves behind does not burden the next.
        let shared = furnish(api, &token, &notebook, most).await?;
        let mut own = Vec::new();
        for _ in 0..most {
            own.push(furnish(api, &token, &notebook, 1).await?);
        }
        for &count in &plan.clients {
            let client =
                |(furnished, block): (&Furnished, &String)| Client::new(api, &token, way, furnished, block);
            let mut together: Vec<_> =
                shared.own.iter().take(count).map(|block| client((&shared, block))).collect();
            let mut apart: Vec<_> = own.iter().take(count).map(|own| client((own, &own.own[0]))).collect();
            work(&mut together, WARM).await?;
            work(&mut apart, WARM).await?;
            let mut figure = Figure {
                way: name,
                clients: count,
                together: Series::new(),
                apart: Series::new(),
                ratios: Vec::new(),
            };
            for round in 1..=plan.rounds {
                owner.execute("checkpoint").await?;
                let (one, other);
                if round % 2 == 1 {
                    one = figure.together.add(&mut together, plan.length).await?;
                    other = figure.apart.add(&mut apart, plan.length).await?;
                } else {
                    other = figure.apart.add(&mut apart, plan.length).await?;
                    one = figure.together.add(&mut together, plan.length).await?;
                }
                figure.ratios.push(one / other);
                eprintln!(
                    "{name}, {count} clients, round {round}: in one note {one:.0}/s, in a note each {other:.0}/s, {:.2}",
                    one / other
                );
            }
            figures.push(figure);
        }
    }
    Ok(figures)
}

async fn made(api: &Api, token: &str, path: &str, body: &Value) -> Result<String> {
    let answer = api.command(Method::POST, path, token, body).await?;
    Ok(answer["id"].as_str().context("an answer has an id")?.to_owned())
}

async fn furnish(api: &Api, token: &str, notebook: &str, own: usize) -> Result<Furnished> {
    let ids: Vec<String> = (0..own + 2).map(|_| Clock::System.new_id().to_string()).collect();
    let blocks: Vec<Value> =
        ids.iter().map(|id| json!({"id": id, "type": "text", "content": {"text": "One"}})).collect();
    let body = json!({"notebook_id": notebook, "title": "Plans", "blocks": blocks});
    let note = made(api, token, "/notes", &body).await?;
    let mut ids = ids.into_iter();
    Ok(Furnished {
        note,
        first: ids.next().context("a note has a first block")?,
        own: ids.take(own).collect(),
    })
}

/// One line for machines.
pub(crate) fn json(measured: &Measured) -> String {
    let mut by_way: Map<String, Value> = Map::new();
    for figure in &measured.figures {
        by_way.entry(figure.way).or_insert_with(|| json!({}))[figure.clients.to_string()] = json!({
            "one_note": figure.together.figures(), "note_each": figure.apart.figures(),
            "ratio": hundredths(median(&figure.ratios)),
        });
    }
    json!({ "contention": by_way, "hostile": measured.hostile, "joins": measured.joins,
            "crowd": measured.crowd })
    .to_string()
}

/// A table for people.
pub(crate) fn table(measured: &Measured) -> String {
    let mut table = String::from(
        "| | clients | in one note | refused | p50, p99 | in a note each | refused | ratio |\n\
         | :-- | --: | --: | --: | --: | --: | --: | --: |",
    );
    for figure in &measured.figures {
        let Figure { way, clients, together, apart, ratios } = figure;
        write!(
            table,
            "\n| {way} | {clients} | {:.0}/s | {} | {} ms, {} ms | {:.0}/s | {} | {} |",
            median(&together.rates),
            together.refused,
            milliseconds(&together.took, 0.5),
            milliseconds(&together.took, 0.99),
            median(&apart.rates),
            apart.refused,
            hundredths(median(ratios)),
        )
        .expect("a string takes everything");
    }
    write!(table, "\n\n{}", measured.hostile).expect("a string takes everything");
    write!(table, "\n\n{}", measured.joins).expect("a string takes everything");
    if let Some(crowd) = &measured.crowd {
        write!(table, "\n\n{crowd}").expect("a string takes everything");
    }
    table
}
