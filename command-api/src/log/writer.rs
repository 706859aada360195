//! The one task that sends batches for this process: group commit, and an answer for each command.
//!
//! Two connections take turns, so that while Postgres works on one batch, the program answers the one before and
//! gathers the next. For the log, two connections are the same as two processes: `es.append` takes one batch after
//! the other. If a connection breaks before the answer, the same batch is sent again before anybody is answered. The
//! idempotency keys make recorded commands come back as seen.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::time::Duration;

use shared::domain::clock::Clock;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::alarm::Alarm;
use super::connection::Line;
use super::prepared::{Prepared, Waiting};
use super::sql::{self, Answer, Answers};
use super::{LogError, Outcome, batch};

/// How many commands the writer looks at to fill a batch; the others wait in the channel.
const IN_SIGHT: usize = 2_000;
/// The fewest commands that are sent while another batch is under way: a batch has its price, so those in a
/// smaller one are sooner answered if they wait for the batch before.
const WORTH_A_LINE: usize = 16;
/// The longest wait for an answer: beyond `statement_timeout` the server itself must be stuck.
const ANSWER: Duration = Duration::from_secs(7);
/// After this long without an answer a batch is given up.
const PATIENCE: Duration = Duration::from_secs(15);
/// When so many commands of a batch time out even alone, it is not they that are slow: the others are given up too.
const SLOW_ALONE: usize = 2;

type Outcomes = Vec<Result<Outcome, LogError>>;

/// Takes what waits, and shares it out.
pub(super) struct Writer {
    idle: Vec<Sender>,
    under_way: JoinSet<(Sender, usize)>,
    /// How many commands are under way.
    in_flight: usize,
    queue: VecDeque<Waiting>,
}

/// A line, and what sends a batch over it.
struct Sender {
    line: Line,
    clock: Clock,
    alarm: Alarm,
    news: watch::Sender<i64>,
}

/// Why a statement gave no answers.
enum Trouble {
    /// Something in the batch is bad; nothing of it is recorded.
    Data(String),
    /// It took too long, perhaps for one slow command in the batch; nothing of it is recorded.
    Slow,
    /// The commands are not at fault.
    Log(LogError),
}

impl Writer {
    pub(super) fn new(options: &PgConnectOptions, clock: Clock, news: &watch::Sender<i64>) -> Self {
        let sender = || Sender {
            line: Line::new(options.clone()),
            clock,
            alarm: Alarm::default(),
            news: news.clone(),
        };
        Self {
            idle: vec![sender(), sender()],
            under_way: JoinSet::new(),
            in_flight: 0,
            queue: VecDeque::new(),
        }
    }

    /// Works until the handles are gone, or until told to stop and everybody is answered.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>, stop: CancellationToken) {
        let mut more = true;
        let mut arrived = Vec::new();
        while more || !self.queue.is_empty() || !self.under_way.is_empty() {
            let capacity = IN_SIGHT.saturating_sub(self.queue.len());
            tokio::select! {
                biased;
                () = stop.cancelled(), if more && !waiting.is_closed() => waiting.close(),
                Some(sent) = self.under_way.join_next() => {
                    let (sender, commands) = sent.unwrap_or_else(|failed| resume_unwind(failed.into_panic()));
                    self.idle.push(sender);
                    self.in_flight -= commands;
                }
                count = waiting.recv_many(&mut arrived, capacity), if more && capacity > 0 => {
                    more = count > 0;
                }
            }
            // Clients that were just answered send their next command: let them, before a batch is closed.
            tokio::task::yield_now().await;
            while self.queue.len() + arrived.len() < IN_SIGHT
                && let Ok(next) = waiting.try_recv()
            {
                arrived.push(next);
            }
            self.queue.extend(arrived.drain(..));
            self.send_what_is_worth_it();
        }
    }

    fn send_what_is_worth_it(&mut self) {
        while let Some(most) = portion(self.queue.len(), self.in_flight)
            && let Some(mut sender) = self.idle.pop()
        {
            let batch = batch::take(&mut self.queue, most);
            let commands = batch.len();
            self.in_flight += commands;
            self.under_way.spawn(async move {
                sender.write(batch).await;
                (sender, commands)
            });
        }
    }
}

/// How many of those waiting to send now, if any: half of all there are, so that two batches of one size
/// take turns.
fn portion(waiting: usize, in_flight: usize) -> Option<usize> {
    match (waiting, in_flight) {
        (0, _) => None,
        (_, 0) => Some(waiting),
        _ if waiting < in_flight.max(WORTH_A_LINE) => None,
        _ => Some((waiting + in_flight).div_ceil(2)),
    }
}

impl Sender {
    async fn write(&mut self, batch: Vec<Waiting>) {
        let begun = Instant::now();
        let commands: Vec<&Prepared> = batch.iter().map(|waiting| &waiting.prepared).collect();
        let outcomes = self.outcomes(&commands).await;
        // Metrics have no integers; a batch is far below what a float holds.
        metrics::histogram!("daybook_append_batch_commands")
            .record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        metrics::histogram!("daybook_append_seconds").record(begun.elapsed());
        self.tell_the_news(&outcomes);
        for (waiting, outcome) in batch.into_iter().zip(outcomes) {
            // A caller that stopped waiting needs no answer.
            waiting.answer.send(outcome).ok();
        }
    }

    fn tell_the_news(&self, outcomes: &Outcomes) {
        let last = outcomes.iter().filter_map(|outcome| match outcome {
            Ok(Outcome::Appended { last, .. }) => Some(*last),
            _ => None,
        });
        if let Some(last) = last.max() {
            self.news.send_if_modified(|known| last > std::mem::replace(known, last.max(*known)));
        }
    }

    /// One outcome per command, come what may.
    async fn outcomes(&mut self, batch: &[&Prepared]) -> Outcomes {
        let mut sent = false;
        match self.send(batch, &mut sent).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(Trouble::Log(error)) => vec![Err(error); batch.len()],
            Err(Trouble::Slow) if batch.len() == 1 => vec![Err(self.give_up(sent))],
            Err(Trouble::Data(_) | Trouble::Slow) => self.one_by_one(batch, sent).await,
        }
    }

    /// So that bad data, or a slow statement, hurts only the command that brought it.
    async fn one_by_one(&mut self, batch: &[&Prepared], sent: bool) -> Outcomes {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut slow = 0;
        for command in batch {
            let mut sent = sent;
            outcomes.push(match self.send(&[command], &mut sent).await {
                Ok(mut outcomes) => outcomes.pop().ok_or(LogError::Unknown),
                Err(Trouble::Data(code)) => Err(LogError::Refused(code)),
                Err(Trouble::Slow) => {
                    slow += 1;
                    Err(self.give_up(sent))
                }
                Err(Trouble::Log(error)) => Err(error),
            });
            if slow == SLOW_ALONE {
                break;
            }
        }
        outcomes.resize_with(batch.len(), || Err(self.give_up(sent)));
        outcomes
    }

    /// Sends until there is an answer, or patience ends. `sent`: an earlier attempt may have been recorded.
    async fn send(&mut self, batch: &[&Prepared], sent: &mut bool) -> Result<Vec<Outcome>, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(connection) = self.line.get(deadline).await else { break };
            let again = std::mem::replace(sent, true);
            let now = self.clock.now();
            let attempt = async {
                let Answers { answers, ahead } = sql::append(connection, batch, now).await?;
                self.alarm.hear(ahead);
                let own =
                    if again { own(connection, batch, &answers).await? } else { vec![None; batch.len()] };
                Ok((answers, own))
            };
            match tokio::time::timeout(ANSWER, attempt).await {
                Ok(Ok((answers, own))) => {
                    let outcomes = answers.into_iter().zip(own);
                    return Ok(outcomes.map(|(answer, own)| own.unwrap_or(answer.outcome)).collect());
                }
                Ok(Err(error)) => match weigh(&error) {
                    Weight::Data(code) => {
                        *sent = again;
                        return Err(Trouble::Data(code));
                    }
                    Weight::Slow => {
                        tracing::warn!(commands = batch.len(), "an append took too long");
                        *sent = again;
                        return Err(Trouble::Slow);
                    }
                    Weight::NotNow => {
                        tracing::error!(%error, "the log cannot be written");
                        *sent = again;
                        break;
                    }
                    Weight::Broken => {
                        tracing::warn!(%error, "the writer lost its connection; it sends again");
                    }
                },
                Err(_) => tracing::warn!("Postgres does not answer an append; the writer sends again"),
            }
            self.line.drop_connection();
        }
        Err(Trouble::Log(self.give_up(*sent)))
    }

    fn give_up(&mut self, sent: bool) -> LogError {
        if !sent {
            return LogError::Unavailable;
        }
        self.line.forget_the_past();
        LogError::Unknown
    }
}

/// Those commands of a batch sent again that the attempt before had recorded, as what.
async fn own(
    connection: &mut sqlx::PgConnection,
    batch: &[&Prepared],
    answers: &[Answer],
) -> sqlx::Result<Vec<Option<Outcome>>> {
    // The first event of a command tells: its id is its own, and it is where it belongs, or it was never recorded.
    let stored = sql::firsts(connection, batch).await?;
    let recorded = |command: &Prepared, answer: &Answer| match command.append.events.first() {
        None => answer.seen_as(command),
        Some(event) => {
            let (first, recorded_at) = *stored.get(&event.event_id)?;
            let last = first + i64::try_from(command.append.events.len()).ok()? - 1;
            Some(Outcome::Appended { first, last, recorded_at })
        }
    };
    Ok(batch.iter().zip(answers).map(|(command, answer)| recorded(command, answer)).collect())
}

/// What an error says about the batch.
enum Weight {
    /// Its data was refused, and nothing recorded.
    Data(String),
    /// It took longer than a statement may.
    Slow,
    /// It was not recorded, and would not be if sent again at once.
    NotNow,
    /// Nothing: it is to be sent again.
    Broken,
}

fn weigh(error: &sqlx::Error) -> Weight {
    if let sqlx::Error::Encode(_) = error {
        return Weight::Data("22000".into());
    }
    let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
        return Weight::Broken;
    };
    match (code.get(..2), &*code) {
        // Data exceptions, constraints, limits of the program (an index row too long).
        (Some("22" | "23" | "54"), _) => Weight::Data(code.into_owned()),
        // Connection trouble, shutdown, deadlock, or a server that has become a standby.
        (Some("08" | "40"), _) | (_, "57P01" | "57P02" | "57P03" | "57P05" | "25006") => Weight::Broken,
        // query_canceled: by statement_timeout.
        (_, "57014") => Weight::Slow,
        _ => Weight::NotNow,
    }
}
