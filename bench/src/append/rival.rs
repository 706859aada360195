//! The rival: cqrs-es with postgres-es as its users use it, on its own table, with the pool that suits it best.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use serde::{Deserialize, Serialize};
use shared::domain::clock::Clock;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};

use super::{EVENTS_EACH, PAYLOAD, POOLS, TRIAL, check};
use crate::measure::{Writer, work};

/// What postgres-es brings for its users to run.
const TABLE: &str = "create table events (
    aggregate_type text not null,
    aggregate_id text not null,
    sequence bigint check (sequence >= 0) not null,
    event_type text not null,
    event_version text not null,
    payload json not null,
    metadata json not null,
    primary key (aggregate_type, aggregate_id, sequence))";

/// The framework over its pool, and what it has acknowledged.
pub(super) struct Rival {
    url: String,
    pings: bool,
    pool: PgPool,
    /// How many events were acknowledged.
    pub(super) acknowledged: u64,
}

impl Rival {
    /// Makes its table in an empty database.
    pub(super) async fn start(url: String, pings: bool) -> Result<Self> {
        let pool = connect(&url, pings, 1).await?;
        pool.execute(TABLE).await?;
        Ok(Self { url, pings, pool, acknowledged: 0 })
    }

    /// Tries pools of several sizes, keeps the quickest and tells its size.
    pub(super) async fn best_pool(&mut self, writers: usize) -> Result<u32> {
        let (mut best, mut quickest) = (1, 0.0);
        for size in POOLS {
            self.resize(size).await?;
            let stretch = work(&mut self.writers(writers), TRIAL).await?;
            self.acknowledged += stretch.steps;
            eprintln!("{writers} writers: postgres-es with a pool of {size} {:.0}/s", stretch.rate());
            if stretch.rate() > quickest {
                (best, quickest) = (size, stretch.rate());
            }
            if usize::try_from(size)? >= writers {
                break;
            }
        }
        self.resize(best).await?;
        Ok(best)
    }

    async fn resize(&mut self, size: u32) -> Result<()> {
        self.pool.close().await;
        self.pool = connect(&self.url, self.pings, size).await?;
        Ok(())
    }

    /// Makes writers that share one framework.
    pub(super) fn writers(&self, count: usize) -> Vec<RivalWriter> {
        let cqrs = Arc::new(postgres_cqrs(self.pool.clone(), Vec::new(), ()));
        (0..count).map(|_| RivalWriter::new(cqrs.clone())).collect()
    }

    /// Compares what was acknowledged with what is there.
    pub(super) async fn verify(&self) -> Result<()> {
        let stored = sqlx::query_scalar("select count(*) from events").fetch_one(&self.pool).await?;
        check("postgres-es", self.acknowledged, stored)
    }
}

async fn connect(url: &str, pings: bool, size: u32) -> Result<PgPool> {
    let options = PgPoolOptions::new().max_connections(size).min_connections(size).test_before_acquire(pings);
    options.connect(url).await.context("the rival's database does not answer")
}

/// One client, with a note at hand.
pub(super) struct RivalWriter {
    cqrs: Arc<PostgresCqrs<Note>>,
    actor: String,
    note: String,
    events: i64,
}

impl RivalWriter {
    fn new(cqrs: Arc<PostgresCqrs<Note>>) -> Self {
        Self { cqrs, actor: id(), note: id(), events: 0 }
    }
}

impl Writer for RivalWriter {
    async fn step(&mut self) -> Result<()> {
        if self.events == EVENTS_EACH {
            (self.note, self.events) = (id(), 0);
        }
        self.events += 1;
        let names = [("actor", self.actor.clone()), ("correlation", id()), ("causation", id())];
        let metadata: HashMap<String, String> = names.map(|(name, value)| (name.to_owned(), value)).into();
        // All but the name of the variant and of its member.
        let title = "x".repeat(PAYLOAD - r#"{"NoteRetitled":{"title":""}}"#.len());
        self.cqrs
            .execute_with_metadata(&self.note, title, metadata)
            .await
            .context("postgres-es did not store an event")
    }
}

/// The least that can be an aggregate.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Note {
    title: String,
}

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum NoteEvent {
    /// It has another title.
    NoteRetitled { title: String },
}

/// It refuses nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoteError {}

impl DomainEvent for NoteEvent {
    fn event_type(&self) -> String {
        "NoteRetitled".into()
    }

    fn event_version(&self) -> String {
        "1.0".into()
    }
}

impl Aggregate for Note {
    const TYPE: &'static str = "note";
    type Command = String;
    type Event = NoteEvent;
    type Error = NoteError;
    type Services = ();

    async fn handle(
        &mut self,
        title: String,
        (): &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), NoteError> {
        sink.write(NoteEvent::NoteRetitled { title }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: NoteEvent) {
        let NoteEvent::NoteRetitled { title } = event;
        self.title = title;
    }
}

fn id() -> String {
    Clock::System.new_id().to_string()
}
