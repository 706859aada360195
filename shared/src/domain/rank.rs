//! Ranks: the place of an item among others. There is always room between two ranks, so no other item has to move.
//!
//! A rank is an integer and a fraction, written so that the order of the bytes is the order of the numbers (as D.
//! Greenspan describes it in "Implementing Fractional Indexing"). At both ends the integer counts on, so ranks stay
//! short however many are added there. In the middle a fraction grows by a digit every six times.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::clock::random;

/// The digits, in the order of their bytes.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE: i64 = 62;
/// Integers of more digits are never reached.
const MOST_DIGITS: u8 = 8;
/// How many random digits a jittered rank has: one in 900 million is chosen twice.
const JITTER: usize = 5;

/// A place in an order, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rank(String);

/// What is not a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a rank")]
pub struct NoRank;

/// A rank, taken apart; the fraction does not end with a zero.
struct Parts {
    integer: i64,
    fraction: Vec<u8>,
}

impl Rank {
    /// The most characters that a rank may have.
    pub const LONGEST: usize = 256;

    /// The rank in the middle between two; without one, beyond the end. `None` if it would be too long, and what
    /// stands around it must be spread again.
    pub fn between(after: Option<&Self>, before: Option<&Self>) -> Option<Self> {
        let (integer, fraction) = match (after.map(Self::parts), before.map(Self::parts)) {
            (None, None) => (0, Vec::new()),
            (Some(after), None) => (after.integer + 1, Vec::new()),
            (None, Some(before)) => (before.integer - 1, Vec::new()),
            (Some(after), Some(before)) => match before.integer - after.integer {
                0 => (after.integer, middle(&after.fraction, Some(&before.fraction))),
                1 if before.fraction.is_empty() => (after.integer, middle(&after.fraction, None)),
                1 => (before.integer, Vec::new()),
                apart => (after.integer + apart / 2, Vec::new()),
            },
        };
        let text =
            integer_text(integer)? + &fraction.iter().map(|digit| digit_char(*digit)).collect::<String>();
        (text.len() <= Self::LONGEST).then_some(Self(text))
    }

    /// A rank between two that hardly anybody else finds: the middle, and five random digits behind it. So those who
    /// look at the same moment take different ranks, and none of them has to wait for the others ("jitter", as
    /// libraries for fractional indexing call it).
    pub fn jittered_between(after: Option<&Self>, before: Option<&Self>) -> Option<Self> {
        let mut middle = Self::between(after, before)?;
        // Behind the middle there must be room: an integer is its own beginning, as `a6` is that of `a6V`.
        if before.is_some_and(|before| before.0.starts_with(&middle.0)) {
            middle = Self::between(after, Some(&middle))?;
        }
        middle.0.extend(jitter());
        (middle.0.len() <= Self::LONGEST).then_some(middle)
    }

    /// So many ranks between two, in order and evenly spread.
    pub fn spread(after: Option<&Self>, before: Option<&Self>, count: usize) -> Option<Vec<Self>> {
        let mut ranks = Vec::with_capacity(count);
        match (after, before) {
            (Some(after), Some(before)) => halve(after, before, count, &mut ranks)?,
            (_, None) => {
                for _ in 0..count {
                    ranks.push(Self::between(ranks.last().or(after), None)?);
                }
            }
            (None, Some(_)) => {
                for _ in 0..count {
                    ranks.push(Self::between(None, ranks.last().or(before))?);
                }
                ranks.reverse();
            }
        }
        Some(ranks)
    }

    /// The rank as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> Parts {
        parts(self.0.as_bytes()).expect("a rank is made of its parts")
    }
}

/// Random digits; a fraction does not end with a zero.
fn jitter() -> [char; JITTER] {
    // Of 256 values some digits get one more than others, which does no harm.
    let mut digits = random::<JITTER>().map(|byte| byte % 62);
    let [.., last] = &mut digits;
    *last = (*last).max(1);
    digits.map(digit_char)
}

/// Fills `ranks` with `count` between two, the middle one first decided on.
fn halve(after: &Rank, before: &Rank, count: usize, ranks: &mut Vec<Rank>) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let middle = Rank::between(Some(after), Some(before))?;
    halve(after, &middle, (count - 1) / 2, ranks)?;
    ranks.push(middle.clone());
    halve(&middle, before, count - 1 - (count - 1) / 2, ranks)
}

/// The fraction in the middle between two; without `high`, between `low` and one.
fn middle(low: &[u8], high: Option<&[u8]>) -> Vec<u8> {
    let mut middle = Vec::new();
    // As long as both begin alike, so does the middle.
    let mut high = high;
    for at in 0.. {
        let from = low.get(at).copied().unwrap_or(0);
        let to = high.map_or(62, |high| high.get(at).copied().unwrap_or(0));
        if to - from > 1 {
            middle.push(from + (to - from) / 2);
            break;
        }
        middle.push(from);
        if to > from {
            // Whatever follows is less than `high`: from here on only `low` is a bound.
            high = None;
        }
    }
    middle
}

/// The integer with its head: `a` and one digit from 0, `b` and two digits from 62; `Z` and one digit below 0.
fn integer_text(integer: i64) -> Option<String> {
    let negative = integer < 0;
    let mut rest = if negative { -integer - 1 } else { integer };
    let (mut digits, mut count) = (1_u8, BASE);
    while rest >= count {
        rest -= count;
        digits += 1;
        count *= BASE;
        if digits > MOST_DIGITS {
            return None;
        }
    }
    let head = if negative { b'Z' - (digits - 1) } else { b'a' + (digits - 1) };
    let mut number = if negative { count - 1 - rest } else { rest };
    let mut text = vec![' '; usize::from(digits)];
    for place in text.iter_mut().rev() {
        *place = digit_char(u8::try_from(number % BASE).ok()?);
        number /= BASE;
    }
    Some(std::iter::once(char::from(head)).chain(text).collect())
}

fn parts(text: &[u8]) -> Option<Parts> {
    let (head, rest) = text.split_first()?;
    let (digits, negative) = match head {
        b'a'..=b'z' => (head - b'a' + 1, false),
        b'A'..=b'Z' => (b'Z' - head + 1, true),
        _ => return None,
    };
    if digits > MOST_DIGITS || rest.len() < usize::from(digits) {
        return None;
    }
    let (integer, fraction) = rest.split_at(usize::from(digits));
    let number = integer.iter().try_fold(0, |number, char| Some(number * BASE + i64::from(digit(*char)?)))?;
    let shorter: i64 = (1..u32::from(digits)).map(|digits| BASE.pow(digits)).sum();
    let count = BASE.pow(u32::from(digits));
    let integer = if negative { number - count - shorter } else { number + shorter };
    let fraction: Vec<u8> = fraction.iter().map(|char| digit(*char)).collect::<Option<_>>()?;
    (fraction.last() != Some(&0)).then_some(Parts { integer, fraction })
}

fn digit(char: u8) -> Option<u8> {
    DIGITS.binary_search(&char).ok().and_then(|digit| u8::try_from(digit).ok())
}

fn digit_char(digit: u8) -> char {
    char::from(DIGITS[usize::from(digit)])
}

impl TryFrom<String> for Rank {
    type Error = NoRank;

    fn try_from(text: String) -> Result<Self, NoRank> {
        if text.len() > Self::LONGEST || parts(text.as_bytes()).is_none() {
            return Err(NoRank);
        }
        Ok(Self(text))
    }
}

impl From<Rank> for String {
    fn from(rank: Rank) -> Self {
        rank.0
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn between(after: Option<&Rank>, before: Option<&Rank>) -> Rank {
        Rank::between(after, before).expect("there is room")
    }

    fn is_whole(ranks: &[Rank]) {
        assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{ranks:?}");
        for rank in ranks {
            assert_eq!(Rank::try_from(rank.to_string()).as_ref(), Ok(rank));
        }
    }

    #[test]
    fn ranks_at_the_ends_stay_short() {
        for (count, longest) in [(62, 2), (5_000, 4), (200_000, 4)] {
            let ranks = Rank::spread(None, None, count).expect("there is room");
            is_whole(&ranks);
            let first = Rank::spread(None, ranks.first(), count).expect("there is room");
            is_whole(&first);
            assert!(first.last() < ranks.first());
            let most = ranks.iter().chain(&first).map(|rank| rank.as_str().len()).max();
            assert!(most <= Some(longest), "{most:?} characters for {count}");
        }
    }

    #[test]
    fn many_between_two_are_evenly_spread() {
        let (low, high) = (between(None, None), between(Some(&between(None, None)), None));
        let ranks = Rank::spread(Some(&low), Some(&high), 1_000).expect("there is room");
        assert_eq!(ranks.len(), 1_000);
        is_whole(&[vec![low], ranks.clone(), vec![high]].concat());
        assert!(ranks.iter().all(|rank| rank.as_str().len() <= 4), "{ranks:?}");
    }

    /// Always before the same neighbour, and always after it: the worst that clients can do.
    #[test]
    fn a_crowd_ends_in_no_room_not_in_disorder() {
        for towards_low in [true, false] {
            let (mut low, mut high) = (between(None, None), between(Some(&between(None, None)), None));
            let mut count = 0;
            while let Some(rank) = Rank::between(Some(&low), Some(&high)) {
                assert!(low < rank && rank < high);
                *(if towards_low { &mut high } else { &mut low }) = rank;
                count += 1;
            }
            assert!(count > 1_200, "{count}");
        }
    }

    #[test]
    fn what_is_no_rank_is_refused() {
        for text in ["", "a", "a0 ", "!0", "b0", "a00", "a0V0", "i000000000", "é0", "a\u{0}"] {
            assert_eq!(Rank::try_from(text.to_owned()), Err(NoRank), "{text}");
        }
        assert_eq!(Rank::try_from(format!("a0{}", "V".repeat(Rank::LONGEST))), Err(NoRank));
    }

    #[test]
    fn many_who_look_at_once_find_ranks_of_their_own() {
        let (low, high) = (between(None, None), between(Some(&between(None, None)), None));
        for (after, before) in
            [(None, None), (Some(&low), None), (None, Some(&high)), (Some(&low), Some(&high))]
        {
            let ranks: BTreeSet<Rank> =
                (0..1_000).map(|_| Rank::jittered_between(after, before).expect("there is room")).collect();
            assert_eq!(ranks.len(), 1_000);
            assert!(ranks.iter().all(|rank| after < Some(rank) && before.is_none_or(|before| rank < before)));
        }
    }

    #[test]
    fn jittered_ranks_at_the_ends_stay_short() {
        let mut last = None;
        for _ in 0..100_000 {
            last = Some(Rank::jittered_between(last.as_ref(), None).expect("there is room"));
        }
        assert_eq!(last.map(|last| last.as_str().len()), Some(4 + JITTER));
    }

    proptest! {
        #[test]
        fn a_jittered_rank_lies_between_its_neighbours(places in proptest::collection::vec(any::<prop::sample::Index>(), 1..300)) {
            let mut ranks: Vec<Rank> = Vec::new();
            for place in places {
                let at = place.index(ranks.len() + 1);
                let after = at.checked_sub(1).map(|before| &ranks[before]);
                let new = Rank::jittered_between(after, ranks.get(at)).expect("there is room");
                ranks.insert(at, new);
            }
            is_whole(&ranks);
        }

        #[test]
        fn whoever_comes_where_the_order_stays(places in proptest::collection::vec((any::<prop::sample::Index>(), 1..4_usize), 1..200)) {
            let mut ranks: Vec<Rank> = Vec::new();
            for (place, count) in places {
                let at = place.index(ranks.len() + 1);
                let after = at.checked_sub(1).map(|before| &ranks[before]);
                let new = Rank::spread(after, ranks.get(at), count).expect("there is room");
                prop_assert_eq!(new.len(), count);
                ranks.splice(at..at, new);
                prop_assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", ranks);
            }
            is_whole(&ranks);
        }

        #[test]
        fn integers_are_read_as_they_were_written(integer in -1_000_000_i64..1_000_000, next in 1..100_i64) {
            let text = integer_text(integer).expect("it is small");
            prop_assert_eq!(parts(text.as_bytes()).map(|parts| parts.integer), Some(integer));
            prop_assert!(text < integer_text(integer + next).expect("it is small"));
        }
    }
}
