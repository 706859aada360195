//! A port that speaks TLS: who asks, over what, and how it ends.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use shared::process::http::{Tls, serve};
use shared::process::lifecycle::Shutdown;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// `cert.pem` signs itself, for localhost, until 2126; its key is for nothing but these tests.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

/// A port that answers with the address of who asks.
#[expect(clippy::disallowed_methods, reason = "no API")]
async fn port(shutdown: Shutdown) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let tls = Tls::load(&file("cert.pem"), &file("key.pem")).expect("both are there");
    let peer = get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string());
    let router = Router::new().route("/peer", peer);
    (address, tokio::spawn(serve(listener, Some(tls), router, shutdown)))
}

async fn greeted(stream: TcpStream) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("cert.pem")).expect("a certificate")).expect("well formed");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("those of the provider")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("the certificate is accepted")
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(b"GET /peer HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("the port is open");
}

#[tokio::test]
async fn the_peer_is_known_and_an_open_connection_does_not_hold_up_the_end() {
    let shutdown = Shutdown::new();
    let (address, serving) = port(shutdown.clone()).await;
    let stream = TcpStream::connect(address).await.expect("it listens");
    let me = stream.local_addr().expect("connected").to_string();
    let mut stream = greeted(stream).await;
    ask(&mut stream).await;
    let mut answer = String::new();
    while !answer.contains(&me) {
        let byte = stream.read_u8().await.unwrap_or_else(|cause| panic!("{cause} after {answer}"));
        answer.push(byte.into());
    }
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let silent = TcpStream::connect(address).await.expect("it listens");
    shutdown.cancel();
    serving.await.expect("no panic");
    drop((stream, silent));
}

#[tokio::test]
async fn plain_http_is_not_answered() {
    let shutdown = Shutdown::new();
    let (address, serving) = port(shutdown.clone()).await;
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    ask(&mut stream).await;
    let mut answer = Vec::new();
    // Being cut off is as good as being closed.
    _ = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    shutdown.cancel();
    serving.await.expect("no panic");
}

#[test]
fn files_that_are_no_certificate_and_key_are_said() {
    let wrong = Tls::load(&file("cert.pem"), &file("cert.pem")).err().expect("no key in it").to_string();
    assert!(wrong.contains("cert.pem holds no private key"), "{wrong}");
    let missing = Tls::load(&file("none.pem"), &file("key.pem")).err().expect("no such file").to_string();
    assert!(missing.contains("none.pem cannot be read"), "{missing}");
}
