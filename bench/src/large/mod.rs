//! What size costs: a note of many blocks, a notebook of many notes and a person of many tasks, each beside a small one.

mod person;
mod work;

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use servers::until::until;
use sqlx::{Executor, PgConnection};

use crate::measure::histogram;
use crate::report::{hundredths, milliseconds};
use crate::services::{Api, on_own_servers};
use person::Person;

/// How many of each thing the small ones have: as many as a page of a list.
pub(crate) const SMALL: usize = 50;

/// How long tables and policies may take to come to the end of what was made.
const SETTLED_WITHIN: Duration = Duration::from_mins(10);

/// What to measure.
pub(crate) struct Plan {
    /// How many blocks the large note has.
    pub(crate) blocks: usize,
    /// How many notes the large notebook has, and how many tasks there are.
    pub(crate) notes: usize,
    /// How often each thing is done.
    pub(crate) times: u32,
    /// Where the servers' data goes.
    pub(crate) folder: PathBuf,
}

/// How long one thing takes where there is little, and where there is much.
pub(crate) struct Figure {
    what: String,
    small: Series,
    large: Series,
}

/// One thing, done again and again.
struct Series {
    took: Histogram<u64>,
    /// How large the last answer was.
    bytes: usize,
}

impl Series {
    fn new() -> Self {
        Self { took: histogram(), bytes: 0 }
    }

    fn add(&mut self, took: Duration, bytes: usize) {
        self.took.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.bytes = bytes;
    }

    fn figures(&self) -> Value {
        let (p50, most) = (milliseconds(&self.took, 0.5), milliseconds(&self.took, 1.0));
        json!({"p50_ms": p50, "max_ms": most, "bytes": self.bytes})
    }
}

impl Figure {
    fn new(what: String) -> Self {
        Self { what, small: Series::new(), large: Series::new() }
    }

    /// How many times as long it takes where there is much.
    fn ratio(&self) -> f64 {
        hundredths(milliseconds(&self.large.took, 0.5) / milliseconds(&self.small.took, 0.5).max(0.01))
    }
}

/// Measures on durable servers of its own.
pub(crate) async fn run(plan: &Plan) -> Result<Vec<Figure>> {
    on_own_servers(&plan.folder, async |own| compare(plan, &own.api, &mut own.owner).await).await
}

async fn compare(plan: &Plan, api: &Api, owner: &mut PgConnection) -> Result<Vec<Figure>> {
    let small = Person::furnish(api, "small", SMALL, SMALL).await?;
    let large = Person::furnish(api, "large", plan.blocks, plan.notes).await?;
    eprintln!("waiting for tables and policies");
    let head = settled(owner).await?;
    owner.execute("vacuum analyze").await?;
    // Making all that may have taken longer than a token lives.
    let (small, large) = (small.again(api, head).await?, large.again(api, head).await?);
    let loads = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    eprint!("measuring; the load is {}", loads());
    let mut figures = work::read(api, &small, &large, plan.times).await?;
    figures.extend(work::write(api, &small, &large, plan.times).await?);
    eprint!("measured; the load is {}", loads());
    Ok(figures)
}

/// Waits until policies have seen the whole log; returns its last position.
async fn settled(owner: &mut PgConnection) -> Result<i64> {
    until(SETTLED_WITHIN, "seeing all that was made", async || {
        let (seen, head): (i64, i64) = sqlx::query_as(
            "select coalesce((select min(position) from es.policy), 0), (select max(position) from es.event)",
        )
        .fetch_one(&mut *owner)
        .await?;
        Ok((seen == head).then_some(head))
    })
    .await
}

/// One line for machines.
pub(crate) fn json(figures: &[Figure]) -> String {
    let by_name: Map<String, Value> = figures
        .iter()
        .map(|figure| {
            let (small, large) = (figure.small.figures(), figure.large.figures());
            (figure.what.clone(), json!({"small": small, "large": large, "ratio": figure.ratio()}))
        })
        .collect();
    json!({ "large": by_name }).to_string()
}

/// A table for people.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut table = String::from(
        "| | small: p50, most | large: p50, most | times as long | bytes |\n| :-- | --: | --: | --: | --: |",
    );
    for figure in figures {
        let [small, large] = [&figure.small.took, &figure.large.took]
            .map(|took| format!("{} ms, {} ms", milliseconds(took, 0.5), milliseconds(took, 1.0)));
        let (what, ratio, bytes) = (&figure.what, figure.ratio(), figure.large.bytes);
        write!(table, "\n| {what} | {small} | {large} | {ratio} | {bytes} |")
            .expect("a string takes everything");
    }
    table
}
