//! Executing a command: decide, append, and decide again if what it was based on has changed.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::domain::id::UserId;
use shared::log::epoch::EpochId;
use shared::process::auth::Caller;
use shared::process::problem::{Problem, ProblemType};

use super::record::Recording;
use super::unit_of_work::Trust;
use super::{App, IfMatch, UnitOfWork};
use super::{At, Decide, problem};
use crate::log::{self, Expect, IdempotencyKey, LogError, Outcome};

/// How often a command is decided because what it was based on has changed.
const ATTEMPTS: usize = 16;

/// The caller and the headers of a command, besides the command itself.
#[derive(Clone, Debug)]
pub struct CommandMeta {
    /// The person, by a verified token.
    pub caller: Option<Caller>,
    /// The person that a policy acts for, without a session.
    pub on_behalf_of: Option<UserId>,
    /// The actor of the events.
    pub actor: String,
    /// The actor that idempotency keys belong to.
    pub remembered: String,
    /// The client's idempotency key.
    pub key: Option<String>,
    /// The condition that the client sets, from `If-Match`.
    pub if_match: Option<IfMatch>,
    /// The id of the request that started everything.
    pub correlation: String,
    /// The id of this request.
    pub causation: String,
    /// Method and path, which a key is bound to.
    pub target: String,
}

impl CommandMeta {
    /// Of an actor that has neither a session nor an idempotency key, and sets no condition.
    pub fn new(actor: impl Into<String>, cause: impl Into<String>, target: impl Into<String>) -> Self {
        let (actor, cause) = (actor.into(), cause.into());
        Self {
            caller: None,
            on_behalf_of: None,
            remembered: actor.clone(),
            actor,
            key: None,
            if_match: None,
            correlation: cause.clone(),
            causation: cause,
            target: target.into(),
        }
    }
}

/// The answer to a command that took effect, or had nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// The thing that changed.
    #[schema(format = Uuid)]
    pub id: String,
    /// Its version now.
    #[schema(minimum = 1)]
    pub version: i64,
    /// The position in the log by which it is so; pass it as `?after=` to read your own write.
    #[schema(minimum = 1)]
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

/// What a command is about: the id and version of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The thing that changed.
    pub id: String,
    /// Its version afterwards.
    pub version: i64,
}

/// What a command does. It may be called several times, each time with a fresh unit of work, until its append succeeds.
pub trait Decision: Sync {
    /// Reads, checks and writes through `work`; what was written is recorded in one append.
    fn decide(&self, work: &mut UnitOfWork<'_>) -> impl Future<Output = Result<Answer, Problem>> + Send;
}

/// Commands on one aggregate.
struct OnOne<'a, A: Decide> {
    id: &'a str,
    commands: Vec<A::Command>,
}

impl<A: Decide> Decision for OnOne<'_, A> {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<Answer, Problem> {
        let loaded = work.load_for::<A>(self.id, &self.commands).await?;
        let authorized = loaded.state.authorize(work, self.id, &self.commands).await?;
        // Before the client's condition is looked at: else that would tell what is missing from what may not be seen.
        if loaded.sequence == 0 && !A::creates(&self.commands) {
            return Err(problem(&A::MISSING));
        }
        work.if_match(loaded.sequence)?;
        let version = work.change(self.id, &loaded, self.commands.clone(), authorized)?;
        work.last_first();
        Ok(Answer { id: self.id.to_owned(), version })
    }
}

/// What one attempt came to.
enum Attempt {
    Done(Accepted),
    Again,
    /// Decided on what was not looked up.
    Doubtful(Trust),
    Refused(Problem),
}

impl App {
    /// Executes commands on one aggregate, all in one append.
    ///
    /// `content` is what the idempotency key is bound to, besides method and path: what the client sent, less secrets.
    pub async fn execute<A: Decide>(
        &self,
        meta: &CommandMeta,
        id: &str,
        commands: Vec<A::Command>,
        content: &impl Serialize,
    ) -> Result<Accepted, Problem> {
        self.carry_out(meta, &OnOne::<A> { id, commands }, content).await
    }

    /// Decides and appends, until it is done, seen before, or refused for good.
    pub async fn carry_out(
        &self,
        meta: &CommandMeta,
        decision: &impl Decision,
        content: &impl Serialize,
    ) -> Result<Accepted, Problem> {
        let fingerprint = fingerprint(&meta.target, content);
        let mut trust = Trust::New;
        for _ in 0..ATTEMPTS {
            match self.attempt(meta, decision, fingerprint, trust).await {
                Attempt::Done(accepted) => return Ok(self.in_epoch(accepted)),
                Attempt::Again => trust = trust.after_a_conflict(),
                Attempt::Doubtful(less) => trust = less,
                Attempt::Refused(problem) => return self.answer_of_then(meta, fingerprint, problem).await,
            }
        }
        Err(Problem::passing(
            ProblemType::Contended,
            "Too many people change the same things at this moment. Nothing was changed. Try again.",
            1,
        ))
    }

    async fn attempt(
        &self,
        meta: &CommandMeta,
        decision: &impl Decision,
        fingerprint: [u8; 32],
        trust: Trust,
    ) -> Attempt {
        let mut work = UnitOfWork::new(self, meta, trust);
        let decided = match (self.guard)(&mut work).await {
            Ok(()) => decision.decide(&mut work).await,
            Err(problem) => Err(problem),
        };
        let answer = match decided {
            Ok(answer) => answer,
            Err(problem) => return work.less_trust().map_or(Attempt::Refused(problem), Attempt::Doubtful),
        };
        let key = self.key(meta, fingerprint);
        let Recording { append, written, taken, keys } = match self.recording(work, meta, key, &answer).await
        {
            Ok(recording) => recording,
            Err(problem) => return Attempt::Refused(problem),
        };
        let read: Vec<Expect> = append.expects.clone();
        let endings: Vec<_> = written.iter().map(|written| written.ending(&append)).collect();
        match self.log.append(append).await {
            Ok(Outcome::Appended { first, last, .. }) => {
                for (key_owner, key) in keys {
                    self.keyring.remember(key_owner, key).await;
                }
                written
                    .into_iter()
                    .zip(endings)
                    .fold(At::new(first, &meta.actor), |at, (written, ending)| {
                        written.keep(self, at, ending)
                    });
                let Answer { id, version } = answer;
                Attempt::Done(Accepted { id, version, position: last, created: false, epoch: None })
            }
            Ok(Outcome::Seen { fingerprint: then, id, version, position }) => {
                replay(fingerprint, &then, id, version, position)
            }
            Ok(Outcome::Conflict { aggregate_type, id, .. }) => {
                for written in written {
                    if let Some(problem) = written.clashed(self, &aggregate_type, &id) {
                        return Attempt::Refused(problem);
                    }
                }
                // The others may be as good as they were, and whoever was refused as well may have loaded this one again.
                for stale in read.iter().filter(|read| read.is_of(&aggregate_type, &id)) {
                    self.cache.drop_stale(stale.aggregate_type, &stale.aggregate_id, stale.sequence);
                }
                Attempt::Again
            }
            Ok(Outcome::Claimed { kind }) => Attempt::Refused(refusal(taken, &kind)),
            Ok(Outcome::Placed { .. }) => Attempt::Again,
            Err(error) => Attempt::Refused(unrecorded(&error)),
        }
    }

    fn in_epoch(&self, accepted: Accepted) -> Accepted {
        Accepted { epoch: self.epoch.borrow().clone(), ..accepted }
    }

    fn key(&self, meta: &CommandMeta, fingerprint: [u8; 32]) -> IdempotencyKey {
        IdempotencyKey {
            actor: meta.remembered.clone(),
            key: meta.key.clone().unwrap_or_else(|| self.clock.new_id().to_string()),
            ours: meta.key.is_none(),
            fingerprint,
        }
    }

    /// Before a keyed command is refused: it may have succeeded earlier, and then gets the same answer again.
    async fn answer_of_then(
        &self,
        meta: &CommandMeta,
        fingerprint: [u8; 32],
        problem: Problem,
    ) -> Result<Accepted, Problem> {
        let Some(key) = &meta.key else { return Err(problem) };
        let row = sqlx::query!(
            "select fingerprint, id, version, position from es.command where hash = $1",
            log::hash(&meta.remembered, key)
        )
        .fetch_optional(&self.pool)
        .await?;
        match row.map(|row| replay(fingerprint, &row.fingerprint, row.id, row.version, row.position)) {
            Some(Attempt::Done(accepted)) => Ok(self.in_epoch(accepted)),
            Some(Attempt::Refused(problem)) => Err(problem),
            Some(Attempt::Again | Attempt::Doubtful(_)) | None => Err(problem),
        }
    }
}

fn replay(fingerprint: [u8; 32], then: &[u8], id: String, version: i64, position: i64) -> Attempt {
    if then == fingerprint {
        return Attempt::Done(Accepted { id, version, position, created: false, epoch: None });
    }
    let problem = Problem::new(
        ProblemType::IdempotencyKeyReused,
        "This Idempotency-Key was used for another request. Send a new key with each new request.",
    );
    Attempt::Refused(problem)
}

fn fingerprint(target: &str, content: &impl Serialize) -> [u8; 32] {
    let content = serde_json::to_vec(content).expect("a body that was read as JSON can be written as JSON");
    Sha256::new().chain_update(target).chain_update([0]).chain_update(content).finalize().into()
}

fn refusal(taken: Vec<(&'static str, Problem)>, kind: &str) -> Problem {
    let refusal = taken.into_iter().find(|(own, _)| *own == kind).map(|(_, problem)| problem);
    refusal.unwrap_or_else(|| Problem::internal(format!("a claim of kind {kind} is taken that was not made")))
}

/// For creating something under an id that already belongs to something the person may not see, or of another kind.
pub(crate) fn id_taken() -> Problem {
    Problem::new(ProblemType::IdTaken, "This id belongs to something else. Choose another one.")
}

fn unrecorded(error: &LogError) -> Problem {
    match error {
        LogError::Full => Problem::passing(
            ProblemType::Busy,
            "Too many commands are waiting. Nothing was changed. Try again.",
            1,
        ),
        LogError::Unavailable => Problem::database_unavailable(),
        LogError::Unknown => Problem::passing(
            ProblemType::OutcomeUnknown,
            "The connection to the database broke, and nobody knows whether the change was recorded. Send it again with the same Idempotency-Key.",
            1,
        ),
        LogError::TooLarge(what) => {
            Problem::new(ProblemType::TooLarge, format!("The change is too large to record: {what}."))
        }
        LogError::Malformed(_) | LogError::Refused(_) => Problem::internal(error),
    }
}
