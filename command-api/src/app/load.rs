//! Loading aggregates from the log, through cqrs-es and postgres-es.

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use postgres_es::PostgresEventRepository;
use shared::event::{AggregateRef, Meta, Recorded, RoomEvent};
use shared::problem::Problem;

use super::App;
use crate::aggregate::Decide;

/// An aggregate as its stream says.
#[derive(Clone, Debug, Default)]
pub struct Loaded<A> {
    /// The state after its last event.
    pub state: A,
    /// The sequence of its last event; 0 when there is none.
    pub sequence: i64,
    /// Its key was destroyed: there was something, and it is gone for ever.
    pub erased: bool,
}

impl App {
    /// The aggregate as the log has it now.
    pub async fn load<A: Decide>(&self, id: &str) -> Result<Loaded<A>, Problem> {
        let repository =
            PostgresEventRepository::new(self.pool.clone()).with_tables("es.event", "es.snapshot");
        let stored = repository.get_events::<A>(id).await.map_err(unreadable)?;
        let opened = self.keyring.open(stored.into_iter().map(recorded::<A>).collect()).await?;
        Ok(opened.into_iter().fold(
            Loaded { state: A::default(), sequence: 0, erased: false },
            |mut loaded, opened| {
                loaded.sequence = opened.recorded.aggregate.version;
                match opened.event.and_then(A::Event::pick) {
                    Some(event) => loaded.state.apply(event),
                    None => loaded.erased = true,
                }
                loaded
            },
        ))
    }
}

/// The form that the keyring opens. What cqrs-es does not carry (position, time) no aggregate reads.
fn recorded<A: Decide>(event: SerializedEvent) -> Recorded {
    Recorded {
        position: 0,
        id: uuid::Uuid::nil(),
        at: chrono::DateTime::UNIX_EPOCH,
        room: A::Event::ROOM.to_owned(),
        aggregate: AggregateRef {
            id: event.aggregate_id,
            version: i64::try_from(event.sequence).unwrap_or(i64::MAX),
        },
        event_type: event.event_type,
        event_version: event.event_version,
        data: event.payload,
        scopes: Vec::new(),
        meta: Meta { actor: String::new(), correlation: String::new(), causation: String::new() },
    }
}

fn unreadable(error: cqrs_es::persist::PersistenceError) -> Problem {
    use cqrs_es::persist::PersistenceError as E;
    match error {
        E::ConnectionError(cause) => {
            tracing::warn!(%cause, "The database cannot be reached");
            Problem::unavailable(
                "database-unavailable",
                "The database cannot be reached at the moment; nothing was changed. Try again.",
                1,
            )
        }
        E::UnknownError(cause) => match cause.downcast::<sqlx::Error>() {
            Ok(error) => Problem::from(*error),
            Err(cause) => Problem::internal(cause),
        },
        other @ (E::OptimisticLockError | E::DeserializationError(_)) => Problem::internal(other),
    }
}
