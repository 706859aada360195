//! The events that a policy has yet to react to: which of them may be next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use shared::event::Recorded;

/// How many events may wait before no more are read.
const ROOM: usize = 1_000;
/// The longest pause of an item, in first pauses.
const MOST: u32 = 10;

/// A lane, and the thing in it that events are about.
type Key = (String, String);

/// The events of things that wait or are being seen to.
pub(super) struct Queue {
    items: BTreeMap<Key, Item>,
    /// All events of all items.
    events: usize,
    /// How long an item rests after its first failure.
    pause: Duration,
    /// Of the events of one thing by one actor only the last is kept.
    last_only: bool,
}

/// The events of one thing, in order. The first one stays until it is done.
#[derive(Default)]
struct Item {
    events: VecDeque<Recorded>,
    running: bool,
    /// How often the first event was begun and came to nothing, and how often that was because of itself.
    tries: u32,
    failures: u32,
    /// Not before then; an item that never failed has none, and keeps its place in its lane.
    rests_until: Option<Instant>,
}

/// An event whose turn it is.
pub(super) struct Turn {
    key: Key,
    pub(super) event: Recorded,
}

impl Queue {
    pub(super) fn new(pause: Duration, last_only: bool) -> Self {
        Self { items: BTreeMap::new(), events: 0, pause, last_only }
    }

    /// Whether more events may be read.
    pub(super) fn has_room(&self) -> bool {
        self.events < ROOM
    }

    /// The position of the oldest event that is not done.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.items.values().filter_map(|item| item.first()).min()
    }

    /// Adds an event, which is behind all others.
    pub(super) fn push(&mut self, lane: &str, event: Recorded) {
        let item = self.items.entry((lane.to_owned(), event.aggregate.id.clone())).or_default();
        if self.last_only {
            // One that was begun may have taken effect, and is counted.
            let begun = usize::from(item.running || item.tries > 0);
            let older = item.events.iter().skip(begun).position(|older| older.meta.actor == event.meta.actor);
            if let Some(older) = older {
                item.events.remove(begun + older);
                self.events -= 1;
            }
        }
        item.events.push_back(event);
        self.events += 1;
    }

    /// Begins with the oldest event that may be begun: of each lane one at a time.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Turn> {
        let busy: BTreeSet<&str> =
            self.items.iter().filter(|(_, item)| item.running).map(|((lane, _), _)| lane.as_str()).collect();
        let ready = self.items.iter().filter(|((lane, _), item)| {
            !busy.contains(lane.as_str()) && item.rests_until.is_none_or(|until| until <= now)
        });
        let key = ready.min_by_key(|(_, item)| item.first())?.0.clone();
        let item = self.items.get_mut(&key)?;
        let event = item.events.front()?.clone();
        item.running = true;
        Some(Turn { key, event })
    }

    /// When the next item that rests may be begun again.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.items.values().filter_map(|item| item.rests_until.filter(|until| *until > now)).min()
    }

    /// The event has been seen to.
    pub(super) fn done(&mut self, turn: &Turn) {
        let Some(item) = self.items.get_mut(&turn.key) else { return };
        item.events.pop_front();
        self.events -= 1;
        if item.events.is_empty() {
            self.items.remove(&turn.key);
        } else {
            *item = Item { events: std::mem::take(&mut item.events), ..Item::default() };
        }
    }

    /// How often the event of this turn has failed, with this time.
    pub(super) fn fail(&mut self, turn: &Turn) -> u32 {
        let Some(item) = self.items.get_mut(&turn.key) else { return 0 };
        item.failures += 1;
        item.failures
    }

    /// The event is to be begun again, after a pause that grows from one time to the next.
    pub(super) fn rest(&mut self, turn: &Turn, now: Instant) {
        let Some(item) = self.items.get_mut(&turn.key) else { return };
        let times = 1_u32.checked_shl(item.tries).unwrap_or(MOST).min(MOST);
        item.running = false;
        item.tries += 1;
        item.rests_until = Some(now + self.pause * times);
    }
}

impl Item {
    fn first(&self) -> Option<i64> {
        self.events.front().map(|event| event.position)
    }
}
