//! NATS away for long: commands, reads and sockets go on, and with it back the stream catches up.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use servers::until::until;
use tokio::time::Instant;

use super::history::History;
use super::load::Client;
use super::sockets::Sockets;
use super::world::World;
use super::{LIMIT, carrier};

/// How long a read of one's own write may take without NATS.
const READ: Duration = Duration::from_millis(500);
/// How long the stream may need once NATS is back.
const CATCH_UP: Duration = Duration::from_secs(30);
/// So many reads at least are measured.
const READS: usize = 12;
/// How long one read may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the Daybook did without NATS. How fast says something about it on a quiet machine only.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    lasted: Duration,
    acknowledged: u64,
    read: Duration,
    longest: Duration,
    pushed: Duration,
    caught_up: Duration,
}

impl Outage {
    /// What took too long.
    pub fn complaint(&self) -> Option<String> {
        let is_slow = self.longest > READ || self.caught_up > CATCH_UP;
        is_slow.then(|| format!("too slow without NATS: {self}"))
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} s without NATS: {} commands acknowledged, own writes read after {:.0?} (at most {:.0?}), \
             pushed after {:.0?}; caught up {:.1} s after its return",
            self.lasted.as_secs_f64(),
            self.acknowledged,
            self.read,
            self.longest,
            self.pushed,
            self.caught_up.as_secs_f64(),
        )
    }
}

/// Stops NATS for as long as this, while the load goes on; `probe` writes, reads what it wrote, and has a socket.
pub(super) async fn outage(
    world: &mut World,
    history: &History,
    probe: &mut Client,
    sockets: &Sockets,
    lasting: Duration,
) -> Result<Outage> {
    // The last fault is not to be measured too.
    probe.step().await?;
    for at in 0..2 {
        read(world, probe, at).await?;
    }
    let (begun, before) = (Instant::now(), history.count());
    let (mut reads, mut arrivals) = (Vec::new(), Vec::new());
    world.nats.stop().await?;
    while begun.elapsed() < lasting || reads.len() < READS {
        probe.step().await?;
        let answered = Instant::now();
        read(world, probe, reads.len() % 2).await?;
        reads.push(answered.elapsed());
        ensure!(sockets.reach(&probe.id, probe.last).await, "no event is pushed without NATS");
        arrivals.push(answered.elapsed());
    }
    let (lasted, acknowledged) = (begun.elapsed(), history.count() - before);
    world.nats.restart().await?;
    let back = Instant::now();
    let epoch = carrier::epoch(&mut world.owner().await?).await?;
    carrier::reached(&world.nats.url(), &epoch, probe.last).await?;
    let caught_up = back.elapsed();
    reads.sort();
    arrivals.sort();
    let longest = reads.last().copied().unwrap_or_default();
    let (read, pushed) = (reads[reads.len() / 2], arrivals[arrivals.len() / 2]);
    Ok(Outage { lasted, acknowledged, read, longest, pushed, caught_up })
}

/// Reads what the probe wrote last; whoever says that it is too early is asked again.
async fn read(world: &World, probe: &Client, at: usize) -> Result<()> {
    let url = &world.addresses().queries[at];
    let address = format!("{url}/api/v1/notebooks?limit=1&after={}", probe.last);
    until(LIMIT, "reading an own write", async || {
        let request = probe.http().get(&address).bearer_auth(&probe.token).timeout(PATIENCE);
        let answer = request.send().await?;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            return Ok(None);
        }
        answer.error_for_status().map(|_| Some(())).context("an own write cannot be read")
    })
    .await
}
