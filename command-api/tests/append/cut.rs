//! Answers that are lost on their way: what was recorded is found again, and nothing is recorded twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use command_api::log::{Append, IdempotencyKey, Log, NewEvent, Outcome};
use shared::process::postgres::{DatabaseRole, options};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{database, event};

const TASKS: u64 = 8;
const COMMANDS: u64 = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_found_again() -> anyhow::Result<()> {
    let database = database().await?;
    let direct = options(&database.url, DatabaseRole::Command, None)?;
    let folder = direct.get_socket().cloned().unwrap_or_else(|| direct.get_host().into());
    let port = cutting_proxy(folder.join(format!(".s.PGSQL.{}", direct.get_port()))).await?;
    let user = direct.get_username().to_owned();
    let name = direct.get_database().unwrap_or_default().to_owned();
    let through =
        options(&format!("postgres://{user}@127.0.0.1:{port}/{name}"), DatabaseRole::Command, None)?;
    let (log, _writer) = Log::start(&through, CancellationToken::new());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 1..=TASKS {
        let log = log.clone();
        tasks.spawn(async move {
            for n in 1..=COMMANDS {
                let outcome = log.append(command(task, n)).await;
                let Ok(Outcome::Appended { first, last, .. }) = outcome else { panic!("{outcome:?}") };
                assert_eq!(last, first + 1, "two events each");
            }
        });
    }
    tasks.join_all().await;
    let owner = PgPool::connect(&database.url).await?;
    let (rows, last): (i64, i64) =
        sqlx::query_as("select count(*), max(position) from es.event").fetch_one(&owner).await?;
    assert_eq!((rows, last), (400, 400));
    owner.close().await;
    Ok(())
}

fn command(task: u64, n: u64) -> Append {
    let key = format!("{task}/{n}");
    let key =
        IdempotencyKey { actor: "someone".into(), key, ours: n.is_multiple_of(2), fingerprint: [1; 32] };
    let mut append = Append::new(key, "answer", 1);
    append.events = [0, 1]
        .map(|nth| NewEvent {
            event_id: Uuid::from_u64_pair(task, n * 2 + nth),
            ..event(&format!("{task}"), i64::try_from(n * 2 - 1 + nth).expect("small"))
        })
        .into();
    append
}

/// Passes everything on to the socket, but now and then drops what the server says, and hangs up.
async fn cutting_proxy(socket: PathBuf) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let said = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = UnixStream::connect(&socket).await else { return };
            tokio::spawn(pass_on(client, server, said.clone()));
        }
    });
    Ok(port)
}

async fn pass_on(client: TcpStream, server: UnixStream, said: Arc<AtomicU64>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        if said.fetch_add(1, Ordering::SeqCst) % 17 == 16 {
            break;
        }
        if to_client.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    asking.abort();
}
