//! Building the read tables from the log: `daybook rebuild`, against an event at a time; and while they are used.

mod beside;
mod events;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use projector::engine::checkpoint::Checkpoint;
use projector::engine::{BATCH, Tools};
use projector::projections::{Entry, project_all};
use projector::quarantine::Quarantine;
use projector::{ShadowBuild, Status};
use servers::postgres::{Durability, Options, Postgres};
use shared::log::encryption::MasterKey;
use shared::log::keyring::Keyring;
use shared::log::{epoch, event_log};
use shared::process::postgres::{DatabaseRole, pool};
use shared::process::read_schema;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::services::shadow_build;

pub(crate) use beside::Beside;

/// What to measure.
pub(crate) struct Plan {
    /// How many events the log has.
    pub(crate) events: i64,
    /// How often both are measured, in turn.
    pub(crate) rounds: u32,
    /// How many read while the tables are rebuilt once more; 0 leaves that out.
    pub(crate) readers: usize,
    /// Where the server's data goes.
    pub(crate) folder: PathBuf,
}

/// Of how many events of ours the rival folds one: it is that much slower, and rates are compared.
const SHARE: i64 = 10;

/// What was measured.
pub(crate) struct Measured {
    /// The rates of each round, in events a second: ours, the rival's.
    pub(crate) pairs: Vec<(f64, f64)>,
    /// A rebuild while the tables were used.
    pub(crate) beside: Option<Beside>,
}

/// Measures it all on a server of its own.
pub(crate) async fn run(plan: &Plan) -> Result<Measured> {
    let folder = tempfile::tempdir_in(&plan.folder).context("cannot make a folder for the server")?;
    let options =
        Options { data: folder.path().to_owned(), durability: Durability::Durable, settings: Vec::new() };
    let server = Postgres::start(options).await?;
    let result = measure(plan, &server).await;
    server.shutdown().await?;
    result
}

async fn measure(plan: &Plan, server: &Postgres) -> Result<Measured> {
    let master = kit::master();
    server.create_database("log").await?;
    let url = server.url("log");
    shared::process::migrate::migrate(&url, &master).await?;
    let mut owner = PgConnection::connect(&url).await?;
    events::fill(&mut owner, &master, plan.events).await?;
    owner.execute("vacuum analyze").await?;
    eprintln!("a log of {} events is made", plan.events);
    let mut pairs = Vec::new();
    for round in 1..=plan.rounds {
        // So that nobody writes out the pages that the other has changed.
        owner.execute("checkpoint").await?;
        let ours = ours(plan, &shadow_build(&url, &master, &format!("read_ours_{round}"))?).await?;
        owner.execute("checkpoint").await?;
        let rival = rival(plan, &tools(&url, &master, &format!("read_rival_{round}"))?).await?;
        eprintln!(
            "round {round} of {}: ours {ours:.0}/s, row by row {rival:.0}/s, {:.2}",
            plan.rounds,
            ours / rival
        );
        pairs.push((ours, rival));
        for side in ["ours", "rival"] {
            owner.execute(format!("drop schema read_{side}_{round} cascade").as_str()).await?;
        }
    }
    owner.close().await?;
    let mut beside = None;
    if plan.readers > 0 {
        let shadow_build = shadow_build(&url, &master, read_schema::name())?;
        beside = Some(beside::run(&url, &master, shadow_build, plan.readers).await?);
    }
    Ok(Measured { pairs, beside })
}

fn tools(url: &str, master: &MasterKey, schema: &str) -> Result<Tools> {
    let pool = pool(url, DatabaseRole::Projector, Some(schema), 4)?;
    Ok(Tools {
        keyring: Keyring::new(master.clone(), pool.clone()),
        pool,
        schema: schema.to_owned(),
        nats: None,
        status: watch::Sender::new(Status::default()),
    })
}

async fn ours(plan: &Plan, shadow_build: &ShadowBuild) -> Result<f64> {
    let begun = Instant::now();
    let position = shadow_build.rebuild().await?;
    let rate = rate(plan.events, begun.elapsed());
    ensure!(position == plan.events, "ours came to {position} only");
    Ok(rate)
}

/// The same folds and statements in transactions of the same size, but one event at a time.
async fn rival(plan: &Plan, tools: &Tools) -> Result<f64> {
    read_schema::ensure(&tools.pool, &tools.schema).await?;
    let epoch = epoch::current(&tools.pool).await?.context("a migrated log has an epoch")?.epoch;
    let mut at = Checkpoint::read(&tools.pool).await?;
    let last = plan.events / SHARE;
    let begun = Instant::now();
    while at.position < last {
        at = page(&tools.pool, &tools.keyring, &at, epoch.as_str(), last).await?;
    }
    let rate = rate(last, begun.elapsed());
    tools.pool.close().await;
    Ok(rate)
}

async fn page(
    pool: &PgPool,
    keyring: &Keyring,
    at: &Checkpoint,
    epoch: &str,
    last: i64,
) -> Result<Checkpoint> {
    let limit = i64::try_from(BATCH)?.min(last - at.position);
    let batch = keyring.open(event_log::after(pool, at.position, limit).await?).await?;
    let next = Checkpoint { position: at.position + limit, epoch: epoch.to_owned() };
    let mut transaction = pool.begin().await?;
    ensure!(at.advance(&mut transaction, &next).await?, "somebody else moved the checkpoint");
    let mut none = Quarantine::default();
    for event in batch {
        project_all(&mut transaction, &[Entry::Opened(event)], &mut none).await?;
    }
    transaction.commit().await?;
    Ok(next)
}

fn rate(events: i64, took: Duration) -> f64 {
    f64::from(i32::try_from(events).unwrap_or(i32::MAX)) / took.as_secs_f64()
}
