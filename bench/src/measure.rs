//! Many writers at work for a while: how much they got done, and how long each step took.

use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// One of many who do the same thing over and over.
pub(crate) trait Writer: Send + 'static {
    /// Does it once; returns when it is acknowledged.
    fn step(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What was measured in one stretch.
pub(crate) struct Stretch {
    /// How many steps were acknowledged.
    pub(crate) steps: u64,
    /// How long it took until the last writer was done.
    pub(crate) took: Duration,
    /// How long each step took, in microseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Stretch {
    /// Steps in a second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.steps).unwrap_or(u32::MAX)) / self.took.as_secs_f64()
    }
}

/// Lets all writers work for `length`. One that fails ends the measurement.
pub(crate) async fn work<W: Writer>(writers: &mut Vec<W>, length: Duration) -> Result<Stretch> {
    let begun = Instant::now();
    let mut at_work = JoinSet::new();
    for writer in writers.drain(..) {
        at_work.spawn(until(writer, begun + length));
    }
    let mut latencies = histogram();
    while let Some(done) = at_work.join_next().await {
        let (writer, own) = done.context("a writer panicked")??;
        writers.push(writer);
        latencies.add(own)?;
    }
    Ok(Stretch { steps: latencies.len(), took: begun.elapsed(), latencies })
}

async fn until<W: Writer>(mut writer: W, end: Instant) -> Result<(W, Histogram<u64>)> {
    let mut latencies = histogram();
    let mut begun = Instant::now();
    while begun < end {
        writer.step().await?;
        let now = Instant::now();
        latencies.saturating_record(u64::try_from((now - begun).as_micros())?);
        begun = now;
    }
    Ok((writer, latencies))
}

/// From a microsecond to a minute, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order")
}
