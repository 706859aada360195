//! Loading aggregates from the log: by one statement of our own, with the snapshot and the keys (theirs puts the number
//! of a snapshot's event into the SQL's text, and their snapshot store applies every new event twice); and whole streams
//! through cqrs-es and postgres-es.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use postgres_es::PostgresEventRepository;
use serde_json::Value;
use shared::domain::{AggregateEvent, Listed};
use shared::log::event::{AggregateRef, Meta, Opened, Recorded};
use shared::log::event_log::{self, Snapshot};
use shared::log::stored_event::Mark;
use shared::log::stored_event::{Mac, Payload, StoredEvent};
use shared::process::problem::Problem;

use super::App;
use super::snapshots::{self, Unusable};
use super::{At, Decide};

/// An aggregate as its stream says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded<A> {
    /// The state after its last event.
    pub state: A,
    /// The sequence of its last event; 0 when there is none.
    pub sequence: i64,
    /// Its key was destroyed: there was something, and it is gone for ever, or in part until an event tells all again.
    pub erased: bool,
    /// The sequence of its last snapshot, as far as is known; 0 when there is none.
    pub snapshot: i64,
}

/// An aggregate, and the mark of its last event.
type Read<A> = (Loaded<A>, Option<Mark>);

/// Why a snapshot is of no use, and all events of the aggregate if they are at hand.
type Useless = (Unusable, Option<Vec<StoredEvent>>);

impl App {
    /// The aggregate as the log has it now: its snapshot, the events after it and their keys with one statement.
    pub async fn load<A: Decide>(&self, id: &str) -> Result<Loaded<A>, Problem> {
        let stream = event_log::stream(&self.pool, A::TYPE, id, A::SNAPSHOT_VERSION).await?;
        for (key_owner, wrapped) in &stream.keys {
            self.keyring.learn(key_owner, wrapped.as_deref()).await;
        }
        let Some(snapshot) = stream.snapshot else {
            let (mut loaded, last) = self.fold(Loaded::default(), stream.events).await?;
            self.offer_snapshot(id, &mut loaded, last);
            return Ok(loaded);
        };
        match self.after::<A>(id, &snapshot, stream.events).await? {
            Ok((mut loaded, last)) => {
                self.offer_snapshot(id, &mut loaded, last);
                Ok(loaded)
            }
            Err((why, events)) => {
                let (mut loaded, last) = match events {
                    Some(all) => self.fold(Loaded::default(), all).await?,
                    None => self.whole::<A>(id).await?,
                };
                self.replace_snapshot(id, &mut loaded, last, (snapshot, why));
                Ok(loaded)
            }
        }
    }

    /// The aggregate after its event of that sequence, or later: from memory if it may.
    pub async fn load_as_of<A: Decide>(&self, id: &str, sequence: i64) -> Result<Arc<Loaded<A>>, Problem> {
        match self.cache.get::<A>(id).filter(|known| known.sequence >= sequence) {
            Some(known) => Ok(known),
            None => self.load::<A>(id).await.map(Arc::new),
        }
    }

    /// The aggregate from its first event on, whatever snapshots say.
    pub async fn load_whole<A: Decide>(&self, id: &str) -> Result<Loaded<A>, Problem> {
        Ok(self.whole(id).await?.0)
    }

    /// Several aggregates of one kind from their first events on, with one statement for them all.
    pub async fn load_all<A: Decide>(&self, ids: &[String]) -> Result<HashMap<String, Loaded<A>>, Problem> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut streams: HashMap<String, Vec<StoredEvent>> = HashMap::new();
        for event in event_log::streams(&self.pool, A::TYPE, ids).await? {
            streams.entry(event.recorded.aggregate.id.clone()).or_default().push(event);
        }
        let mut all = HashMap::with_capacity(streams.len());
        for (id, stream) in streams {
            all.insert(id, self.fold(Loaded::default(), stream).await?.0);
        }
        Ok(all)
    }

    /// All aggregates of one kind whose ids begin with this, in the order of their ids.
    pub async fn load_under<A: Decide>(&self, prefix: &str) -> Result<Vec<(String, Loaded<A>)>, Problem> {
        let mut streams: BTreeMap<String, Vec<StoredEvent>> = BTreeMap::new();
        for event in event_log::streams_under(&self.pool, A::TYPE, prefix).await? {
            streams.entry(event.recorded.aggregate.id.clone()).or_default().push(event);
        }
        let mut all = Vec::with_capacity(streams.len());
        for (id, stream) in streams {
            all.push((id, self.fold(Loaded::default(), stream).await?.0));
        }
        Ok(all)
    }

    async fn whole<A: Decide>(&self, id: &str) -> Result<Read<A>, Problem> {
        let repository =
            PostgresEventRepository::new(self.pool.clone()).with_tables("es.stream", "es.snapshot");
        let events = repository.get_events::<A>(id).await.map_err(unreadable)?;
        self.fold(Loaded::default(), events.into_iter().map(stored).collect()).await
    }

    /// The aggregate from a snapshot on, with the event it was taken after and the later ones; or why that is of no use, and
    /// the events if they are all there are.
    async fn after<A: Decide>(
        &self,
        id: &str,
        snapshot: &Snapshot,
        events: Vec<StoredEvent>,
    ) -> Result<Result<Read<A>, Useless>, Problem> {
        if snapshot.snapshot_version != A::SNAPSHOT_VERSION {
            return Ok(Err((Unusable::Version, Some(events))));
        }
        let first = events.first().filter(|first| first.recorded.aggregate.version == snapshot.sequence);
        let Some(first) = first else { return Ok(Err((Unusable::Beyond, Some(events)))) };
        let Some(mark) = first.mark() else { return Ok(Err((Unusable::Forged, None))) };
        let Some(key) = self.keyring.key(&mark.key_owner).await? else {
            return Ok(Err((Unusable::Erased, None)));
        };
        let state = match snapshots::open::<A>(snapshot, id, &mark, &key) {
            Ok(state) => state,
            Err(why) => return Ok(Err((why, None))),
        };
        let begun = Loaded { state, sequence: snapshot.sequence, erased: false, snapshot: snapshot.sequence };
        without_gap(snapshot.sequence, &events)?;
        let last = events.last().and_then(StoredEvent::mark);
        let opened = self.keyring.open(events).await?;
        Ok(Ok((begun.after(opened.into_iter().skip(1)), last)))
    }

    async fn fold<A: Decide>(&self, begun: Loaded<A>, stored: Vec<StoredEvent>) -> Result<Read<A>, Problem> {
        without_gap(begun.sequence + 1, &stored)?;
        let last = stored.last().and_then(StoredEvent::mark);
        let opened = self.keyring.open(stored).await?;
        Ok((begun.after(opened), last))
    }
}

/// Each event has its MAC, but that one is missing only its neighbours tell.
fn without_gap(first: i64, stored: &[StoredEvent]) -> Result<(), Problem> {
    for (wanted, event) in (first..).zip(stored) {
        let AggregateRef { kind, id, version } = &event.recorded.aggregate;
        if *version != wanted {
            return Err(Problem::internal(format!(
                "the {kind} {id} has no event {wanted}, but one {version}"
            )));
        }
    }
    Ok(())
}

impl<A: Decide> Loaded<A> {
    /// As it is after these events.
    fn after(self, opened: impl IntoIterator<Item = Opened>) -> Self {
        opened.into_iter().fold(self, |mut loaded, opened| {
            loaded.sequence = opened.recorded.aggregate.version;
            let at = At::new(opened.recorded.position, &opened.recorded.meta.actor);
            match opened.event.and_then(A::Event::pick) {
                Some(event) => {
                    loaded.erased &= !event.tells_all();
                    loaded.state.apply_at(event, at);
                }
                None => loaded.erased = true,
            }
            loaded
        })
    }
}

/// An event as postgres-es reads it through `es.stream`: its payload is a string of hexadecimal digits, and its other
/// columns are in the metadata. What is missing makes an event that is not genuine.
fn stored(event: SerializedEvent) -> StoredEvent {
    let version = i64::try_from(event.sequence).unwrap_or(i64::MAX);
    let aggregate = AggregateRef { kind: event.aggregate_type, id: event.aggregate_id, version };
    let text = |name| event.metadata.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let scopes = event.metadata.get("scopes").and_then(Value::as_array).into_iter().flatten();
    let mut mac = Mac::default();
    let whole = hex::decode_to_slice(text("mac"), &mut mac);
    let payload =
        event.payload.as_str().and_then(|digits| hex::decode(digits).ok()).filter(|_| whole.is_ok());
    StoredEvent {
        recorded: Recorded {
            position: text("position").parse().unwrap_or_default(),
            id: text("id").parse().unwrap_or_default(),
            // No aggregate reads it, and no MAC is over it.
            at: chrono::DateTime::UNIX_EPOCH,
            aggregate,
            event_type: event.event_type,
            event_version: event.event_version,
            data: Value::Null,
            scopes: scopes.filter_map(Value::as_str).map(str::to_owned).collect(),
            effects: event.metadata.get("effects").filter(|effects| !effects.is_null()).cloned(),
            meta: Meta {
                actor: text("actor"),
                correlation: text("correlation"),
                causation: text("causation"),
            },
        },
        owner: event.metadata.get("owner").and_then(Value::as_str).map(str::to_owned),
        payload: Payload::from_bytes(payload.unwrap_or_default()),
        mac,
    }
}

fn unreadable(error: cqrs_es::persist::PersistenceError) -> Problem {
    use cqrs_es::persist::PersistenceError as E;
    match error {
        E::ConnectionError(cause) => {
            tracing::warn!(%cause, "The database cannot be reached");
            Problem::database_unavailable()
        }
        E::UnknownError(cause) => match cause.downcast::<sqlx::Error>() {
            Ok(error) => Problem::from(*error),
            Err(cause) => Problem::internal(cause),
        },
        other @ (E::OptimisticLockError | E::DeserializationError(_)) => Problem::internal(other),
    }
}
