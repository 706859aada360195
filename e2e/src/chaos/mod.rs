//! A Daybook of several processes is used hard while they are killed, frozen and restarted at random
//! moments; afterwards what was acknowledged is compared with the log, the stream, the read tables and what sockets
//! received. docs/chaos.md tells how to read what it prints.

mod carrier;
mod faults;
mod history;
mod load;
mod outage;
mod process;
mod report;
mod rows;
mod sockets;
mod verify;
mod world;

use std::sync::Arc;

use anyhow::{Context, Result};
use shared::process::lifecycle::Shutdown;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, timeout};

pub use self::faults::Fault;
pub use self::outage::Outage;
pub use self::report::Report;

use self::history::History;
use self::load::Client;
use self::outage::outage;
use self::sockets::Sockets;
use self::world::World;
use crate::chance::Chance;

/// How long anything that must come may take; on a slow machine all of it takes long.
const LIMIT: Duration = Duration::from_mins(2);
/// How many clients send commands at once, each with an account of its own.
const CLIENTS: usize = 32;
/// How many of them hold a socket.
const SOCKETS: usize = 12;
/// A fault comes after so many further acknowledgements at least, and so many more at most.
const MOMENT: (u64, u64) = (20, 800);

/// What is to be done to a Daybook.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Chooses the faults, their order and their moments.
    pub seed: u64,
    /// How often each kind of fault comes, at least.
    pub each: usize,
    /// Rounds of all kinds go on until this has passed.
    pub lasting: Duration,
    /// How long NATS is away once, at the end.
    pub outage: Duration,
}

/// A fault that was injected, and how long it was until everything ran again.
#[derive(Clone, Copy, Debug)]
struct Struck {
    fault: Fault,
    took: Duration,
}

/// Carries out a plan, and tells what was found; an error if the Daybook did not come through at all.
pub async fn run(plan: Plan) -> Result<Report> {
    let mut world = World::start().await?;
    let report = with_faults(plan, &mut world).await;
    let report = report.with_context(|| format!("seed {}; {}", plan.seed, world.last_words()));
    let keep = !report.as_ref().is_ok_and(Report::is_clean);
    let kept = world.stop(keep).await?;
    let kept = kept.map_or_else(String::new, |folder| format!("logs and data are in {}", folder.display()));
    let mut report = report.with_context(|| kept.clone())?;
    if keep {
        report.findings.push(kept);
    }
    Ok(report)
}

async fn with_faults(plan: Plan, world: &mut World) -> Result<Report> {
    let mut chance = Chance::new(plan.seed);
    let history = Arc::new(History::default());
    let mut clients = Vec::new();
    // One more, who sends no load but looks at how it goes without NATS.
    for number in 0..=CLIENTS {
        clients.push(Client::start(number, world.addresses(), &history, chance.fork()).await?);
    }
    let sockets = Sockets::open(&clients[CLIENTS - SOCKETS..], world.addresses()).await?;
    let mut probe = clients.pop().context("there are clients")?;
    let stop = Shutdown::new();
    let _guard = stop.token().drop_guard();
    let mut load = JoinSet::new();
    for client in clients {
        load.spawn(client.run(stop.clone()));
    }
    let (struck, lasted, outage) = tokio::select! {
        done = async {
            let begun = Instant::now();
            let struck = inject_faults(plan, world, &history, &mut chance).await?;
            let outage = outage(world, &history, &mut probe, &sockets, plan.outage).await?;
            anyhow::Ok((struck, begun.elapsed(), outage))
        } => done?,
        Some(ended) = load.join_next() => { ended??; anyhow::bail!("a client ended by itself") }
    };
    stop.cancel();
    let mut clients = vec![probe];
    while let Some(ended) = timeout(LIMIT, load.join_next()).await.context("a client gets no answer")? {
        clients.push(ended??);
    }
    let mut report = Report::new(plan.seed, &struck, lasted);
    report.outage = Some(outage);
    verify::verify(&mut report, world, &history, &clients, sockets).await?;
    Ok(report)
}

/// Rounds of all kinds of faults, in an order and at moments of chance.
async fn inject_faults(
    plan: Plan,
    world: &mut World,
    history: &History,
    chance: &mut Chance,
) -> Result<Vec<Struck>> {
    let until = Instant::now() + plan.lasting;
    let mut done = Vec::new();
    let mut rounds = 0;
    while rounds < plan.each || Instant::now() < until {
        let mut round = Fault::ALL;
        chance.shuffle(&mut round);
        for fault in round {
            history.after(MOMENT.0 + chance.below(MOMENT.1)).await?;
            let struck = Instant::now();
            fault.strike(world, history, chance).await.with_context(|| format!("after {fault:?}"))?;
            done.push(Struck { fault, took: struck.elapsed() });
        }
        rounds += 1;
    }
    // Whatever the last fault broke is whole again when commands go on.
    history.after(MOMENT.1).await?;
    Ok(done)
}
