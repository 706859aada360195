//! Serving a port: hyper's HTTP/1 with timeouts, since a silent connection must not be kept for ever.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::tls::Tls;
use crate::lifecycle::Shutdown;

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may still take when the process stops.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `shutdown`, then lets what is under way finish. With `tls`, nothing else is spoken.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, router: Router, shutdown: Shutdown) {
    let connections = TaskTracker::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                // An answer is one small write; waiting to fill a packet only delays it. A failure here is a closed
                // connection.
                _ = stream.set_nodelay(true);
                let (tls, router, shutdown) = (tls.clone(), router.clone(), shutdown.clone());
                _ = connections.spawn(async move {
                    match tls {
                        None => converse(stream, peer, router, shutdown).await,
                        Some(tls) => greet(&tls, stream, peer, router, shutdown).await,
                    }
                });
            }
            Err(cause) => {
                // Out of file descriptors, or the peer has gone: neither is a reason to stop listening.
                tracing::warn!(%cause, "A connection could not be accepted");
                tokio::task::yield_now().await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::warn!("Some requests did not finish in time");
    }
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
