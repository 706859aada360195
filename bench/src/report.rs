//! The figures: a median of pairs each measured in the same seconds, because a machine's mood changes.

use std::fmt::Write;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::measure::{Stretch, histogram};
use crate::rebuild::{Beside, Measured};

/// Both sides with one number of writers.
pub(crate) struct Compared {
    /// How many wrote at once.
    pub(crate) writers: usize,
    /// The size of the rival's pool.
    pub(crate) pool: u32,
    /// Each round's rates: ours, the rival's.
    pub(crate) pairs: Vec<(f64, f64)>,
    /// Our latencies in all rounds.
    pub(crate) ours: Histogram<u64>,
    /// The rival's.
    pub(crate) rival: Histogram<u64>,
}

impl Compared {
    /// Nothing yet.
    pub(crate) fn new(writers: usize, pool: u32) -> Self {
        Self { writers, pool, pairs: Vec::new(), ours: histogram(), rival: histogram() }
    }

    /// Adds a round.
    pub(crate) fn add(&mut self, ours: &Stretch, rival: &Stretch) -> anyhow::Result<()> {
        self.pairs.push((ours.rate(), rival.rate()));
        self.ours.add(&ours.latencies)?;
        self.rival.add(&rival.latencies)?;
        Ok(())
    }

    fn sorted(&self, of: impl Fn(&(f64, f64)) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.pairs.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    fn figures(&self) -> Value {
        let ratios = self.sorted(|(ours, rival)| ours / rival);
        json!({
            "ours_per_s": median(&self.sorted(|pair| pair.0)).round(),
            "postgres_es_per_s": median(&self.sorted(|pair| pair.1)).round(),
            "ratio": hundredths(median(&ratios)),
            "ratio_min": hundredths(ratios.first().copied().unwrap_or_default()),
            "ratio_max": hundredths(ratios.last().copied().unwrap_or_default()),
            "ours_p50_ms": milliseconds(&self.ours, 0.5),
            "ours_p99_ms": milliseconds(&self.ours, 0.99),
            "postgres_es_p50_ms": milliseconds(&self.rival, 0.5),
            "postgres_es_p99_ms": milliseconds(&self.rival, 0.99),
            "postgres_es_pool": self.pool,
            "rounds": self.pairs.len(),
        })
    }
}

/// One line for machines.
pub(crate) fn json(compared: &[Compared]) -> String {
    let by_writers: Map<String, Value> =
        compared.iter().map(|one| (one.writers.to_string(), one.figures())).collect();
    json!({ "append": by_writers }).to_string()
}

/// A table for people.
pub(crate) fn table(compared: &[Compared]) -> String {
    let mut table = String::from(
        "| writers | ours/s | postgres-es/s | ratio (min to max) | ours p50, p99 | postgres-es p50, p99 |\n\
         | ------: | -----: | ------------: | -----------------: | ------------: | -------------------: |",
    );
    for one in compared {
        let figures = one.figures();
        let [ours, rival] =
            ["ours_per_s", "postgres_es_per_s"].map(|name| figures[name].as_f64().unwrap_or_default());
        let [ratio, min, max] = ["ratio", "ratio_min", "ratio_max"].map(|name| &figures[name]);
        let [p50, p99, their_p50, their_p99] =
            ["ours_p50_ms", "ours_p99_ms", "postgres_es_p50_ms", "postgres_es_p99_ms"]
                .map(|name| &figures[name]);
        write!(
            table,
            "\n| {} | {ours:.0} | {rival:.0} | {ratio} ({min} to {max}) | {p50} ms, {p99} ms | {their_p50} ms, {their_p99} ms |",
            one.writers
        )
        .expect("a string takes everything");
    }
    table
}

/// The figures of a rebuild: alone against row by row, and beside readers.
pub(crate) fn rebuild(measured: &Measured, as_json: bool) -> String {
    let sorted = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = measured.pairs.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let ratios = sorted(|(ours, rival)| ours / rival);
    let (ours, rival) = (median(&sorted(|pair| pair.0)).round(), median(&sorted(|pair| pair.1)).round());
    let ratio = hundredths(median(&ratios));
    let [min, max] =
        [ratios.first(), ratios.last()].map(|value| hundredths(value.copied().unwrap_or_default()));
    let beside = measured.beside.as_ref().map(beside);
    if as_json {
        let figures = json!({
            "ours_per_s": ours, "row_by_row_per_s": rival, "ratio": ratio, "ratio_min": min, "ratio_max": max,
            "rounds": measured.pairs.len(), "beside": beside,
        });
        return json!({ "rebuild": figures }).to_string();
    }
    let mut table = format!(
        "| ours/s | row by row/s | ratio (min to max) |\n| -----: | -----------: | -----------------: |\n\
         | {ours} | {rival} | {ratio} ({min} to {max}) |"
    );
    for (name, value) in beside.iter().flat_map(|figures| figures.as_object().into_iter().flatten()) {
        write!(table, "\n{name}: {value}").expect("a string takes everything");
    }
    table
}

fn beside(beside: &Beside) -> Value {
    let milliseconds = |took: Duration| hundredths(took.as_secs_f64() * 1_000.0);
    json!({
        "readers": beside.readers,
        "events_per_s": beside.rate.round(),
        "reads": beside.reads,
        "commands": beside.commands,
        "failed": beside.failed,
        "different": beside.different,
        "longest_ms": milliseconds(beside.longest),
        "longest_at_swap_ms": milliseconds(beside.longest_at_swap),
    })
}

/// The middle of sorted values; of an even number, the middle of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    f64::midpoint(lower, upper)
}

/// That part of them took no longer, to hundredths.
pub(crate) fn milliseconds(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    let micros = u32::try_from(latencies.value_at_quantile(quantile)).unwrap_or(u32::MAX);
    hundredths(f64::from(micros) / 1_000.0)
}

pub(crate) fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::median;

    #[expect(clippy::float_cmp, reason = "halves are exact")]
    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 3.0, 9.0]), 2.5);
    }
}
