//! Starting and stopping: one token tells every task of a process when to end.

use tokio::signal::unix::{SignalKind, signal};
pub use tokio_util::sync::CancellationToken as Shutdown;

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
