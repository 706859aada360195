//! Loading aggregates from the log: whole streams through cqrs-es and postgres-es, and the events after a snapshot by
//! our own statement (theirs puts the number into the SQL's text, and their snapshot store applies every new event
//! twice).

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use postgres_es::PostgresEventRepository;
use serde_json::Value;
use shared::log::encryption::{Mark, mark};
use shared::log::event::{AggregateEvent, AggregateRef, Meta, Recorded};
use shared::process::problem::Problem;

use super::App;
use super::snapshots::{Stored, Unusable};
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

impl App {
    /// The aggregate as the log has it now.
    pub async fn load<A: Decide>(&self, id: &str) -> Result<Loaded<A>, Problem> {
        let Some(stored) = Stored::find::<A>(self, id).await? else {
            let (mut loaded, last) = self.whole::<A>(id).await?;
            self.offer_snapshot(id, &mut loaded, last);
            return Ok(loaded);
        };
        match self.after::<A>(id, &stored).await? {
            Ok((mut loaded, last)) => {
                self.offer_snapshot(id, &mut loaded, last);
                Ok(loaded)
            }
            Err(why) => {
                let (mut loaded, last) = self.whole::<A>(id).await?;
                self.replace_snapshot(id, &mut loaded, last, (stored, why));
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
        let rows = sqlx::query!(
            "select aggregate_id, sequence, event_type, event_version, payload, position,
                    metadata->>'actor' as actor
               from es.event
              where aggregate_type = $1 and aggregate_id = any($2) order by aggregate_id, sequence",
            A::TYPE,
            ids
        );
        let mut streams: HashMap<String, Vec<Recorded>> = HashMap::new();
        for row in rows.fetch_all(&self.pool).await? {
            let aggregate = AggregateRef {
                kind: A::TYPE.to_owned(),
                id: row.aggregate_id.clone(),
                version: row.sequence,
            };
            let at = (row.position, row.actor.unwrap_or_default());
            let event = bare(aggregate, row.event_type, row.event_version, row.payload, at);
            streams.entry(row.aggregate_id).or_default().push(event);
        }
        let mut all = HashMap::with_capacity(streams.len());
        for (id, stream) in streams {
            let begun = Loaded { state: A::default(), sequence: 0, erased: false, snapshot: 0 };
            all.insert(id, self.fold(begun, stream).await?.0);
        }
        Ok(all)
    }

    async fn whole<A: Decide>(&self, id: &str) -> Result<Read<A>, Problem> {
        let repository =
            PostgresEventRepository::new(self.pool.clone()).with_tables("es.stream", "es.snapshot");
        let stored = repository.get_events::<A>(id).await.map_err(unreadable)?;
        let begun = Loaded { state: A::default(), sequence: 0, erased: false, snapshot: 0 };
        self.fold(begun, stored.into_iter().map(recorded).collect()).await
    }

    /// The aggregate from a snapshot on; or why that is of no use.
    async fn after<A: Decide>(
        &self,
        id: &str,
        stored: &Stored,
    ) -> Result<Result<Read<A>, Unusable>, Problem> {
        if stored.snapshot_version != A::SNAPSHOT_VERSION {
            return Ok(Err(Unusable::Version));
        }
        let mut events = self.tail::<A>(id, stored.sequence).await?;
        if events.first().is_none_or(|last| last.aggregate.version != stored.sequence) {
            return Ok(Err(Unusable::Beyond));
        }
        let Some(last) = mark(&events.remove(0).data) else { return Ok(Err(Unusable::Forged)) };
        let Some(key) = self.keyring.key(&last.key_owner).await? else { return Ok(Err(Unusable::Erased)) };
        let state = match stored.open::<A>(id, &last, &key) {
            Ok(state) => state,
            Err(why) => return Ok(Err(why)),
        };
        let begun = Loaded { state, sequence: stored.sequence, erased: false, snapshot: stored.sequence };
        self.fold(begun, events).await.map(Ok)
    }

    /// The event of that sequence, and all after it, still encrypted.
    async fn tail<A: Decide>(&self, id: &str, sequence: i64) -> Result<Vec<Recorded>, Problem> {
        let rows = sqlx::query!(
            "select sequence, event_type, event_version, payload, position, metadata->>'actor' as actor
               from es.event
              where aggregate_type = $1 and aggregate_id = $2 and sequence >= $3 order by sequence",
            A::TYPE,
            id,
            sequence
        );
        let rows = rows.fetch_all(&self.pool).await?;
        let aggregate =
            |sequence| AggregateRef { kind: A::TYPE.to_owned(), id: id.to_owned(), version: sequence };
        let events = rows.into_iter().map(|row| {
            let at = (row.position, row.actor.unwrap_or_default());
            bare(aggregate(row.sequence), row.event_type, row.event_version, row.payload, at)
        });
        Ok(events.collect())
    }

    async fn fold<A: Decide>(&self, begun: Loaded<A>, stored: Vec<Recorded>) -> Result<Read<A>, Problem> {
        let last = stored.last().and_then(|event| mark(&event.data));
        let opened = self.keyring.open(stored).await?;
        let loaded = opened.into_iter().fold(begun, |mut loaded, opened| {
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
        });
        Ok((loaded, last))
    }
}

fn recorded(event: SerializedEvent) -> Recorded {
    let version = i64::try_from(event.sequence).unwrap_or(i64::MAX);
    let aggregate = AggregateRef { kind: event.aggregate_type, id: event.aggregate_id, version };
    let text = |name| event.metadata.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let position = text("position").parse().unwrap_or_default();
    bare(aggregate, event.event_type, event.event_version, event.payload, (position, text("actor")))
}

/// The form that the keyring opens, with the position and the actor. What else there is no aggregate reads.
fn bare(
    aggregate: AggregateRef,
    event_type: String,
    event_version: String,
    data: Value,
    (position, actor): (i64, String),
) -> Recorded {
    Recorded {
        position,
        id: uuid::Uuid::nil(),
        at: chrono::DateTime::UNIX_EPOCH,
        aggregate,
        event_type,
        event_version,
        data,
        scopes: Vec::new(),
        meta: Meta { actor, correlation: String::new(), causation: String::new() },
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
