//! Clients who work in one notebook, while people join and leave it and it is renamed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use command_api::app::{App, CommandMeta};
use command_api::members::{Member, MemberCommand};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use shared::domain::access::{Container, Kind, Principal, Role};
use shared::domain::id::UserId;
use shared::domain::members::MemberId;
use shared::process::auth::Caller;
use shared::process::problem::ProblemType;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};
use uuid::Uuid;

use super::{Client, Way, furnish, made, median};
use crate::measure::{histogram, work};
use crate::report::{hundredths, milliseconds};
use crate::services::Own;

/// How many work in the notebook.
const CLIENTS: usize = 64;
/// How many come and go, by turns.
const PEOPLE: usize = 100;
/// Each time somebody joins or leaves: 200 a second, if so many are answered.
const JOIN_EVERY: Duration = Duration::from_millis(5);
/// How many of these are under way at most: people come by a few doors, and a service refuses a crowd that outgrows its
/// connections.
const AT_ONCE: usize = 16;
/// Each time the notebook has another name: 10 a second.
const RENAME_EVERY: Duration = Duration::from_millis(100);

/// What comings, goings and names cost the others.
#[derive(Serialize)]
pub(super) struct Joins {
    alone_per_second: f64,
    beside_per_second: f64,
    ratio: f64,
    ratio_min: f64,
    ratio_max: f64,
    alone_p99_ms: f64,
    beside_p50_ms: f64,
    beside_p99_ms: f64,
    people_per_second: f64,
    renames_per_second: f64,
}

/// The notebook, its owner and those who come and go.
struct House {
    app: App,
    owner: Caller,
    token: Arc<str>,
    notebook: String,
    people: Vec<UserId>,
}

pub(super) async fn run(own: &Own, rounds: u32, length: Duration) -> Result<Joins> {
    let token: Arc<str> = own.api.login("ada").await?.into();
    let notebook = made(&own.api, &token, "/notebooks", &json!({"name": "Open door"})).await?;
    let furnished = furnish(&own.api, &token, &notebook, CLIENTS).await?;
    let client = |block: &String| Client::new(&own.api, &token, Way::AtTheEnd, &furnished, block);
    let mut clients: Vec<Client> = furnished.own.iter().map(client).collect();
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let name = format!("guest{number}");
        own.api.register(&name).await?;
        people.push(caller(own, &own.api.login(&name).await?)?.user);
    }
    let owner = caller(own, &token)?;
    let house = House { app: own.app.clone(), owner, token, notebook, people };
    work(&mut clients, length).await?;
    let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut quiet_took, mut took) = (histogram(), histogram());
    let (mut joins, mut renames, mut turn) = (0, 0, 0);
    let begun = Instant::now();
    let mut busy = Duration::ZERO;
    for round in 0..rounds {
        let quiet = work(&mut clients, length).await?;
        let from = Instant::now();
        let ours = tokio::select! {
            ours = work(&mut clients, length) => ours?,
            ended = come_and_go(&house, &mut turn, &mut joins) => return Err(ended.err().context("it goes on")?),
            ended = rename(own, &house, &mut renames) => return Err(ended.err().context("it goes on")?),
        };
        busy += from.elapsed();
        eprintln!(
            "joins and renames, round {}: {:.0}/s alone, {:.0}/s beside",
            round + 1,
            quiet.rate(),
            ours.rate()
        );
        quiet_took.add(&quiet.latencies)?;
        took.add(&ours.latencies)?;
        ratios.push(ours.rate() / quiet.rate());
        alone.push(quiet.rate());
        beside.push(ours.rate());
    }
    ensure!(
        clients.iter().all(|client| client.refused == 0),
        "a client was refused after {:?}",
        begun.elapsed()
    );
    ratios.sort_by(f64::total_cmp);
    let rate = |count: u32| (f64::from(count) / busy.as_secs_f64()).round();
    Ok(Joins {
        alone_per_second: median(&alone).round(),
        beside_per_second: median(&beside).round(),
        ratio: hundredths(median(&ratios)),
        ratio_min: hundredths(ratios.first().copied().unwrap_or_default()),
        ratio_max: hundredths(ratios.last().copied().unwrap_or_default()),
        alone_p99_ms: milliseconds(&quiet_took, 0.99),
        beside_p50_ms: milliseconds(&took, 0.5),
        beside_p99_ms: milliseconds(&took, 0.99),
        people_per_second: rate(joins),
        renames_per_second: rate(renames),
    })
}

fn caller(own: &Own, token: &str) -> Result<Caller> {
    own.app.verifier.verify(token).map_err(|_| anyhow!("the token is new"))
}

/// One after the other joins or leaves, a few at once. There is no route for it, so the owner asks the command
/// path.
async fn come_and_go(house: &House, turn: &mut usize, done: &mut u32) -> Result<()> {
    let mut ticks = interval(JOIN_EVERY);
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick(), if under_way.len() < AT_ONCE => {
                let person = house.people[*turn % PEOPLE];
                let joins = (*turn / PEOPLE).is_multiple_of(2);
                *turn += 1;
                let container = Container { kind: Kind::Notebook, id: house.notebook.parse::<Uuid>()? };
                let id = MemberId { container, principal: Principal::User(person) }.to_string();
                let command = if joins { MemberCommand::Grant { role: Role::Viewer } } else { MemberCommand::Remove };
                let actor = CommandMeta::new(house.owner.user.to_string(), "bench", "PUT /members");
                let meta = CommandMeta { caller: Some(house.owner), ..actor };
                let app = house.app.clone();
                under_way.spawn(async move { app.execute::<Member>(&meta, &id, vec![command], &()).await });
            }
            Some(ended) = under_way.join_next() => {
                match ended? {
                    // Its joining was under way when the round before ended.
                    Err(problem) if problem.kind == ProblemType::MemberMissing => (),
                    Err(problem) => bail!("somebody could not come or go: {problem:?}"),
                    Ok(_) => *done += 1,
                }
            }
        }
    }
}

async fn rename(own: &Own, house: &House, done: &mut u32) -> Result<()> {
    let mut ticks = interval(RENAME_EVERY);
    let path = format!("/notebooks/{}", house.notebook);
    loop {
        ticks.tick().await;
        let body: Value = json!({"name": format!("Open door {done}")});
        own.api.command(Method::PATCH, &path, &house.token, &body).await?;
        *done += 1;
    }
}

impl fmt::Display for Joins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { alone_per_second, beside_per_second, ratio, ratio_min, ratio_max, .. } = self;
        let Self {
            people_per_second, renames_per_second, alone_p99_ms, beside_p50_ms, beside_p99_ms, ..
        } = self;
        write!(
            f,
            "{CLIENTS} clients in one notebook: {alone_per_second}/s (p99 {alone_p99_ms} ms). While {people_per_second} people a \
             second join or leave it, and it is renamed {renames_per_second} times a second: {beside_per_second}/s, {ratio} of \
             that ({ratio_min} to {ratio_max}; {beside_p50_ms} ms, {beside_p99_ms} ms)."
        )
    }
}
