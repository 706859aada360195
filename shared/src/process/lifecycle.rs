//! Starting and stopping: one token tells every task of a process when to end, and a task that the process cannot do
//! without ends the process when it ends by itself.
//!
//! To add such a task: spawn it with [`Shutdown::essential`], and add its name to the test that makes each of them
//! panic (e2e/tests/supervision.rs). What an essential task spawns itself is a [`Part`], whose panic is its own.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::AbortOnDropHandle;

/// How long the others have to finish once an essential task has ended; what still runs then is dropped.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Tells every task of a process when to end. Clones and children belong to one process.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    process: Arc<Process>,
}

/// What all tokens of a process share.
#[derive(Debug, Default)]
struct Process {
    /// Of which all others are children.
    whole: CancellationToken,
    lost: OnceLock<TaskLost>,
}

/// An essential task ended although nobody had told it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the essential task \"{task}\" {how}")]
pub struct TaskLost {
    task: &'static str,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum How {
    #[error("has ended")]
    Ended,
    #[error("has panicked: {0}")]
    Panicked(String),
}

impl Shutdown {
    /// Of a new process, which runs.
    pub fn new() -> Self {
        let process = Arc::new(Process::default());
        Self { token: process.whole.clone(), process }
    }

    /// Tells all who hold this token, or a child of it, to end.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Whether it is time to end.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it is time to end.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    /// The answer of `future`, or `None` when it is time to end.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        self.token.run_until_cancelled(future).await
    }

    /// A token that can be cancelled alone, and is whenever this one is.
    #[must_use]
    pub fn child_token(&self) -> Self {
        Self { token: self.token.child_token(), process: Arc::clone(&self.process) }
    }

    /// A token of the same process that is cancelled alone: for what outlives the others.
    #[must_use]
    pub fn later(&self) -> Self {
        Self { token: CancellationToken::new(), process: Arc::clone(&self.process) }
    }

    /// The bare token.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Spawns a task that the process cannot do without. If it panics, or ends before the process is told to end, then
    /// the process is told to end, and ends as failed.
    pub fn essential(
        &self,
        task: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        tracing::debug!(task, "An essential task starts");
        let process = Arc::clone(&self.process);
        tokio::spawn(async move {
            match AssertUnwindSafe(fallible(task, work)).catch_unwind().await {
                Ok(()) if process.whole.is_cancelled() => {}
                Ok(()) => process.lose(TaskLost { task, how: How::Ended }),
                Err(panic) => process.lose(TaskLost { task, how: How::Panicked(words(&*panic)) }),
            }
        })
    }

    /// For `/readyz`: which essential task has ended.
    pub fn complaint(&self) -> Option<String> {
        let TaskLost { task, .. } = self.process.lost.get()?;
        Some(format!("The task \"{task}\" has ended, so the process is ending."))
    }

    /// Runs the work of a process, which ends once it is told to. The error is that of the work, or the essential task
    /// that ended too early; a process that does not come to its end after that is not waited for.
    pub async fn supervise(&self, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        self.supervise_with(work, LAST_WORDS).await
    }

    async fn supervise_with(
        &self,
        work: impl Future<Output = anyhow::Result<()>>,
        last_words: Duration,
    ) -> anyhow::Result<()> {
        let ended = tokio::select! {
            ended = work => ended,
            () = self.overdue(last_words) => Ok(()),
        };
        // The loss comes first: whatever else failed may have failed because of it.
        self.process.lost.get().map_or(ended, |lost| Err(lost.clone().into()))
    }

    /// Waits until the time that the others had after an essential task is over.
    async fn overdue(&self, last_words: Duration) {
        self.process.whole.cancelled().await;
        if self.process.lost.get().is_none() {
            return std::future::pending().await;
        }
        drop(timeout(last_words, std::future::pending::<()>()).await);
        tracing::error!("Tasks are still at work; ending without them");
    }
}

impl Process {
    fn lose(&self, lost: TaskLost) {
        tracing::error!(task = lost.task, "Ending the process: {lost}");
        // The first one is the cause.
        _ = self.lost.set(lost);
        self.whole.cancel();
    }
}

/// A task within an essential one: whoever waits for it panics when it panicked. It ends when this is dropped.
#[derive(Debug)]
pub struct Part<T> {
    task: &'static str,
    handle: AbortOnDropHandle<T>,
}

impl<T: Send + 'static> Part<T> {
    /// Spawns it.
    pub fn spawn(task: &'static str, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { task, handle: AbortOnDropHandle::new(tokio::spawn(fallible(task, work))) }
    }
}

impl<T> Future for Part<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let task = self.task;
        self.handle.poll_unpin(context).map(|ended| match ended {
            Ok(value) => value,
            // Nobody but its owner ends it, and then nobody waits.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => panic!("its part \"{task}\" has panicked: {}", words(&*panic)),
                Err(error) => panic!("its part \"{task}\" has ended: {error}"),
            },
        })
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned())
}

/// The work, which a test of a debug build can make panic.
#[cfg(debug_assertions)]
async fn fallible<T>(task: &'static str, work: impl Future<Output = T>) -> T {
    tokio::select! {
        ended = work => ended,
        never = fault::strikes(task) => match never {},
    }
}

#[cfg(not(debug_assertions))]
async fn fallible<T>(_task: &'static str, work: impl Future<Output = T>) -> T {
    work.await
}

/// A panic in one task of a running process, for the test that does it to each. Not in release builds.
#[cfg(debug_assertions)]
mod fault {
    use std::convert::Infallible;
    use std::sync::OnceLock;

    use tokio::signal::unix::{SignalKind, signal};
    use tokio_util::sync::CancellationToken;

    /// Names the task. It panics when the process gets SIGUSR1.
    const VARIABLE: &str = "DAYBOOK_TEST_PANIC";

    /// Panics when the task is the one that was named and the signal has come.
    pub(super) async fn strikes(task: &str) -> Infallible {
        static NAMED: OnceLock<Option<(String, CancellationToken)>> = OnceLock::new();
        if let Some((named, signalled)) = NAMED.get_or_init(named)
            && named == task
        {
            signalled.cancelled().await;
            panic!("SIGUSR1 asked for it");
        }
        std::future::pending().await
    }

    fn named() -> Option<(String, CancellationToken)> {
        #[expect(clippy::disallowed_methods, reason = "no configuration: it is for one test")]
        let named = std::env::var(VARIABLE).ok()?;
        let signalled = CancellationToken::new();
        let mut signals = signal(SignalKind::user_defined1()).ok()?;
        let told = signalled.clone();
        tokio::spawn(async move {
            signals.recv().await;
            told.cancel();
        });
        Some((named, signalled))
    }
}

/// A token that is cancelled by Ctrl-C or SIGTERM. A second signal ends the process at once.
pub fn on_signal() -> std::io::Result<Shutdown> {
    let shutdown = Shutdown::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let told = shutdown.clone();
    tokio::spawn(async move {
        for second in [false, true] {
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
            if second {
                tracing::warn!("A second signal: ending without waiting");
                std::process::exit(130);
            }
            tracing::info!("Stopping: no new requests, finishing what is under way");
            told.cancel();
        }
    });
    Ok(shutdown)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// The work of a process that does nothing but wait for its end.
    async fn well(shutdown: &Shutdown) -> anyhow::Result<()> {
        let cancelled = async {
            shutdown.cancelled().await;
            Ok(())
        };
        shutdown.supervise(cancelled).await
    }

    #[tokio::test]
    async fn a_panic_ends_the_process_and_names_the_task() {
        let shutdown = Shutdown::new();
        let (sender, told) = oneshot::channel::<()>();
        let work = async {
            told.await.expect("this one is told nothing");
        };
        let task = shutdown.essential("writer", work);
        assert_eq!(shutdown.complaint(), None);
        drop(sender);
        task.await.expect("the panic was caught");
        let complaint = shutdown.complaint().expect("it knows");
        assert_eq!(complaint, "The task \"writer\" has ended, so the process is ending.");
        let said = format!("{:#}", well(&shutdown).await.expect_err("it failed"));
        assert_eq!(
            said,
            "the essential task \"writer\" has panicked: this one is told nothing: RecvError(())"
        );
    }

    #[tokio::test]
    async fn an_early_end_ends_the_process_also_when_a_child_of_the_token_spawned_it() {
        let shutdown = Shutdown::new();
        shutdown.child_token().essential("relay", async {});
        let said = well(&shutdown).await.expect_err("it failed").to_string();
        assert_eq!(said, "the essential task \"relay\" has ended");
    }

    #[tokio::test]
    async fn an_end_after_the_shutdown_is_none_but_a_panic_is() {
        let shutdown = Shutdown::new();
        let told = shutdown.clone();
        let task = shutdown.essential("writer", async move { told.cancelled().await });
        shutdown.cancel();
        task.await.expect("it ended");
        assert_eq!(shutdown.complaint(), None);
        well(&shutdown).await.expect("it ended as it should");
        shutdown.essential("relay", async { panic!("late") }).await.expect("the panic was caught");
        let said = well(&shutdown).await.expect_err("it failed").to_string();
        assert_eq!(said, "the essential task \"relay\" has panicked: late");
    }

    #[tokio::test]
    async fn the_first_loss_is_the_cause() {
        let shutdown = Shutdown::new();
        for task in ["first", "second"] {
            shutdown.essential(task, async move { panic!("{task}") }).await.expect("the panic was caught");
        }
        let failed = shutdown.supervise(async { anyhow::bail!("what followed from it") }).await;
        let said = failed.expect_err("it failed").to_string();
        assert_eq!(said, "the essential task \"first\" has panicked: first");
    }

    #[tokio::test]
    async fn a_process_that_does_not_come_to_its_end_is_not_waited_for() {
        let shutdown = Shutdown::new();
        shutdown.essential("writer", async {});
        let ended = shutdown.supervise_with(std::future::pending(), Duration::ZERO).await;
        ended.expect_err("it ended all the same");
    }

    #[tokio::test]
    async fn a_part_that_panics_takes_the_task_with_it() {
        let shutdown = Shutdown::new();
        let task = shutdown
            .essential("projector", async { Part::spawn("read-ahead", async { panic!("a bug") }).await });
        task.await.expect("the panic was caught");
        let said = well(&shutdown).await.expect_err("it failed").to_string();
        assert_eq!(
            said,
            "the essential task \"projector\" has panicked: its part \"read-ahead\" has panicked: a bug"
        );
    }
}
