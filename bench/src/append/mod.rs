//! Appending: our log against cqrs-es with postgres-es, each with a database of its own on one durable server.

mod ours;
mod rival;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servers::postgres::{Durability, Options, Postgres};
use sqlx::{Connection, Executor, PgConnection};

use crate::measure::{Stretch, Writer, work};
use crate::report::Compared;
use ours::Ours;
use rival::Rival;

/// An aggregate's events; then its writer begins another.
const EVENTS_EACH: i64 = 10;
/// The size of a stored payload in bytes, about, on both sides.
const PAYLOAD: usize = 400;
/// Pool sizes that are tried for the rival, to give it its best.
const POOLS: [u32; 5] = [4, 8, 16, 32, 64];
/// How long each is tried, and how long we warm up.
const TRIAL: Duration = Duration::from_secs(2);

/// What to measure.
pub(crate) struct Plan {
    /// How often both are measured, in turn.
    pub(crate) rounds: u32,
    /// For how long each.
    pub(crate) length: Duration,
    /// How many write at once.
    pub(crate) writers: Vec<usize>,
    /// Whether the rival's pool pings before each use.
    pub(crate) rival_pings: bool,
    /// Where the server's data goes.
    pub(crate) folder: PathBuf,
}

/// Measures, and proves that both sides stored what they acknowledged.
pub(crate) async fn run(plan: &Plan) -> Result<Vec<Compared>> {
    let folder = tempfile::tempdir_in(&plan.folder).context("cannot make a folder for the server")?;
    let options =
        Options { data: folder.path().to_owned(), durability: Durability::Durable, settings: Vec::new() };
    let server = Postgres::start(options).await?;
    let result = measure(plan, &server).await;
    server.shutdown().await?;
    result
}

async fn measure(plan: &Plan, server: &Postgres) -> Result<Vec<Compared>> {
    let master = kit::master();
    server.create_database("ours").await?;
    server.create_database("rival").await?;
    shared::process::migrate::migrate(&server.url("ours"), &master).await?;
    let mut ours = Ours::start(&server.url("ours"), master).await?;
    let mut rival = Rival::start(server.url("rival"), plan.rival_pings).await?;
    let mut admin = PgConnection::connect(&server.maintenance_url()).await?;
    let mut compared = Vec::new();
    for &writers in &plan.writers {
        compared.push(compare(plan, writers, &mut ours, &mut rival, &mut admin).await?);
    }
    admin.close().await?;
    ours.verify(&server.url("ours")).await?;
    rival.verify().await?;
    Ok(compared)
}

async fn compare(
    plan: &Plan,
    writers: usize,
    ours: &mut Ours,
    rival: &mut Rival,
    admin: &mut PgConnection,
) -> Result<Compared> {
    let pool = rival.best_pool(writers).await?;
    let mut our_writers = ours.writers(writers).await?;
    let mut rival_writers = rival.writers(writers);
    // Both warm up: connections are made, statements prepared.
    ours.acknowledged += work(&mut our_writers, TRIAL).await?.steps;
    rival.acknowledged += work(&mut rival_writers, TRIAL).await?.steps;
    let mut compared = Compared::new(writers, pool);
    for round in 1..=plan.rounds {
        // In turn, and first in turn.
        let (one, other);
        if round % 2 == 1 {
            one = stretch(&mut our_writers, plan.length, admin).await?;
            other = stretch(&mut rival_writers, plan.length, admin).await?;
        } else {
            other = stretch(&mut rival_writers, plan.length, admin).await?;
            one = stretch(&mut our_writers, plan.length, admin).await?;
        }
        ours.acknowledged += one.steps;
        rival.acknowledged += other.steps;
        compared.add(&one, &other)?;
        let (one, other) = (one.rate(), other.rate());
        eprintln!(
            "{writers} writers, round {round} of {}: ours {one:.0}/s, postgres-es {other:.0}/s (pool of {pool}), {:.2}",
            plan.rounds,
            one / other
        );
    }
    Ok(compared)
}

async fn stretch<W: Writer>(
    writers: &mut Vec<W>,
    length: Duration,
    admin: &mut PgConnection,
) -> Result<Stretch> {
    // So that nobody writes out the pages that the other has changed.
    admin.execute("checkpoint").await?;
    work(writers, length).await
}

/// Fails unless exactly as much is stored as was acknowledged.
fn check(side: &str, acknowledged: u64, stored: i64) -> Result<()> {
    ensure!(
        i64::try_from(acknowledged)? == stored,
        "{side}: {acknowledged} events acknowledged, {stored} stored"
    );
    eprintln!("{side}: {stored} events acknowledged and stored");
    Ok(())
}
