//! Random histories against the real hub, judged by an access model of their own ([`tree`]): nobody gets what they may
//! not see, nobody misses what they must get, nobody gets anything twice or out of order.
//!
//! `DAYBOOK_SEED` repeats a run (the seed of a history that failed is printed with it), `DAYBOOK_STEPS` makes it longer.

mod gateway;
mod log;
mod race;
mod socket;
mod tree;

use std::io::{Write, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use shared::domain::clock::random;

use gateway::Gateway;
use log::Log;

/// Steps of one history.
const HISTORY: u64 = 400;
/// Steps of a run that nobody asked to be longer.
const STEPS: u64 = 40_000;

/// Chance that can be repeated (the generator is known as `SplitMix64`).
struct Chance(u64);

/// What a run came across.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    steps: u64,
    delivered: u64,
    judged_again: u64,
    taken_back: u64,
    joins: u64,
    rings: u64,
    pages: u64,
    overflows: u64,
    loads: u64,
    ahead: u64,
    too_late: u64,
    held_up: u64,
    rebuilds: u64,
    epochs: u64,
}

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 on, below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }

    /// An index of a list that has `length` entries.
    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }
}

/// A number that the environment names.
fn given(name: &str) -> Option<u64> {
    let given = std::env::var_os(name)?;
    Some(given.to_str().and_then(|given| given.parse().ok()).expect("a number"))
}

/// Says something past the capture of what is printed.
fn say(what: &str) {
    writeln!(stdout(), "\n{what}").expect("printed");
}

/// One history; the same seed gives the same again.
fn history(seed: u64) -> Counts {
    let mut chance = Chance(seed);
    let mut log = Log::new("e", 5 + chance.below(4), chance.below(2) == 0);
    for _ in 0..chance.below(60) {
        log.go_on(&mut chance);
    }
    let at = log.head();
    let mut gateway = Gateway::new(&mut chance, log, at);
    for _ in 0..HISTORY {
        gateway.step(&mut chance);
    }
    gateway.come_to_rest(&mut chance);
    gateway.counts
}

#[test]
fn nobody_gets_what_they_may_not_see_and_nobody_misses_what_they_may() {
    let seed = given("DAYBOOK_SEED").unwrap_or_else(|| u64::from(u32::from_le_bytes(random::<4>())));
    let steps = given("DAYBOOK_STEPS").unwrap_or(STEPS);
    let mut all = Counts::default();
    for seed in seed.. {
        if all.steps >= steps {
            break;
        }
        match catch_unwind(AssertUnwindSafe(|| history(seed))) {
            Ok(counts) => all.add(counts),
            Err(cause) => {
                say(&format!("DAYBOOK_SEED={seed} repeats it, after {} steps of others", all.steps));
                resume_unwind(cause);
            }
        }
    }
    say(&format!("0 leaks, 0 misses, 0 doubles from seed {seed} on: {all:?}"));
    // What never happens is not tested.
    let happened = [
        all.delivered,
        all.taken_back,
        all.joins,
        all.rings,
        all.pages,
        all.overflows,
        all.ahead,
        all.epochs,
    ];
    assert!(steps < STEPS || happened.iter().all(|count| *count > 0), "{all:?}");
}

impl Counts {
    fn add(&mut self, other: Self) {
        let Self { steps, delivered, judged_again, taken_back, joins, rings, pages, overflows, .. } = other;
        let Self { loads, ahead, too_late, held_up, rebuilds, epochs, .. } = other;
        self.steps += steps;
        self.delivered += delivered;
        self.judged_again += judged_again;
        self.taken_back += taken_back;
        self.joins += joins;
        self.rings += rings;
        self.pages += pages;
        self.overflows += overflows;
        self.loads += loads;
        self.ahead += ahead;
        self.too_late += too_late;
        self.held_up += held_up;
        self.rebuilds += rebuilds;
        self.epochs += epochs;
    }
}
