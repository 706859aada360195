//! Executing a command: decide, append, and decide again when what it was based on has moved.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cqrs_es::DomainEvent;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::auth::Caller;
use shared::epoch::EpochId;
use shared::event::RoomEvent;
use shared::problem::Problem;
use shared::seal::{DataKey, Mark, about, mark};

use super::{Admitted, App, Loaded, Work};
use crate::aggregate::{Decide, problem};
use crate::log::{Append, Expect, IdempotencyKey, LogError, NewEvent, Outcome, SideRow};

/// How often a decision is made again because what it was based on had moved.
const ATTEMPTS: usize = 16;

/// Who asks, and the manner of asking, besides the command itself.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The person, by a verified token.
    pub caller: Option<Caller>,
    /// In whose name events are recorded.
    pub actor: String,
    /// In whose name keys are remembered.
    pub remembered: String,
    /// The client's idempotency key.
    pub key: Option<String>,
    /// The version that the client has seen, from `If-Match`.
    pub if_match: Option<i64>,
    /// Names the request that started it all.
    pub correlation: String,
    /// Names this request.
    pub causation: String,
    /// Method and path, which a key is bound to.
    pub target: String,
}

/// The answer to a command that took effect, or had nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// The thing that changed.
    pub id: String,
    /// Its version now.
    pub version: i64,
    /// The position in the log by which it is so; pass it as `?after=` to read your own write.
    pub position: i64,
    #[serde(skip)]
    created: bool,
    #[serde(skip)]
    epoch: Option<EpochId>,
}

impl Accepted {
    /// The same answer with status 201.
    #[must_use]
    pub fn created(self) -> Self {
        Self { created: true, ..self }
    }

    /// `<epoch>-<position>`, as reads give it; before the epoch is known the position alone.
    fn place(&self) -> HeaderValue {
        let Some(epoch) = &self.epoch else { return HeaderValue::from(self.position) };
        HeaderValue::try_from(format!("{epoch}-{}", self.position))
            .expect("hexadecimal digits are a header value")
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let status = if self.created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        let etag = HeaderValue::try_from(format!("\"{}\"", self.version)).expect("digits are a header value");
        headers.insert(header::ETAG, etag);
        headers.insert("position", self.place());
        response
    }
}

/// What one attempt came to.
enum Attempt {
    Done(Accepted),
    Again,
    Refused { problem: Problem, stale: bool },
}

impl App {
    /// Executes commands on one aggregate, all in one append.
    ///
    /// `content` is what the idempotency key is bound to, besides method and path: what the client sent, less secrets.
    pub async fn execute<A: Decide>(
        &self,
        ask: &Ask,
        id: &str,
        commands: Vec<A::Command>,
        content: &impl Serialize,
    ) -> Result<Accepted, Problem> {
        let fingerprint = fingerprint(&ask.target, content);
        let mut fresh = false;
        for _ in 0..ATTEMPTS {
            match self.attempt::<A>(ask, id, &commands, fingerprint, fresh).await {
                Attempt::Done(accepted) => return Ok(self.in_epoch(accepted)),
                Attempt::Again => (),
                // Decided on memory alone: what it was based on may have moved. Look again before refusing.
                Attempt::Refused { stale: true, .. } => fresh = true,
                Attempt::Refused { problem, stale: false } => {
                    return self.answer_of_then(ask, fingerprint, problem).await;
                }
            }
        }
        Err(Problem::unavailable(
            "contended",
            "Too many others change the same things at this moment; nothing was changed. Try again.",
            1,
        ))
    }

    async fn attempt<A: Decide>(
        &self,
        ask: &Ask,
        id: &str,
        commands: &[A::Command],
        fingerprint: [u8; 32],
        fresh: bool,
    ) -> Attempt {
        let mut work = Work::new(self, ask.caller, fresh);
        let decided = self.decide::<A>(&mut work, ask, id, commands).await;
        let (loaded, state, events, admitted) = match decided {
            Ok(decided) => decided,
            Err(problem) => return Attempt::Refused { problem, stale: work.used_cache() },
        };
        let version = loaded.sequence + i64::try_from(events.len()).expect("a command has few events");
        let built = self.build::<A>(work, ask, fingerprint, (id, &loaded), &events, admitted).await;
        let (append, key) = match built {
            Ok(built) => built,
            Err(problem) => return Attempt::Refused { problem, stale: false },
        };
        let read: Vec<Expect> = append.expects.clone();
        let due = self.snapshots.is_due(loaded.snapshot, version);
        let ending = if due { append.events.last().and_then(|event| marked(&event.payload)) } else { None };
        match self.log.append(append).await {
            Ok(Outcome::Appended { last, .. }) => {
                if let Some((holder, key)) = key {
                    self.keyring.remember(holder, key).await;
                }
                let mut next = Loaded { state, sequence: version, erased: false, snapshot: loaded.snapshot };
                self.offer_snapshot(id, &mut next, ending);
                self.cache.put(id, Arc::new(next));
                Attempt::Done(Accepted {
                    id: id.to_owned(),
                    version,
                    position: last,
                    created: false,
                    epoch: None,
                })
            }
            Ok(Outcome::Seen { fingerprint: then, id, version, position }) => {
                replay(fingerprint, &then, id, version, position)
            }
            Ok(Outcome::Conflict { .. }) => {
                self.cache.drop(A::TYPE, id);
                for expect in &read {
                    self.cache.drop(expect.aggregate_type, &expect.aggregate_id);
                }
                Attempt::Again
            }
            Ok(Outcome::Claimed { kind }) => Attempt::Refused { problem: taken(&kind), stale: false },
            Ok(Outcome::Placed { .. }) => Attempt::Again,
            Err(error) => Attempt::Refused { problem: unrecorded(&error), stale: false },
        }
    }

    async fn decide<A: Decide>(
        &self,
        work: &mut Work<'_>,
        ask: &Ask,
        id: &str,
        commands: &[A::Command],
    ) -> Result<(Arc<Loaded<A>>, A, Vec<A::Event>, Admitted), Problem> {
        work.check_session().await?;
        let loaded = work.load::<A>(id).await?;
        if loaded.erased {
            return Err(Problem::not_found("gone", "It was deleted for ever."));
        }
        let admitted = loaded.state.admit(work, id, commands).await?;
        if let Some(seen) = ask.if_match.filter(|seen| *seen != loaded.sequence) {
            return Err(stale_version(seen, loaded.sequence));
        }
        let mut state = loaded.state.clone();
        let mut events = Vec::new();
        for command in commands {
            for event in state.decide(command.clone()).map_err(|refusal| problem(&refusal))? {
                state.apply(event.clone());
                events.push(event);
            }
        }
        Ok((loaded, state, events, admitted))
    }

    async fn build<A: Decide>(
        &self,
        work: Work<'_>,
        ask: &Ask,
        fingerprint: [u8; 32],
        (id, loaded): (&str, &Loaded<A>),
        events: &[A::Event],
        admitted: Admitted,
    ) -> Result<(Append, Option<(String, DataKey)>), Problem> {
        let version = loaded.sequence + i64::try_from(events.len()).expect("a command has few events");
        let mut append = Append::new(self.key(ask, fingerprint), id, version);
        append.expects = work.expects((A::TYPE, id));
        if events.is_empty() {
            // Nothing to do; that it was so must still be true when the key is recorded.
            append.expects.push(Expect {
                aggregate_type: A::TYPE,
                aggregate_id: id.to_owned(),
                sequence: loaded.sequence,
            });
            return Ok((append, None));
        }
        let (key, made) = self.sealing_key(&admitted.holder, &mut append.side).await?;
        append.events = (loaded.sequence + 1..)
            .zip(events)
            .map(|(sequence, event)| self.event::<A>(ask, id, sequence, event, &admitted, &key))
            .collect();
        append.claims = admitted.claims;
        append.side.extend(admitted.side);
        Ok((append, made.then_some((admitted.holder, key))))
    }

    fn event<A: Decide>(
        &self,
        ask: &Ask,
        id: &str,
        sequence: i64,
        event: &A::Event,
        admitted: &Admitted,
        key: &DataKey,
    ) -> NewEvent {
        let event_type = event.event_type();
        let data = event.data();
        let payload = if event.is_sealed() {
            key.seal(&admitted.holder, &about(&event_type, id, sequence), &data)
        } else {
            raw(&data)
        };
        NewEvent {
            event_id: self.clock.new_id(),
            aggregate_type: A::TYPE,
            aggregate_id: id.to_owned(),
            sequence,
            event_version: event.event_version(),
            event_type,
            payload,
            metadata: raw(&metadata(ask)),
            scopes: admitted.scopes.clone(),
        }
    }

    /// The holder's key; made, with its row, for a holder that has none yet.
    async fn sealing_key(&self, holder: &str, side: &mut Vec<SideRow>) -> Result<(DataKey, bool), Problem> {
        if let Some(key) = self.keyring.key(holder).await? {
            return Ok((key, false));
        }
        let (key, wrapped) = self.keyring.master().make(holder);
        side.push(SideRow::KeyMade { holder: holder.to_owned(), wrapped });
        Ok((key, true))
    }

    fn in_epoch(&self, accepted: Accepted) -> Accepted {
        Accepted { epoch: self.epoch.borrow().clone(), ..accepted }
    }

    fn key(&self, ask: &Ask, fingerprint: [u8; 32]) -> IdempotencyKey {
        IdempotencyKey {
            actor: ask.remembered.clone(),
            key: ask.key.clone().unwrap_or_else(|| self.clock.new_id().to_string()),
            ours: ask.key.is_none(),
            fingerprint,
        }
    }

    /// Before a keyed command is refused: it may have succeeded before, and then gets the answer of then.
    async fn answer_of_then(
        &self,
        ask: &Ask,
        fingerprint: [u8; 32],
        problem: Problem,
    ) -> Result<Accepted, Problem> {
        let Some(key) = &ask.key else { return Err(problem) };
        let row = sqlx::query!(
            "select fingerprint, id, version, position from es.command where actor = $1 and key = $2",
            ask.remembered,
            key
        )
        .fetch_optional(&self.pool)
        .await?;
        match row.map(|row| replay(fingerprint, &row.fingerprint, row.id, row.version, row.position)) {
            Some(Attempt::Done(accepted)) => Ok(self.in_epoch(accepted)),
            Some(Attempt::Refused { problem, .. }) => Err(problem),
            Some(Attempt::Again) | None => Err(problem),
        }
    }
}

fn replay(fingerprint: [u8; 32], then: &[u8], id: String, version: i64, position: i64) -> Attempt {
    if then == fingerprint {
        return Attempt::Done(Accepted { id, version, position, created: false, epoch: None });
    }
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "This Idempotency-Key was used for another request; send a new key with each new request.",
    );
    Attempt::Refused { problem, stale: false }
}

fn fingerprint(target: &str, content: &impl Serialize) -> [u8; 32] {
    let content = serde_json::to_vec(content).expect("a body that was read as JSON can be written as JSON");
    Sha256::new().chain_update(target).chain_update([0]).chain_update(content).finalize().into()
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("a JSON value always serializes")
}

fn marked(payload: &RawValue) -> Option<Mark> {
    mark(&serde_json::from_str(payload.get()).ok()?)
}

fn metadata(ask: &Ask) -> Value {
    let mut metadata =
        json!({"actor": ask.actor, "correlation": ask.correlation, "causation": ask.causation});
    if let Some(key) = &ask.key {
        metadata["key"] = Value::String(key.clone());
    }
    metadata
}

fn stale_version(seen: i64, version: i64) -> Problem {
    let detail = format!("It is at version {version} now, not at {seen}; read it again before changing it.");
    Problem {
        version: Some(version),
        ..Problem::new(StatusCode::PRECONDITION_FAILED, "version-moved", detail)
    }
}

fn taken(kind: &str) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        &format!("{kind}-taken"),
        format!("This {kind} belongs to another account."),
    )
}

fn unrecorded(error: &LogError) -> Problem {
    match error {
        LogError::Full => {
            Problem::unavailable("busy", "Too many commands are waiting; nothing was changed. Try again.", 1)
        }
        LogError::Unavailable => Problem::unavailable(
            "database-unavailable",
            "The database cannot be reached at the moment; nothing was changed. Try again.",
            1,
        ),
        LogError::Unknown => Problem::unavailable(
            "outcome-unknown",
            "The connection to the database broke; it is not known whether the change was made. Send it again with the same Idempotency-Key.",
            1,
        ),
        LogError::TooLarge(what) => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("It is larger than can be recorded: {what}."),
        ),
        LogError::Malformed(_) | LogError::Refused(_) => Problem::internal(error),
    }
}
