//! The event log: the only way in which anything is recorded.
//!
//! [`Log::append`] hands a command to the one writer task of this process. The writer collects waiting commands into
//! a batch (`batch`), gives it to `es.append` in one round trip (`sql`), and answers each command (`writer`).

use shared::domain::clock::Clock;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod alarm;
mod append;
mod batch;
mod connection;
mod error;
mod prepared;
mod sql;
mod writer;

pub use append::hash;
pub use append::{
    Append, Beside, Claim, Expect, Freed, Gap, IdempotencyKey, ModuleRow, NewEvent, Outcome, RankSlot,
    SideRow,
};
pub use error::LogError;

use prepared::{Prepared, Waiting};

/// How many commands may wait; one more is refused, because it would only wait in vain.
const QUEUE: usize = 8_192;

/// A handle to the writer of this process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    queue: mpsc::Sender<Waiting>,
    appended: watch::Receiver<i64>,
}

impl Log {
    /// Starts the writer, by the machine's clock; see [`Log::new`].
    pub fn start(options: &PgConnectOptions, stop: CancellationToken) -> (Self, JoinHandle<()>) {
        let (log, writer) = Self::new(options, Clock::System, stop);
        (log, tokio::spawn(writer))
    }

    /// A handle, and the writer, which is to be spawned; `options` must make its sessions run as `daybook_command`.
    ///
    /// Once `stop` is cancelled nothing more is accepted; what waits is still written, then the writer ends.
    pub fn new(
        options: &PgConnectOptions,
        clock: Clock,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (news, appended) = watch::channel(0);
        let writer = writer::Writer::new(options, clock, &news).run(waiting, stop);
        (Self { queue, appended }, writer)
    }

    /// Records a command wholly or not at all, and says which.
    pub async fn append(&self, append: Append) -> Result<Outcome, LogError> {
        let prepared = Prepared::new(append)?;
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Waiting { prepared, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LogError::Full,
            mpsc::error::TrySendError::Closed(_) => LogError::Unavailable,
        })?;
        // The writer answers everybody it took; it is gone without a word only if it panicked.
        answered.await.unwrap_or(Err(LogError::Unknown))
    }

    /// The last position appended by this process; the relay waits for it to change.
    pub fn appended(&self) -> watch::Receiver<i64> {
        self.appended.clone()
    }
}
