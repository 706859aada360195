//! Serves a port: hyper's HTTP/1 with timeouts, because a silent connection must not stay open for ever. It accepts
//! no more connections than there are file descriptors for, because accepting without one fails again and again.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::tls::Tls;
use crate::process::lifecycle::Shutdown;
use crate::process::open_files;

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may still take when the process stops.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait when a connection cannot be accepted: trying again at once would fail again at once.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the log says that connections have to wait.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// What one port takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections served at once; more wait to be accepted. A `WebSocket` no longer counts once it is open.
    pub connections: usize,
    /// How long a peer may take nothing of what is sent to it. Then it is gone.
    pub deaf: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        // Half of all file descriptors: sockets have the other half.
        Self { connections: open_files::for_peers() / 2, deaf: Duration::from_mins(2) }
    }
}

/// Serves until `shutdown`, then lets what is under way finish. With `tls`, nothing else is spoken.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, router: Router, shutdown: Shutdown) {
    serve_within(Limits::default(), listener, tls, router, shutdown).await;
}

/// [`serve`] with limits of one's own.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    shutdown: Shutdown,
) {
    let connections = TaskTracker::new();
    let mut limit = ConnectionLimit::new(limits.connections);
    while let Some((accepted, permit)) = shutdown.run_until_cancelled(limit.accept(&listener)).await {
        let Ok((stream, peer)) = accepted else { continue };
        tune(&stream, limits.deaf);
        let (tls, router, shutdown) = (tls.clone(), router.clone(), shutdown.clone());
        _ = connections.spawn(async move {
            match tls {
                None => converse(stream, peer, router, shutdown).await,
                Some(tls) => greet(&tls, stream, peer, router, shutdown).await,
            }
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::warn!("Some requests did not finish in time");
    }
}

/// How many connections may be open at once.
struct ConnectionLimit {
    places: Arc<Semaphore>,
    /// When the log was last told of either.
    full: Option<Instant>,
    failed: Option<Instant>,
}

impl ConnectionLimit {
    fn new(connections: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(connections)), full: None, failed: None }
    }

    /// The next connection, when there is room for it, with its place.
    async fn accept(
        &mut self,
        listener: &TcpListener,
    ) -> (std::io::Result<(TcpStream, SocketAddr)>, OwnedSemaphorePermit) {
        if self.places.available_permits() == 0 {
            complain(
                &mut self.full,
                "As many connections are open as this process takes; others have to wait",
            );
        }
        let permit = Arc::clone(&self.places).acquire_owned().await.expect("nobody closes it");
        let accepted = listener.accept().await;
        if let Err(cause) = &accepted
            && !matches!(cause.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
        {
            // Out of file descriptors, which is no reason to stop listening.
            complain(&mut self.failed, &format!("A connection could not be accepted: {cause}"));
            sleep_until(Instant::now() + PAUSE).await;
        }
        (accepted, permit)
    }
}

fn complain(last: &mut Option<Instant>, what: &str) {
    if last.is_none_or(|at| at.elapsed() > COMPLAIN_EVERY) {
        *last = Some(Instant::now());
        tracing::warn!("{what}");
    }
}

/// A failure here is a closed connection, which its first use will find out.
fn tune(stream: &TcpStream, deaf: Duration) {
    // An answer is one small write; waiting to fill a packet only delays it.
    _ = stream.set_nodelay(true);
    let deaf = u32::try_from(deaf.as_millis()).unwrap_or(u32::MAX);
    _ = rustix::net::sockopt::set_tcp_user_timeout(stream, deaf);
}

async fn greet(tls: &Tls, stream: TcpStream, peer: SocketAddr, router: Router, shutdown: Shutdown) {
    let greeting = tokio::time::timeout(HEADER_TIMEOUT, tls.accept(stream));
    match shutdown.run_until_cancelled(greeting).await {
        Some(Ok(Ok(stream))) => converse(stream, peer, router, shutdown).await,
        Some(Ok(Err(cause))) => tracing::debug!(%cause, "A client could not be greeted over TLS"),
        Some(Err(_)) => tracing::debug!("A client was silent instead of greeting over TLS"),
        None => (),
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    router: Router,
    shutdown: Shutdown,
) {
    let service = router.map_request(move |mut request: axum::http::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(cause) = ended {
        tracing::debug!(%cause, "A connection ended early");
    }
}
