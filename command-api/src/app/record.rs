//! From decided events to an append: events get ids and sequences and are encrypted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use shared::domain::AggregateEvent;
use shared::domain::access::{Effect, Scopes};
use shared::log::encryption::{DataKey, EncryptionError, about};
use shared::log::event::Meta;
use shared::log::keyring::KeyState;
use shared::log::stored_event::Mark;
use shared::log::stored_event::{Mac, Payload};
use shared::process::problem::Problem;

use super::execute::Answer;
use super::unit_of_work::gone;
use super::{App, CommandMeta, Loaded, UnitOfWork};
use super::{At, Decide};
use crate::log::{Append, Expect, IdempotencyKey, NewEvent, SideRow};

/// Where events belong: under whose key they are encrypted, and whom they concern.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// The key owner, such as `note:<id>`; then the other containers the events belong to, and the persons whom they
    /// concern.
    pub scopes: Vec<String>,
}

impl Home {
    /// The home of a thing that is its own key owner and in no container: `user:<id>`.
    pub fn of(kind: &str, id: &str) -> Self {
        Self { scopes: vec![format!("{kind}:{id}")] }
    }

    /// Under whose key the events are encrypted: the first scope.
    pub fn key_owner(&self) -> &str {
        self.scopes.first().map_or("", String::as_str)
    }
}

/// What one aggregate is to become.
pub(super) struct Written {
    aggregate_type: &'static str,
    id: String,
    /// Its sequence before.
    before: i64,
    home: Home,
    facts: Vec<Fact>,
    /// The refusal, should there be one although it was taken for new.
    clash: Option<Problem>,
    /// Whether a snapshot is due afterwards.
    due: bool,
    keep: Keep,
}

/// Puts an aggregate into memory as it is after its events, of which the first stands there; the mark is its last
/// event's, if a snapshot is due.
type Keep = Box<dyn FnOnce(&App, At, Option<Mark>) + Send + Sync>;

/// An event, without its place.
struct Fact {
    event_type: String,
    version: String,
    data: Value,
    encrypted: bool,
    effects: Vec<Effect>,
}

/// What is sent to the log, and what is kept in memory once it is recorded.
pub(super) struct Recording {
    pub(super) append: Append,
    pub(super) written: Vec<Written>,
    /// The refusals if a claim is taken, by its kind.
    pub(super) taken: Vec<(&'static str, Problem)>,
    /// Keys made for key owners that had none.
    pub(super) keys: Vec<(String, DataKey)>,
}

impl Written {
    /// An aggregate to which these events happen.
    pub(super) fn new<A: Decide>(
        app: &App,
        id: &str,
        loaded: &Loaded<A>,
        events: Vec<A::Event>,
        home: Home,
    ) -> Self {
        let sequence = loaded.sequence + i64::try_from(events.len()).expect("a command has few events");
        let (name, snapshot, mut state) = (id.to_owned(), loaded.snapshot, loaded.state.clone());
        let scopes = Scopes::parse(&home.scopes);
        let facts = events.iter().map(|event| Fact::new(event, &scopes)).collect();
        let keep = move |app: &App, first: At, ending: Option<Mark>| {
            let mut at = first;
            for event in events {
                state.apply_at(event, at);
                at = at.next();
            }
            let mut next = Loaded { state, sequence, erased: false, snapshot };
            app.offer_snapshot(&name, &mut next, ending);
            app.cache.put(&name, Arc::new(next));
        };
        Self {
            aggregate_type: A::TYPE,
            id: id.to_owned(),
            before: loaded.sequence,
            home,
            facts,
            clash: None,
            due: app.snapshots.is_due(loaded.snapshot, sequence),
            keep: Box::new(keep),
        }
    }

    /// The same, for an aggregate that was not looked up because its id should be new.
    pub(super) fn taken_for_new(self, clash: Problem) -> Self {
        Self { clash: Some(clash), ..self }
    }

    /// Its sequence afterwards.
    pub(super) fn version(&self) -> i64 {
        self.before + i64::try_from(self.facts.len()).expect("a command has few events")
    }

    fn is(&self, aggregate_type: &str, id: &str) -> bool {
        self.aggregate_type == aggregate_type && self.id == id
    }

    fn expect(&self) -> Expect {
        Expect {
            aggregate_type: self.aggregate_type,
            aggregate_id: self.id.clone(),
            sequence: self.before,
            access_only: false,
        }
    }

    /// Its last event's mark, if a snapshot is due.
    pub(super) fn ending(&self, append: &Append) -> Option<Mark> {
        let last =
            append.events.iter().rev().find(|event| self.is(event.aggregate_type, &event.aggregate_id));
        Mark::of(self.home.key_owner(), &last.filter(|_| self.due)?.payload)
    }

    /// Remembers it as it is now; its first event stands at `first`. Gives where the next one's first event stands.
    pub(super) fn keep(self, app: &App, first: At, ending: Option<Mark>) -> At {
        let next = self.facts.iter().fold(first, |at, _| at.next());
        (self.keep)(app, first, ending);
        next
    }

    /// Forgets it, as another turned out to have moved; the refusal if that was this one and should have been new.
    pub(super) fn clashed(self, app: &App, aggregate_type: &str, id: &str) -> Option<Problem> {
        let itself = self.is(aggregate_type, id);
        // Only one is named, and of others that were written together as many may be stale.
        app.cache.drop_stale(self.aggregate_type, &self.id, self.before);
        self.clash.filter(|_| itself)
    }
}

impl Fact {
    fn new<E: AggregateEvent>(event: &E, scopes: &Scopes) -> Self {
        Self {
            event_type: event.event_type(),
            version: event.event_version(),
            data: event.data(),
            encrypted: event.is_encrypted(),
            effects: event.effects(scopes),
        }
    }
}

impl App {
    /// Puts what was decided into the form of the log.
    pub(super) async fn recording(
        &self,
        work: UnitOfWork<'_>,
        meta: &CommandMeta,
        key: IdempotencyKey,
        answer: &Answer,
    ) -> Result<Recording, Problem> {
        let no_key_yet = |one: &Written| {
            one.before == 0 && work.has_no_key_yet(one.home.key_owner(), one.aggregate_type, &one.id)
        };
        let keyless: HashSet<String> = work
            .written()
            .iter()
            .filter(|one| no_key_yet(one))
            .map(|one| one.home.key_owner().to_owned())
            .collect();
        let (mut append, written, taken) = work.into_append(Append::new(key, &answer.id, answer.version));
        let (changed, unchanged): (Vec<_>, Vec<_>) = written.iter().partition(|one| !one.facts.is_empty());
        let is_written =
            |expect: &Expect| written.iter().any(|one| expect.is_of(one.aggregate_type, &one.id));
        append.expects.retain(|expect| !is_written(expect));
        // That there was nothing to do must still be true when the key is recorded.
        append.expects.extend(unchanged.into_iter().map(Written::expect));
        let mac_key = self.keyring.mac_key().await?;
        let mut keys = HashMap::new();
        let mut made = Vec::new();
        for one in changed {
            let key_owner = one.home.key_owner();
            let is_encrypted = one.facts.iter().any(|fact| fact.encrypted);
            if is_encrypted && !keys.contains_key(key_owner) {
                let is_new = keyless.contains(key_owner);
                let (key, is_new) = self.encryption_key(key_owner, is_new, &mut append.side).await?;
                if is_new {
                    made.push((key_owner.to_owned(), key.clone()));
                }
                keys.insert(key_owner.to_owned(), key);
            }
            let events = (one.before + 1..).zip(&one.facts);
            append
                .events
                .extend(events.map(|(sequence, fact)| self.event(meta, one, sequence, fact, &keys, mac_key)));
        }
        Ok(Recording { append, written, taken, keys: made })
    }

    fn event(
        &self,
        meta: &CommandMeta,
        one: &Written,
        sequence: i64,
        fact: &Fact,
        keys: &HashMap<String, DataKey>,
        mac_key: &DataKey,
    ) -> NewEvent {
        let payload = if fact.encrypted {
            keys[one.home.key_owner()].encrypt(&about(&fact.event_type, &one.id, sequence), &fact.data)
        } else {
            Payload::clear(&fact.data)
        };
        let event = NewEvent {
            event_id: self.clock.new_id(),
            aggregate_type: one.aggregate_type,
            aggregate_id: one.id.clone(),
            sequence,
            event_version: fact.version.clone(),
            event_type: fact.event_type.clone(),
            payload,
            meta: Meta {
                actor: meta.actor.clone(),
                correlation: meta.correlation.clone(),
                causation: meta.causation.clone(),
            },
            key: meta.key.clone(),
            scopes: one.home.scopes.clone(),
            effects: fact.effects.clone(),
            mac: Mac::default(),
        };
        event.with_mac(mac_key)
    }

    /// The key owner's key; made, with its row, for a key owner that has none yet. One that is new is not looked up.
    async fn encryption_key(
        &self,
        key_owner: &str,
        is_new: bool,
        side: &mut Vec<SideRow>,
    ) -> Result<(DataKey, bool), Problem> {
        if !is_new {
            match self.keyring.state(key_owner).await? {
                KeyState::Held(key) => return Ok((key, false)),
                // What it was of has ended meanwhile.
                KeyState::Destroyed => return Err(gone()),
                KeyState::Damaged => return Err(EncryptionError::Wrapped(key_owner.to_owned()).into()),
                KeyState::None => (),
            }
        }
        let (key, wrapped) = self.keyring.master().make(key_owner);
        side.push(SideRow::KeyMade { key_owner: key_owner.to_owned(), wrapped });
        Ok((key, true))
    }
}
