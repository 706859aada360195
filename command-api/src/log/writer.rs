//! The one task that appends for this process: group commit, and an answer for everybody.
//!
//! While a batch is on its way the next one gathers behind it. If the connection breaks before the answer, the
//! same batch is sent again before anybody is answered; the keys make what was recorded come back as seen.

use std::collections::VecDeque;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::Line;
use super::prepared::{Prepared, Waiting};
use super::sql::{self, Answer};
use super::{LogError, Outcome, batch};

/// How many commands the writer looks at to fill a batch; the others wait in the channel.
const IN_SIGHT: usize = 2_000;
/// The longest wait for an answer: beyond `statement_timeout` the server itself must be stuck.
const ANSWER: Duration = Duration::from_secs(7);
/// After this long without an answer a batch is given up.
const PATIENCE: Duration = Duration::from_secs(15);

type Outcomes = Vec<Result<Outcome, LogError>>;

/// The writer and its connection.
pub(super) struct Writer {
    line: Line,
    news: watch::Sender<i64>,
}

/// Why a statement gave no answers.
enum Trouble {
    /// Something in the batch is bad; nothing of it is recorded.
    Data(String),
    /// Nobody's fault here.
    Log(LogError),
}

impl Writer {
    pub(super) fn new(options: PgConnectOptions, news: watch::Sender<i64>) -> Self {
        Self { line: Line::new(options), news }
    }

    /// Works until the handles are gone, or until told to stop and the queue is empty.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>, stop: CancellationToken) {
        let mut queue = VecDeque::new();
        loop {
            if queue.is_empty() {
                tokio::select! {
                    biased;
                    () = stop.cancelled(), if !waiting.is_closed() => { waiting.close(); continue; }
                    first = waiting.recv() => match first {
                        Some(first) => queue.push_back(first),
                        None => return,
                    }
                }
            }
            // Those just answered come back with their next command: let them, before the batch is closed.
            tokio::task::yield_now().await;
            while queue.len() < IN_SIGHT
                && let Ok(next) = waiting.try_recv()
            {
                queue.push_back(next);
            }
            self.write(batch::take(&mut queue)).await;
        }
    }

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
            // Whoever stopped waiting does not want to know.
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
            Err(Trouble::Data(_)) => self.one_by_one(batch, sent).await,
        }
    }

    /// So that bad data hurts only the command that brought it.
    async fn one_by_one(&mut self, batch: &[&Prepared], sent: bool) -> Outcomes {
        let mut outcomes = Vec::with_capacity(batch.len());
        for command in batch {
            outcomes.push(match self.send(&[command], &mut sent.clone()).await {
                Ok(mut outcomes) => outcomes.pop().ok_or(LogError::Unknown),
                Err(Trouble::Data(code)) => Err(LogError::Refused(code)),
                Err(Trouble::Log(error)) => Err(error),
            });
        }
        outcomes
    }

    /// Sends until there is an answer, or patience ends. `sent`: an earlier attempt may have been recorded.
    async fn send(&mut self, batch: &[&Prepared], sent: &mut bool) -> Result<Vec<Outcome>, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(connection) = self.line.get(deadline).await else { break };
            let again = std::mem::replace(sent, true);
            let attempt = async {
                let answers = sql::append(connection, batch).await?;
                let own =
                    if again { own(connection, batch, &answers).await? } else { vec![None; batch.len()] };
                Ok((answers, own))
            };
            match tokio::time::timeout(ANSWER, attempt).await {
                Ok(Ok((answers, own))) => {
                    let outcomes =
                        answers.into_iter().zip(own).map(|(answer, own)| own.or_else(|| answer.outcome()));
                    return outcomes.collect::<Option<_>>().ok_or(Trouble::Log(LogError::Unknown));
                }
                Ok(Err(error)) => match weigh(&error) {
                    Weight::Data(code) => {
                        *sent = again;
                        return Err(Trouble::Data(code));
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
    let mut own: Vec<Option<Outcome>> =
        batch.iter().zip(answers).map(|(command, answer)| answer.seen_as(command)).collect();
    let firsts: Vec<i64> = own.iter().flatten().filter_map(first).collect();
    if firsts.is_empty() {
        return Ok(own);
    }
    let stored = sql::events_at(connection, &firsts).await?;
    for (outcome, command) in own.iter_mut().zip(batch) {
        // The same key may have come through another process: then the events are not ours.
        let Some(event) = command.append.events.first() else { continue };
        if outcome.as_ref().and_then(first).is_some_and(|at| !stored.contains(&(at, event.event_id))) {
            *outcome = None;
        }
    }
    Ok(own)
}

fn first(outcome: &Outcome) -> Option<i64> {
    if let Outcome::Appended { first, .. } = outcome { Some(*first) } else { None }
}

/// What an error says about the batch.
enum Weight {
    /// Its data was refused, and nothing recorded.
    Data(String),
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
        _ => Weight::NotNow,
    }
}
