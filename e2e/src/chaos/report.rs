//! What was found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Struck;
use super::faults::Fault;
use super::outage::Outage;

/// So many commands in a second are to be acknowledged, on average.
const RATE: f64 = 500.0;
/// So many findings are told in words; the others are only counted.
const TOLD: usize = 20;

/// What a chaos run has shown.
#[derive(Debug)]
pub struct Report {
    /// With which the run can be repeated.
    pub seed: u64,
    /// How often each kind of fault was injected, and how long it was until everything ran again, all in all.
    pub faults: BTreeMap<Fault, (u32, Duration)>,
    /// Commands that were acknowledged.
    pub acknowledged: usize,
    /// Times that a command was sent again with its key, for want of an answer.
    pub repeats: u64,
    /// Events that came over sockets.
    pub received: usize,
    /// Times that a socket was opened again.
    pub resumed: usize,
    /// Acknowledged in a second, on average, all faults and their mending included.
    pub per_second: f64,
    /// Acknowledged commands that are not, or not wholly, in the log.
    pub lost: usize,
    /// Commands that took effect twice; events that came over a socket twice or out of order.
    pub doubled: usize,
    /// Positions that are missing in the log; messages of the stream that are not the event of their sequence.
    pub gaps: usize,
    /// Events that a socket was not sent.
    pub missed: usize,
    /// Events that a socket was sent and its person may not see.
    pub leaked: usize,
    /// Rows that are not what the acknowledged commands make of them.
    pub different: usize,
    /// How it did without NATS.
    pub outage: Option<Outage>,
    /// The first findings in words.
    pub findings: Vec<String>,
    lasted: Duration,
}

impl Report {
    pub(super) fn new(seed: u64, struck: &[Struck], lasted: Duration) -> Self {
        let mut counted: BTreeMap<_, (u32, Duration)> = BTreeMap::new();
        for Struck { fault, took } in struck {
            let (count, all) = counted.entry(*fault).or_default();
            *count += 1;
            *all += *took;
        }
        Self {
            seed,
            faults: counted,
            acknowledged: 0,
            repeats: 0,
            received: 0,
            resumed: 0,
            per_second: 0.0,
            lost: 0,
            doubled: 0,
            gaps: 0,
            missed: 0,
            leaked: 0,
            different: 0,
            outage: None,
            findings: Vec::new(),
            lasted,
        }
    }

    pub(super) fn acknowledged(&mut self, count: usize, repeats: u64) {
        self.acknowledged = count;
        self.repeats = repeats;
        self.per_second =
            f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / self.lasted.as_secs_f64().max(0.001);
    }

    pub(super) fn tell(&mut self, finding: String) {
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        }
    }

    /// What was too slow for a quiet machine.
    pub fn complaints(&self) -> Vec<String> {
        let rate = (self.per_second < RATE)
            .then(|| format!("too slow: {:.0} commands/s, and {RATE:.0} are due", self.per_second));
        rate.into_iter().chain(self.outage.and_then(|outage| outage.complaint())).collect()
    }

    /// Whether everything that must be zero is.
    pub fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.gaps + self.missed + self.leaked + self.different == 0
            && self.findings.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        for (fault, (count, took)) in &self.faults {
            writeln!(
                f,
                "{count} x {fault:?}, whole again after {:.1} s",
                took.as_secs_f64() / f64::from(*count)
            )?;
        }
        if let Some(outage) = &self.outage {
            writeln!(f, "{outage}")?;
        }
        writeln!(
            f,
            "{} faults in {} s, commands sent again {}, sockets opened again {}, events received {}",
            self.faults.values().map(|(count, _)| count).sum::<u32>(),
            self.lasted.as_secs(),
            self.repeats,
            self.resumed,
            self.received
        )?;
        write!(
            f,
            "seed {}, acknowledged {}, lost {}, doubled {}, gaps {}, missed {}, leaked {}, different {}, \
             {:.0} commands/s",
            self.seed,
            self.acknowledged,
            self.lost,
            self.doubled,
            self.gaps,
            self.missed,
            self.leaked,
            self.different,
            self.per_second
        )
    }
}
