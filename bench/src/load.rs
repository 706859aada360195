//! Loading one long aggregate: from its first event, and from a snapshot with a tail of some events after it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use command_api::app::App;
use command_api::log::{Append, IdempotencyKey, NewEvent, Outcome, SideRow};
use command_api::notes::Note;
use command_api::service::{self, Setup};
use serde_json::{Value, json};
use servers::postgres::{Durability, Options, Postgres};
use shared::domain::clock::Clock;
use shared::log::encryption::{DataKey, MasterKey, about};
use shared::log::event::Meta;
use shared::log::server_keys;
use shared::log::stored_event::Mac;
use shared::process::lifecycle::Shutdown;
use sqlx::PgPool;

/// Events in one append, which takes 1,000 at most.
const EACH: i64 = 500;
/// Tails that are measured, in events; at 200 another snapshot would be due.
const TAILS: [i64; 5] = [0, 50, 100, 150, 199];

/// What to measure.
pub(crate) struct Plan {
    /// How many events the aggregate has.
    pub(crate) events: i64,
    /// How often it is loaded in each way.
    pub(crate) times: usize,
    /// Where the server's data goes.
    pub(crate) folder: PathBuf,
}

/// One way of loading.
pub(crate) struct Way {
    /// Events after the snapshot; `None` without one.
    pub(crate) tail: Option<i64>,
    /// How long each load took, from the least to the most.
    pub(crate) took: Vec<Duration>,
}

/// A note that grows.
struct Subject {
    app: App,
    id: String,
    key_owner: String,
    key: DataKey,
    mac_key: DataKey,
    wrapped: Option<Vec<u8>>,
    sequence: i64,
}

/// Measures on a durable server of its own.
pub(crate) async fn run(plan: &Plan) -> Result<Vec<Way>> {
    let folder = tempfile::tempdir_in(&plan.folder).context("cannot make a folder for the server")?;
    let options =
        Options { data: folder.path().to_owned(), durability: Durability::Durable, settings: Vec::new() };
    let server = Postgres::start(options).await?;
    let result = measure(plan, &server).await;
    server.shutdown().await?;
    result
}

async fn measure(plan: &Plan, server: &Postgres) -> Result<Vec<Way>> {
    let master = kit::master();
    server.create_database("ours").await?;
    let url = server.url("ours");
    shared::process::migrate::migrate(&url, &master).await?;
    let owner = PgPool::connect(&url).await?;
    let setup = Setup {
        database_url: url,
        nats: None,
        master: master.clone(),
        clock: Clock::System,
        throwaway: false,
    };
    let shutdown = Shutdown::new();
    let running = service::start(setup, &shutdown).await?;
    let mac_key = server_keys::mac_key(&owner, &master).await?;
    let mut subject = Subject::new(running.app.clone(), &master, mac_key);
    subject.grow(plan.events).await?;
    sqlx::query("vacuum analyze es.event").execute(&owner).await?;
    let ways = subject.ways(plan, &owner).await;
    shutdown.cancel();
    drop(subject);
    running.stop().await;
    owner.close().await;
    ways
}

impl Subject {
    fn new(app: App, master: &MasterKey, mac_key: DataKey) -> Self {
        let id = Clock::System.new_id().to_string();
        let key_owner = format!("note:{id}");
        let (key, wrapped) = master.make(&key_owner);
        Self { app, id, key_owner, key, mac_key, wrapped: Some(wrapped), sequence: 0 }
    }

    async fn ways(&mut self, plan: &Plan, owner: &PgPool) -> Result<Vec<Way>> {
        let mut ways = Vec::new();
        let mut took = Vec::new();
        for _ in 0..plan.times {
            // Each load without a snapshot has one written.
            self.app.snapshots.settled().await;
            sqlx::query("delete from es.snapshot").execute(owner).await?;
            took.push(self.load(0).await?);
        }
        ways.push(way(None, took));
        self.app.snapshots.settled().await;
        for tail in TAILS {
            self.grow(plan.events + tail).await?;
            let mut took = Vec::new();
            for _ in 0..plan.times {
                took.push(self.load(plan.events).await?);
            }
            ways.push(way(Some(tail), took));
        }
        Ok(ways)
    }

    /// One load; it must have come to the end, from the snapshot of that sequence. (One that was not there before is
    /// due at once, and then counts as the last.)
    async fn load(&self, snapshot: i64) -> Result<Duration> {
        let begun = Instant::now();
        let loaded = self.app.load::<Note>(&self.id).await;
        let took = begun.elapsed();
        let loaded = loaded.map_err(|problem| anyhow::anyhow!("the note does not load: {problem:?}"))?;
        ensure!(loaded.sequence == self.sequence && !loaded.erased, "it loads as another: {loaded:?}");
        ensure!(snapshot == 0 || loaded.snapshot == snapshot, "not from the snapshot: {loaded:?}");
        Ok(took)
    }

    async fn grow(&mut self, to: i64) -> Result<()> {
        while self.sequence < to {
            let last = to.min(self.sequence + EACH);
            let mut append = Append::new(idempotency_key(), &self.id, last);
            append.events = (self.sequence + 1..=last).map(|sequence| self.event(sequence)).collect();
            if let Some(wrapped) = self.wrapped.take() {
                append.side.push(SideRow::KeyMade { key_owner: self.key_owner.clone(), wrapped });
            }
            let outcome = self.app.log.append(append).await.context("our log gave no outcome")?;
            ensure!(matches!(outcome, Outcome::Appended { .. }), "our log refused: {outcome:?}");
            self.sequence = last;
        }
        Ok(())
    }

    fn event(&self, sequence: i64) -> NewEvent {
        let title = format!("A title of the usual length, for the time {sequence}");
        let (event_type, data) = if sequence == 1 {
            ("NoteCreated", json!({"notebook_id": self.id, "title": title}))
        } else {
            ("NoteRetitled", json!({ "title": title }))
        };
        let id = || self.id.clone();
        let meta = Meta { actor: id(), correlation: id(), causation: id() };
        NewEvent {
            event_id: Clock::System.new_id(),
            aggregate_type: "note",
            aggregate_id: self.id.clone(),
            sequence,
            event_type: event_type.into(),
            event_version: "1.0".into(),
            payload: self.key.encrypt(&about(event_type, &self.id, sequence), &data),
            meta,
            key: None,
            effects: Vec::new(),
            mac: Mac::default(),
            scopes: vec![format!("note:{}", self.id), format!("notebook:{}", self.id)],
        }
        .with_mac(&self.mac_key)
    }
}

impl Way {
    /// That part of the loads took no longer.
    fn milliseconds(&self, part: f64) -> f64 {
        let last = u32::try_from(self.took.len().saturating_sub(1)).unwrap_or(u32::MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index is small and whole"
        )]
        let place = (f64::from(last) * part).round() as usize;
        let took = self.took.get(place).copied().unwrap_or_default();
        (took.as_secs_f64() * 100_000.0).round() / 100.0
    }

    fn figures(&self) -> Value {
        let (p50, most) = (self.milliseconds(0.5), self.milliseconds(1.0));
        json!({"tail": self.tail, "times": self.took.len(), "p50_ms": p50, "max_ms": most})
    }
}

/// One line for machines.
pub(crate) fn json(events: i64, ways: &[Way]) -> String {
    let figures: Vec<Value> = ways.iter().map(Way::figures).collect();
    json!({"load": {"events": events, "ways": figures}}).to_string()
}

/// A table for people.
pub(crate) fn table(events: i64, ways: &[Way]) -> String {
    let head = format!("| {events} events | p50 | most |\n| :-- | --: | --: |");
    let rows = ways.iter().map(|way| {
        let name = match way.tail {
            None => "from the first on".to_owned(),
            Some(tail) => format!("snapshot and {tail}"),
        };
        format!("\n| {name} | {} ms | {} ms |", way.milliseconds(0.5), way.milliseconds(1.0))
    });
    std::iter::once(head).chain(rows).collect()
}

fn way(tail: Option<i64>, mut took: Vec<Duration>) -> Way {
    took.sort_unstable();
    Way { tail, took }
}

fn idempotency_key() -> IdempotencyKey {
    let key = Clock::System.new_id().to_string();
    IdempotencyKey { actor: "bench".to_owned(), key, ours: true, fingerprint: [0; 32] }
}
