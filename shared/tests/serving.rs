//! A port under peers that are too many, too slow, or deaf.

#![expect(clippy::disallowed_methods, reason = "no API")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use serde_json::Value;
use shared::process::http::{Json, Limits, serve_within};
use shared::process::lifecycle::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, pause, timeout};

const DEADLINE: Duration = Duration::from_mins(2);

async fn port(limits: Limits, router: Router) -> (SocketAddr, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let shutdown = Shutdown::new();
    tokio::spawn(serve_within(limits, listener, None, router, shutdown.clone()));
    (address, shutdown)
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the port is open");
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("in time").expect("text");
    answer
}

#[tokio::test]
async fn no_more_connections_than_there_is_room_for_and_those_that_wait_are_served() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let busy = {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move || {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            "done"
        }
    };
    let limits = Limits { connections: 2, ..Limits::default() };
    let (address, _open) = port(limits, Router::new().route("/", get(busy))).await;
    let mut asking: JoinSet<String> = (0..20).map(|_| ask(address, "/")).collect();
    while let Some(answer) = asking.join_next().await {
        let answer = answer.expect("no panic");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn whoever_takes_nothing_of_an_answer_gives_its_place_up() {
    let router = Router::new()
        .route("/long", get(async || vec![0; 64 * 1024 * 1024]))
        .route("/short", get(async || "short"));
    let limits = Limits { connections: 1, deaf: Duration::from_millis(300) };
    let (address, _open) = port(limits, router).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut deaf = socket.connect(address).await.expect("it listens");
    deaf.write_all(b"GET /long HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("the port is open");
    // Its head is there, so it has the place.
    deaf.readable().await.expect("an answer begins");
    assert!(ask(address, "/short").await.ends_with("short"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let read = async |Json(body): Json<Value>| body.to_string();
    let (address, _open) = port(Limits::default(), Router::new().route("/", post(read))).await;
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head =
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("the port is open");
    let begun = Instant::now();
    // Nothing else is to be done, so the clock jumps to whatever is waited for.
    pause();
    let mut answer = vec![0; 4_096];
    let length = stream.read(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body-too-slow"), "{answer}");
    let given = begun.elapsed();
    assert!((60..80).contains(&given.as_secs()), "it was given {given:?}");
}
