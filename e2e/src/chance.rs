//! Chance that can be repeated: the same seed gives the same numbers (the generator is known as `SplitMix64`).

use std::io::{self, Write, stdout};

use anyhow::{Context, Result};
use shared::domain::clock::random;

/// A source of numbers.
#[derive(Clone, Debug)]
pub struct Chance(u64);

/// A seed that nobody chose.
pub fn any_seed() -> u64 {
    u64::from(u32::from_le_bytes(random::<4>()))
}

/// The seed that the environment names in `DAYBOOK_SEED`, to repeat a test.
pub fn given_seed() -> Result<Option<u64>> {
    let Some(given) = std::env::var_os("DAYBOOK_SEED") else { return Ok(None) };
    let seed = given.to_str().and_then(|seed| seed.parse().ok());
    seed.map(Some).with_context(|| format!("DAYBOOK_SEED is {}, and no seed", given.display()))
}

/// Says something past the test's capture of what is printed: whoever ends a run that hangs can still repeat it.
pub fn say(what: &str) -> io::Result<()> {
    writeln!(stdout(), "\n{what}")
}

impl Chance {
    /// The source that this seed gives.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another source, which goes its own way from here.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 on, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }

    /// An index of a list that has `length` entries.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// Brings a list into another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.index(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn a_seed_gives_the_same_again_and_another_seed_something_else() {
        let drawn = |seed| {
            let mut chance = Chance::new(seed);
            [0; 8].map(|_| chance.below(1_000))
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn a_shuffled_list_has_what_it_had() {
        let mut list: Vec<u32> = (0..50).collect();
        Chance::new(1).shuffle(&mut list);
        assert_ne!(list, (0..50).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..50).collect::<Vec<_>>());
    }
}
