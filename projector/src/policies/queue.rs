//! The events that a policy has yet to react to: which of them may be next.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use shared::log::event::Recorded;

/// How many events may wait before no more are read.
const CAPACITY: usize = 1_000;
/// The longest pause of an item, in first pauses.
const MOST: u32 = 10;

/// A lane, and the thing in it that events are about.
type Key = (String, String);

/// The events of things that wait or are being seen to.
pub(super) struct Queue {
    items: HashMap<Key, Item>,
    /// All events of all items.
    events: usize,
    /// Each item by the position of its first event.
    firsts: BTreeMap<i64, Key>,
    lanes: HashMap<String, Lane>,
    /// Of each lane in which nothing runs, the first event that may be begun.
    ready: BTreeSet<i64>,
    /// First events of items that rest, with the end of that.
    resting: BTreeSet<(Instant, i64)>,
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
    /// Until then it is not in its lane.
    rests_until: Option<Instant>,
}

/// Things of which one at a time is seen to.
#[derive(Default)]
struct Lane {
    running: bool,
    /// First events of the items that neither run nor rest.
    waiting: BTreeSet<i64>,
}

/// An event whose turn it is.
pub(super) struct Turn {
    key: Key,
    pub(super) event: Recorded,
}

impl Queue {
    pub(super) fn new(pause: Duration, last_only: bool) -> Self {
        Self {
            items: HashMap::new(),
            events: 0,
            firsts: BTreeMap::new(),
            lanes: HashMap::new(),
            ready: BTreeSet::new(),
            resting: BTreeSet::new(),
            pause,
            last_only,
        }
    }

    /// Whether more events may be read.
    pub(super) fn has_room(&self) -> bool {
        self.events < CAPACITY
    }

    /// The position of the oldest event that is not done.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.firsts.keys().next().copied()
    }

    /// Adds an event, which is behind all others.
    pub(super) fn push(&mut self, lane: &str, event: Recorded) {
        let (key, last_only) = ((lane.to_owned(), event.aggregate.id.clone()), self.last_only);
        self.change(&key, |item| {
            if last_only {
                // One that was begun may have taken effect, and is counted.
                let begun = usize::from(item.running || item.tries > 0);
                let mut later = item.events.iter().skip(begun);
                if let Some(older) = later.position(|older| older.meta.actor == event.meta.actor) {
                    item.events.remove(begun + older);
                }
            }
            item.events.push_back(event);
        });
    }

    /// Begins with the oldest event that may be begun: of each lane one at a time.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Turn> {
        while let Some((_, first)) = self.resting.first().copied().filter(|(until, _)| *until <= now) {
            let key = self.firsts.get(&first)?.clone();
            self.change(&key, |item| item.rests_until = None);
        }
        let key = self.firsts.get(self.ready.first()?)?.clone();
        self.change(&key, |item| item.running = true);
        let event = self.items.get(&key)?.events.front()?.clone();
        Some(Turn { key, event })
    }

    /// When the next item that rests may be begun again.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.resting.iter().map(|(until, _)| *until).find(|until| *until > now)
    }

    /// The event has been seen to.
    pub(super) fn done(&mut self, turn: &Turn) {
        self.change(&turn.key, |item| {
            item.events.pop_front();
            *item = Item { events: std::mem::take(&mut item.events), ..Item::default() };
        });
    }

    /// How often the event of this turn has failed, with this time.
    pub(super) fn fail(&mut self, turn: &Turn) -> u32 {
        let Some(item) = self.items.get_mut(&turn.key) else { return 0 };
        item.failures += 1;
        item.failures
    }

    /// The event is to be begun again, after a pause that grows from one time to the next.
    pub(super) fn rest(&mut self, turn: &Turn, now: Instant) {
        let pause = self.pause;
        self.change(&turn.key, |item| {
            let times = 1_u32.checked_shl(item.tries).unwrap_or(MOST).min(MOST);
            item.running = false;
            item.tries += 1;
            item.rests_until = Some(now + pause * times);
        });
    }

    /// Changes an item, and where it is listed.
    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Item)) {
        let mut item = self.items.remove(key).unwrap_or_default();
        let mut lane = self.lanes.remove(&key.0).unwrap_or_default();
        if let Some(first) = lane.waiting.first() {
            self.ready.remove(first);
        }
        if let Some(first) = item.first() {
            self.firsts.remove(&first);
            lane.waiting.remove(&first);
            if let Some(until) = item.rests_until {
                self.resting.remove(&(until, first));
            }
        }
        let (events, ran) = (item.events.len(), item.running);
        change(&mut item);
        self.events = self.events + item.events.len() - events;
        lane.running = if ran || item.running { item.running } else { lane.running };
        if let Some(first) = item.first() {
            self.firsts.insert(first, key.clone());
            if let Some(until) = item.rests_until {
                self.resting.insert((until, first));
            } else if !item.running {
                lane.waiting.insert(first);
            }
            self.items.insert(key.clone(), item);
        }
        if let Some(first) = lane.waiting.first().filter(|_| !lane.running) {
            self.ready.insert(*first);
        }
        if lane.running || !lane.waiting.is_empty() {
            self.lanes.insert(key.0.clone(), lane);
        }
    }
}

impl Item {
    fn first(&self) -> Option<i64> {
        self.events.front().map(|event| event.position)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::Value;
    use shared::log::event::{AggregateRef, Meta};
    use uuid::Uuid;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    /// What happens next.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// An event of this thing, in this lane, by this person.
        Push(u8, u8, u8),
        Begin,
        /// What of those that run ends, and how.
        Done(usize),
        Fail(usize),
        Unavailable(usize),
        /// Seconds go by.
        Wait(u8),
    }

    fn event(position: i64, id: u8, actor: u8) -> Recorded {
        Recorded {
            position,
            id: Uuid::nil(),
            at: DateTime::UNIX_EPOCH,
            aggregate: AggregateRef { kind: "block".to_owned(), id: id.to_string(), version: 1 },
            event_type: "BlockEdited".to_owned(),
            event_version: "1.0".to_owned(),
            data: Value::Null,
            scopes: Vec::new(),
            effects: None,
            meta: Meta { actor: actor.to_string(), correlation: String::new(), causation: String::new() },
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..3_u8, 0..6_u8, 0..2_u8).prop_map(|(lane, id, actor)| Step::Push(lane, id, actor)),
            4 => Just(Step::Begin),
            3 => any::<usize>().prop_map(Step::Done),
            2 => any::<usize>().prop_map(Step::Fail),
            1 => any::<usize>().prop_map(Step::Unavailable),
            2 => (0..12_u8).prop_map(Step::Wait),
        ]
    }

    /// A queue, and what may be expected of it.
    struct World {
        queue: Queue,
        now: Instant,
        position: i64,
        running: Vec<Turn>,
        /// Position, lane, thing and person of what is not done.
        waiting: Vec<(i64, String, String, String)>,
        /// The things of lanes whose first event was begun and came to nothing.
        stumbled: BTreeSet<Key>,
        /// Merged into later ones.
        merged: usize,
        done: usize,
    }

    impl World {
        fn new(last_only: bool) -> Self {
            Self {
                queue: Queue::new(PAUSE, last_only),
                now: Instant::now(),
                position: 0,
                running: Vec::new(),
                waiting: Vec::new(),
                stumbled: BTreeSet::new(),
                merged: 0,
                done: 0,
            }
        }

        fn push(&mut self, lane: u8, id: u8, actor: u8) {
            self.position += 1;
            let event = event(self.position, id, actor);
            let held = self.queue.events;
            self.queue.push(&lane.to_string(), event);
            let (lane, id, actor) = (lane.to_string(), id.to_string(), actor.to_string());
            if self.queue.events == held {
                self.merged += 1;
                let begun = |position| self.running.iter().any(|turn| turn.event.position == position);
                let first =
                    self.waiting.iter().find(|(_, l, i, _)| (l, i) == (&lane, &id)).map(|(at, ..)| *at);
                let older = self.waiting.iter().position(|(at, l, i, a)| {
                    let tried = Some(*at) == first && self.stumbled.contains(&(lane.clone(), id.clone()));
                    (l, i, a) == (&lane, &id, &actor) && !tried && !begun(*at)
                });
                self.waiting.remove(older.expect("only what has not begun, of the same person, is merged"));
            }
            self.waiting.push((self.position, lane, id, actor));
        }

        fn begin(&mut self) {
            let Some(turn) = self.queue.begin(self.now) else { return };
            let (lane, id) = &turn.key;
            assert!(self.running.iter().all(|other| other.key.0 != *lane), "one of a lane at a time");
            let first = self.waiting.iter().find(|(_, l, i, _)| (l, i) == (lane, id));
            assert_eq!(first.map(|(at, ..)| *at), Some(turn.event.position), "things keep their order");
            let ahead = self.waiting.iter().find(|(at, l, i, _)| {
                l == lane && *at < turn.event.position && !self.stumbled.contains(&(l.clone(), i.clone()))
            });
            assert_eq!(ahead, None, "lanes keep their order, but for what failed");
            self.running.push(turn);
        }

        fn end(&mut self, which: usize) -> Option<Turn> {
            let count = self.running.len();
            (count > 0).then(|| self.running.remove(which % count))
        }

        fn finish(&mut self, turn: &Turn) {
            self.stumbled.remove(&turn.key);
            self.queue.done(turn);
            self.waiting.retain(|(at, ..)| *at != turn.event.position);
            self.done += 1;
        }

        fn rest(&mut self, turn: &Turn) {
            self.stumbled.insert(turn.key.clone());
            self.queue.rest(turn, self.now);
        }

        fn step(&mut self, step: Step) {
            match step {
                Step::Push(lane, id, actor) => self.push(lane, id, actor),
                Step::Begin => self.begin(),
                Step::Done(which) => {
                    if let Some(turn) = self.end(which) {
                        self.finish(&turn);
                    }
                }
                Step::Fail(which) => {
                    if let Some(turn) = self.end(which) {
                        assert!(self.queue.fail(&turn) > 0);
                        self.rest(&turn);
                    }
                }
                Step::Unavailable(which) => {
                    if let Some(turn) = self.end(which) {
                        self.rest(&turn);
                    }
                }
                Step::Wait(seconds) => self.now += PAUSE * u32::from(seconds),
            }
            assert_eq!(self.queue.oldest(), self.waiting.iter().map(|(at, ..)| *at).min());
            assert_eq!(self.queue.events, self.waiting.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn everything_has_its_turn_once_and_in_order(steps in vec(step(), 1..120), last_only: bool) {
            let mut world = World::new(last_only);
            for step in steps {
                world.step(step);
            }
            while !world.waiting.is_empty() {
                let before = world.done;
                world.step(Step::Wait(u8::try_from(MOST).expect("a few")));
                while world.queue.begin(world.now).map(|turn| world.running.push(turn)).is_some() {}
                while !world.running.is_empty() {
                    world.step(Step::Done(0));
                }
                prop_assert!(world.done > before, "after the longest pause there is always one to begin with");
            }
            prop_assert_eq!(world.done + world.merged, usize::try_from(world.position).expect("few"));
            prop_assert!(last_only || world.merged == 0);
            let Queue { items, firsts, lanes, ready, resting, .. } = &world.queue;
            prop_assert!(items.is_empty() && firsts.is_empty() && lanes.is_empty());
            prop_assert!(ready.is_empty() && resting.is_empty());
        }
    }

    #[test]
    fn pauses_grow_up_to_ten_times_and_failures_are_those_of_one_event() {
        let mut queue = Queue::new(PAUSE, false);
        let mut now = Instant::now();
        queue.push("1", event(1, 1, 1));
        queue.push("1", event(2, 1, 1));
        for (time, pause) in [1, 2, 4, 8, 10, 10].into_iter().enumerate() {
            let turn = queue.begin(now).expect("it is its turn");
            assert_eq!(queue.fail(&turn), u32::try_from(time).expect("few") + 1);
            queue.rest(&turn, now);
            let soon = now + PAUSE * pause / 2;
            let next = now + PAUSE * pause;
            assert_eq!(queue.next(now), Some(next));
            assert!(queue.begin(soon).is_none(), "it rests, and what is behind it waits");
            now = next;
        }
        let turn = queue.begin(now).expect("it is its turn");
        queue.done(&turn);
        let turn = queue.begin(now).expect("the next one begins at once");
        assert_eq!((turn.event.position, queue.fail(&turn)), (2, 1));
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let mut queue = Queue::new(PAUSE, false);
        for position in 1.. {
            if !queue.has_room() {
                assert_eq!(queue.events, CAPACITY);
                break;
            }
            queue.push("1", event(position, 1, 1));
        }
    }
}
