//! A command is prepared on its own task, so that the one writer has little left to do.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use shared::domain::access::{Effect, MOST_EFFECTS};
use tokio::sync::oneshot;

use super::{Append, LogError, NewEvent, Outcome, SideRow};

const MOST_EVENTS: usize = 1_000;
/// The largest event, as it is stored and sent: with its place, its scopes, its effects and all else that [`Recorded`] has.
///
/// [`Recorded`]: shared::log::event::Recorded
const LARGEST_EVENT: usize = 256 * 1_024;
const MOST_SCOPES: usize = 64;
/// What an event takes besides its texts: the names of its members, a position, two ids, a time.
const FRAME: usize = 400;
/// The largest command; also how much a batch may hold.
pub(super) const LARGEST: usize = 4 * 1_024 * 1_024;

/// How scopes travel: SQL has no ragged arrays.
const SCOPE_SEPARATOR: &str = "\u{1f}";

/// A command in the queue, and who waits for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) prepared: Prepared,
    pub(super) answer: oneshot::Sender<Result<Outcome, LogError>>,
}

/// A command with its size known and what it touches listed.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) append: Append,
    /// Which events are the first of their aggregate.
    firsts: Vec<usize>,
    /// Of each event its scopes as they travel.
    pub(super) scopes: Vec<String>,
    pub(super) size: usize,
    pub(super) touches: Vec<Touch>,
}

/// Something a command reads or writes, by its hash: that two things share one costs a wait, not more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) thing: u64,
    pub(super) writes: bool,
}

impl Prepared {
    pub(super) fn new(append: Append) -> Result<Self, LogError> {
        if append.events.len() > MOST_EVENTS {
            return Err(LogError::TooLarge("more than 1,000 events"));
        }
        let firsts = firsts(&append.events)?;
        let scopes = append.events.iter().map(joined_scopes).collect::<Result<Vec<_>, _>>()?;
        let size = size(&append);
        if size > LARGEST {
            return Err(LogError::TooLarge("more than 4 MiB"));
        }
        let touches = touches(&append);
        Ok(Self { append, firsts, scopes, size, touches })
    }

    /// The aggregates its events belong to, each with its last sequence before them.
    pub(super) fn writes(&self) -> impl Iterator<Item = (&'static str, &str, i64)> {
        let first_events = self.firsts.iter().map(|nth| &self.append.events[*nth]);
        first_events.map(|event| (event.aggregate_type, event.aggregate_id.as_str(), event.sequence - 1))
    }
}

/// Which events are the first of their aggregate here; the others must follow without a gap.
fn firsts(events: &[NewEvent]) -> Result<Vec<usize>, LogError> {
    let mut last: HashMap<(&str, &str), i64> = HashMap::new();
    let mut firsts = Vec::new();
    for (nth, event) in events.iter().enumerate() {
        match last.insert((event.aggregate_type, &event.aggregate_id), event.sequence) {
            None if event.sequence >= 1 => firsts.push(nth),
            Some(before) if event.sequence == before + 1 => {}
            _ => return Err(LogError::Malformed("sequences of one aggregate leave a gap")),
        }
    }
    Ok(firsts)
}

fn joined_scopes(event: &NewEvent) -> Result<String, LogError> {
    if event.scopes.len() > MOST_SCOPES {
        return Err(LogError::TooLarge("an event with more than 64 scopes"));
    }
    if event.effects.len() > MOST_EFFECTS {
        return Err(LogError::TooLarge("an event with more than 64 effects"));
    }
    if event_size(event) > LARGEST_EVENT {
        return Err(LogError::TooLarge("an event of more than 256 KiB"));
    }
    if event.scopes.iter().any(|scope| scope.is_empty() || scope.contains(char::is_control)) {
        return Err(LogError::Malformed("a scope is empty or has a control character"));
    }
    Ok(event.scopes.join(SCOPE_SEPARATOR))
}

/// The most that an event takes as JSON.
fn event_size(event: &NewEvent) -> usize {
    let names = event.aggregate_id.len() + event.event_type.len() + event.event_version.len();
    let scopes: usize = event.scopes.iter().map(|scope| scope.len() + 3).sum();
    let effects = Effect::to_json(&event.effects).map_or(0, |effects| effects.to_string().len());
    let data = event.payload.json_len(event.scopes.first().map_or("", String::as_str));
    let meta: usize = [&event.meta.actor, &event.meta.correlation, &event.meta.causation]
        .map(|text| escaped(text))
        .iter()
        .sum();
    data + meta + names + scopes + effects + FRAME
}

/// The most that a text takes in JSON, without its quotes.
fn escaped(text: &str) -> usize {
    text.bytes()
        .map(|byte| if byte < 0x20 { 6 } else { 1 + usize::from(byte == b'"' || byte == b'\\') })
        .sum()
}

/// About what it takes on the wire.
fn size(append: &Append) -> usize {
    let events: usize = append.events.iter().map(event_size).sum();
    let rows = append.expects.len()
        + append.released.len()
        + append.claims.len()
        + append.freed.len()
        + append.places.len()
        + append.side.len();
    events + rows * 200 + 300
}

fn touches(append: &Append) -> Vec<Touch> {
    let mut touches = vec![write_of(("command", append.key.hash()))];
    touches.extend(append.events.iter().map(|e| write_of(("aggregate", e.aggregate_type, &e.aggregate_id))));
    touches.extend(append.expects.iter().map(|e| read_of(("aggregate", e.aggregate_type, &e.aggregate_id))));
    touches
        .extend(append.released.iter().chain(&append.claims).map(|c| write_of(("claim", c.kind, &c.value))));
    // An item that comes in may fill a gap that another one guards, and an item that leaves makes one.
    for freed in &append.freed {
        touches.push(read_of(("container", &freed.container)));
        touches.push(write_of(("rank", &freed.container, &freed.rank)));
        touches.push(write_of(("item", &freed.item)));
    }
    for place in &append.places {
        touches.push(Touch { thing: hash(("container", &place.container)), writes: place.guards.is_some() });
        touches.push(write_of(("rank", &place.container, &place.rank)));
        touches.push(write_of(("item", &place.item)));
        touches.extend(place.beside.iter().map(|beside| read_of(("rank", &place.container, &beside.rank))));
    }
    touches.extend(append.side.iter().map(|row| match row {
        SideRow::Module(row) => write_of(("module", &row.writes)),
        SideRow::KeyMade { key_owner, .. } | SideRow::KeyDestroyed { key_owner } => {
            write_of(("key_owner", key_owner))
        }
    }));
    touches
}

fn write_of(thing: impl Hash) -> Touch {
    Touch { thing: hash(thing), writes: true }
}

fn read_of(thing: impl Hash) -> Touch {
    Touch { thing: hash(thing), writes: false }
}

fn hash(thing: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::domain::access::{Principal, Role};
    use shared::domain::clock::Clock;
    use shared::log::event::{AggregateRef, Meta, Recorded};
    use shared::log::stored_event::{Mac, Payload};

    use super::*;
    use crate::log::IdempotencyKey;

    const ID: &str = "0193a5f0-0000-7000-8000-000000000001";

    /// An event with that much data, and so many scopes and effects.
    fn event(data: usize, scopes: usize, effects: usize) -> NewEvent {
        let container = format!("notebook:{ID}").parse().expect("a container");
        let principal = Principal::User(ID.parse().expect("an id"));
        let effect = Effect::Granted { container, principal, role: Role::Viewer };
        NewEvent {
            event_id: Clock::System.new_id(),
            aggregate_type: "note",
            aggregate_id: ID.to_owned(),
            sequence: i64::MAX,
            event_type: "NoteRetitled".to_owned(),
            event_version: "1.0".to_owned(),
            payload: Payload::clear(&json!("x".repeat(data))),
            meta: Meta { actor: ID.to_owned(), correlation: ID.to_owned(), causation: ID.to_owned() },
            key: None,
            scopes: vec![format!("notebook:{ID}"); scopes],
            effects: vec![effect; effects],
            mac: Mac::default(),
        }
    }

    fn recorded(event: &NewEvent) -> Recorded {
        Recorded {
            position: i64::MAX,
            id: event.event_id,
            at: Clock::System.now(),
            aggregate: AggregateRef {
                kind: event.aggregate_type.to_owned(),
                id: event.aggregate_id.clone(),
                version: event.sequence,
            },
            event_type: event.event_type.clone(),
            event_version: event.event_version.clone(),
            data: event.payload.to_json(&event.scopes[0]),
            scopes: event.scopes.clone(),
            effects: Effect::to_json(&event.effects),
            meta: event.meta.clone(),
        }
    }

    fn prepared(event: NewEvent) -> Result<Prepared, LogError> {
        let (actor, key) = ("someone".to_owned(), event.event_id.to_string());
        let key = IdempotencyKey { actor, key, ours: true, fingerprint: [0; 32] };
        Prepared::new(Append { events: vec![event], ..Append::new(key, ID, 1) })
    }

    #[test]
    fn an_event_is_as_large_as_all_of_it() {
        let mut data = LARGEST_EVENT - 14_000;
        while prepared(event(data, 64, 64)).is_ok() {
            let size = serde_json::to_vec(&recorded(&event(data, 64, 64))).expect("JSON").len();
            assert!(size <= LARGEST_EVENT, "{size}");
            data += 1;
        }
        let size = serde_json::to_vec(&recorded(&event(data, 64, 64))).expect("JSON").len();
        assert!(size > LARGEST_EVENT - 400, "{size} is far from the limit");
        assert!(matches!(prepared(event(data, 64, 64)), Err(LogError::TooLarge(_))));
        // With fewer scopes or effects there is room for it.
        assert!(prepared(event(data, 1, 64)).is_ok());
        assert!(prepared(event(data, 64, 63)).is_ok());
    }

    #[test]
    fn an_event_has_at_most_64_scopes_and_64_effects() {
        assert!(prepared(event(1, 64, 64)).is_ok());
        assert!(matches!(
            prepared(event(1, 65, 64)),
            Err(LogError::TooLarge("an event with more than 64 scopes"))
        ));
        assert!(matches!(
            prepared(event(1, 64, 65)),
            Err(LogError::TooLarge("an event with more than 64 effects"))
        ));
    }
}
