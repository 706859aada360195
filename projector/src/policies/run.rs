//! The life of the policies: stand for the lead, then go through the log, event by event, from the checkpoint.

use std::collections::BTreeMap;
use std::time::Duration;

use command_api::app::{App, CommandMeta};
use futures::StreamExt;
use shared::domain::blocks::BlockEvent;
use shared::domain::tasks::TaskEvent;
use shared::event::{AggregateEvent, Recorded};
use shared::event_log;
use shared::id::UserId;
use shared::leadership::{LeaderRole, lead};
use shared::lifecycle::Shutdown;
use shared::problem::Problem;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::block_task_sync::Sync;
use super::checkpoint::{Checkpoint, Refusal};
use super::{PREFIX, is_policy};

/// The one policy that there is so far.
const NAME: &str = "block-task-sync";
/// Events taken at a time.
const BATCH: i64 = 500;
/// Items handled at once: their appends share batches of the log.
const AT_ONCE: usize = 32;
/// How often it polls the log, whatever else fails to wake it.
const POLL: Duration = Duration::from_millis(250);
/// A command that fails so often because of the server is skipped like a refusal: one broken item must not stop others.
const FAILURES: u32 = 30;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// What policies work with.
#[derive(Clone)]
pub struct Handles {
    /// The command path.
    pub app: App,
    /// How to open the session that holds the lead, as the projector's role.
    pub connect: PgConnectOptions,
    /// Connections as the projector's role, which keeps the checkpoint.
    pub pool: PgPool,
}

/// Why the policies must begin again from their checkpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("a command of a policy found no answer: {0}")]
    Unavailable(Problem),
    #[error("another process moved the checkpoint of the policies")]
    Overtaken,
    #[error("nothing has made an epoch yet")]
    NoEpoch,
}

impl Stopped {
    /// Whether a command failed because of the server, not because of the request or an unavailable database.
    fn is_ours(&self) -> bool {
        matches!(self, Self::Unavailable(problem) if problem.status != 503)
    }
}

/// Runs the policies whenever this process leads, until `shutdown`.
pub async fn run(handles: Handles, shutdown: Shutdown) {
    lead(&handles.connect, LeaderRole::Policies, &shutdown, |term| work(handles.clone(), term)).await;
}

async fn work(handles: Handles, term: Shutdown) {
    let mut failures = 0;
    while !term.is_cancelled() {
        if let Err(error) = follow(&handles, &term, &mut failures).await {
            // A database that is away, or another leader, says nothing about the item.
            failures = if error.is_ours() { failures + 1 } else { 0 };
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "The policies stopped; going on in a moment"
            );
            drop(timeout(PAUSE, term.cancelled()).await);
        }
    }
}

async fn follow(handles: &Handles, term: &Shutdown, failures: &mut u32) -> Result<(), Stopped> {
    let mut appended = handles.app.log.appended();
    let mut looks = interval(POLL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut checkpoint = Checkpoint::read(&handles.pool, NAME).await?;
    while !term.is_cancelled() {
        let events = event_log::after(&handles.pool, checkpoint.position, BATCH).await?;
        let Some(last) = events.last().map(|event| event.position) else {
            tokio::select! {
                () = term.cancelled() => {}
                () = changed(&mut appended) => {}
                _ = looks.tick() => {}
            }
            continue;
        };
        let refused = react(handles, &events, *failures >= FAILURES).await?;
        checkpoint = checkpoint.moved(&handles.pool, last, &refused).await?;
        *failures = 0;
    }
    Ok(())
}

/// Waits for an append of this process; others' are found by the poll.
async fn changed(appended: &mut watch::Receiver<i64>) {
    if appended.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Sees to every thing that persons touched, once for each person's last event on it in this batch. Things of one note
/// follow each other, as they might want one place; different notes are seen to at once. Gives what was refused.
async fn react(handles: &Handles, events: &[Recorded], pass_over: bool) -> Result<Vec<Refusal>, Stopped> {
    let ours = |event: &&Recorded| {
        [BlockEvent::AGGREGATE, TaskEvent::AGGREGATE].contains(&event.aggregate.kind.as_str())
            && !is_policy(&event.meta.actor)
    };
    let last: BTreeMap<(&str, &str), &Recorded> = events
        .iter()
        .filter(ours)
        .map(|event| ((event.aggregate.id.as_str(), event.meta.actor.as_str()), event))
        .collect();
    let mut of_note: BTreeMap<Option<&String>, Vec<Recorded>> = BTreeMap::new();
    for event in last.into_values() {
        of_note.entry(event.scopes.first()).or_default().push(event.clone());
    }
    let settling: Vec<_> = of_note
        .into_values()
        .map(|mut causes| {
            causes.sort_by_key(|cause| cause.position);
            settle_all(handles.clone(), causes, pass_over)
        })
        .collect();
    let mut running = futures::stream::iter(settling).buffer_unordered(AT_ONCE);
    let mut refused = Vec::new();
    while let Some(settled) = running.next().await {
        refused.extend(settled?);
    }
    Ok(refused)
}

async fn settle_all(
    handles: Handles,
    causes: Vec<Recorded>,
    pass_over: bool,
) -> Result<Vec<Refusal>, Stopped> {
    let mut refused = Vec::new();
    for cause in &causes {
        refused.extend(settle(&handles, cause, pass_over).await?);
    }
    Ok(refused)
}

async fn settle(handles: &Handles, cause: &Recorded, pass_over: bool) -> Result<Option<Refusal>, Stopped> {
    let Ok(person) = cause.meta.actor.parse::<UserId>() else { return Ok(None) };
    let app = &handles.app;
    let sync = Sync { id: &cause.aggregate.id, person };
    let done = async {
        if sync.is_due(app).await? {
            app.carry_out(&command_meta(cause, person), &sync, &cause.aggregate.id).await?;
        }
        Ok::<_, Problem>(())
    };
    match done.await {
        Ok(()) => Ok(None),
        Err(problem) if problem.status == 503 || problem.status >= 500 && !pass_over => {
            Err(Stopped::Unavailable(problem))
        }
        Err(problem) => {
            let aggregate = cause.aggregate.id.clone();
            Ok(Some(Refusal { position: cause.position, aggregate, person, problem }))
        }
    }
}

fn command_meta(cause: &Recorded, person: UserId) -> CommandMeta {
    let actor = format!("{PREFIX}{NAME}");
    CommandMeta {
        caller: None,
        on_behalf_of: Some(person),
        remembered: actor.clone(),
        actor,
        key: Some(format!("{NAME}/{}/1", cause.id)),
        if_match: None,
        correlation: cause.meta.correlation.clone(),
        causation: cause.id.to_string(),
        target: NAME.to_owned(),
    }
}
