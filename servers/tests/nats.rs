//! NATS as it is started here: the same port over restarts, and a store that can be wiped.

use std::time::Duration;

use servers::nats::{Nats, Options};
use servers::testing;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn greeting(nats: &Nats) -> Option<String> {
    let address = nats.url().strip_prefix("nats://").expect("it is an address of NATS").to_owned();
    let mut line = String::new();
    let mut stream = BufReader::new(TcpStream::connect(address).await.ok()?);
    timeout(Duration::from_millis(300), stream.read_line(&mut line)).await.ok()?.ok()?;
    Some(line)
}

#[tokio::test]
async fn the_port_stays_over_every_kind_of_restart() {
    let mut nats = testing::nats().await.unwrap();
    let url = nats.url();
    assert!(greeting(&nats).await.unwrap().contains("\"jetstream\":true"));
    nats.restart().await.unwrap();
    nats.kill9().await.unwrap();
    assert_eq!(greeting(&nats).await, None);
    nats.restart().await.unwrap();
    nats.wipe().await.unwrap();
    assert_eq!(nats.url(), url);
    assert!(greeting(&nats).await.is_some());
}

#[tokio::test]
async fn a_frozen_server_says_nothing_until_it_thaws() {
    let nats = testing::nats().await.unwrap();
    nats.freeze().await.unwrap();
    assert_eq!(greeting(&nats).await, None);
    nats.thaw().unwrap();
    assert!(greeting(&nats).await.is_some());
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let nats = testing::nats().await.unwrap();
    let port = nats.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let second = Nats::start(Options { store: folder.path().to_owned(), port: Some(port) }).await;
    assert!(second.unwrap_err().to_string().contains("another process listens"));
}
