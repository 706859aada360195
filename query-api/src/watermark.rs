//! The read position: how far reads may be served. It is polled and announced, and the larger of both counts.
//!
//! An announcement by the projector is fast but may be lost. The poll costs one statement every 150 ms. So a lost
//! message costs 150 ms and never a hang.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use shared::process::jetstream::{Notice, WATERMARK};
use shared::process::lifecycle::Shutdown;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// How often the checkpoint is asked for; half a second is what the whole pipeline may take without NATS.
const POLL_EVERY: Duration = Duration::from_millis(150);

/// Tables are built when they are at most this many events behind.
const NEAR: i64 = 1_000;

/// How far this installation is, as one process knows it. Before the first answer of the database the epoch is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The history that positions count in: 8 hexadecimal digits.
    pub epoch: String,
    /// Up to here every event is folded into the read tables.
    pub position: i64,
    /// The last event of the log.
    pub head: i64,
}

/// What a client has seen and wants to read at or beyond: `<epoch>-<n>`, or the position alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The history that it was given in, if it said so.
    pub epoch: Option<String>,
    /// A position in the log.
    pub position: i64,
}

/// What is no position.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is a number, or 8 hexadecimal digits, a hyphen and a number")]
pub struct NoPosition;

/// Why a wait ended without the position.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The read tables have not come that far in time.
    #[error("the read tables have not reached that position yet")]
    TooLate,
    /// The position belongs to another history.
    #[error("the position belongs to another history of this installation")]
    EpochChanged,
}

/// A process' knowledge of the [`Mark`]; clones share it.
#[derive(Clone, Debug)]
pub struct Watermark {
    mark: Arc<watch::Sender<Mark>>,
    /// The history in which the tables have once come near the end of the log.
    built: Arc<Mutex<String>>,
    /// Which tables were read last: a rebuild puts others in their place.
    tables: Arc<AtomicU32>,
}

impl Watermark {
    /// Starts to poll `pool` (whose search path is the read schema) and, where there is NATS, to listen.
    ///
    /// Does not wait: a read schema that is still being built has no checkpoint yet.
    pub fn start(pool: PgPool, nats: Option<async_nats::Client>, shutdown: &Shutdown) -> Self {
        let watermark = Self::fixed(Mark::default());
        let polling = watermark.clone();
        let told = shutdown.clone();
        shutdown.essential("read-position poll", async move {
            told.run_until_cancelled(polling.poll(&pool)).await;
        });
        if let Some(client) = nats {
            let listening = watermark.clone();
            let told = shutdown.clone();
            shutdown.essential("read-position listener", async move {
                told.run_until_cancelled(listening.listen(&client)).await;
                // Without a subscription the poll does alone.
                told.cancelled().await;
            });
        }
        watermark
    }

    /// One with a fixed position; for tests.
    pub fn fixed(mark: Mark) -> Self {
        let watermark =
            Self { mark: Arc::new(watch::Sender::new(mark)), built: Arc::default(), tables: Arc::default() };
        watermark.note_built();
        watermark
    }

    /// What is known now.
    pub fn current(&self) -> Mark {
        self.mark.borrow().clone()
    }

    /// Which tables are read: another number after a rebuild. 0 before the first answer of the database.
    pub fn tables(&self) -> u32 {
        self.tables.load(Ordering::Relaxed)
    }

    /// How far the tables are, while they are being built: reading them would show the past. Once built, tables that
    /// fall behind are served; each answer says its position.
    pub fn building(&self) -> Option<Mark> {
        let mark = self.current();
        (!mark.epoch.is_empty() && *self.built.lock().expect("nobody panics with it") != mark.epoch)
            .then_some(mark)
    }

    fn note_built(&self) {
        let mark = self.mark.borrow();
        if mark.position + NEAR >= mark.head {
            self.built.lock().expect("nobody panics with it").clone_from(&mark.epoch);
        }
    }

    /// Wakes at every change.
    pub fn subscribe(&self) -> watch::Receiver<Mark> {
        self.mark.subscribe()
    }

    /// Waits in memory until reads are at `after` or beyond. Call it before a connection is taken.
    pub async fn wait(&self, after: &After, deadline: Instant) -> Result<(), WaitError> {
        let mut marks = self.subscribe();
        let reached = marks.wait_for(|mark| verdict(mark, after).is_some());
        match timeout_at(deadline, reached).await {
            Ok(Ok(mark)) => verdict(&mark, after).unwrap_or(Err(WaitError::TooLate)),
            Ok(Err(_)) | Err(_) => Err(WaitError::TooLate),
        }
    }

    /// Takes in what the database said: it alone knows of a new epoch.
    pub fn polled(&self, polled: Mark) {
        self.mark.send_if_modified(|mark| {
            let next = if mark.epoch == polled.epoch {
                let position = mark.position.max(polled.position);
                Mark { epoch: polled.epoch, position, head: mark.head.max(polled.head) }
            } else {
                polled
            };
            replace(mark, next)
        });
        self.note_built();
    }

    fn told(&self, told: &Notice) {
        self.mark.send_if_modified(|mark| {
            if mark.epoch != told.epoch.as_str() || told.position <= mark.position {
                return false;
            }
            let next = Mark { position: told.position, head: mark.head.max(told.position), ..mark.clone() };
            replace(mark, next)
        });
        self.note_built();
    }

    async fn poll(&self, pool: &PgPool) {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            match ask(pool).await {
                Ok((mark, tables)) => {
                    failing = false;
                    self.tables.store(tables, Ordering::Relaxed);
                    self.polled(mark);
                }
                // Once: the database may be away for long, or the read schema still be building.
                Err(error) if !failing => {
                    failing = true;
                    if is_unbuilt(&error) {
                        tracing::info!("The read tables are not built yet; reads wait for them");
                    } else {
                        tracing::warn!(%error, "The checkpoint cannot be read; trying again");
                    }
                }
                Err(_) => {}
            }
        }
    }

    async fn listen(&self, client: &async_nats::Client) {
        // The client subscribes again by itself after a reconnect.
        let mut messages = match client.subscribe(WATERMARK).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(%error, "No watermark over NATS; polling does");
                return;
            }
        };
        while let Some(message) = messages.next().await {
            // What is no notice is passed over: anybody may publish.
            if let Some(told) = Notice::from_bytes(&message.payload) {
                self.told(&told);
            }
        }
    }
}

/// Whether the schema of this release has no tables yet.
fn is_unbuilt(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("42P01")
}

async fn ask(pool: &PgPool) -> sqlx::Result<(Mark, u32)> {
    let row = sqlx::query!(
        r#"select e.epoch, e.agreed_position, c.position, c.epoch as "of", c.tableoid as "tables!",
                  es.readable() as "head!"
             from checkpoint c
            cross join (select epoch, agreed_position from es.epoch order by seq desc limit 1) e"#
    )
    .fetch_one(pool)
    .await?;
    // Until the projector has moved to a new history, its checkpoint holds only up to where both agree.
    let position = if row.of == row.epoch { row.position } else { row.position.min(row.agreed_position) };
    Ok((Mark { epoch: row.epoch, position, head: row.head }, row.tables.0))
}

fn verdict(mark: &Mark, after: &After) -> Option<Result<(), WaitError>> {
    if mark.epoch.is_empty() {
        return None;
    }
    if after.epoch.as_ref().is_some_and(|epoch| *epoch != mark.epoch) {
        return Some(Err(WaitError::EpochChanged));
    }
    (mark.position >= after.position).then_some(Ok(()))
}

fn replace(mark: &mut Mark, next: Mark) -> bool {
    let changed = *mark != next;
    *mark = next;
    changed
}

impl FromStr for After {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (epoch, digits) = match text.split_once('-') {
            Some((epoch, digits)) => (Some(epoch), digits),
            None => (None, text),
        };
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if epoch.is_some_and(|epoch| epoch.len() != 8 || !epoch.bytes().all(is_hex)) {
            return Err(NoPosition);
        }
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoPosition);
        }
        let position = digits.parse().map_err(|_| NoPosition)?;
        Ok(Self { epoch: epoch.map(str::to_owned), position })
    }
}

impl std::fmt::Display for Mark {
    /// As the header `Position` carries it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(epoch: &str, position: i64) -> Mark {
        Mark { epoch: epoch.to_owned(), position, head: position }
    }

    fn told(epoch: &str, position: i64) -> Notice {
        Notice { epoch: epoch.to_owned().try_into().expect("an epoch"), position }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn a_position_is_read_with_and_without_its_epoch() {
        assert_eq!("17".parse(), Ok(After { epoch: None, position: 17 }));
        assert_eq!("00ab12cd-17".parse(), Ok(After { epoch: Some("00ab12cd".to_owned()), position: 17 }));
        for wrong in ["", "-", "-1", "x", "17-", "00ab12cd-", "00AB12CD-1", "00ab12c-1", "00ab12cd-+1", "1 "]
        {
            assert_eq!(wrong.parse::<After>(), Err(NoPosition), "{wrong}");
        }
        assert_eq!("99999999999999999999".parse::<After>(), Err(NoPosition));
    }

    #[test]
    fn the_larger_of_poll_and_message_counts() {
        let watermark = Watermark::fixed(mark("0000000a", 5));
        watermark.told(&told("0000000a", 9));
        watermark.polled(mark("0000000a", 7));
        assert_eq!(watermark.current(), mark("0000000a", 9));
    }

    #[test]
    fn only_the_database_begins_another_epoch() {
        let watermark = Watermark::fixed(mark("0000000a", 5));
        watermark.told(&told("0000000b", 9));
        assert_eq!(watermark.current(), mark("0000000a", 5));
        watermark.polled(mark("0000000b", 3));
        assert_eq!(watermark.current(), mark("0000000b", 3));
    }

    #[test]
    fn tables_are_being_built_until_they_have_once_come_near_the_end() {
        let at = |epoch: &str, position| Mark { head: 5_000, ..mark(epoch, position) };
        let watermark = Watermark::fixed(Mark::default());
        assert_eq!(watermark.building(), None, "nothing is known yet");
        watermark.polled(at("0000000a", 3_999));
        assert_eq!(watermark.building(), Some(at("0000000a", 3_999)));
        watermark.told(&told("0000000a", 4_000));
        assert_eq!(watermark.building(), None);
        watermark.polled(Mark { head: 9_000, ..mark("0000000a", 4_000) });
        assert_eq!(watermark.building(), None, "behind is not unbuilt");
        watermark.polled(at("0000000b", 7));
        assert_eq!(watermark.building(), Some(at("0000000b", 7)));
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_position_the_deadline_or_another_epoch() {
        let watermark = Watermark::fixed(mark("0000000a", 5));
        let after = |text: &str| text.parse::<After>().expect("a position");
        assert_eq!(watermark.wait(&after("5"), soon()).await, Ok(()));
        assert_eq!(watermark.wait(&after("6"), soon()).await, Err(WaitError::TooLate));
        assert_eq!(watermark.wait(&after("0000000b-1"), soon()).await, Err(WaitError::EpochChanged));
        let wanted = after("0000000a-6");
        let (outcome, ()) =
            tokio::join!(watermark.wait(&wanted, Instant::now() + Duration::from_secs(5)), async {
                watermark.told(&told("0000000a", 6));
            });
        assert_eq!(outcome, Ok(()));
    }
}
