//! Which of the waiting commands go together: no two of which one writes what the other reads or writes.
//!
//! So the set-based `es.append` gives the same outcomes as one command after the other.

use std::collections::{HashMap, VecDeque};

use super::prepared::{LARGEST, Touch, Waiting};

/// The most commands in a batch.
const MOST: usize = 1_000;

/// Takes the next batch of at most `most` out of the queue; what stays behind keeps its order.
pub(super) fn take(queue: &mut VecDeque<Waiting>, most: usize) -> Vec<Waiting> {
    let mut capacity = Capacity::new(most.min(MOST), LARGEST);
    let mut batch = Vec::new();
    let mut later = VecDeque::new();
    while let Some(waiting) = queue.pop_front() {
        match capacity.offer(&waiting.prepared.touches, waiting.prepared.size) {
            Verdict::In => batch.push(waiting),
            Verdict::Later => later.push_back(waiting),
            Verdict::Full => {
                queue.push_front(waiting);
                break;
            }
        }
    }
    later.append(queue);
    *queue = later;
    batch
}

/// Where a command goes.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    In,
    Later,
    Full,
}

/// The capacity that is left in a batch.
struct Capacity {
    commands: usize,
    bytes: usize,
    /// What was touched by any command so far, in the batch or put off, and whether it was written: who comes
    /// after one that was put off must not overtake it.
    touched: HashMap<u64, bool>,
}

impl Capacity {
    fn new(commands: usize, bytes: usize) -> Self {
        Self { commands, bytes, touched: HashMap::new() }
    }

    fn offer(&mut self, touches: &[Touch], size: usize) -> Verdict {
        if self.commands == 0 || size > self.bytes {
            return Verdict::Full;
        }
        let collides = touches
            .iter()
            .any(|touch| self.touched.get(&touch.thing).is_some_and(|written| *written || touch.writes));
        for touch in touches {
            *self.touched.entry(touch.thing).or_insert(false) |= touch.writes;
        }
        if collides {
            return Verdict::Later;
        }
        self.commands -= 1;
        self.bytes -= size;
        Verdict::In
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(thing: u64) -> Touch {
        Touch { thing, writes: false }
    }

    fn writes(thing: u64) -> Touch {
        Touch { thing, writes: true }
    }

    fn verdicts(capacity: &mut Capacity, commands: &[&[Touch]]) -> Vec<Verdict> {
        commands.iter().map(|touches| capacity.offer(touches, 1)).collect()
    }

    #[test]
    fn strangers_and_readers_share_a_batch() {
        let got = verdicts(&mut Capacity::new(9, 9), &[&[writes(1), reads(7)], &[writes(2), reads(7)], &[]]);
        assert_eq!(got, [Verdict::In, Verdict::In, Verdict::In]);
    }

    #[test]
    fn a_writer_waits_for_whoever_touched_the_same() {
        let got = verdicts(&mut Capacity::new(9, 9), &[&[writes(1)], &[writes(1)], &[reads(1)]]);
        assert_eq!(got, [Verdict::In, Verdict::Later, Verdict::Later]);
        let got = verdicts(&mut Capacity::new(9, 9), &[&[reads(1)], &[writes(1)], &[reads(1)]]);
        assert_eq!(got, [Verdict::In, Verdict::Later, Verdict::Later]);
    }

    #[test]
    fn nobody_overtakes_one_that_was_put_off() {
        let got = verdicts(&mut Capacity::new(9, 9), &[&[writes(1)], &[writes(1), writes(2)], &[writes(2)]]);
        assert_eq!(got, [Verdict::In, Verdict::Later, Verdict::Later]);
    }

    #[test]
    fn a_command_may_touch_a_thing_twice() {
        assert_eq!(Capacity::new(9, 9).offer(&[writes(1), reads(1), writes(1)], 1), Verdict::In);
    }

    #[test]
    fn a_batch_ends_at_its_limits() {
        assert_eq!(verdicts(&mut Capacity::new(1, 9), &[&[], &[]]), [Verdict::In, Verdict::Full]);
        let mut capacity = Capacity::new(9, 10);
        assert_eq!(capacity.offer(&[], 8), Verdict::In);
        assert_eq!(capacity.offer(&[], 3), Verdict::Full);
    }
}
