//! A rebuild under use: many read all that they have over the query API and one writes over the command API, and every
//! answer is held against what it has to be.

mod readers;

use std::time::Duration;

use anyhow::{Result, ensure};
use projector::ShadowBuild;
use shared::log::encryption::MasterKey;
use shared::process::read_schema;
use sqlx::PgConnection;
use tokio::time::{Instant, sleep_until};

use crate::services::Services;
use readers::Readers;

/// How long before and after the swap a wait counts as one at the swap.
const AROUND: Duration = Duration::from_millis(500);

/// What was seen.
pub(crate) struct Beside {
    /// How many read at once.
    pub(crate) readers: usize,
    /// Events in a second that the rebuild folded meanwhile.
    pub(crate) rate: f64,
    /// How many reads were answered.
    pub(crate) reads: usize,
    /// How many commands were accepted.
    pub(crate) commands: usize,
    /// How many reads were not answered, or with another status than 200.
    pub(crate) failed: usize,
    /// How many answers were neither the one before nor the one after.
    pub(crate) different: usize,
    /// The longest of all reads.
    pub(crate) longest: Duration,
    /// The longest of those that were under way within half a second of the swap.
    pub(crate) longest_at_swap: Duration,
}

/// Rebuilds the tables of this release while they are used.
pub(super) async fn run(
    url: &str,
    master: &MasterKey,
    shadow_build: ShadowBuild,
    readers: usize,
) -> Result<Beside> {
    let services = Services::start(url, master, None).await?;
    let mut owner = sqlx::Connection::connect(url).await?;
    let at_work = Readers::start(&services, &mut owner, readers).await?;
    eprintln!("{readers} read, one writes, and the rebuild begins");
    let begun = Instant::now();
    let position = shadow_build.rebuild().await?;
    let took = begun.elapsed();
    let swap = swapped_at(&mut owner).await?;
    sleep_until(swap + AROUND).await;
    let seen = at_work.stop().await?;
    services.stop().await;
    let different = shadow_build.check().await?.different;
    ensure!(different == 0, "{different} rows are not what the log makes of them");
    let around = (swap.checked_sub(AROUND).unwrap_or(swap), swap + AROUND);
    Ok(Beside {
        readers,
        rate: super::rate(position, took),
        reads: seen.reads.len(),
        commands: seen.commands,
        failed: seen.failed,
        different: seen.different,
        longest: seen.longest(|_| true),
        longest_at_swap: seen.longest(|read| read.begun <= around.1 && read.begun + read.took >= around.0),
    })
}

/// When the new tables took the place of the old: their name was given to them then.
async fn swapped_at(owner: &mut PgConnection) -> Result<Instant> {
    let ago: f64 = sqlx::query_scalar(
        "select extract(epoch from clock_timestamp() - made_at)::float8 from es.read_schema where name = $1",
    )
    .bind(read_schema::name())
    .fetch_one(owner)
    .await?;
    let now = Instant::now();
    Ok(now.checked_sub(Duration::from_secs_f64(ago)).unwrap_or(now))
}
