//! The life of a policy: stand for the lead, then go through the log from the checkpoint, and react to what concerns it.
//!
//! It reads ahead of its checkpoint, which is behind the oldest event that it has not seen to: an item that fails
//! waits and is tried again, while others and the next events go on. What is reacted to a second time after a crash takes
//! no effect: the commands have the same idempotency keys.

use std::time::{Duration, Instant};

use command_api::app::App;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use shared::log::event_log;
use shared::process::leadership::{LeaderRole, lead};
use shared::process::lifecycle::Shutdown;
use shared::process::problem::{Problem, ProblemType};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use super::checkpoint::{Checkpoint, Refusal};
use super::policy::{Policy, Reaction};
use super::queue::{Queue, Turn};

/// Events read at a time.
const BATCH: i64 = 500;
/// Lanes at once: their appends share batches of the log.
const AT_ONCE: usize = 32;
/// How often it polls the log, whatever else fails to wake it.
const POLL: Duration = Duration::from_millis(250);
/// After so many events that were nothing to it, it says how far it has come. To read so many again takes a second.
const EVERY: i64 = 50_000;
/// An event whose reaction fails so often because of the server is passed over like one that was refused.
const FAILURES: u32 = 30;
/// The pause after a failure. An item that fails again waits longer, up to ten times as long.
pub const PAUSE: Duration = Duration::from_secs(1);

/// What policies work with.
#[derive(Clone)]
pub struct Handles {
    /// The command path.
    pub app: App,
    /// How to open the session that holds the lead, as the projector's role.
    pub connect: PgConnectOptions,
    /// Connections as the projector's role, which keeps the checkpoint.
    pub pool: PgPool,
    /// The pause after a failure, such as [`PAUSE`].
    pub pause: Duration,
}

/// Why a policy must begin again from its checkpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("another process moved the checkpoint of the policy")]
    Overtaken,
    #[error("nothing has made an epoch yet")]
    NoEpoch,
}

/// Runs the policies whenever this process leads, until `shutdown`.
pub async fn run(handles: Handles, shutdown: Shutdown) {
    lead(&handles.connect, LeaderRole::Policies, &shutdown, |term| {
        let handles = handles.clone();
        async move { super::all(&handles, &term).await }
    })
    .await;
}

/// Runs one policy until the end of a term.
pub async fn work<P: Policy>(policy: &P, handles: &Handles, term: &Shutdown) {
    while !term.is_cancelled() {
        let followed = match Follower::begin(policy, handles).await {
            Ok(follower) => follower.follow(term).await,
            Err(error) => Err(error),
        };
        if let Err(error) = followed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                policy = P::NAME,
                "A policy stopped; it goes on in a moment"
            );
            drop(timeout(handles.pause, term.cancelled()).await);
        }
    }
}

/// A policy on its way through the log.
struct Follower<'a, P> {
    policy: &'a P,
    handles: &'a Handles,
    checkpoint: Checkpoint,
    /// Up to where it has read.
    position: i64,
    /// There may be more to read.
    more: bool,
    queue: Queue,
    running: FuturesUnordered<BoxFuture<'a, (Turn, Result<(), Problem>)>>,
    /// How many events were seen to, and what was refused, since the checkpoint was written.
    seen: i64,
    refused: Vec<Refusal>,
    /// The database is away: nothing is begun before then.
    stopped_until: Option<Instant>,
    /// Nothing has come to be read until then.
    quiet_at: Instant,
}

impl<'a, P: Policy> Follower<'a, P> {
    async fn begin(policy: &'a P, handles: &'a Handles) -> Result<Self, Stopped> {
        let checkpoint = Checkpoint::read(&handles.pool, P::NAME).await?;
        Ok(Self {
            policy,
            handles,
            position: checkpoint.position,
            checkpoint,
            more: true,
            queue: Queue::new(handles.pause, P::LAST_ONLY),
            running: FuturesUnordered::new(),
            seen: 0,
            refused: Vec::new(),
            stopped_until: None,
            quiet_at: later(POLL),
        })
    }

    async fn follow(mut self, term: &Shutdown) -> Result<(), Stopped> {
        let mut appended = self.handles.app.log.appended();
        while !term.is_cancelled() {
            let idle = self.read().await?;
            self.start();
            self.keep_checkpoint(idle).await?;
            let wake = self.wake();
            tokio::select! {
                biased;
                () = term.cancelled() => {}
                Some((turn, reacted)) = self.running.next() => self.end(&turn, reacted),
                () = std::future::ready(()), if self.may_read() => {}
                () = changed(&mut appended) => self.more = true,
                () = until(wake) => {}
            }
        }
        while let Some((turn, reacted)) = self.running.next().await {
            self.end(&turn, reacted);
        }
        self.keep_checkpoint(true).await
    }

    fn may_read(&self) -> bool {
        self.more && self.queue.has_room()
    }

    /// Takes in the next events, if there are any. Gives whether there have been none for a while.
    async fn read(&mut self) -> Result<bool, Stopped> {
        let quiet = Instant::now() >= self.quiet_at;
        self.more |= quiet;
        if !self.may_read() {
            return Ok(false);
        }
        self.quiet_at = later(POLL);
        let pool = &self.handles.pool;
        let events = event_log::unchecked_after(pool, self.position, BATCH).await?;
        self.more = !events.is_empty();
        let chosen: Vec<i64> =
            events.iter().filter(|event| P::cares(event)).map(|event| event.position).collect();
        self.position = events.last().map_or(self.position, |event| event.position);
        if chosen.is_empty() {
            return Ok(quiet && !self.more);
        }
        for event in event_log::headers_at(pool, &chosen).await? {
            match self.handles.app.keyring.check(event).await {
                Ok(event) => {
                    let lane = P::lane(&event).to_owned();
                    self.queue.push(&lane, event);
                }
                Err(error) => {
                    let cause = match error.into_database() {
                        Ok(error) => return Err(error.into()),
                        Err(cause) => cause,
                    };
                    tracing::error!(%cause, policy = P::NAME, "An event is passed over, as it was altered");
                }
            }
        }
        Ok(quiet && !self.more)
    }

    fn start(&mut self) {
        let now = Instant::now();
        if self.stopped_until.is_some_and(|until| now < until) {
            return;
        }
        while self.running.len() < AT_ONCE
            && let Some(turn) = self.queue.begin(now)
        {
            let (policy, handles) = (self.policy, self.handles);
            self.running.push(Box::pin(async move {
                let reacted = policy.react(&mut Reaction::of::<P>(&handles.app, &turn.event)).await;
                (turn, reacted)
            }));
        }
    }

    /// When there is something to do that neither an end nor an append brings: to begin again, or to poll.
    fn wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let begin = self.stopped_until.filter(|until| *until > now).or_else(|| self.queue.next(now));
        let poll = self.queue.has_room().then_some(self.quiet_at);
        begin.into_iter().chain(poll).min()
    }

    fn end(&mut self, turn: &Turn, reacted: Result<(), Problem>) {
        let now = Instant::now();
        let Err(problem) = reacted else { return self.pass(turn) };
        if is_about_everybody(&problem) {
            tracing::warn!(%problem, policy = P::NAME, "A policy cannot reach the log; it goes on in a moment");
            self.stopped_until = Some(now + self.handles.pause);
            return self.queue.rest(turn, now);
        }
        if problem.status >= 500 {
            let failures = self.queue.fail(turn);
            if failures < FAILURES {
                let aggregate = turn.event.aggregate.id.as_str();
                tracing::warn!(%problem, policy = P::NAME, aggregate, failures, "A reaction failed; it is tried again");
                return self.queue.rest(turn, now);
            }
        }
        self.refused.push(Refusal::new(&turn.event, problem));
        self.pass(turn);
    }

    fn pass(&mut self, turn: &Turn) {
        self.seen += 1;
        self.queue.done(turn);
    }

    /// Writes how far it has come, if that is due.
    async fn keep_checkpoint(&mut self, idle: bool) -> Result<(), Stopped> {
        let to = self.queue.oldest().map_or(self.position, |oldest| oldest - 1);
        let rests = self.running.is_empty() || self.seen >= BATCH;
        let due = idle || self.seen > 0 && rests || to - self.checkpoint.position >= EVERY;
        if !self.refused.is_empty() || due && to > self.checkpoint.position {
            self.checkpoint.moved(&self.handles.pool, to, &self.refused).await?;
            self.refused.clear();
            self.seen = 0;
        }
        Ok(())
    }
}

/// Whether nothing at all can be recorded now, whatever it is about.
fn is_about_everybody(problem: &Problem) -> bool {
    matches!(problem.kind, ProblemType::DatabaseUnavailable | ProblemType::OutcomeUnknown | ProblemType::Busy)
}

fn later(by: Duration) -> Instant {
    Instant::now() + by
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits for an append of this process; others' are found by the poll.
async fn changed(appended: &mut watch::Receiver<i64>) {
    if appended.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
