//! What is done to a Daybook.

use anyhow::Result;
use futures::future::try_join_all;
use servers::until::until;
use tokio::try_join;

use super::LIMIT;
use super::history::History;
use super::process::Process;
use super::world::World;
use crate::chance::Chance;

/// Whatever was killed stays down for as many acknowledgements at most, if there can be any without it.
const DOWN: u64 = 100;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// kill -9 of a command API.
    KillCommands,
    /// kill -9 of the projector that leads.
    KillProjector,
    /// kill -9 of a query API.
    KillQueries,
    /// kill -9 of every service and both servers.
    KillAll,
    /// SIGSTOP of a relay or a projector that leads, until another leads; then SIGCONT.
    FreezeLeader,
    /// Restart of Postgres, with or without a clean end.
    RestartPostgres,
    /// Restart of NATS, with or without a clean end, or with nothing left of what it stored.
    RestartNats,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::KillCommands,
        Self::KillProjector,
        Self::KillQueries,
        Self::KillAll,
        Self::FreezeLeader,
        Self::RestartPostgres,
        Self::RestartNats,
    ];

    /// Does it, and waits until everything runs again.
    pub(super) async fn strike(
        self,
        world: &mut World,
        history: &History,
        chance: &mut Chance,
    ) -> Result<()> {
        let some = chance.index(2);
        match self {
            Self::KillCommands => restart(&mut world.commands[some], history, chance).await,
            Self::KillQueries => restart(&mut world.queries[some], history, chance).await,
            Self::KillProjector => {
                let leader = leader(&world.projectors).await?;
                restart(&mut world.projectors[leader], history, chance).await
            }
            Self::KillAll => kill_all(world).await,
            Self::FreezeLeader => freeze(if some == 0 { &world.commands } else { &world.projectors }).await,
            Self::RestartPostgres => {
                if some == 0 {
                    world.postgres.kill9().await?;
                }
                world.postgres.restart().await
            }
            Self::RestartNats => restart_nats(world, history, chance).await,
        }
    }
}

async fn restart(process: &mut Process, history: &History, chance: &mut Chance) -> Result<()> {
    process.kill().await?;
    history.after(chance.below(DOWN)).await?;
    process.start().await
}

async fn kill_all(world: &mut World) -> Result<()> {
    try_join_all(world.services().map(Process::kill)).await?;
    try_join!(world.nats.kill9(), world.postgres.kill9())?;
    try_join!(world.nats.restart(), world.postgres.restart())?;
    world.start_services().await
}

async fn restart_nats(world: &mut World, history: &History, chance: &mut Chance) -> Result<()> {
    match chance.index(3) {
        0 => return world.nats.wipe().await,
        1 => world.nats.kill9().await?,
        _ => world.nats.stop().await?,
    }
    // Nothing needs it.
    history.after(chance.below(DOWN)).await?;
    world.nats.restart().await
}

/// A frozen leader loses the lead to the other one; thawed, it notices.
async fn freeze(pair: &[Process; 2]) -> Result<()> {
    let leader = leader(pair).await?;
    let (frozen, other) = (&pair[leader], &pair[1 - leader]);
    let losses = frozen.losses();
    frozen.freeze()?;
    let replaced = until(LIMIT, "another to take the lead", async || Ok(other.leads().then_some(()))).await;
    frozen.thaw()?;
    replaced?;
    let noticed = async || Ok((frozen.losses() > losses).then_some(()));
    until(LIMIT, "the thawed leader to notice", noticed).await
}

/// Which of two leads.
async fn leader(pair: &[Process; 2]) -> Result<usize> {
    until(LIMIT, "one to lead", async || Ok(pair.iter().position(Process::leads))).await
}
