//! A database, a NATS server and relays between them, for the relay's tests.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{Context, consumer::pull};
use command_api::relay::{self, Relay};
use futures::StreamExt;
use kit::{Fact, Level, Scribe, database, master, rewrite};
use serde_json::json;
use servers::nats::Nats;
use servers::testing::{self, TestDatabase};
use shared::domain::clock::Clock;
use shared::log::epoch::{self, Epoch, EpochId};
use shared::process::jetstream::{self, EVENT_ID, Retention};
use shared::process::lifecycle::Shutdown;
use shared::process::postgres::{DatabaseRole, pool};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Both servers, and the owner's way into them.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) nats: Nats,
    pub(crate) owner: PgPool,
    client: Client,
    scribe: Scribe,
}

/// A relay that runs; dropping it ends it.
pub(crate) struct Running {
    appended: watch::Sender<i64>,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Running {
    /// Says, as the writer of its process does, how far the log goes.
    pub(crate) fn tell(&self, position: i64) {
        self.appended.send_replace(position);
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// Asks until the answer is there.
pub(crate) async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    kit::until(Duration::from_mins(2), what, probe).await
}

/// Runs a relay in the runtime of the caller.
pub(crate) async fn start(database: &str, nats: &str) -> Running {
    let (appended, here) = watch::channel(0);
    let shutdown = Shutdown::new();
    let relay = Relay {
        pool: pool(database, DatabaseRole::Command, None, 3).unwrap(),
        nats: jetstream::connect(nats, "relay").await.unwrap(),
        appended: here,
        retention: Retention { size: 1 << 27, ..Retention::default() },
    };
    let task = tokio::spawn(relay::run(relay, shutdown.clone()));
    Running { appended, shutdown, task }
}

impl World {
    pub(crate) async fn new() -> Self {
        let (database, nats) = tokio::join!(database(Level::Log), testing::nats());
        let (database, nats) = (database.unwrap(), nats.unwrap());
        let owner = PgPool::connect(&database.url).await.unwrap();
        let client = jetstream::connect(&nats.url(), "test").await.unwrap();
        Self { database, nats, owner, client, scribe: Scribe::new(master()) }
    }

    pub(crate) async fn relay(&self) -> Running {
        start(&self.database.url, &self.nats.url()).await
    }

    /// Waits for the stream: a relay that has to make it leaves out what was appended before.
    pub(crate) async fn stream_made(&self) {
        until("the stream", async || self.stream().await).await;
    }

    pub(crate) fn context(&self) -> Context {
        jetstream::context(&self.client, Duration::from_secs(1))
    }

    pub(crate) async fn epoch(&self) -> Epoch {
        epoch::current(&self.owner).await.unwrap().unwrap()
    }

    pub(crate) async fn stream(&self) -> Option<Stream> {
        jetstream::stream(&self.context(), &self.epoch().await.epoch).await.ok().flatten()
    }

    /// Puts a message into the stream that is no event of the log.
    pub(crate) async fn foreign(&self, epoch: &EpochId) {
        let subject = jetstream::subject(epoch, "notes", "NoteRetitled");
        self.context().publish(subject, "foreign".into()).await.unwrap().await.unwrap();
    }

    /// The last sequence of the stream.
    pub(crate) async fn last(&self) -> Option<i64> {
        i64::try_from(self.stream().await?.cached_info().state.last_sequence).ok()
    }

    /// Appends a note that moves, past `es.append`. Returns its position.
    pub(crate) async fn append_with_effects(&self) -> i64 {
        let [note, from, to] = std::array::from_fn(|_| Clock::System.new_id());
        let scopes = vec![format!("note:{note}"), format!("notebook:{from}"), format!("notebook:{to}")];
        let moved = Fact::new("note", note, "NoteMoved", json!({"from": from, "to": to}));
        let mut owner = self.owner.acquire().await.unwrap();
        self.scribe.store(&mut owner, vec![Fact { scopes, ..moved }]).await.unwrap()
    }

    /// Appends events past `es.append`: what is in them does not matter here. Returns the new head.
    pub(crate) async fn append(&self, count: i64) -> i64 {
        let retitled = |_| {
            let note = Clock::System.new_id();
            Fact { in_clear: true, ..Fact::new("note", note, "NoteRetitled", json!({})) }
        };
        let mut owner = self.owner.acquire().await.unwrap();
        self.scribe.store(&mut owner, (0..count).map(retitled).collect()).await.unwrap()
    }

    /// Takes the log back to a position, as restoring an older copy does.
    pub(crate) async fn restore(&self, position: i64) {
        let mut owner = self.owner.acquire().await.unwrap();
        rewrite(&mut owner, &format!("delete from es.event where position > {position}")).await.unwrap();
    }

    /// Waits until the stream of the epoch in force ends where the log does, and compares every message.
    /// Returns its first sequence.
    pub(crate) async fn carried(&self) -> i64 {
        let stream = until("the stream ends where the log does", async || {
            let head = shared::log::event_log::head(&self.owner).await.unwrap();
            let stream = self.stream().await?;
            (stream.cached_info().state.last_sequence == u64::try_from(head).unwrap()).then_some(stream)
        })
        .await;
        let log: Vec<(i64, Uuid)> =
            sqlx::query_as("select position, event_id from es.event").fetch_all(&self.owner).await.unwrap();
        let log: BTreeMap<_, _> = log.into_iter().collect();
        for (sequence, event) in messages(&stream).await {
            assert_eq!(log.get(&sequence), event.as_ref(), "at sequence {sequence}");
        }
        i64::try_from(stream.cached_info().state.first_sequence).unwrap()
    }
}

/// Every message that the stream keeps: its sequence and the event it says it carries.
async fn messages(stream: &Stream) -> Vec<(i64, Option<Uuid>)> {
    let count = usize::try_from(stream.cached_info().state.messages).unwrap();
    let consumer = stream.create_consumer(pull::OrderedConfig::default()).await.unwrap();
    let messages = consumer.messages().await.unwrap().take(count);
    messages
        .map(|message| {
            let message = message.unwrap();
            let event =
                message.headers.as_ref().and_then(|headers| headers.get(EVENT_ID)?.as_str().parse().ok());
            (i64::try_from(message.info().unwrap().stream_sequence).unwrap(), event)
        })
        .collect()
        .await
}
